//! `cancel` and `drain`: by the coordinator where one answers, and by the records of allocations,
//! so that nothing that waits in a queue begins again.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use thresher_job::JobSpec;
use thresher_proto::pb::{CancelRequest, DrainRequest, JobState, StatusRequest};
use thresher_site::batch::AllocationId;

use super::allocations::ask_states;
use super::connection::{Reached, block_on, reach, refused};
use super::place::StatePlace;
use super::{Exit, print};
use thresher_coordinator::batch::{
    Allocation, History, Record, Records, batch_system, withdraw, withdraw_waiting,
};
use thresher_coordinator::run::{cancel_in_state, status_from_state};

/// Stop a job permanently; files that are published stay
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
/// Allocations that wait in a queue are taken out of it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher drain --state out/corpus.state")]
pub(super) struct DrainArgs {
    #[command(flatten)]
    place: StatePlace,
}

pub(super) fn cancel(args: &CancelArgs) -> anyhow::Result<ExitCode> {
    let state = args.place.directory()?;
    let submitted = submitted(&state)?;
    let answered = block_on(async {
        match (reach(&state).await?, &submitted) {
            (Reached::Coordinator(mut client), _) => {
                client.cancel(CancelRequest {}).await.map_err(|status| refused(&status))?;
                // One that has ended meanwhile has left it to the journal.
                let status = client.status(StatusRequest {}).await.ok();
                Ok(Some(status.map(|status| status.into_inner().state())))
            }
            (Reached::Nobody(_), Some(_)) => Ok(None),
            (Reached::Nobody(why), None) => Err(nothing_to_stop(&why, &state)),
        }
    })?;
    let stands = match (answered, &submitted) {
        (Some(Some(stands)), _) => stands,
        (Some(None), _) | (None, None) => status_from_state(&state)?.state(),
        (None, Some((_, history))) => cancel_unreached(&state, history)?,
    };
    if let Some((records, history)) = submitted {
        note_failure(take_back(&records, &history, answered.is_some()));
    }
    cancelled(stands)?;
    print::note("the job is cancelled");
    Ok(Exit::Done.into())
}

/// Whoever runs the job out of reach meets the higher epoch, and stops.
fn cancel_unreached(state: &Path, history: &History) -> anyhow::Result<JobState> {
    let begun = status_from_state(state)?.state();
    if begun.is_final() {
        return Ok(begun);
    }
    let submitted = match &history.submission {
        Some(submission) if begun == JobState::None => {
            if history.allocations.is_empty() {
                let why = "the batch system never took an allocation, and the job never began";
                return Err(nothing_to_stop(why, state));
            }
            Some(JobSpec::load(&submission.job)?)
        }
        Some(_) | None => None,
    };
    cancel_in_state(state, submitted)
}

/// An error where a cancelled job is not what there is now.
fn cancelled(stands: JobState) -> anyhow::Result<()> {
    match stands {
        JobState::Cancelled => Ok(()),
        JobState::Complete | JobState::CompleteWithGaps | JobState::Failed => anyhow::bail!(
            "nothing to stop: the job is {} and stays so\nhint: the state directory and the output \
             may be removed",
            stands.name()
        ),
        JobState::None | JobState::Running | JobState::Drained => anyhow::bail!(
            "the job was not cancelled: it is {}\nhint: `thresher status` shows it; try again",
            stands.name()
        ),
    }
}

/// Removes allocations that wait; those that run too, if no coordinator could be reached.
fn take_back(records: &Records, history: &History, answered: bool) -> anyhow::Result<()> {
    let Some(submission) = &history.submission else { return Ok(()) };
    let ids = match answered {
        true => history.waiting(),
        false => history.unsettled().filter_map(|a| AllocationId::parse(&a.id).ok()).collect(),
    };
    withdraw(records, &*batch_system(&submission.site), &ids, "the job was cancelled")
}

pub(super) fn drain(args: &DrainArgs) -> anyhow::Result<ExitCode> {
    let state = args.place.directory()?;
    let mut withdrawn = 0;
    let submitted = submitted(&state)?;
    if let Some((records, history)) = &submitted {
        // Before the coordinator ends, or its script would go on by itself.
        records.add(Record::HeldByHand)?;
        withdrawn = history.waiting().len();
        let taken_back = withdraw_waiting(records, history, "the job was drained by hand");
        note_failure(taken_back.map(|_| ()));
    }
    let out_of_reach = block_on(async {
        match reach(&state).await? {
            Reached::Coordinator(mut client) => {
                client.drain(DrainRequest {}).await.map_err(|status| refused(&status))?;
                Ok(None)
            }
            Reached::Nobody(why) => Ok(Some(why)),
        }
    })?;
    match (out_of_reach, submitted) {
        (None, _) => {
            print::note(
                "running units finish, then the coordinator stops; `thresher status` shows it",
            );
        }
        (Some(why), Some((_, history))) if withdrawn > 0 => {
            print::note(&format!("{withdrawn} allocations were taken out of the queue"));
            refuse_running(&history, &why)?;
            print::note("`thresher resume` submits the job again");
        }
        (Some(why), _) => return Err(nothing_to_stop(&why, &state)),
    }
    Ok(Exit::Done.into())
}

/// Refuses if an allocation runs whose coordinator cannot be reached.
fn refuse_running(history: &History, why: &str) -> anyhow::Result<()> {
    let begun: Vec<_> = history.unsettled().filter(|a| !a.runs.is_empty()).collect();
    if begun.is_empty() {
        return Ok(());
    }
    let states = ask_states(history)?;
    let running =
        |a: &&&Allocation| matches!(a.describe(states.get(&a.id)).0, "running" | "ending");
    match begun.iter().find(running) {
        Some(running) => anyhow::bail!(
            "allocation `{}` runs, and its coordinator could not be asked to drain: {}\nhint: no \
             allocation follows it; try again, or end it by the batch system",
            running.id,
            without_hint(why)
        ),
        None => Ok(()),
    }
}

/// Batch systems refuse to end what ended just now; what begins later reads that it was taken back.
fn note_failure(taken_back: anyhow::Result<()>) {
    if let Err(error) = taken_back {
        print::note(&format!("not every allocation was taken out of the queue: {error}"));
    }
}

/// The allocations of a job that was ever submitted.
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
