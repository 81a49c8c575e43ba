//! `status`: the state of a job, from its coordinator or, if none runs, from its journal.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thresher_proto::pb::{StatusRequest, StatusResponse};
use tonic::Code;

use super::allocations::{Allocations, Answers};
use super::connection::{Reached, block_on, reach, refused};
use super::place::StatePlace;
use super::{Exit, print, status_json, status_text};
use thresher_coordinator::run::{job_from_state, status_from_state};
use thresher_worker::stages::output_loss;

/// Clears the terminal and goes to its first column.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Show the state of a job
///
/// Asks the coordinator, or reads the journal if none runs. With `--watch` it repeats until the job
/// is over.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher status job.toml --watch\n  \
                        thresher status --state out/corpus.state --json")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    place: StatePlace,
    /// Refresh every few seconds, until the job is over
    #[arg(long)]
    watch: bool,
    /// Seconds between two updates
    #[arg(long, value_name = "S", default_value_t = 2, requires = "watch",
          value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Print JSON; with `--watch`, one line for each update
    #[arg(long)]
    json: bool,
}

pub(super) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let state = args.place.directory()?;
    loop {
        let (mut status, answers) = look(&state)?;
        if status.state().is_complete() {
            note_output_loss(&mut status, &state);
        }
        let allocations = Allocations::look(&state, &status, answers)?;
        print::result(&render(&status, &allocations, args)?)?;
        if !args.watch || status.state().is_over() {
            return Ok(Exit::of_job(&status).into());
        }
        std::thread::sleep(Duration::from_secs(args.every));
    }
}

/// Returns the state of the job, and whether a coordinator answered. Each call connects again, so
/// that a coordinator that restarts at another address is found.
fn look(state: &Path) -> anyhow::Result<(StatusResponse, Answers)> {
    let answer = block_on(async {
        match reach(state).await? {
            Reached::Coordinator(mut client) => {
                match client.status(StatusRequest {}).await {
                    Ok(answer) => Ok(Ok(answer.into_inner())),
                    // The coordinator ended during the call.
                    Err(status) if status.code() == Code::Unavailable => {
                        Ok(Err(status.message().to_owned()))
                    }
                    Err(status) => Err(refused(&status)),
                }
            }
            Reached::Nobody(why) => Ok(Err(why)),
        }
    })?;
    match answer {
        Ok(status) => Ok((status, Answers::Yes)),
        Err(why) => {
            tracing::info!(why, "no coordinator answers; reading the journal");
            Ok((status_from_state(state)?, Answers::No))
        }
    }
}

/// Adds to the status of a complete job that its output is gone, if it is. An output that cannot be
/// reached is not known to be gone.
fn note_output_loss(status: &mut StatusResponse, state: &Path) {
    match job_from_state(state).and_then(|job| job.map_or(Ok(None), |job| output_loss(&job))) {
        Ok(None) => {}
        Ok(Some(loss)) => {
            status
                .attention
                .push(format!("{loss}\nhint: run the same command again to rebuild it"));
        }
        Err(error) => tracing::info!(%error, "it is not known whether the output is whole"),
    }
}

fn render(
    status: &StatusResponse,
    allocations: &Allocations,
    args: &StatusArgs,
) -> anyhow::Result<String> {
    if args.json {
        return status_json::render_with(status, allocations, args.watch);
    }
    let left = allocations.time_left(status).unwrap_or_default();
    let text = format!("{}{}{left}", status_text::table(status), allocations.text());
    Ok(if args.watch { format!("{CLEAR}{text}") } else { text })
}
