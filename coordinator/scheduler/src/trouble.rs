//! The trouble of one worker: units that fail on it one after another, for causes that are not the
//! data's, and how long it rests because of them.
//!
//! A node that is broken fails its units faster than sound ones finish theirs, so it would take
//! everybody's. It therefore gets one unit at a time after its first failure, rests from the
//! second on, and gets none for minutes while others succeed. One unit that succeeds ends it.

use thresher_domain::{FailureClass, Timestamp, UnitKey};

use crate::backoff::wait_millis;

/// A worker on which this many units failed in a row, while others succeed, gets no more for long.
const EXCLUDED_AFTER: u32 = 3;
/// How long an excluded worker rests at first, and at the longest.
const FIRST_EXCLUSION_MILLIS: u64 = 60_000;
const LONGEST_EXCLUSION_MILLIS: u64 = 3_600_000;

/// What went wrong on a worker since it last finished a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Number of times that it failed in a row, on different units. Attempts that ran at the same
    /// time count once.
    pub(crate) row: u32,
    last_unit: Option<UnitKey>,
    /// When the row began.
    pub(crate) since: Timestamp,
    /// When the row grew last.
    counted: Timestamp,
    pub(crate) rests_until: Option<Timestamp>,
    /// Whether others succeeded while it failed.
    pub(crate) excluded: bool,
    /// The latest failure.
    pub(crate) cause: String,
}

/// One failure on a worker.
pub(crate) struct FailureOnWorker<'a> {
    pub(crate) now: Timestamp,
    pub(crate) worker_id: u32,
    pub(crate) unit: UnitKey,
    /// When the attempt was leased.
    pub(crate) started: Timestamp,
    /// `None` if the worker was lost.
    pub(crate) class: Option<FailureClass>,
    pub(crate) error: &'a str,
    /// Whether another worker, which is in no trouble, finished a unit since the row began.
    pub(crate) others_succeed: bool,
}

impl Trouble {
    /// Counts a failure for which the worker may be to blame.
    pub(crate) fn add(&mut self, failure: &FailureOnWorker<'_>) {
        let first_line = failure.error.lines().next().unwrap_or_default();
        self.cause = format!("`{}`: {first_line}", failure.unit);
        if self.row == 0 {
            self.since = failure.now;
        } else if self.last_unit == Some(failure.unit) || failure.started < self.counted {
            return;
        }
        self.row += 1;
        self.last_unit = Some(failure.unit);
        self.counted = failure.now;
        self.excluded = failure.others_succeed && self.row >= EXCLUDED_AFTER;
        self.rests_until = self.rest_millis(failure).map(|rest| failure.now.plus_millis(rest));
    }

    fn rest_millis(&self, failure: &FailureOnWorker<'_>) -> Option<u64> {
        if self.excluded {
            let doublings = (self.row - EXCLUDED_AFTER).min(16);
            return Some((FIRST_EXCLUSION_MILLIS << doublings).min(LONGEST_EXCLUSION_MILLIS));
        }
        // Waiting helps no program that fails everywhere.
        let may_heal = failure.others_succeed
            || !matches!(failure.class, Some(FailureClass::Program | FailureClass::Defect));
        let seed = u64::from(failure.worker_id);
        (self.row >= 2 && may_heal).then(|| wait_millis(self.row - 1, seed))
    }

    /// Whether the worker gets no unit now.
    pub(crate) fn rests(&self, now: Timestamp) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Ends the rest after a fault that hit everybody: somebody succeeds again.
    pub(crate) fn wake(&mut self) {
        if !self.excluded {
            self.rests_until = None;
            self.row = self.row.min(1);
        }
    }

    /// Returns why the worker gets no units, for people.
    pub(crate) fn exclusion(&self) -> Option<String> {
        self.excluded.then(|| {
            format!(
                "{} units in a row failed on it while others succeed, the last being {}",
                self.row, self.cause
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use thresher_domain::Stage;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn fail(trouble: &mut Trouble, ordinal: u32, started: u64, now: u64, others_succeed: bool) {
        trouble.add(&FailureOnWorker {
            now: at(now),
            worker_id: 1,
            unit: UnitKey::new(Stage::Prepare, ordinal),
            started: at(started),
            class: Some(FailureClass::Node),
            error: "no such file\nhint: look",
            others_succeed,
        });
    }

    #[test]
    fn one_unit_that_fails_again_and_again_and_attempts_at_the_same_time_count_once() {
        let mut trouble = Trouble::default();
        fail(&mut trouble, 0, 0, 10, true);
        fail(&mut trouble, 0, 20, 30, true);
        fail(&mut trouble, 1, 0, 31, true);
        assert_eq!((trouble.row, trouble.rests(at(31))), (1, false));
        fail(&mut trouble, 2, 31, 40, true);
        assert_eq!((trouble.row, trouble.rests(at(41))), (2, true));
    }

    #[test]
    fn a_worker_on_which_all_units_fail_is_excluded_only_if_others_succeed() {
        for (others_succeed, rests) in [(true, 60_000), (false, 1000)] {
            let mut trouble = Trouble::default();
            for ordinal in 0..3 {
                let now = u64::from(ordinal) * 10;
                fail(&mut trouble, ordinal, now, now, others_succeed);
            }
            assert_eq!(trouble.excluded, others_succeed);
            let until = trouble.rests_until.unwrap().millis();
            assert!((rests / 2..=rests + 20).contains(&until), "{until}");
            trouble.wake();
            assert_eq!(trouble.rests(at(21)), others_succeed);
        }
    }

    #[test]
    fn an_exclusion_names_the_cause_in_one_line() {
        let mut trouble = Trouble::default();
        (0..4).for_each(|n| fail(&mut trouble, n, 10 * u64::from(n), 10 * u64::from(n), true));
        let expected = "4 units in a row failed on it while others succeed, the last being \
                        `prepare/3`: no such file";
        assert_eq!(trouble.exclusion().unwrap(), expected);
    }
}
