//! What people are shown of an allocation: its phase, why it ended, its units, and its node-hours.
//! Pure: from the records and from what the batch system said.

use thresher_site::batch::{AllocationState, Condition, Ending};

use super::history::{Allocation, Run, RunEnd};

/// What an allocation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for nodes, for the first time or again.
    Queued,
    /// It waits until somebody releases it.
    Held,
    /// Its nodes are being prepared.
    Starting,
    /// Its script runs.
    Running,
    /// Its script is suspended.
    Suspended,
    /// The batch system cannot reach its nodes.
    Unreachable,
    /// Its script has ended or is being ended.
    Ending,
    /// It has ended.
    Ended,
    /// It was withdrawn before it ran.
    Withdrawn,
    /// The batch system does not say.
    Unknown,
}

impl Phase {
    /// Returns the name for people and for JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Unreachable => "unreachable",
            Self::Ending => "ending",
            Self::Ended => "ended",
            Self::Withdrawn => "withdrawn",
            Self::Unknown => "unknown",
        }
    }

    /// Returns whether the batch system gives it nodes now, as far as is known.
    pub const fn has_nodes(self) -> bool {
        match self {
            Self::Starting | Self::Running | Self::Suspended | Self::Unreachable | Self::Ending => {
                true
            }
            Self::Queued | Self::Held | Self::Ended | Self::Withdrawn | Self::Unknown => false,
        }
    }

    /// Returns whether it runs the job, or will when it starts.
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Queued | Self::Held) || self.has_nodes()
    }
}

/// When an allocation's runs ended, as far as can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The current time.
    pub unix_seconds: u64,
    /// When the job last gave a sign of life. A run whose end nobody recorded did not last longer,
    /// if its allocation has ended.
    pub alive_unix_seconds: u64,
}

impl Allocation {
    /// Returns the node seconds used, as far as is known.
    pub fn node_seconds(&self, state: Option<&AllocationState>, now: Now) -> u64 {
        let seconds = self.runs.iter().enumerate().map(|(index, run)| {
            let ended = self.ended(index, state, now).unwrap_or(now.unix_seconds);
            ended.saturating_sub(run.started_unix_seconds) * u64::from(run.nodes)
        });
        seconds.sum()
    }

    /// Returns when the last run ended, or will end by its walltime.
    pub fn ends(&self, state: Option<&AllocationState>, now: Now) -> Option<u64> {
        let run = self.runs.last()?;
        let nobody_knows = run.end.is_none() && state.is_none();
        let ended = self.ended(self.runs.len() - 1, state, now).filter(|_| !nobody_knows);
        ended.or(run.ends_unix_seconds)
    }

    /// Returns when a run ended: as recorded, else by the batch system, else at the last sign of
    /// life, and not after its walltime. `None` if it still runs.
    fn ended(&self, index: usize, state: Option<&AllocationState>, now: Now) -> Option<u64> {
        let run = &self.runs[index];
        let began = run.started_unix_seconds;
        let last = began.saturating_add(self.walltime_seconds);
        match (&run.end, self.runs.get(index + 1), state) {
            (Some(end), _, _) => Some(end.at_unix_seconds),
            (None, Some(later), _) => Some(later.started_unix_seconds.min(last)),
            (None, None, Some(AllocationState::Running { .. })) => None,
            (None, None, Some(AllocationState::Ended { ran: Some(ran), .. })) => {
                Some(began.saturating_add(ran.as_secs()))
            }
            (None, None, Some(_) | None) => Some(now.alive_unix_seconds.min(last).max(began)),
        }
    }

    /// Returns the number of units that were done in all of its runs.
    pub fn units_done(&self) -> u64 {
        self.runs.iter().map(Run::units_done).sum()
    }

    /// Returns whether it failed, and neither the records nor the batch system say why.
    pub fn lacks_cause(&self, state: Option<&AllocationState>) -> bool {
        let failed =
            matches!(state, Some(AllocationState::Ended { ending: Ending::Failed { .. }, .. }));
        let Some(run) = self.runs.last() else { return failed && self.withdrawn.is_none() };
        let Some(end) = &run.end else { return failed };
        match end.status {
            0 | 3 | 4 | 7 => false,
            5 => end.reason.is_empty() && run.units_done() == 0,
            _ => true,
        }
    }

