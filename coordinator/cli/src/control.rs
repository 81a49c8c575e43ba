//! `cancel` and `drain`. They ask the coordinator, if one answers, and write to the records of
//! allocations, so that allocations in the queue of a batch system do not start the job again.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use thresher_job::JobSpec;
use thresher_proto::pb::{CancelRequest, DrainRequest, JobState, StatusRequest};

use super::allocations::ask_states;
use super::connection::{Reached, block_on, reach, refused};
use super::place::StatePlace;
use super::{Exit, print};
use thresher_coordinator::batch::{History, Record, Records, States, batch_system, withdraw};
use thresher_coordinator::run::{cancel_in_state, status_from_state};

/// Stop a job permanently; published files are kept
///
/// A cancelled job cannot be resumed. To stop for now, use `thresher drain`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher cancel job.toml")]
pub(super) struct CancelArgs {
    #[command(flatten)]
    place: StatePlace,
}

/// Let running units finish, then stop; a later `run` or `resume` continues
///
/// Waiting allocations are removed from the queue.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher drain --state out/corpus.state")]
pub(super) struct DrainArgs {
    #[command(flatten)]
    place: StatePlace,
}

pub(super) fn cancel(args: &CancelArgs) -> anyhow::Result<ExitCode> {
    let state = args.place.directory()?;
    let submitted = submitted(&state)?;
    let mut unreached = String::new();
    let answered = block_on(async {
        match (reach(&state).await?, &submitted) {
            (Reached::Coordinator(mut client), _) => {
                client.cancel(CancelRequest {}).await.map_err(|status| refused(&status))?;
                // If the coordinator has ended since then, the journal has the state.
                let status = client.status(StatusRequest {}).await.ok();
                Ok(Some(status.map(|status| status.into_inner().state())))
            }
            (Reached::Nobody(why), _) => {
                unreached = why;
                Ok(None)
            }
        }
    })?;
    let current = match (answered, &submitted) {
        (Some(Some(answer)), _) => answer,
        (Some(None), _) => status_from_state(&state)?.state(),
        (None, Some((_, history))) => cancel_unreached(&state, history)?,
        (None, None) => cancel_local(&state, &unreached)?,
    };
    if let Some((records, history)) = submitted {
        note_failure(take_back(&records, &history, answered.is_some()));
    }
    check_cancelled(current)?;
    print::note("the job is cancelled");
    Ok(Exit::Done.into())
}

/// Cancels a job whose coordinator cannot be reached. If it still runs, it finds the higher epoch
/// and stops.
fn cancel_unreached(state: &Path, history: &History) -> anyhow::Result<JobState> {
    let current = status_from_state(state)?.state();
    if current.is_final() {
        return Ok(current);
    }
    let submitted = match &history.submission {
        Some(submission) if current == JobState::None => {
            if history.allocations.is_empty() {
                let why = "the batch system accepted no allocation, and the job never started";
                return Err(nothing_to_stop(why, state));
            }
            Some(JobSpec::load(&submission.job)?)
        }
        Some(_) | None => None,
    };
    cancel_in_state(state, submitted)
}

/// Does the same for a job that was never submitted to a batch system.
fn cancel_local(state: &Path, unreached: &str) -> anyhow::Result<JobState> {
    let current = status_from_state(state)?.state();
    match current {
        JobState::None => Err(nothing_to_stop(unreached, state)),
        JobState::Running | JobState::Drained => cancel_in_state(state, None),
        JobState::Complete
        | JobState::CompleteWithGaps
        | JobState::Failed
        | JobState::Cancelled => Ok(current),
    }
}

/// Returns an error if the job is not cancelled.
fn check_cancelled(current: JobState) -> anyhow::Result<()> {
    match current {
        JobState::Cancelled => Ok(()),
        JobState::Complete | JobState::CompleteWithGaps | JobState::Failed => anyhow::bail!(
            "nothing to stop: the job is already {}\nhint: remove the state directory and the \
             output if they are not needed",
            current.name()
        ),
        JobState::None | JobState::Running | JobState::Drained => anyhow::bail!(
            "the job was not cancelled: it is {}\nhint: `thresher status` shows it; run the same \
             command again",
            current.name()
        ),
    }
}

