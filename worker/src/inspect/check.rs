//! `check`: whether a job may begin; for `thresher run` and `submit`, which cannot read models.

use std::process::ExitCode;

use super::survey::job_of;
use super::{print_result, to_json};
use crate::stages::obstacles;

/// Tell why a job may not begin: files that it names and cannot use, an output of another job
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Job file; `-` reads a resolved one from stdin
    #[arg(value_name = "JOB.toml")]
    pub job: std::path::PathBuf,
}

/// Prints a list of messages as JSON, empty where the job may begin.
pub fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    print_result(&to_json(&obstacles(&job_of(&args.job)?))?)?;
    Ok(ExitCode::SUCCESS)
}
