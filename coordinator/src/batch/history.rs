//! The history of a job's allocations, and the decisions that follow from it. Pure: the same
//! records give the same answer on every host.

use std::collections::BTreeMap;

use thresher_proto::pb::JobState;
use thresher_site::Chain;
use thresher_site::batch::{AllocationId, AllocationState, Ending};

use super::records::{Record, Stamped, Submission};

/// Shortest duration of a run that counts as one without progress although it was killed before its
/// end.
const FAIR_CHANCE_SECONDS: u64 = 600;

/// Value used instead of a signal's name if the launcher could not start workers.
const LAUNCHER: &str = "launcher";

/// Why a chain ends early: the next allocation would stop for the same reason.
pub const REFUSED: &str =
    "the previous one stopped for a cause that a person must fix; then run `thresher resume`";

/// Everything that the records say.
#[derive(Debug, Default, PartialEq)]
pub struct History {
    /// The last request for allocations.
    pub submission: Option<Submission>,
    /// The allocations, in the order in which the batch system accepted them.
    pub allocations: Vec<Allocation>,
    /// Number of the last record with which a person asked the job to stop.
    held_by_hand: Option<u64>,
    /// Number of the record of the last request.
    requested: u64,
}

/// One allocation, with its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocation {
    /// Its id in the batch system.
    pub id: String,
    /// Number of nodes requested.
    pub nodes: u32,
    /// Its time limit.
    pub walltime_seconds: u64,
    /// The starts of its script.
    pub runs: Vec<Run>,
    /// Why it was withdrawn, if it was.
    pub withdrawn: Option<String>,
    submitted: u64,
    /// Whether it belongs to the last request.
    current: bool,
}

/// One start of a script, and its end if it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// When the script started.
    pub started_unix_seconds: u64,
    /// Number of nodes that it had.
    pub nodes: u32,
    /// When its walltime ends, if known.
    pub ends_unix_seconds: Option<u64>,
    /// Units of the job that were done when it started.
    pub units_before: u64,
    /// How it ended, if it recorded that.
    pub end: Option<RunEnd>,
    number: u64,
}

/// How a script ended by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// When it ended.
    pub at_unix_seconds: u64,
    /// Exit status of the coordinator.
    pub status: i32,
    /// The signal that asked for the end; empty if none did.
    pub asked: String,
    /// Units of the job that were done at the end.
    pub units_after: u64,
    /// What stopped the job; empty if nothing did.
    pub reason: String,
    /// Whether the same cause would stop the next allocation too.
    pub refused: bool,
}

/// What a script that starts has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum StartDecision {
    /// Run the job.
    Run,
    /// End at once, for this reason; allocations that wait after it are withdrawn.
    Stop(String),
}

/// What a script that ends has to report to its batch system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This allocation is done.
    Done,
    /// The job is over: allocations that wait after it are withdrawn.
    Over,
    /// The job cannot continue until a person acts: allocations that wait after it are withdrawn.
    Refused,
    /// Run the script again under the same id.
    Requeue,
    /// The allocation failed.
    Failed,
}

impl History {
    /// Reads the records, in their order.
    pub fn of(records: &[Stamped]) -> Self {
        let mut history = Self::default();
        for stamped in records {
            history.take(stamped);
        }
        history
    }

    fn take(&mut self, stamped: &Stamped) {
        let (number, at) = (stamped.number, stamped.at_unix_seconds);
        match &stamped.record {
            Record::Requested(submission) => {
                self.submission = Some((**submission).clone());
                self.requested = number;
                self.allocations.iter_mut().for_each(|allocation| allocation.current = false);
            }
            Record::Submitted { id } => drop(self.entry(id, number)),
            Record::Started { id, nodes, ends_unix_seconds, units_done } => {
                let run = Run {
                    started_unix_seconds: at,
                    nodes: *nodes,
                    ends_unix_seconds: *ends_unix_seconds,
                    units_before: *units_done,
                    end: None,
                    number,
                };
                // A script may start before the record of its submission is written.
                self.entry(id, number).runs.push(run);
            }
            Record::Ended { id, status, asked, units_done, reason, refused } => {
                let end = RunEnd {
                    at_unix_seconds: at,
                    status: *status,
                    asked: asked.clone(),
                    units_after: *units_done,
                    reason: reason.clone(),
                    refused: *refused,
                };
                self.with(id, |allocation| {
                    if let Some(run) = allocation.runs.last_mut() {
                        run.end = Some(end);
                    }
                });
            }
            Record::Withdrawn { id, why } => {
                self.with(id, |allocation| allocation.withdrawn = Some(why.clone()));
            }
            Record::HeldByHand => self.held_by_hand = Some(number),
        }
    }

