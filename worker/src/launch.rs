//! Finds the launcher that started this process, its rank, and the number of ranks. It reads only
//! the environment, so that MPI need not be initialised.
//!
//! Launchers nest, and inner ones pass on what outer ones set: under `mpirun` in a Slurm job every
//! rank sees the batch script's `SLURM_PROCID`. So the innermost convention that is present counts,
//! and only variables that one launcher sets together are compared. The caller decides what
//! follows.
//!
//! Invariant: the result is a pure function of the variables.

/// The launcher that started the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    Jsrun,
    OpenMpi,
    Pals,
    Slurm,
    /// MPICH's hydra, or another that speaks PMI.
    Pmi,
    Pmix,
    Flux,
}

/// The rank of a process among those that were started with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The launcher.
    pub launcher: Launcher,
    /// Rank of this process among all.
    pub rank: u32,
    /// PMIx alone does not set it in the environment.
    pub size: Option<u32>,
    /// Rank of this process on its node, if it is known.
    pub local_rank: Option<u32>,
    /// The launcher's name for the node; not all launchers set it.
    pub node: Option<String>,
}

/// Why the environment is contradictory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    #[error("`{name}` is `{value}`, which is not a valid number")]
    NoNumber { name: &'static str, value: String },
    #[error("`{name}` is set, and none of {missing:?}")]
    SizeMissing { name: &'static str, missing: &'static [&'static str] },
    #[error(
        "rank `{rank}` in a world of `{size}`\nhint: `{name}` was inherited from another launcher"
    )]
    Outside { name: &'static str, rank: u32, size: u32 },
    #[error(
        "`{name}` says rank `{rank}`, `{other}` says `{theirs}`\n\
         hint: one of them was exported by hand or inherited from another launcher"
    )]
    Contradiction { name: &'static str, rank: u32, other: &'static str, theirs: u32 },
}

/// The variables of one launcher.
struct Convention {
    launcher: Launcher,
    rank: &'static str,
    sizes: &'static [&'static str],
    size_is_needed: bool,
    local_ranks: &'static [&'static str],
    node: Option<&'static str>,
    /// Further variables in which the same launcher sets the rank.
    again: &'static [&'static str],
    /// The convention counts only if this is set too.
    only_with: Option<&'static str>,
}

/// The launchers, innermost first. Each sets its own variables and passes on those further down.
const CONVENTIONS: &[Convention] = &[
    Convention {
        launcher: Launcher::Jsrun,
        rank: "JSM_NAMESPACE_RANK",
        sizes: &["JSM_NAMESPACE_SIZE"],
        size_is_needed: true,
        local_ranks: &["JSM_NAMESPACE_LOCAL_RANK"],
        node: None,
        again: &["OMPI_COMM_WORLD_RANK", "PMIX_RANK"],
        only_with: None,
    },
    Convention {
        launcher: Launcher::OpenMpi,
        rank: "OMPI_COMM_WORLD_RANK",
        sizes: &["OMPI_COMM_WORLD_SIZE"],
        size_is_needed: true,
        local_ranks: &["OMPI_COMM_WORLD_LOCAL_RANK"],
        node: None,
        again: &["PMIX_RANK"],
        only_with: None,
    },
    Convention {
        launcher: Launcher::Pals,
        rank: "PALS_RANKID",
        sizes: &["PMI_SIZE", "SLURM_STEP_NUM_TASKS"],
        size_is_needed: true,
        local_ranks: &["PALS_LOCAL_RANKID", "PMI_LOCAL_RANK"],
        node: None,
        again: &["PMI_RANK"],
        only_with: None,
    },
    Convention {
        launcher: Launcher::Pmi,
        rank: "PMI_RANK",
        sizes: &["PMI_SIZE"],
        size_is_needed: true,
        local_ranks: &["MPI_LOCALRANKID", "PMI_LOCAL_RANK"],
        node: None,
        again: &[],
        only_with: None,
    },
    Convention {
        launcher: Launcher::Pmix,
        rank: "PMIX_RANK",
        sizes: &[],
        size_is_needed: false,
        local_ranks: &[],
        node: Some("PMIX_HOSTNAME"),
        again: &[],
        only_with: None,
    },
    Convention {
        launcher: Launcher::Slurm,
        rank: "SLURM_PROCID",
        sizes: &["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"],
        size_is_needed: true,
        local_ranks: &["SLURM_LOCALID"],
        node: Some("SLURMD_NODENAME"),
        again: &[],
        // The batch script has a SLURM_PROCID, but is not a task of any step.
        only_with: Some("SLURM_STEP_ID"),
    },
    Convention {
        launcher: Launcher::Flux,
        rank: "FLUX_TASK_RANK",
        sizes: &["FLUX_JOB_SIZE"],
        size_is_needed: true,
        local_ranks: &["FLUX_TASK_LOCAL_ID"],
        node: None,
        again: &[],
        only_with: None,
    },
];

