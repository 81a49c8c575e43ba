//! What the records of allocations mean together, and what follows from it. Pure: records in,
//! answers out; the same records give the same answer on every host.

use std::collections::BTreeMap;

use thresher_proto::pb::JobState;
use thresher_site::Chain;
use thresher_site::batch::{AllocationId, AllocationState, Ending};

use super::records::{Record, Stamped, Submission};

/// A run that was killed before its end counts as one without progress only when it had so long.
const FAIR_CHANCE_SECONDS: u64 = 600;

/// In the place of a signal's name: the launcher could not start workers.
const LAUNCHER: &str = "launcher";

/// Why a chain ends before its time.
pub const REFUSED: &str =
    "the one before stopped for what people must mend; `thresher resume` goes on then";

/// All that is known.
#[derive(Debug, Default, PartialEq)]
pub struct History {
    /// What was asked for last.
    pub submission: Option<Submission>,
    /// In the order in which the batch system took them.
    pub allocations: Vec<Allocation>,
    /// When a person last wanted the job to stop, as a record's number.
    held_by_hand: Option<u64>,
    /// The number of the last request.
    requested: u64,
}

/// One allocation, by its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocation {
    pub id: String,
    pub nodes: u32,
    pub walltime_seconds: u64,
    /// Each start of its script.
    pub runs: Vec<Run>,
    /// Why it was taken back.
    pub withdrawn: Option<String>,
    submitted: u64,
    /// It belongs to the last request.
    current: bool,
}

/// One start of a script, and its end where that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub began_unix_seconds: u64,
    pub nodes: u32,
    pub ends_unix_seconds: Option<u64>,
    pub units_before: u64,
    pub end: Option<RunEnd>,
    number: u64,
}

/// How a script came to its end by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    pub at_unix_seconds: u64,
    /// Exit status of the coordinator.
    pub status: i32,
    /// The signal that asked for it; empty when none did.
    pub asked: String,
    pub units_after: u64,
    /// What stopped the job; empty when nothing did.
    pub reason: String,
    /// It would stop the next one too.
    pub refused: bool,
}

/// What a script that begins is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Beginning {
    Run,
    /// End at once, and why; whatever waits behind it is taken back.
    Stop(String),
}

/// What a script that ends is to tell its batch system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing more to do here.
    Done,
    /// Nothing more to do at all: whatever waits behind it is taken back.
    Over,
    /// Nothing more to do until people act: whatever waits behind it is taken back.
    Refused,
    /// Run me again under the same id.
    Requeue,
    Failed,
}

