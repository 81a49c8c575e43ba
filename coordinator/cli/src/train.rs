//! The verb `train`: makes a model; `thresher-worker` does it, since it reads documents.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

use thresher_coordinator::worker_program::pass_through;

/// Train a model: `classifier`, from good documents and others
///
/// The model is fastText's own format, and the same bytes for the same files and seed. Its options
/// are the worker program's: `thresher train classifier --help` prints them.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  thresher train classifier --positive cited.jsonl.zst \\\n      \
                  --negative crawl.jsonl.zst -o wiki.bin"
)]
pub(super) struct TrainArgs {
    /// What to train, and its options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WHAT")]
    rest: Vec<OsString>,
}

pub(super) fn train(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let mut arguments: Vec<OsString> = vec!["train".into()];
    arguments.extend(args.rest.iter().cloned());
    pass_through(&arguments)
}
