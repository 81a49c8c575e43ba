//! The history of a job's allocations, and the decisions that follow from it. Pure: the same
//! records give the same answer on every host.

use std::collections::BTreeSet;

use thresher_proto::pb::JobState;
use thresher_site::Chain;
use thresher_site::batch::{AllocationId, AllocationState};

use super::ask::States;
use super::records::{Record, Stamped, Submission};
use super::systems::batch_system;

/// Shortest duration of a run that counts as one without progress although it was killed before its
/// end.
const FAIR_CHANCE_SECONDS: u64 = 600;

/// Value used instead of a signal's name if the launcher could not start workers.
const LAUNCHER: &str = "launcher";

/// Value used if the launcher started workers before, and cannot any more: a host was lost.
const LOST_HOST: &str = "lost-host";

/// An exit status above this is that of a process killed by a signal.
const KILLED: i32 = 128;

/// How long the batch system is asked about an allocation whose end was recorded, because it may
/// run the script again. Later its id may belong to somebody else's job.
const ASKED_SECONDS: u64 = 30 * 24 * 3600;
/// Largest number of allocations about which the batch system is asked, the latest ones.
const ASKED_MAX: usize = 200;

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
    /// When the last record about it was written.
    recorded_unix_seconds: u64,
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
    /// Units of the job that were done when it ended or, if that was earlier, when the next run of
    /// the job started: what that run does is its own. `None` if neither is recorded.
    pub units_after: Option<u64>,
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
    /// End at once, for this reason, which concerns no other allocation.
    Skip(String),
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

/// The number and time of a record.
#[derive(Clone, Copy)]
struct When {
    number: u64,
    at_unix_seconds: u64,
}

impl Run {
    /// Returns the number of units that were done in this run, as far as is recorded.
    pub fn units_done(&self) -> u64 {
        self.units_after.map_or(0, |after| after.saturating_sub(self.units_before))
    }
}

impl History {
    /// Reads the records, in their order.
    pub fn of(records: &[Stamped]) -> Self {
        let mut history = Self::default();
        for stamped in records {
            history.take(stamped);
        }
        history.limit_units_to_their_run();
        history
    }

    /// Counts units that were done after the start of a later run as that run's.
    fn limit_units_to_their_run(&mut self) {
        let runs = self.allocations.iter().flat_map(|allocation| &allocation.runs);
        let mut starts: Vec<(u64, u64)> = runs.map(|run| (run.number, run.units_before)).collect();
        starts.sort_unstable();
        for run in self.allocations.iter_mut().flat_map(|allocation| &mut allocation.runs) {
            let later = starts.iter().find(|(number, _)| *number > run.number);
            let bounds = [run.units_after, later.map(|(_, units_before)| *units_before)];
            run.units_after = bounds.into_iter().flatten().min();
        }
    }