/// Reads the environment through `lookup`. Returns `None` if no launcher started this process.
pub fn discover(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Option<Launch>, LaunchError> {
    let found = CONVENTIONS.iter().find(|convention| {
        lookup(convention.rank).is_some()
            && convention.only_with.is_none_or(|name| lookup(name).is_some())
    });
    let Some(convention) = found else { return Ok(None) };
    let launch = read(convention, lookup)?;
    Ok(Some(by_slurm(launch, lookup)))
}

/// Returns the launcher of this process; see [`discover`].
pub fn of_this_process() -> Result<Option<Launch>, LaunchError> {
    discover(&|name| std::env::var(name).ok())
}

fn read(
    convention: &Convention,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Launch, LaunchError> {
    let name = convention.rank;
    let rank = number(name, lookup)?.unwrap_or(0);
    let size = first_number(convention.sizes, lookup)?;
    match size {
        None if convention.size_is_needed => {
            return Err(LaunchError::SizeMissing { name, missing: convention.sizes });
        }
        Some(size) if rank >= size => return Err(LaunchError::Outside { name, rank, size }),
        None | Some(_) => {}
    }
    for other in convention.again {
        if let Some(theirs) = number(other, lookup)?.filter(|theirs| *theirs != rank) {
            return Err(LaunchError::Contradiction { name, rank, other, theirs });
        }
    }
    Ok(Launch {
        launcher: convention.launcher,
        rank,
        size,
        local_rank: first_number(convention.local_ranks, lookup)?,
        node: convention.node.and_then(lookup),
    })
}

/// Completes the facts for `srun`, which speaks PMI or PMIx to its tasks and sets more in its own
/// variables. These belong to this step if they have the same rank; otherwise they are older than
/// the launcher that was found.
fn by_slurm(launch: Launch, lookup: &dyn Fn(&str) -> Option<String>) -> Launch {
    if !matches!(launch.launcher, Launcher::Pmi | Launcher::Pmix | Launcher::Pals) {
        return launch;
    }
    let slurm = CONVENTIONS.iter().find(|convention| convention.launcher == Launcher::Slurm);
    let step = slurm.filter(|_| lookup("SLURM_STEP_ID").is_some());
    match step.map(|convention| read(convention, lookup)) {
        Some(Ok(slurm))
            if slurm.rank == launch.rank
                && launch.size.is_none_or(|_| slurm.size == launch.size) =>
        {
            slurm
        }
        Some(_) | None => launch,
    }
}

fn first_number(
    names: &[&'static str],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<u32>, LaunchError> {
    for name in names {
        if let Some(value) = number(name, lookup)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn number(
    name: &'static str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<u32>, LaunchError> {
    let Some(value) = lookup(name) else { return Ok(None) };
    value.trim().parse().map(Some).map_err(|_| LaunchError::NoNumber { name, value })
}

impl std::fmt::Display for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.launcher {
            Launcher::Jsrun => "jsrun",
            Launcher::OpenMpi => "mpirun",
            Launcher::Pals => "PALS",
            Launcher::Slurm => "srun",
            Launcher::Pmi => "PMI",
            Launcher::Pmix => "PMIx",
            Launcher::Flux => "flux",
        };
        write!(f, "{name} {}", self.rank)?;
        if let Some(size) = self.size {
            write!(f, "/{size}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