    /// Returns the allocation of the last request with this id, and adds one if there is none.
    fn entry(&mut self, id: &str, number: u64) -> &mut Allocation {
        let known = self.allocations.iter().rposition(|a| a.id == id);
        let known = known.filter(|at| self.allocations[*at].current || !self.is_settled(*at));
        let index = known.unwrap_or(self.allocations.len());
        if known.is_none() {
            let asked = self.submission.as_ref();
            self.allocations.push(Allocation {
                id: id.to_owned(),
                nodes: asked.map_or(0, |asked| asked.nodes),
                walltime_seconds: asked.map_or(0, |asked| asked.walltime_seconds),
                runs: Vec::new(),
                withdrawn: None,
                submitted: number,
                current: true,
            });
        }
        &mut self.allocations[index]
    }

    fn is_settled(&self, at: usize) -> bool {
        self.allocations[at].runs.last().is_some_and(|run| run.end.is_some())
    }

    /// Changes the last allocation with this id: batch systems reuse ids after years.
    fn with(&mut self, id: &str, change: impl FnOnce(&mut Allocation)) {
        if let Some(found) = self.allocations.iter_mut().rev().find(|a| a.id == id) {
            change(found);
        }
    }

    /// Returns the last allocation with this id.
    pub fn allocation(&self, id: &str) -> Option<&Allocation> {
        self.allocations.iter().rev().find(|allocation| allocation.id == id)
    }

    /// Returns the allocations whose end was not recorded, so that the batch system has to be
    /// asked.
    pub fn unsettled(&self) -> impl Iterator<Item = &Allocation> {
        self.allocations.iter().filter(|allocation| match allocation.runs.last() {
            None => allocation.withdrawn.is_none(),
            Some(run) => run.end.is_none(),
        })
    }

    /// Returns the allocations of the last request that wait and have never run.
    pub fn waiting(&self) -> Vec<AllocationId> {
        let waiting = self
            .allocations
            .iter()
            .filter(|a| a.current && a.runs.is_empty() && a.withdrawn.is_none());
        waiting.filter_map(|allocation| AllocationId::parse(&allocation.id).ok()).collect()
    }

    /// Returns what the script of this allocation has to do at its start.
    pub fn at_start(&self, id: &str, job: JobState) -> StartDecision {
        if job.is_final() {
            return StartDecision::Stop("the job is over".to_owned());
        }
        let Some(allocation) = self.allocation(id) else { return StartDecision::Run };
        if let Some(why) = &allocation.withdrawn {
            return StartDecision::Stop(why.clone());
        }
        if self.held_since(allocation.submitted) {
            let hint = "it was drained by hand; run `thresher resume` to resume it";
            return StartDecision::Stop(hint.to_owned());
        }
        if self.runs().last().and_then(|run| run.end.as_ref()).is_some_and(|end| end.refused) {
            return StartDecision::Stop(REFUSED.to_owned());
        }
        let limit = self.submission.as_ref().map_or(u32::MAX, |s| s.site.idle_allocations);
        let idle = self.idle_runs();
        if limit > 0 && idle >= limit {
            return StartDecision::Stop(format!(
                "no unit was done in {idle} allocations in a row; `thresher status` shows why, \
                 `thresher resume` tries again"
            ));
        }
        StartDecision::Run
    }

    /// Returns what the script of this allocation has to report at its end, from its coordinator's
    /// exit status, the signal that asked for the end, and whether the next allocation would be
    /// `refused` for the same cause.
    pub fn next(&self, id: &str, status: i32, asked: &str, refused: bool) -> Next {
        match status {
            0 | 3 | 4 => return Next::Over,
            5 if refused => return Next::Refused,
            // It was drained because no worker could be started.
            5 if asked == LAUNCHER => return Next::Failed,
            5 => {}
            _ => return Next::Failed,
        }
        let Some(allocation) = self.allocation(id) else { return Next::Done };
        if self.held_since(allocation.runs.last().map_or(allocation.submitted, |run| run.number)) {
            return Next::Over;
        }
        let Some(submission) = &self.submission else { return Next::Done };
        let ran = allocation.runs.len() as u64;
        match submission.site.chain {
            Chain::Requeue if ran < u64::from(submission.allocations) => Next::Requeue,
            Chain::Requeue | Chain::Dependency => Next::Done,
        }
    }

    fn held_since(&self, number: u64) -> bool {
        self.held_by_hand.is_some_and(|held| held > number && held > self.requested)
    }