/// Cancels waiting allocations, and also running ones if no coordinator could be reached.
fn take_back(records: &Records, history: &History, answered: bool) -> anyhow::Result<()> {
    let Some(submission) = &history.submission else { return Ok(()) };
    let states = ask_and_note(history);
    let ids = match answered {
        true => history.queued(&states),
        false => history.alive(&states),
    };
    withdraw(records, &*batch_system(&submission.site), &ids, "the job was cancelled")
}

pub(super) fn drain(args: &DrainArgs) -> anyhow::Result<ExitCode> {
    let state = args.place.directory()?;
    let mut withdrawn = 0;
    let submitted = submitted(&state)?;
    let states = submitted.as_ref().map(|(_, history)| ask_and_note(history)).unwrap_or_default();
    if let Some((records, history)) = &submitted {
        // This must be recorded before the coordinator ends; otherwise its script would continue.
        records.add(Record::HeldByHand)?;
        withdrawn = history.queued(&states).len();
        note_failure(remove_queued(records, history, &states));
    }
    let unreached = block_on(async {
        match reach(&state).await? {
            Reached::Coordinator(mut client) => {
                client.drain(DrainRequest {}).await.map_err(|status| refused(&status))?;
                Ok(None)
            }
            Reached::Nobody(why) => Ok(Some(why)),
        }
    })?;
    match (unreached, submitted) {
        (None, _) => {
            print::note(
                "running units finish, then the coordinator stops; `thresher status` shows it",
            );
        }
        (Some(why), Some((_, history))) if withdrawn > 0 => {
            print::note(&format!("{withdrawn} allocations were removed from the queue"));
            refuse_running(&history, &states, &why)?;
            print::note("`thresher resume` submits the job again");
        }
        (Some(why), _) => return Err(nothing_to_stop(&why, &state)),
    }
    Ok(Exit::Done.into())
}

/// Asks the batch system, and prints a note if it does not answer.
fn ask_and_note(history: &History) -> States {
    let answer = ask_states(history);
    if let Some(error) = answer.error {
        print::note(&format!("the batch system does not answer: {error}"));
    }
    answer.states
}

fn remove_queued(records: &Records, history: &History, states: &States) -> anyhow::Result<()> {
    let Some(submission) = &history.submission else { return Ok(()) };
    let (system, ids) = (batch_system(&submission.site), history.queued(states));
    withdraw(records, &*system, &ids, "the job was drained by hand")
}

/// Returns an error if an allocation runs, but its coordinator cannot be reached.
fn refuse_running(history: &History, states: &States, why: &str) -> anyhow::Result<()> {
    let mut allocations = history.allocations.iter();
    match allocations.find(|a| a.describe(states.get(&a.id)).0.has_nodes()) {
        Some(running) => anyhow::bail!(
            "allocation `{}` runs, and its coordinator could not be asked to drain: {}\nhint: no \
             allocation follows it; try again, or cancel it in the batch system",
            running.id,
            without_hint(why)
        ),
        None => Ok(()),
    }
}

/// Prints a failure to remove allocations. It is not an error: batch systems refuse to cancel what
/// has just ended, and an allocation that starts later reads in the records that it was withdrawn.
fn note_failure(taken_back: anyhow::Result<()>) {
    if let Err(error) = taken_back {
        print::note(&format!("not every allocation was removed from the queue: {error}"));
    }
}

/// Returns the records of a job, if it was ever submitted.
fn submitted(state: &Path) -> anyhow::Result<Option<(Records, History)>> {
    let records = Records::of(state);
    let history = History::of(&records.read()?);
    Ok(history.submission.is_some().then_some((records, history)))
}

fn nothing_to_stop(why: &str, state: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "nothing to stop: {}\nhint: `thresher status --state {}` shows the state of the job",
        without_hint(why),
        state.display()
    )
}

/// Returns the text without its hint, which is for people who want to reach the coordinator.
fn without_hint(why: &str) -> &str {
    why.split("\nhint:").next().unwrap_or_default()
}
