//! The verb `worker`, which runs this program as a worker, and the command that starts it so.
//!
//! **Invariant:** a worker process sets up nothing of a coordinator: its memory is the worker's.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use thresher_coordinator::run::{JobTools, Relist, RepairedInputs, WorkerCommand};
use thresher_domain::UnitKey;
use thresher_job::JobSpec;
use thresher_proto::pb::UnitRef;
use thresher_worker::connect::{ConnectArgs, connect};
use thresher_worker::stages::{
    obstacles, output_loss, remove_output, repaired_inputs as worker_repaired,
};

use super::{Exit, print};

/// Run units of a job, for a coordinator on this or another node
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher worker connect --state corpus.state --slots 8")]
pub(super) struct WorkerArgs {
    #[command(subcommand)]
    verb: WorkerVerb,
}

#[derive(Debug, Subcommand)]
enum WorkerVerb {
    Connect(ConnectArgs),
}

pub(super) fn worker(args: WorkerArgs) -> anyhow::Result<ExitCode> {
    match args.verb {
        WorkerVerb::Connect(args) => connect(args)?,
    }
    Ok(Exit::Done.into())
}

/// Returns how to start a worker with these further arguments. The program is this one, by its path
/// as of now: a file that is replaced later, as by an upgrade, is found again under that path.
pub(super) fn worker_command(further: Vec<OsString>) -> anyhow::Result<WorkerCommand> {
    let program = std::env::current_exe().context("failed to find this program's own file")?;
    let arguments = ["worker", "connect"].map(OsString::from).into_iter().chain(further).collect();
    Ok(WorkerCommand { program, arguments })
}

/// Returns what the coordinator needs of the worker's code to start and to restart a job.
pub(super) fn job_tools() -> JobTools {
    JobTools {
        check: refuse_obstacles,
        output_loss,
        remove_output,
        repaired_inputs,
        note: print::note,
    }
}

fn repaired_inputs(
    job: &JobSpec,
    work: &Path,
    missing: &[UnitKey],
) -> anyhow::Result<Option<RepairedInputs>> {
    let missing: Vec<UnitRef> = missing.iter().map(|key| UnitRef::from(key.attempt(0))).collect();
    let Some(repaired) = worker_repaired(job, work, &missing)? else { return Ok(None) };
    Ok(Some(RepairedInputs {
        named: repaired.named.clone(),
        sources: repaired.sources.clone(),
        moves_others: repaired.moves_others,
        relist: Relist::new(move |work| Ok(repaired.write(work)?)),
    }))
}

/// Refuses a job whose models or lists are missing, or whose output belongs to another job than it
/// and the `known` one, before anything of it starts.
pub(super) fn refuse_obstacles(job: &JobSpec, known: Option<&JobSpec>) -> anyhow::Result<()> {
    let obstacles = obstacles(job, known);
    anyhow::ensure!(obstacles.is_empty(), "the job cannot start\n{}", obstacles.join("\n"));
    Ok(())
}
