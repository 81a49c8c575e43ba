//! Tests with environments that launchers set. Those of Slurm, Open MPI and hydra were captured
//! from Slurm 22.05, Open MPI 4.1.4 and MPICH 4.0.2; those of jsrun, PALS and Flux follow their
//! documentation.

use super::*;

const BATCH_SCRIPT: &str = "SLURM_JOB_ID=1 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_NTASKS=3 \
     SLURM_PROCID=0 SLURMD_NODENAME=n1 SLURM_NNODES=2";
const SRUN_NONE: &str = "SLURM_JOB_ID=1 SLURM_LOCALID=0 SLURM_NODEID=1 SLURM_NTASKS=3 \
     SLURM_PROCID=2 SLURMD_NODENAME=n2 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=3";
const SRUN_PMI2: &str = "PMI_FD=11 PMI_JOBID=1.1 PMI_RANK=2 PMI_SIZE=3 SLURMD_NODENAME=n2 \
     SLURM_JOB_ID=1 SLURM_LOCALID=0 SLURM_NTASKS=3 SLURM_PROCID=2 SLURM_STEP_ID=1 \
     SLURM_STEP_NUM_TASKS=3";
const SRUN_PMIX: &str = "PMIX_NAMESPACE=slurm.pmix.1.2 PMIX_RANK=2 PMIX_HOSTNAME=vm \
     SLURMD_NODENAME=n2 SLURM_LOCALID=0 SLURM_NTASKS=3 SLURM_PROCID=2 SLURM_STEP_ID=2 \
     SLURM_STEP_NUM_TASKS=3";
const MPIRUN: &str = "OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2 \
     OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 PMIX_RANK=1 PMIX_NAMESPACE=1894645761";
const MPIRUN_IN_SLURM: &str = "OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_RANK=1 \
     OMPI_COMM_WORLD_SIZE=2 PMIX_RANK=1 SLURMD_NODENAME=n1 SLURM_LOCALID=0 SLURM_NTASKS=2 \
     SLURM_PROCID=0 SLURM_STEP_ID=3 SLURM_STEP_NUM_TASKS=2";
const HYDRA: &str = "MPI_LOCALNRANKS=2 MPI_LOCALRANKID=1 PMI_FD=8 PMI_RANK=1 PMI_SIZE=2";
const HYDRA_IN_SLURM: &str = "MPI_LOCALRANKID=1 PMI_FD=6 PMI_RANK=1 PMI_SIZE=2 SLURM_JOB_ID=1 \
     SLURMD_NODENAME=n1 SLURM_LOCALID=0 SLURM_NTASKS=3 SLURM_PROCID=0 SLURM_STEP_ID=4 \
     SLURM_STEP_NUM_TASKS=1";
const JSRUN: &str = "JSM_NAMESPACE_RANK=43 JSM_NAMESPACE_SIZE=84 JSM_NAMESPACE_LOCAL_RANK=1 \
     OMPI_COMM_WORLD_RANK=43 OMPI_COMM_WORLD_SIZE=84 PMIX_RANK=43 LSB_JOBID=806290";
const PALS: &str = "PALS_RANKID=12 PALS_LOCAL_RANKID=4 PALS_NODEID=1 PALS_APID=7 PMI_RANK=12 \
     PMI_SIZE=16 PMI_LOCAL_RANK=4";
const CRAY_SRUN: &str = "PALS_RANKID=12 PALS_LOCAL_RANKID=4 PMI_RANK=12 PMI_SIZE=16 \
     SLURM_PROCID=12 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=16 SLURM_LOCALID=4 \
     SLURMD_NODENAME=frontier00002";
const PMIX_ALONE: &str = "PMIX_RANK=5 PMIX_HOSTNAME=c7 PMIX_NAMESPACE=prterun-c1-77@1";
const FLUX: &str =
    "FLUX_TASK_RANK=3 FLUX_JOB_SIZE=8 FLUX_TASK_LOCAL_ID=1 FLUX_URI=local:///run/flux";

fn of(environment: &str) -> Result<Option<Launch>, LaunchError> {
    discover(&|wanted| {
        let mut pairs = environment.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
    })
}

/// Environment, launcher, rank, size, rank on the node, node.
type Row = (&'static str, Launcher, u32, Option<u32>, Option<u32>, Option<&'static str>);

#[test]
fn every_captured_environment_is_read_correctly() {
    use Launcher::{Flux, Jsrun, OpenMpi, Pals, Pmi, Pmix, Slurm};
    let table: &[Row] = &[
        (SRUN_NONE, Slurm, 2, Some(3), Some(0), Some("n2")),
        (SRUN_PMI2, Slurm, 2, Some(3), Some(0), Some("n2")),
        (SRUN_PMIX, Slurm, 2, Some(3), Some(0), Some("n2")),
        (MPIRUN, OpenMpi, 1, Some(2), Some(1), None),
        (MPIRUN_IN_SLURM, OpenMpi, 1, Some(2), Some(1), None),
        (HYDRA, Pmi, 1, Some(2), Some(1), None),
        (HYDRA_IN_SLURM, Pmi, 1, Some(2), Some(1), None),
        (JSRUN, Jsrun, 43, Some(84), Some(1), None),
        (PALS, Pals, 12, Some(16), Some(4), None),
        (CRAY_SRUN, Slurm, 12, Some(16), Some(4), Some("frontier00002")),
        (PMIX_ALONE, Pmix, 5, None, None, Some("c7")),
        (FLUX, Flux, 3, Some(8), Some(1), None),
    ];
    for (environment, launcher, rank, size, local_rank, node) in table {
        let expected = Launch {
            launcher: *launcher,
            rank: *rank,
            size: *size,
            local_rank: *local_rank,
            node: node.map(str::to_owned),
        };
        assert_eq!(of(environment), Ok(Some(expected)), "{environment}");
    }
}

#[test]
fn a_batch_script_and_a_shell_have_no_rank() {
    assert_eq!(of(BATCH_SCRIPT), Ok(None));
    assert_eq!(of("PATH=/bin LSB_JOBID=3 FLUX_URI=local:///run/flux"), Ok(None));
}

#[test]
fn contradictory_variables_are_an_error_that_names_them() {
    let table = [
        ("OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 PMIX_RANK=0", "PMIX_RANK"),
        ("JSM_NAMESPACE_RANK=1 JSM_NAMESPACE_SIZE=2 OMPI_COMM_WORLD_RANK=3", "OMPI_COMM_WORLD"),
        ("PALS_RANKID=1 PMI_RANK=0 PMI_SIZE=2", "PMI_RANK"),
        ("PMI_RANK=2 PMI_SIZE=2", "world of `2`"),
        ("PMI_RANK=2", "PMI_SIZE"),
        ("SLURM_PROCID=x SLURM_STEP_ID=0 SLURM_NTASKS=2", "`x`"),
        ("PMI_RANK=-1 PMI_SIZE=2", "`-1`"),
        ("FLUX_TASK_RANK=0", "FLUX_JOB_SIZE"),
    ];
    for (environment, named) in table {
        let error = of(environment).unwrap_err().to_string();
        assert!(error.contains(named), "{environment}: {error}");
    }
}

#[test]
fn a_rank_is_printed_with_its_launcher() {
    let printed = |environment| of(environment).unwrap().unwrap().to_string();
    assert_eq!(printed(SRUN_PMI2), "srun 2/3");
    assert_eq!(printed(PMIX_ALONE), "PMIx 5");
}
