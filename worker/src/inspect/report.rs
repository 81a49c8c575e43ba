//! `report`: what a job wrote about itself beside its shards, printed from wherever it is.

use std::process::ExitCode;

use anyhow::Context;

use super::{output_place, print_result, read_whole};

/// Print the report of an output
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Directory, address or job file
    pub output: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the report.
pub fn run_report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let name = if args.json { "report.json" } else { "REPORT.md" };
    let place = output_place(&args.output)?.join(name);
    let text = read_whole(&place).with_context(|| {
        format!("failed to read the report `{place}`\nhint: it is written when a job is complete")
    })?;
    print_result(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}