    /// Returns its phase, and the reason. What the batch system says comes first, if it says
    /// anything.
    pub fn describe(&self, state: Option<&AllocationState>) -> (Phase, String) {
        let own = self.runs.last().and_then(|run| run.end.as_ref()).map(|end| self.own_words(end));
        let joined = |first: String, more: [Option<String>; 2]| {
            let more = more.into_iter().flatten();
            let all = std::iter::once(first).chain(more).filter(|text| !text.is_empty());
            all.collect::<Vec<_>>().join("; ")
        };
        match (state, own) {
            (Some(AllocationState::Ended { .. }), None)
                if self.runs.is_empty() && self.withdrawn.is_some() =>
            {
                (Phase::Withdrawn, self.withdrawn.clone().unwrap_or_default())
            }
            (Some(AllocationState::Ended { ending, reason, .. }), own) => {
                let more = [Some(reason.clone()), own];
                let why = joined(ending.to_string(), more);
                (Phase::Ended, joined(why, [self.withdrawn.clone(), None]))
            }
            (Some(AllocationState::Running { condition, .. }), own) => {
                of_condition(*condition, own)
            }
            (Some(AllocationState::Pending { reason }), _) => {
                (Phase::Queued, joined(self.waits(), [Some(reason.clone()), None]))
            }
            (Some(AllocationState::Held { reason }), _) => {
                let held = "suspended in the queue until it is released".to_owned();
                (Phase::Held, joined(self.waits(), [Some(held), Some(reason.clone())]))
            }
            (None, Some(own)) => (Phase::Ended, own),
            (None, None) => self.unknown(),
        }
    }

    /// Returns how its last run ended, by its own record.
    fn own_words(&self, end: &RunEnd) -> String {
        let why = match end.status {
            0 => "the job was complete".to_owned(),
            3 => "the job was complete except for missing units".to_owned(),
            4 => "the job failed or was cancelled".to_owned(),
            7 => "the job was complete, with a warning".to_owned(),
            5 if !end.reason.is_empty() => {
                format!("stopped: {}", end.reason.lines().next().unwrap_or_default())
            }
            5 if end.asked.is_empty() => "drained".to_owned(),
            5 => format!("drained, requested by {}", end.asked),
            status => format!("the coordinator ended with status {status}"),
        };
        format!("{why}; {} units done", self.units_done())
    }

    /// Returns what people must know of an allocation that waits; empty if it never ran.
    fn waits(&self) -> String {
        if let Some(why) = &self.withdrawn {
            return format!("does nothing when it starts: {why}");
        }
        match self.runs.len() {
            0 => String::new(),
            runs => format!("runs again after {runs} runs, {} units done", self.units_done()),
        }
    }

    fn unknown(&self) -> (Phase, String) {
        match (&self.withdrawn, self.runs.is_empty()) {
            (Some(why), true) => (Phase::Withdrawn, why.clone()),
            (_, false) => (
                Phase::Unknown,
                "it started, no end was recorded, and the batch system does not say".to_owned(),
            ),
            (None, true) => (Phase::Unknown, "submitted; the batch system does not say".to_owned()),
        }
    }
}

/// Returns the phase of an allocation that has nodes. `own` is how its script ended, if it did.
fn of_condition(condition: Condition, own: Option<String>) -> (Phase, String) {
    let phase = match (condition, &own) {
        (Condition::Unreachable, _) => Phase::Unreachable,
        (Condition::Suspended, _) => Phase::Suspended,
        (_, Some(_)) | (Condition::Finishing, None) => Phase::Ending,
        (Condition::Starting, None) => Phase::Starting,
        (Condition::Working, None) => Phase::Running,
    };
    let why = match (condition, own) {
        (_, Some(own)) => own,
        (Condition::Unreachable, None) => {
            "unknown to the batch system, which cannot reach its nodes; it may still run".to_owned()
        }
        (Condition::Suspended, None) => "by the batch system or its owner; no unit runs".to_owned(),
        (Condition::Starting | Condition::Working | Condition::Finishing, None) => String::new(),
    };
    (phase, why)
}

#[cfg(test)]
mod tests;
