//! `cancel` and `drain`: by the coordinator where one answers, and by the records of allocations,
//! so that nothing that waits in a queue begins again.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use thresher_proto::batch::AllocationId;
use thresher_proto::pb::control_client::ControlClient;
use thresher_proto::pb::{CancelRequest, DrainRequest};
use tonic::transport::Channel;

use super::connection::{Reached, block_on, reach, refused};
use super::place::StatePlace;
use super::{Exit, print};
use crate::batch::{History, Record, Records, batch_system, withdraw, withdraw_waiting};

/// Stop a job for good; what is published stays
///
/// A cancelled job cannot be resumed. To stop for now, use `thresher drain`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher cancel job.toml")]
pub(super) struct CancelArgs {
    #[command(flatten)]
    place: StatePlace,
}

/// Let running units end, then stop; a later `run` goes on from there
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
                Ok(true)
            }
            (Reached::Nobody(_), Some(_)) => Ok(false),
            (Reached::Nobody(why), None) => Err(nothing_to_stop(&why, &state)),
        }
    })?;
    if let Some((records, history)) = submitted {
        tell_trouble(take_back(&records, &history, answered));
    }
    if !answered {
        // Whoever runs the job out of reach meets the higher epoch, and stops.
        crate::run::cancel_in_state(&state)?;
    }
    print::note("the job is cancelled");
    Ok(Exit::Done.into())
}

/// Allocations that wait; those that run too, where no coordinator could be told.
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
    if let Some((records, history)) = submitted(&state)? {
        // Before the coordinator ends, or its script would go on by itself.
        records.add(Record::HeldByHand)?;
        let taken_back = withdraw_waiting(&records, &history, "the job was drained by hand");
        tell_trouble(taken_back.map(|_| ()));
    }
    block_on(async {
        let mut client = coordinator(&state).await?;
        client.drain(DrainRequest {}).await.map_err(|status| refused(&status))?;
        print::note("running units end, then the coordinator stops; `thresher status` tells");
        Ok(Exit::Done.into())
    })
}

/// Batch systems refuse to end what ended just now; what begins later reads that it was taken back.
fn tell_trouble(taken_back: anyhow::Result<()>) {
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

async fn coordinator(state: &Path) -> anyhow::Result<ControlClient<Channel>> {
    match reach(state).await? {
        Reached::Coordinator(client) => Ok(client),
        Reached::Nobody(why) => Err(nothing_to_stop(&why, state)),
    }
}

fn nothing_to_stop(why: &str, state: &Path) -> anyhow::Error {
    let why = why.split("\nhint:").next().unwrap_or_default();
    anyhow::anyhow!(
        "nothing to stop: {why}\nhint: `thresher status --state {}` tells how the job stands",
        state.display()
    )
}
