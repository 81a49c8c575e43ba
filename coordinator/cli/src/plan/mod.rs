//! `plan`: what a job will take, before it takes it; refuses what cannot fit.
//!
//! A worker lists the inputs and measures a sample of them; this machine says what it has; the
//! rest is arithmetic (`estimate`), shown by `text`.

mod estimate;
mod text;

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use thresher_job::{Bytes, JobSpec};
use thresher_proto::survey::Survey;

use self::estimate::{Disk, Machine, Plan};
use super::place::{choose_state, load_job};
use super::{Exit, print};
use thresher_coordinator::worker_program::{answer_of, refuse_obstacles};

/// Tell what a job will need: units, memory, disk, core-hours
///
/// Reads a sample of the inputs to find out. Exit status 1 says that the job cannot fit here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher plan job.toml\n  \
                        thresher plan job.toml --slots 56 --sample 64MB")]
pub(super) struct PlanArgs {
    /// Job file
    #[arg(value_name = "JOB.toml")]
    job: PathBuf,
    /// Units that one machine runs at a time [default: its cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,
    /// Compressed bytes to read of each source
    #[arg(long, value_name = "SIZE", default_value = "8MB")]
    sample: Bytes,
    /// Where shards and report go, instead of the job file's `output.path`
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Where the job's state is kept [default: `<output>.state`]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let job = load_job(&args.job, args.output.as_deref())?;
    // Beside an output on S3 there is no place for a state, and `plan` writes none.
    let state = choose_state(args.state.as_deref(), &job).or_else(|error| {
        if job.output.path.contains("://") { Ok(std::env::current_dir()?) } else { Err(error) }
    })?;
    refuse_obstacles(&job)?;
    let machine = machine(&job, &state, args.slots)?;
    let survey = survey(&job, args.sample.0)?;
    let plan = Plan::new(&job, &survey, &machine);
    print::result(&if args.json { text::json(&plan)? } else { text::render(&plan) })?;
    match text::refusal(&plan) {
        None => Ok(Exit::Done.into()),
        Some(refusal) => Err(anyhow!(refusal)),
    }
}

fn survey(job: &JobSpec, sample_bytes: u64) -> anyhow::Result<Survey> {
    let arguments: [OsString; 5] = [
        "survey".into(),
        "--json".into(),
        "--sample".into(),
        sample_bytes.to_string().into(),
        "-".into(),
    ];
    let answer = answer_of(&arguments, &job.resolved()).context("failed to survey the inputs")?;
    serde_json::from_slice(&answer)
        .context("the worker's survey is not understood\nhint: both programs must be of one build")
}

fn machine(job: &JobSpec, state: &Path, slots: Option<u32>) -> anyhow::Result<Machine> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    let memory = rustix::system::sysinfo();
    let work = match job.job.work_dir.as_str() {
        "" => state.join("work"),
        work => PathBuf::from(work),
    };
    Ok(Machine {
        slots: slots.unwrap_or(cores),
        cores,
        memory_bytes: (memory.totalram as u64).saturating_mul(memory.mem_unit.into()),
        state: disk(state)?,
        work: disk(&work)?,
        output: match job.output.path.contains("://") {
            true => None,
            false => Some(disk(Path::new(&job.output.path))?),
        },
    })
}

/// The file system of a directory that may not be there yet.
fn disk(path: &Path) -> anyhow::Result<Disk> {
    let there = path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let failed = || format!("failed to look at the file system of `{}`", there.display());
    let metadata = std::fs::metadata(there).with_context(failed)?;
    let space = rustix::fs::statvfs(there).with_context(failed)?;
    Ok(Disk {
        path: path.to_owned(),
        device: metadata.dev(),
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
    })
}
