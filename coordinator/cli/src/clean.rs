//! `clean`: removes the leftovers of killed attempts, if no coordinator works on the output.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use thresher_worker::clean::CleanArgs;

use super::connection::{Reached, block_on, reach};
use super::place::{load_job, state_directory};
use super::{Exit, print};

pub(super) fn clean(mut args: CleanArgs) -> anyhow::Result<ExitCode> {
    args.state = args.state.or_else(|| state_of(Path::new(&args.output)));
    if let Some(state) = args.state.as_deref().filter(|_| !args.dry_run) {
        refuse_running(state)?;
    }
    print::answer(&args.run()?, args.json)?;
    Ok(Exit::Done.into())
}

/// Returns the state directory that a job file implies, or that is beside an output directory.
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
            "a coordinator is running this job\nhint: run `thresher drain --state {}` first, or \
             use `--dry-run` to see what would be removed",
            state.display()
        );
    }
    Ok(())
}
