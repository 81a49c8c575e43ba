//! `plan`: estimates what a job needs before it runs, and refuses what cannot fit.
//!
//! The worker's survey lists the inputs and measures a sample of them. `estimate` calculates from
//! it and from the size of this machine; `text` prints the result.

mod attention;
mod estimate;
mod forms;
mod measured;
mod near;
mod operations;
mod stage_plan;
mod text;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use thresher_coordinator::run::with_hashes;
use thresher_job::JobSpec;
use thresher_worker::inspect::{SurveyArgs, survey};
use thresher_worker::node_memory;

use self::estimate::{Disk, Machine, Plan};
use super::place::{choose_state, load_whole_job};
use super::worker::refuse_obstacles;
use super::{Exit, print};

/// Estimate what a job needs: units, memory, disk, core-hours
///
/// Reads a sample of the inputs. Exit status 1 means that the job does not fit on this machine.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher plan job.toml\n  \
                        thresher plan job.toml --slots 56 --sample 64MB")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    survey: SurveyArgs,
    /// Units that one machine runs at a time [default: its cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,
    /// Where to write shards and report, instead of the job file's `output.path`
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// State directory of the job (default: `<output>.state`)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(super) fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let job = load_whole_job(&args.survey.job, args.output.as_deref())?;
    // There is no directory beside an output on S3, and `plan` writes no state.
    let state = choose_state(args.state.as_deref(), &job).or_else(|error| {
        if job.output.path.contains("://") { Ok(std::env::current_dir()?) } else { Err(error) }
    })?;
    // The recipe of an output that the job has made contains them.
    let job = with_hashes(job)?;
    refuse_obstacles(&job, None)?;
    let machine = machine(&job, &state, args.slots)?;
    let survey = survey(&job, args.survey.sample.0)?;
    let plan = Plan::new(&job, &survey, &machine);
    match args.survey.json {
        true => print::json(&text::json(&plan)?)?,
        false => print::result(&text::render(&plan))?,
    }
    match text::refusal(&plan) {
        None => Ok(Exit::Done.into()),
        Some(refusal) => Err(anyhow!(refusal)),
    }
}

fn machine(job: &JobSpec, state: &Path, slots: Option<u32>) -> anyhow::Result<Machine> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    let work = match job.job.work_dir.as_str() {
        "" => state.join("work"),
        work => PathBuf::from(work),
    };
    Ok(Machine {
        slots: slots.unwrap_or(cores),
        cores,
        memory_bytes: node_memory::usable_bytes(),
        state: disk(state)?,
        work: disk(&work)?,
        output: match job.output.path.contains("://") {
            true => None,
            false => Some(disk(Path::new(&job.output.path))?),
        },
    })
}

/// Returns the file system of a directory, which may not exist yet.
fn disk(path: &Path) -> anyhow::Result<Disk> {
    let there = path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let failed = || format!("failed to read the size of the file system of `{}`", there.display());
    let metadata = std::fs::metadata(there).with_context(failed)?;
    let space = rustix::fs::statvfs(there).with_context(failed)?;
    Ok(Disk {
        path: path.to_owned(),
        device: metadata.dev(),
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
    })
}
