//! `allocation begin` and `allocation end`: what a batch script says of itself, and asks.
//!
//! Scripts call it; people need not. All decisions are `batch::history`'s, from the records of the
//! state directory and nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use thresher_proto::pb::{JobState, StatusResponse};
use thresher_site::batch::{AllocationState, Inside};

use super::{Exit, print};
use thresher_coordinator::batch::{
    History, Next, REFUSED, Record, Records, StartDecision, Submission, batch_system, run_command,
    withdraw_waiting,
};
use thresher_coordinator::clock;
use thresher_coordinator::run::status_from_state;

/// A script that waits for its batch system wastes all nodes of the allocation.
const ASK_LIMIT: Duration = Duration::from_secs(20);

/// Record that an allocation begins or ends; for batch scripts
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher allocation begin --state out/corpus.state")]
pub(super) struct AllocationArgs {
    #[command(subcommand)]
    moment: Moment,
}

#[derive(Debug, Subcommand)]
enum Moment {
    /// Print `run` and when the allocation ends, in Unix seconds; or why there is nothing to do
    #[command(after_help = "Example:\n  thresher allocation begin --state out/corpus.state")]
    Begin {
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Why nothing can be done in any allocation: the chain ends
        #[arg(long, value_name = "WHY")]
        trouble: Option<String>,
    },
    /// Print the answer for the batch system: `done`, `requeue` or `failed`
    #[command(
        after_help = "Example:\n  thresher allocation end --state out/corpus.state --status 0"
    )]
    End {
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Exit status of the coordinator
        #[arg(long, value_name = "N")]
        status: i32,
        /// The signal that asked for the end; may be empty
        #[arg(long, value_name = "SIGNAL", default_value = "")]
        asked: String,
    },
}

pub(super) fn allocation(args: &AllocationArgs) -> anyhow::Result<ExitCode> {
    match &args.moment {
        Moment::Begin { state, trouble: Some(why) } => give_up(state, why),
        Moment::Begin { state, trouble: None } => begin(state),
        Moment::End { state, status, asked } => end(state, *status, asked),
    }
}

fn begin(state: &Path) -> anyhow::Result<ExitCode> {
    let (records, history, submission, inside) = surroundings(state)?;
    let id = inside.allocation.to_string();
    let Standing { job, units_done, .. } = standing(state);
    let answer = match history.at_start(&id, job) {
        StartDecision::Stop(why) => {
            let taken_back = withdraw_waiting(&records, &history, &why);
            report_trouble(taken_back.map(|_| ()));
            why
        }
        StartDecision::Run => {
            let nodes = match inside.nodes.len() {
                0 => submission.nodes,
                nodes => u32::try_from(nodes).unwrap_or(u32::MAX),
            };
            let ends = ends(&submission, &inside);
            let ends_unix_seconds = Some(ends);
            records.add(Record::Started { id, nodes, ends_unix_seconds, units_done })?;
            format!("run {ends}")
        }
    };
    print::result(&format!("{answer}\n"))?;
    Ok(Exit::Done.into())
}

/// Takes back what waits, and this allocation too: put back into the queue, it does nothing.
fn give_up(state: &Path, why: &str) -> anyhow::Result<ExitCode> {
    let (records, _, _, inside) = surroundings(state)?;
    let id = inside.allocation.to_string();
    records.add(Record::Withdrawn { id, why: why.to_owned() })?;
    let history = History::of(&records.read()?);
    let taken_back = withdraw_waiting(&records, &history, why);
    if let Ok(count @ 1..) = taken_back {
        print::note(&format!("taken out of the queue: {count} allocations of the chain"));
    }
    report_trouble(taken_back.map(|_| ()));
    print::note("fix `modules` of the site, then `thresher submit` continues from here");
    Ok(Exit::Done.into())
}

fn end(state: &Path, status: i32, asked: &str) -> anyhow::Result<ExitCode> {
    let (records, history, _, inside) = surroundings(state)?;
    let id = inside.allocation.to_string();
    let Standing { units_done, reason, refused, .. } = standing(state);
    let next = history.next(&id, status, asked, refused);
    let asked = asked.to_owned();
    records.add(Record::Ended { id, status, asked, units_done, reason, refused })?;
    let take_back = |why| report_trouble(withdraw_waiting(&records, &history, why).map(|_| ()));
    let word = match next {
        Next::Done => "done",
        Next::Over => {
            take_back("the job is over, or was drained by hand");
            // A failed job is a failed allocation, too.
            if status == 4 { "failed" } else { "done" }
        }
        Next::Refused => {
            take_back(REFUSED);
            "failed"
        }
        Next::Requeue => "requeue",
        Next::Failed => "failed",
    };
    print::result(&format!("{word}\n"))?;
    Ok(Exit::Done.into())
}

/// What was asked for, and the allocation around this process.
fn surroundings(state: &Path) -> anyhow::Result<(Records, History, Submission, Inside)> {
    let records = Records::of(state);
    let history = History::of(&records.read()?);
    let Some(submission) = history.submission.clone() else {
        bail!("`{}` holds no submission\nhint: `thresher submit` makes one", state.display());
    };
    let system = batch_system(&submission.site);
    let inside = system.inside(&|name| std::env::var(name).ok())?;
    let inside = inside.with_context(|| {
        format!("this is no allocation of {}\nhint: batch scripts call this verb", system.name())
    })?;
    Ok((records, history, submission, inside))
}

/// How the job stands by its journal.
struct Standing {
    job: JobState,
    units_done: u64,
    /// What stopped it, and whether that would stop it again.
    reason: String,
    refused: bool,
}

/// Of a journal that does not exist yet, or that the coordinator will refuse, there is nothing.
fn standing(state: &Path) -> Standing {
    let status = status_from_state(state).unwrap_or_else(|error| {
        tracing::info!(%error, "no journal to read");
        StatusResponse::default()
    });
    Standing {
        job: status.state(),
        units_done: status.stages.iter().map(|stage| u64::from(stage.done)).sum(),
        reason: status.reason,
        refused: status.refused,
    }
}

/// When the allocation's time is over: as the environment says, else as the batch system says,
/// else by what was asked for.
fn ends(submission: &Submission, inside: &Inside) -> u64 {
    let now = clock::now().millis() / 1000;
    if let Some(ends) = inside.ends_unix_seconds {
        return ends;
    }
    let system = batch_system(&submission.site);
    let asked = system.status(std::slice::from_ref(&inside.allocation)).and_then(|line| {
        let out = run_command(&line, ASK_LIMIT);
        let states = out.map_err(anyhow::Error::from).and_then(|o| Ok(system.parse_status(&o)?));
        states
            .map_err(
                |error| tracing::warn!(%error, "the batch system knows no end of the allocation"),
            )
            .ok()
    });
    let left = asked.into_iter().flatten().find_map(|(id, state)| match state {
        AllocationState::Running { time_left, .. } if id == inside.allocation => time_left,
        AllocationState::Running { .. }
        | AllocationState::Pending { .. }
        | AllocationState::Ended { .. } => None,
    });
    now + left.unwrap_or_else(|| submission.walltime()).as_secs()
}

/// What waits in the queue ends by itself when it begins; no reason to fail now.
fn report_trouble(taken_back: anyhow::Result<()>) {
    if let Err(error) = taken_back {
        print::note(&format!("failed to take back what waits in the queue: {error}"));
    }
}