impl History {
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
            Record::Begun { id, nodes, ends_unix_seconds, units_done } => {
                let run = Run {
                    began_unix_seconds: at,
                    nodes: *nodes,
                    ends_unix_seconds: *ends_unix_seconds,
                    units_before: *units_done,
                    end: None,
                    number,
                };
                // Its script may begin before whoever submitted it has come to say so.
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

    /// The allocation of the last request with this id, new when it has none.
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

    /// Batch systems use ids again after years: the last one is meant.
    fn with(&mut self, id: &str, change: impl FnOnce(&mut Allocation)) {
        if let Some(found) = self.allocations.iter_mut().rev().find(|a| a.id == id) {
            change(found);
        }
    }

    pub fn allocation(&self, id: &str) -> Option<&Allocation> {
        self.allocations.iter().rev().find(|allocation| allocation.id == id)
    }

    /// Those whose end nobody recorded: the batch system is to be asked.
    pub fn unsettled(&self) -> impl Iterator<Item = &Allocation> {
        self.allocations.iter().filter(|allocation| match allocation.runs.last() {
            None => allocation.withdrawn.is_none(),
            Some(run) => run.end.is_none(),
        })
    }

    /// Those that wait behind the one that runs, and never ran.
    pub fn waiting(&self) -> Vec<AllocationId> {
        let waiting = self
            .allocations
            .iter()
            .filter(|a| a.current && a.runs.is_empty() && a.withdrawn.is_none());
        waiting.filter_map(|allocation| AllocationId::parse(&allocation.id).ok()).collect()
    }

    /// What the script of this allocation does at its start.
    pub fn beginning(&self, id: &str, job: JobState) -> Beginning {
        if job.is_final() {
            return Beginning::Stop("the job is over".to_owned());
        }
        let Some(allocation) = self.allocation(id) else { return Beginning::Run };
        if let Some(why) = &allocation.withdrawn {
            return Beginning::Stop(why.clone());
        }
        if self.held_since(allocation.submitted) {
            let hint = "it was drained by hand; `thresher resume` goes on";
            return Beginning::Stop(hint.to_owned());
        }
        if self.runs().last().and_then(|run| run.end.as_ref()).is_some_and(|end| end.refused) {
            return Beginning::Stop(REFUSED.to_owned());
        }
        let limit = self.submission.as_ref().map_or(u32::MAX, |s| s.site.idle_allocations);
        let idle = self.idle_runs();
        if limit > 0 && idle >= limit {
            return Beginning::Stop(format!(
                "{idle} allocations in a row did no unit; `thresher status` tells why, `thresher \
                 resume` tries again"
            ));
        }
        Beginning::Run
    }

    /// What the script of this allocation says at its end, by its coordinator's exit status, the
    /// signal that asked for it, and whether the next allocation would be `refused` what it needs.
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

    /// Of the last request, in the order in which they began.
    fn runs(&self) -> Vec<&Run> {
        let current = self.allocations.iter().filter(|allocation| allocation.current);
        let mut runs: Vec<&Run> = current.flat_map(|allocation| &allocation.runs).collect();
        runs.sort_by_key(|run| run.number);
        runs
    }

    /// Runs of the last request, the latest ones, in which no unit was done though they had the
    /// chance.
    fn idle_runs(&self) -> u32 {
        let runs = self.runs();
        let mut idle = 0;
        for (index, run) in runs.iter().enumerate() {
            let later = runs.get(index + 1);
            let (done, lasted) = match (&run.end, later) {
                (Some(end), _) => (end.units_after > run.units_before, u64::MAX),
                (None, Some(later)) => (
                    later.units_before > run.units_before,
                    later.began_unix_seconds.saturating_sub(run.began_unix_seconds),
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
    /// Seconds of nodes that were held, as far as is known: a run whose end nobody recorded ended
    /// when the next began, or by its walltime, or lasts.
    pub fn node_seconds(&self, state: Option<&AllocationState>, now_unix_seconds: u64) -> u64 {
        let runs_now = matches!(state, Some(AllocationState::Running { .. }));
        let mut sum = 0;
        for (index, run) in self.runs.iter().enumerate() {
            let last = run.began_unix_seconds.saturating_add(self.walltime_seconds);
            let ended = match (&run.end, self.runs.get(index + 1)) {
                (Some(end), _) => end.at_unix_seconds,
                (None, Some(later)) => later.began_unix_seconds.min(last),
                (None, None) if runs_now => now_unix_seconds,
                (None, None) => now_unix_seconds.min(last),
            };
            sum += ended.saturating_sub(run.began_unix_seconds) * u64::from(run.nodes);
        }
        sum
    }

    /// Whether it came to nothing, and neither the records nor the batch system say why.
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

    /// In words: queued, running, ended and why. What the batch system says comes first, where it
    /// says anything.
    pub fn standing(&self, state: Option<&AllocationState>) -> (&'static str, String) {
        let last = self.runs.last();
        let own = last.and_then(|run| Some((run, run.end.as_ref()?))).map(|(run, end)| {
            let why = match end.status {
                0 => "the job was complete".to_owned(),
                3 => "the job was complete but for units set aside".to_owned(),
                4 => "the job failed or was cancelled".to_owned(),
                5 if !end.reason.is_empty() => {
                    format!("stopped: {}", end.reason.lines().next().unwrap_or_default())
                }
                5 if end.asked.is_empty() => "drained".to_owned(),
                5 => format!("drained, asked by {}", end.asked),
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
                    "it began, no end was recorded, the batch system does not say".to_owned(),
                ),
                (None, true) => ("unknown", "submitted; the batch system does not say".to_owned()),
            },
        }
    }
}

/// States by id, for those who look up.
pub type States = BTreeMap<String, AllocationState>;

#[cfg(test)]
mod tests;
