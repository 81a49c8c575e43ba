//! `report`: reads the report of a job from any location.

use anyhow::Context;

use super::{output_place, read_whole, where_to_look};

/// Print the report of an output
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thresher report out/corpus")]
pub struct ReportArgs {
    /// Directory, `s3://bucket/prefix` or web address with the report, or job file
    pub output: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl ReportArgs {
    /// Reads the report of the output that the arguments name, as Markdown or as JSON.
    pub fn run(&self) -> anyhow::Result<String> {
        let name = if self.json { "report.json" } else { "REPORT.md" };
        let place = output_place(&self.output)?.join(name);
        let text = read_whole(&place).with_context(|| {
            format!(
                "failed to read the report `{place}`\nhint: it is written when a job is \
                 complete; {}",
                where_to_look(&place)
            )
        })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
