//! `clean`: has the leftovers of killed attempts removed, where no coordinator works on them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::connection::{Reached, block_on, reach};
use super::place::{load_job, state_directory};
use thresher_coordinator::worker_program::pass_through;

/// Remove what killed attempts left behind: private files and unfinished uploads
///
/// Nothing that a manifest names is touched.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher clean job.toml\n  \
                        thresher clean s3://bucket/corpus --dry-run")]
pub(super) struct CleanArgs {
    /// Directory, `s3://bucket/prefix`, or job file
    #[arg(value_name = "OUTPUT|JOB.toml")]
    output: PathBuf,
    /// State directory of the job [default of a job file: `<output>.state`]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Nobody works on the output: clean it though it is not complete and no state tells
    #[arg(long)]
    abandoned: bool,
    /// Only say what there is
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn clean(args: &CleanArgs) -> anyhow::Result<ExitCode> {
    let state = args.state.clone().or_else(|| state_of(&args.output));
    if let Some(state) = state.as_deref().filter(|_| !args.dry_run) {
        refuse_running(state)?;
    }
    let mut arguments: Vec<OsString> = vec!["clean".into()];
    arguments.extend(args.json.then(|| "--json".into()));
    arguments.extend(args.abandoned.then(|| "--abandoned".into()));
    arguments.extend(args.dry_run.then(|| "--dry-run".into()));
    if let Some(state) = state {
        arguments.extend(["--state".into(), state.into()]);
    }
    arguments.extend(["--".into(), args.output.clone().into()]);
    pass_through(&arguments)
}

/// Of a job file that tells where its state is, or of a directory with a state beside it.
fn state_of(output: &Path) -> Option<PathBuf> {
    let is_job = output.extension().is_some_and(|extension| extension == "toml");
    if is_job {
        return state_directory(&load_job(output, None).ok()?).ok();
    }
    let mut beside = output.file_name()?.to_owned();
    beside.push(".state");
    Some(output.with_file_name(beside)).filter(|state| state.is_dir())
}

fn refuse_running(state: &Path) -> anyhow::Result<()> {
    let reached = block_on(reach(state))?;
    if matches!(reached, Reached::Coordinator(_)) {
        bail!(
            "a coordinator works on this job\nhint: `thresher drain --state {}` first, or \
             `--dry-run` to see what there is",
            state.display()
        );
    }
    Ok(())
}
