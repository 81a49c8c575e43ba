//! `status`: the state of a job, from its coordinator or, if none runs, from its journal.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thresher_proto::pb::{JobState, StatusRequest, StatusResponse};
use tonic::Code;

use super::allocations::{Allocations, Answers};
use super::connection::{Reached, block_on, reach, refused};
use super::liveness::Coordinator;
use super::place::{StatePlace, resume_command};
use super::{Exit, print, status_json, status_text};
use thresher_coordinator::clock;
use thresher_coordinator::run::{JournalStatus, job_from_state, journal_status};
use thresher_worker::stages::output_loss;

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
        let (mut status, coordinator) = look(&state)?;
        if status.state().is_complete() {
            note_output_loss(&mut status, &state);
        }
        let answers = if coordinator.answers() { Answers::Yes } else { Answers::No };
        let allocations = Allocations::look(&state, &status, answers)?;
        if args.json {
            let shown = status_json::Shown { status: &status, coordinator: &coordinator };
            print::json(&status_json::render_with(shown, &allocations, args.watch)?)?;
        } else {
            if args.watch {
                print::clear()?;
            }
            print::result(&text(&state, &status, &coordinator, &allocations)?)?;
        }
        if !args.watch || status.state().is_over() || coordinator.is_dead() {
            return Ok(Exit::of_job(&status).into());
        }
        std::thread::sleep(Duration::from_secs(args.every));
    }
}

/// Returns the state of the job, and what is known about its coordinator. Each call connects again,
/// so that a coordinator that restarts at another address is found.
fn look(state: &Path) -> anyhow::Result<(StatusResponse, Coordinator)> {
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
        Ok(status) => {
            let coordinator = Coordinator::answering(state, &status);
            Ok((status, coordinator))
        }
        Err(why) => {
            tracing::info!(why, "no coordinator answers; reading the journal");
            let JournalStatus { mut status, written } = journal_status(state)?;
            let coordinator = Coordinator::silent(state, &status, written, clock::now());
            // Nothing happened after that.
            if coordinator.is_dead() {
                status.now_millis = coordinator.heard_millis;
            } else if status.state() == JobState::Drained {
                status.now_millis = written.millis();
            }
            Ok((status, coordinator))
        }
    }
}

/// Adds to the status of a complete job that its output is gone, if it is. An output that cannot be
/// reached is not known to be gone.
fn note_output_loss(status: &mut StatusResponse, state: &Path) {
    match job_from_state(state).and_then(|job| job.map_or(Ok(None), |job| output_loss(&job))) {
        Ok(None) => {}
        Ok(Some(loss)) => {
            status.output_lost = true;
            status
                .attention
                .push(format!("{loss}\nhint: run the same command again to rebuild it"));
        }
        Err(error) => tracing::info!(%error, "it is not known whether the output is whole"),
    }
}

fn text(
    state: &Path,
    status: &StatusResponse,
    coordinator: &Coordinator,
    allocations: &Allocations,
) -> anyhow::Result<String> {
    let mut text = status_text::table(status, coordinator, clock::now().millis());
    if coordinator.is_dead() || status.state() == JobState::Drained {
        text += &format!("\nhint: {} resumes the job\n", resume_command(state)?);
    }
    text += &allocations.text();
    if coordinator.may_work() {
        text += &allocations.time_left(status).unwrap_or_default();
    }
    Ok(text)
}
