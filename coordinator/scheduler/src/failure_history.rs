//! What went wrong with a unit so far. It is kept aside, so that a unit without failures stays
//! small.

use std::collections::BTreeSet;

use thresher_domain::{FailureClass, Timestamp};

/// Number of a unit's latest failures that are remembered.
const REMEMBERED_FAILURES: usize = 3;
/// Number of places that are remembered at which a unit failed.
const REMEMBERED_PLACES: usize = 16;
/// A unit that lost this many workers only runs alone.
const SUSPECT_CRASHES: u32 = 2;

/// The failures of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FailureHistory {
    /// Workers that were lost while they held the unit.
    pub(crate) crashes: u32,
    /// Workers that were lost while they held nothing but the unit.
    pub(crate) crashes_alone: u32,
    /// Times that the unit ran again because its output was damaged.
    pub(crate) repairs: u32,
    /// The digest of the first result, once the unit has been reopened: its totals are counted
    /// already.
    pub(crate) counted_digest: Option<u64>,
    /// Attempts up to this one wrote the output that was found damaged.
    pub(crate) damaged_attempt: u32,
    /// When the unit was last done again.
    pub(crate) repaired: Option<Timestamp>,
    /// The newest attempt that reported its own failure. A worker that says that it still
    /// holds this attempt repeats an old message.
    pub(crate) failed_attempt: u32,
    /// The attempt whose crash was counted last, in case its worker comes back.
    pub(crate) crashed_attempt: Option<u32>,
    /// The latest failures, oldest first.
    pub(crate) latest: Vec<FailedAttempt>,
    /// Why the unit failed permanently.
    pub(crate) permanent_error: Option<String>,
    /// Number of failures since the unit last had a result, or since the coordinator started, for
    /// causes that need not be the data's.
    pub(crate) tries: u32,
    /// When the first of them was.
    pub(crate) failing_since: Option<Timestamp>,
    /// Where they were, oldest first; the oldest are forgotten.
    pub(crate) failed_on: Vec<FailedPlace>,
    /// The unit is not leased before that.
    pub(crate) not_before: Option<Timestamp>,
}

/// Where a unit failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedPlace {
    pub(crate) worker_id: u32,
    pub(crate) host: String,
    pub(crate) at: Timestamp,
    /// Whether the worker had succeeded with the unit before this one.
    pub(crate) was_sound: bool,
}

/// One attempt without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedAttempt {
    pub(crate) attempt: u32,
    /// Who or what was at fault; `None` if the worker was lost.
    pub(crate) class: Option<FailureClass>,
    pub(crate) host: String,
    pub(crate) error: String,
}

impl FailureHistory {
    /// Whether the unit may be what kills its workers. It then runs alone.
    pub(crate) fn is_suspect(&self) -> bool {
        self.crashes >= SUSPECT_CRASHES
    }

    /// Remembers why an attempt failed.
    pub(crate) fn remember(&mut self, failed: FailedAttempt) {
        if self.latest.len() == REMEMBERED_FAILURES {
            self.latest.remove(0);
        }
        self.latest.push(failed);
    }

    /// Remembers where an attempt failed, for a cause that need not be the data's.
    pub(crate) fn fail_on(&mut self, place: FailedPlace) {
        self.tries = self.tries.saturating_add(1);
        self.failing_since.get_or_insert(place.at);
        self.remember_place(place);
    }

    /// Remembers where a worker was lost that ran the unit.
    pub(crate) fn crash_on(&mut self, place: FailedPlace) {
        self.remember_place(place);
    }

    fn remember_place(&mut self, place: FailedPlace) {
        if self.failed_on.len() == REMEMBERED_PLACES {
            self.failed_on.remove(0);
        }
        self.failed_on.push(place);
    }

    /// Forgets where attempts failed: the unit has a result, or a new coordinator looks with fresh
    /// eyes.
    pub(crate) fn forgive(&mut self) {
        self.tries = 0;
        self.failing_since = None;
        self.failed_on.clear();
        self.not_before = None;
    }

    /// Returns the number of hosts on which the unit failed, or took its worker with it.
    pub(crate) fn hosts(&self) -> usize {
        let hosts = self.failed_on.iter().map(|place| place.host.as_str());
        hosts.collect::<BTreeSet<_>>().len()
    }

    /// Resets the counters, because the cause may be fixed. What is known about attempts stays.
    pub(crate) fn reset(&mut self) {
        self.forgive();
        self.crashes = 0;
        self.crashes_alone = 0;
        self.crashed_attempt = None;
        self.repairs = 0;
        self.permanent_error = None;
    }

    /// Counts the loss of the worker that ran `attempt`.
    pub(crate) fn crash(&mut self, attempt: u32) {
        if self.is_suspect() {
            self.crashes_alone += 1;
        }
        self.crashes += 1;
        self.crashed_attempt = Some(attempt);
    }

    /// Takes back the latest crash if it is the one of `attempt`: its worker is alive after all.
    pub(crate) fn survive(&mut self, attempt: u32) {
        if self.crashed_attempt != Some(attempt) {
            return;
        }
        self.crashed_attempt = None;
        self.crashes -= 1;
        if self.is_suspect() {
            self.crashes_alone -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_taken_back_when_the_worker_lives() {
        let mut history = FailureHistory::default();
        for attempt in 1..=3 {
            history.crash(attempt);
        }
        assert_eq!((history.crashes, history.crashes_alone), (3, 1));
        history.survive(2);
        assert_eq!((history.crashes, history.crashes_alone), (3, 1), "that was not the last one");
        history.survive(3);
        assert_eq!((history.crashes, history.crashes_alone), (2, 0));
    }
}
