//! Verbs about what is there: `verify`, `trace`, `report`, `default-job`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use thresher_job::DEFAULT_JOB;
use thresher_site::DEFAULT_SITE;

use super::{Exit, print};
use thresher_coordinator::worker_program::pass_through;

/// Hash every shard of an output again and recount its records
///
/// Compares all with the manifest; exit status 6 says that something differs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher verify out/corpus && echo sound")]
pub(super) struct VerifyArgs {
    /// Directory, `s3://bucket/prefix` or web address with the manifest, or job file
    output: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tell where a page was read, and what kept or dropped it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher trace out/corpus https://example.org/\n  \
                        thresher trace out/corpus 4b1c… --json")]
pub(super) struct TraceArgs {
    /// Directory, `s3://bucket/prefix` or web address with the manifest, or job file
    output: PathBuf,
    /// URL, record id or content hash, whole
    #[arg(value_name = "URL-or-ID")]
    needle: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Print the report of an output
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher report out/corpus")]
pub(super) struct ReportArgs {
    /// Directory, `s3://bucket/prefix` or web address with the report, or job file
    output: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Print a job file with every key, its default and its meaning
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher default-job | less")]
pub(super) struct DefaultJobArgs {}

pub(super) fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let mut arguments: Vec<OsString> = vec!["verify".into()];
    arguments.extend(args.json.then(|| "--json".into()));
    arguments.extend(["--".into(), args.output.clone().into()]);
    pass_through(&arguments)
}

pub(super) fn trace(args: &TraceArgs) -> anyhow::Result<ExitCode> {
    let mut arguments: Vec<OsString> = vec!["trace".into()];
    arguments.extend(args.json.then(|| "--json".into()));
    arguments.extend(["--".into(), args.output.clone().into(), args.needle.clone().into()]);
    pass_through(&arguments)
}

pub(super) fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let mut arguments: Vec<OsString> = vec!["report".into()];
    arguments.extend(args.json.then(|| "--json".into()));
    arguments.extend(["--".into(), args.output.clone().into()]);
    pass_through(&arguments)
}

pub(super) fn default_job(_: &DefaultJobArgs) -> anyhow::Result<ExitCode> {
    let filters = thresher_filters::documentation();
    print::result(&format!("{}\n{filters}\n{DEFAULT_SITE}", DEFAULT_JOB.trim_end()))?;
    Ok(Exit::Done.into())
}
