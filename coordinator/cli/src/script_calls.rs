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
use thresher_coordinator::allocation::{Allocation, AllocationOptions, Patience};
use thresher_coordinator::batch::{
    History, Next, REFUSED, Record, Records, StartDecision, Submission, ask, batch_system,
    withdraw_waiting,
};
use thresher_coordinator::clock;
use thresher_coordinator::run::status_from_state;
use thresher_coordinator::scheduler::Timestamp;

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
    /// Print `run` and what the script has to know, or why there is nothing to do
    ///
    /// After `run`: the end of the allocation and the time at which a coordinator that still runs
    /// hangs, in Unix seconds; the seconds that a drain may take; the hosts.
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
        StartDecision::Skip(why) => why,
        StartDecision::Run => {
            let nodes = match inside.nodes.len() {
                0 => submission.nodes,
                nodes => u32::try_from(nodes).unwrap_or(u32::MAX),
            };
            let ends = ends(&submission, &inside);
            let ends_unix_seconds = Some(ends);
            records.add(Record::Started { id, nodes, ends_unix_seconds, units_done })?;
            start_line(ends, &inside.nodes)
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
    let Progress { units_done, reason, refused, last_seen, .. } = progress(state);
    let next = history.next(&id, status, asked, refused);
    let run = history.allocation(&id).and_then(|allocation| allocation.runs.last());
    let had_too_little_time = run.is_some_and(|run| {
        let ended = Ended {
            status,
            units_done: units_done.saturating_sub(run.units_before),
            started: run.started_unix_seconds,
            at: clock::now().millis() / 1000,
            walltime_ends: run.ends_unix_seconds,
            last_seen,
        };
        ended.had_too_little_time()
    });
    let reason =
        if reason.is_empty() && had_too_little_time { TOO_SHORT.to_owned() } else { reason };
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
    /// When a worker was last seen, in Unix seconds; 0 if there was none.
    last_seen: u64,
}

/// Why no unit was done, if workers were there all the time.
const TOO_SHORT: &str = "no unit was finished, because units last longer than this allocation; \
                         use a longer `-t`, or a smaller `units.target_bytes` in a new job";

/// The end of a run, before it is recorded. Times are Unix seconds.
#[derive(Clone, Copy)]
struct Ended {
    status: i32,
    /// Units that were done in this run.
    units_done: u64,
    started: u64,
    at: u64,
    walltime_ends: Option<u64>,
    /// When a worker was last seen.
    last_seen: u64,
}

impl Ended {
    /// Returns whether a run was drained near the end of its walltime, with workers, and without
    /// one unit done.
    fn had_too_little_time(self) -> bool {
        let walltime = self.walltime_ends.map_or(0, |ends| ends.saturating_sub(self.started));
        let lasted = self.at.saturating_sub(self.started);
        self.status == 5
            && self.units_done == 0
            && self.last_seen > self.started
            && walltime > 0
            && lasted * 2 >= walltime
    }
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
        last_seen: status.workers.iter().map(|w| w.last_seen_millis / 1000).max().unwrap_or(0),
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
    let id = &inside.allocation;
    let answer = ask(&*batch_system(&submission.site), std::slice::from_ref(id), ASK_LIMIT);
    if let Some(error) = answer.error {
        tracing::warn!(error, "the batch system did not report the end of the allocation");
    }
    let left = match answer.states.get(id.as_str()) {
        Some(AllocationState::Running { time_left, .. }) => *time_left,
        Some(_) | None => None,
    };
    now + left.unwrap_or_else(|| submission.walltime()).as_secs()
}

/// Returns what the script has to know of an allocation that ends at `ends`.
fn start_line(ends: u64, hosts: &[String]) -> String {
    let now = clock::now();
    let options =
        AllocationOptions { ends: Some(Timestamp::from_millis(ends * 1000)), margin: None };
    let allocation = Allocation::find(now, options, &|_| None).unwrap_or_default();
    let Patience { after_signal, before_end } = allocation.patience();
    let latest = ends.saturating_sub(before_end.as_secs());
    let mut line = format!("run {ends} {latest} {}", after_signal.as_secs());
    for host in hosts {
        line += &format!(" {host}");
    }
    line
}

/// Prints a failure to remove allocations. It is not an error, because an allocation that starts
/// later ends by itself.
fn report_trouble(taken_back: anyhow::Result<()>) {
    if let Err(error) = taken_back {
        print::note(&format!("failed to remove allocations from the queue: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_given_the_times_and_the_hosts() {
        let ends = clock::now().millis() / 1000 + 7200;
        let line = start_line(ends, &["n1", "n2"].map(str::to_owned));
        assert_eq!(line, format!("run {ends} {} 165 n1 n2", ends - 135));
    }

    #[test]
    fn units_that_last_longer_than_an_allocation_are_noticed() {
        let full = Ended {
            status: 5,
            units_done: 0,
            started: 1000,
            at: 1450,
            walltime_ends: Some(1600),
            last_seen: 1400,
        };
        for (ended, expected) in [
            (full, true),
            (Ended { units_done: 1, ..full }, false),
            (Ended { status: 1, ..full }, false),
            // No worker came, or somebody drained it early.
            (Ended { last_seen: 900, ..full }, false),
            (Ended { at: 1100, ..full }, false),
        ] {
            assert_eq!(ended.had_too_little_time(), expected, "at {}", ended.at);
        }
    }
}
