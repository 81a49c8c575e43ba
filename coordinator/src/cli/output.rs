//! Verbs about what is there: `verify`, `trace`, `report`, `default-job`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use thresher_proto::job::{DEFAULT_FILTERS, DEFAULT_JOB};

use super::worker_program::pass_through;
use super::{Exit, print};

/// Hash every shard of an output again and recount its records
///
/// Compares all with the manifest; exit status 6 says that something differs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher verify out/corpus && echo sound")]
pub(super) struct VerifyArgs {
    /// Directory with the manifest
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
    /// Directory with the manifest
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
    /// Directory with the report
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
    let path = args.output.join(if args.json { "report.json" } else { "REPORT.md" });
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "failed to read the report `{}`\nhint: it is written when a job is complete",
            path.display()
        )
    })?;
    print::result(&text)?;
    Ok(Exit::Done.into())
}

pub(super) fn default_job(_: &DefaultJobArgs) -> anyhow::Result<ExitCode> {
    print::result(&format!("{}\n{DEFAULT_FILTERS}", DEFAULT_JOB.trim_end()))?;
    Ok(Exit::Done.into())
}