    fn take(&mut self, stamped: &Stamped) {
        let (number, at) = (stamped.number, stamped.at_unix_seconds);
        let when = When { number, at_unix_seconds: at };
        match &stamped.record {
            Record::Requested(submission) => {
                self.submission = Some((**submission).clone());
                self.requested = number;
                self.allocations.iter_mut().for_each(|allocation| allocation.current = false);
            }
            Record::Submitted { id } => self.entry(id, when).recorded_unix_seconds = at,
            Record::Started { id, nodes, ends_unix_seconds, units_done } => {
                let run = Run {
                    started_unix_seconds: at,
                    nodes: *nodes,
                    ends_unix_seconds: *ends_unix_seconds,
                    units_before: *units_done,
                    units_after: None,
                    end: None,
                    number,
                };
                // A script may start before the record of its submission is written.
                let allocation = self.entry(id, when);
                allocation.recorded_unix_seconds = at;
                allocation.runs.push(run);
            }
            Record::Ended { id, status, asked, units_done, reason, refused } => {
                let end = RunEnd {
                    at_unix_seconds: at,
                    status: *status,
                    asked: asked.clone(),
                    reason: reason.clone(),
                    refused: *refused,
                };
                self.with(id, |allocation| {
                    allocation.recorded_unix_seconds = at;
                    if let Some(run) = allocation.runs.last_mut() {
                        run.units_after = Some(*units_done);
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
    fn entry(&mut self, id: &str, when: When) -> &mut Allocation {
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
                submitted: when.number,
                recorded_unix_seconds: when.at_unix_seconds,
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

    /// Returns the allocations about which the batch system has to be asked: those whose end was
    /// not recorded, and those that ended lately, because a script that ended may run again.
    pub fn to_ask(&self, now_unix_seconds: u64) -> Vec<AllocationId> {
        let lately = |allocation: &Allocation| {
            now_unix_seconds.saturating_sub(allocation.recorded_unix_seconds) < ASKED_SECONDS
        };
        let open: BTreeSet<&str> = self.unsettled().map(|a| a.id.as_str()).collect();
        let latest = self.allocations.iter().rev();
        let asked = latest.filter(|a| open.contains(a.id.as_str()) || lately(a)).take(ASKED_MAX);
        let ids: BTreeSet<AllocationId> =
            asked.filter_map(|a| AllocationId::parse(&a.id).ok()).collect();
        ids.into_iter().collect()
    }

    /// Returns the allocations that the batch system holds in its queue, whether they have run
    /// before or not, and those of the last request of which only the records say that they wait.
    pub fn queued(&self, states: &States) -> Vec<AllocationId> {
        let unknown = self.waiting();
        let ids: BTreeSet<AllocationId> = self
            .allocations
            .iter()
            .filter_map(|allocation| AllocationId::parse(&allocation.id).ok())
            .filter(|id| match states.get(id.as_str()) {
                Some(AllocationState::Pending { .. } | AllocationState::Held { .. }) => true,
                Some(AllocationState::Running { .. } | AllocationState::Ended { .. }) => false,
                None => unknown.contains(id),
            })
            .collect();
        ids.into_iter().collect()
    }

    /// Returns the allocations that may run the job now or later: those in the queue, those that
    /// have nodes, and those that started and of which nothing else is known.
    pub fn alive(&self, states: &States) -> Vec<AllocationId> {
        let mut ids: BTreeSet<AllocationId> = self.queued(states).into_iter().collect();
        let open: BTreeSet<&str> = self.unsettled().map(|a| a.id.as_str()).collect();
        for id in self.allocations.iter().filter_map(|a| AllocationId::parse(&a.id).ok()) {
            let runs = match states.get(id.as_str()) {
                Some(AllocationState::Running { .. }) => true,
                Some(_) => false,
                None => open.contains(id.as_str()),
            };
            if runs {
                ids.insert(id);
            }
        }
        ids.into_iter().collect()
    }

    /// Returns the allocations whose end was not recorded.
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
        if !allocation.current {
            let why = "the job was submitted again after this allocation, which came back";
            return StartDecision::Skip(why.to_owned());
        }
        if let Some(why) = &allocation.withdrawn {
            return StartDecision::Stop(why.clone());
        }
        let starts_max = self.submission.as_ref().and_then(|s| batch_system(&s.site).starts_max());
        if let Some(most) = starts_max
            && allocation.runs.len() as u64 >= u64::from(most)
        {
            return StartDecision::Skip(format!(
                "it was started {most} times before, and the batch system would hold it at the next \
                 start; `thresher resume` submits another one"
            ));
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
            0 | 3 | 4 | 7 => return Next::Over,
            5 if refused => return Next::Refused,
            // It was drained because no worker could be started.
            5 if asked == LAUNCHER => return Next::Failed,
            5 => {}
            // It hung after the request to stop, and was killed. The journal has what it did.
            killed if killed > KILLED && !asked.is_empty() => {}
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
            // It needs other hosts. An end without progress is counted, so this ends too.
            _ if asked == LOST_HOST && self.waiting().is_empty() => Next::Requeue,
            Chain::Requeue | Chain::Dependency if status > KILLED => Next::Failed,
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
            let lasted = match (&run.end, later) {
                (Some(_), _) => u64::MAX,
                (None, Some(later)) => {
                    later.started_unix_seconds.saturating_sub(run.started_unix_seconds)
                }
                (None, None) => continue,
            };
            if run.units_done() > 0 {
                idle = 0;
            } else if lasted >= FAIR_CHANCE_SECONDS {
                idle += 1;
            }
        }
        idle
    }
}

#[cfg(test)]
pub(super) mod tests;
