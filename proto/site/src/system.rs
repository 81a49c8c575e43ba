//! The batch systems and launchers that a profile can name, and what a profile must know about
//! them. How to speak to a batch system is the business of its adapter.

use serde::{Deserialize, Serialize};

/// A batch system that has an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// Slurm.
    Slurm,
    /// IBM Spectrum LSF.
    Lsf,
    /// OpenPBS or PBS Professional.
    Pbs,
    /// Flux.
    Flux,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Slurm, Self::Lsf, Self::Pbs, Self::Flux];

    /// Returns the value of the key `system` for this batch system.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slurm => "slurm",
            Self::Lsf => "lsf",
            Self::Pbs => "pbs",
            Self::Flux => "flux",
        }
    }

    /// Returns its name as people write it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Slurm => "Slurm",
            Self::Lsf => "LSF",
            Self::Pbs => "PBS",
            Self::Flux => "Flux",
        }
    }

    /// Returns the command that submits a script.
    pub const fn submits_by(self) -> &'static str {
        match self {
            Self::Slurm => "sbatch",
            Self::Lsf => "bsub",
            Self::Pbs => "qsub",
            Self::Flux => "flux batch",
        }
    }

    /// Returns the launchers that work in its allocations, its own one first.
    pub const fn launchers(self) -> &'static [Launcher] {
        match self {
            Self::Slurm => &[Launcher::Srun, Launcher::Mpirun],
            Self::Lsf => &[Launcher::Jsrun, Launcher::Mpirun],
            Self::Pbs => &[Launcher::Mpiexec, Launcher::Mpirun],
            Self::Flux => &[Launcher::FluxRun],
        }
    }

    /// Returns whether a job has a quality of service beside its queue.
    pub const fn has_qos(self) -> bool {
        match self {
            Self::Slurm => true,
            Self::Lsf | Self::Pbs | Self::Flux => false,
        }
    }

    /// Returns whether the script of a user can put its own allocation back into the queue.
    pub const fn requeues(self) -> bool {
        match self {
            Self::Slurm | Self::Lsf => true,
            Self::Pbs | Self::Flux => false,
        }
    }
}

/// The program that starts processes on the nodes of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Launcher {
    /// Slurm's `srun`.
    Srun,
    /// IBM's `jsrun`.
    Jsrun,
    /// Open MPI's `mpirun`.
    Mpirun,
    /// The `mpiexec` of HPE's PALS.
    Mpiexec,
    /// `flux run`.
    FluxRun,
}

impl Launcher {
    /// Returns the value of the key `launcher` for this launcher.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Srun => "srun",
            Self::Jsrun => "jsrun",
            Self::Mpirun => "mpirun",
            Self::Mpiexec => "mpiexec",
            Self::FluxRun => "flux-run",
        }
    }
}
