//! `allocation begin` and `allocation end`, which batch scripts call at their start and end.
//!
//! People need not call them. All decisions are made by `batch::history`, from nothing but the
//! records of the state directory.

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

/// Longest wait for the batch system. While a script waits, all nodes of its allocation are idle.
const ASK_LIMIT: Duration = Duration::from_secs(20);

/// Record the start or end of an allocation; for batch scripts
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher allocation begin --state out/corpus.state")]
pub(super) struct AllocationArgs {
    #[command(subcommand)]
    moment: Moment,
}

#[derive(Debug, Subcommand)]
enum Moment {
    /// Print `run` and the end of the allocation in Unix seconds, or why there is nothing to do
    #[command(after_help = "Example:\n  thresher allocation begin --state out/corpus.state")]
    Begin {
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Why no allocation of the chain can run the job; this ends the chain
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
        /// The signal that requested the end; may be empty
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
    let Progress { job, units_done, .. } = progress(state);
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

/// Removes the waiting allocations from the queue. This one is marked as withdrawn, so that it does
/// nothing if it is requeued.
fn give_up(state: &Path, why: &str) -> anyhow::Result<ExitCode> {
    let (records, _, _, inside) = surroundings(state)?;
    let id = inside.allocation.to_string();
    records.add(Record::Withdrawn { id, why: why.to_owned() })?;
    let history = History::of(&records.read()?);
    let taken_back = withdraw_waiting(&records, &history, why);
    if let Ok(count @ 1..) = taken_back {
        print::note(&format!("{count} allocations of the chain were removed from the queue"));
    }
    report_trouble(taken_back.map(|_| ()));
    print::note("hint: fix `modules` of the site, then run `thresher submit` to continue");
    Ok(Exit::Done.into())
}

fn end(state: &Path, status: i32, asked: &str) -> anyhow::Result<ExitCode> {
    let (records, history, _, inside) = surroundings(state)?;
    let id = inside.allocation.to_string();
    let Progress { units_done, reason, refused, .. } = progress(state);
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

/// Returns the records, the submission, and the allocation in which this process runs.
fn surroundings(state: &Path) -> anyhow::Result<(Records, History, Submission, Inside)> {
    let records = Records::of(state);
    let history = History::of(&records.read()?);
    let Some(submission) = history.submission.clone() else {
        bail!(
            "no job was submitted from `{}`\nhint: `thresher submit` submits a job",
            state.display()
        );
    };
    let system = batch_system(&submission.site);
    let inside = system.inside(&|name| std::env::var(name).ok())?;
    let inside = inside.with_context(|| {
        format!(
            "this process does not run in an allocation of {}\nhint: only batch scripts call \
                 this verb",
            system.name()
        )
    })?;
    Ok((records, history, submission, inside))
}

/// The state of the job according to its journal.
struct Progress {
    job: JobState,
    units_done: u64,
    /// What stopped the job.
    reason: String,
    /// Whether the same would stop it again.
    refused: bool,
}

/// Reads the journal. A journal that does not exist yet, or that the coordinator will refuse,
/// counts as empty.
fn progress(state: &Path) -> Progress {
    let status = status_from_state(state).unwrap_or_else(|error| {
        tracing::info!(%error, "no journal to read");
        StatusResponse::default()
    });
    Progress {
        job: status.state(),
        units_done: status.stages.iter().map(|stage| u64::from(stage.done)).sum(),
        reason: status.reason,
        refused: status.refused,
    }
}

/// Returns the end of the allocation, in Unix seconds: from the environment, otherwise from the
/// batch system, otherwise from the requested walltime.
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
            .map_err(|error| {
                tracing::warn!(%error, "the batch system did not report the end of the \
                                                allocation")
            })
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

/// Prints a failure to remove allocations. It is not an error, because an allocation that starts
/// later ends by itself.
fn report_trouble(taken_back: anyhow::Result<()>) {
    if let Err(error) = taken_back {
        print::note(&format!("failed to remove allocations from the queue: {error}"));
    }
}
