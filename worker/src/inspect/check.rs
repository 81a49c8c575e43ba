//! `check`: whether a job may begin; for `thresher run` and `submit`, which cannot read models.

use std::process::ExitCode;

use super::survey::job_of;
use super::{print_result, to_json};
use crate::stages::missing_files;

/// Tell which files a job names and cannot use
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Job file; `-` reads a resolved one from stdin
    #[arg(value_name = "JOB.toml")]
    pub job: std::path::PathBuf,
}

/// Prints a list of messages as JSON, empty where nothing is missing.
pub fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    print_result(&to_json(&missing_files(&job_of(&args.job)?))?)?;
    Ok(ExitCode::SUCCESS)
}