    /// Returns the runs of the last request, in the order in which they started.
    fn runs(&self) -> Vec<&Run> {
        let current = self.allocations.iter().filter(|allocation| allocation.current);
        let mut runs: Vec<&Run> = current.flat_map(|allocation| &allocation.runs).collect();
        runs.sort_by_key(|run| run.number);
        runs
    }

    /// Returns the number of latest runs of the last request in which no unit was done although
    /// they had enough time.
    fn idle_runs(&self) -> u32 {
        let runs = self.runs();
        let mut idle = 0;
        for (index, run) in runs.iter().enumerate() {
            let later = runs.get(index + 1);
            let (done, lasted) = match (&run.end, later) {
                (Some(end), _) => (end.units_after > run.units_before, u64::MAX),
                (None, Some(later)) => (
                    later.units_before > run.units_before,
                    later.started_unix_seconds.saturating_sub(run.started_unix_seconds),
                ),
                (None, None) => continue,
            };
            if done {
                idle = 0;
            } else if lasted >= FAIR_CHANCE_SECONDS {
                idle += 1;
            }
        }
        idle
    }
}

impl Allocation {
    /// Returns the node seconds used, as far as is known: a run whose end was not recorded ended
    /// when the next one started, or at the end of its walltime, or still runs.
    pub fn node_seconds(&self, state: Option<&AllocationState>, now_unix_seconds: u64) -> u64 {
        let runs_now = matches!(state, Some(AllocationState::Running { .. }));
        let mut sum = 0;
        for (index, run) in self.runs.iter().enumerate() {
            let last = run.started_unix_seconds.saturating_add(self.walltime_seconds);
            let ended = match (&run.end, self.runs.get(index + 1)) {
                (Some(end), _) => end.at_unix_seconds,
                (None, Some(later)) => later.started_unix_seconds.min(last),
                (None, None) if runs_now => now_unix_seconds,
                (None, None) => now_unix_seconds.min(last),
            };
            sum += ended.saturating_sub(run.started_unix_seconds) * u64::from(run.nodes);
        }
        sum
    }

    /// Returns whether it failed, and neither the records nor the batch system say why.
    pub fn lacks_cause(&self, state: Option<&AllocationState>) -> bool {
        let failed =
            matches!(state, Some(AllocationState::Ended { ending: Ending::Failed { .. }, .. }));
        let Some(run) = self.runs.last() else { return failed && self.withdrawn.is_none() };
        let Some(end) = &run.end else { return failed };
        match end.status {
            0 | 3 | 4 => false,
            5 => end.reason.is_empty() && end.units_after <= run.units_before,
            _ => true,
        }
    }

    /// Returns its state in one word (queued, running, ended), and the reason. What the batch
    /// system says comes first, if it says anything.
    pub fn describe(&self, state: Option<&AllocationState>) -> (&'static str, String) {
        let last = self.runs.last();
        let own = last.and_then(|run| Some((run, run.end.as_ref()?))).map(|(run, end)| {
            let why = match end.status {
                0 => "the job was complete".to_owned(),
                3 => "the job was complete except for missing units".to_owned(),
                4 => "the job failed or was cancelled".to_owned(),
                5 if !end.reason.is_empty() => {
                    format!("stopped: {}", end.reason.lines().next().unwrap_or_default())
                }
                5 if end.asked.is_empty() => "drained".to_owned(),
                5 => format!("drained, requested by {}", end.asked),
                status => format!("the coordinator ended with status {status}"),
            };
            format!("{why}; {} units done", end.units_after.saturating_sub(run.units_before))
        });
        match (state, own) {
            (Some(AllocationState::Ended { ending, reason }), own) => {
                let mut why = ending.to_string();
                for more in [Some(reason.clone()), own, self.withdrawn.clone()] {
                    if let Some(more) = more.filter(|more| !more.is_empty()) {
                        why += &format!("; {more}");
                    }
                }
                ("ended", why)
            }
            (Some(AllocationState::Running { .. }), None) => ("running", String::new()),
            (Some(AllocationState::Running { .. }), Some(own)) => ("ending", own),
            (Some(AllocationState::Pending { reason }), _) => ("queued", reason.clone()),
            (None, Some(own)) => ("ended", own),
            (None, None) => match (&self.withdrawn, self.runs.is_empty()) {
                (Some(why), true) => ("withdrawn", why.clone()),
                (_, false) => (
                    "unknown",
                    "it started, no end was recorded, and the batch system does not say".to_owned(),
                ),
                (None, true) => ("unknown", "submitted; the batch system does not say".to_owned()),
            },
        }
    }
}

/// States of allocations, by id.
pub type States = BTreeMap<String, AllocationState>;

#[cfg(test)]
mod tests;
