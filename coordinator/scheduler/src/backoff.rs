//! Units that wait some time before they are tried again, and how long.
//!
//! The time doubles with every failure, so that a storage that is away is not hurried, and differs
//! between units, so that they do not all come back at once. Invariant: it is computed from the
//! unit alone, so that every replay waits as long.

use std::collections::{BTreeMap, BTreeSet};

use thresher_domain::{SplitMix64, Timestamp};

/// The shortest wait after a first failure, before jitter.
const FIRST_MILLIS: u64 = 500;
/// The longest wait, before jitter.
const LONGEST_MILLIS: u64 = 60_000;

/// Returns how long to wait after the `failures`-th failure in a row: between half of a time that
/// doubles and all of it, as decided by the seed.
pub(crate) fn wait_millis(failures: u32, seed: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = (FIRST_MILLIS << doublings).min(LONGEST_MILLIS);
    let half = whole / 2;
    half + SplitMix64::new(seed ^ u64::from(failures)).next_u64() % (half + 1)
}

/// Waiting units of one stage with the time before which they are not leased.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    by_ordinal: BTreeMap<u32, Timestamp>,
    by_time: BTreeSet<(Timestamp, u32)>,
}

impl Backoff {
    pub(crate) fn insert(&mut self, ordinal: u32, not_before: Timestamp) {
        self.remove(ordinal);
        self.by_ordinal.insert(ordinal, not_before);
        self.by_time.insert((not_before, ordinal));
    }

    /// Removes a unit. Returns whether it was here.
    pub(crate) fn remove(&mut self, ordinal: u32) -> bool {
        let Some(not_before) = self.by_ordinal.remove(&ordinal) else { return false };
        self.by_time.remove(&(not_before, ordinal))
    }

    /// Returns the units that may be leased now, those first that have waited for longest.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = u32> {
        self.by_time.range(..=(now, u32::MAX)).map(|(_, ordinal)| *ordinal)
    }

    /// Returns when the next unit may be leased that may not be yet.
    pub(crate) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.by_time.range((now.plus_millis(1), 0)..).next().map(|(time, _)| *time)
    }

    /// Returns the units that are here, due or not.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> {
        self.by_time.iter().map(|(_, ordinal)| *ordinal)
    }

    /// Returns the number of units that are here.
    pub(crate) fn len(&self) -> u32 {
        self.by_ordinal.len() as u32
    }

    /// Removes and returns all units.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = u32> + use<> {
        self.by_time.clear();
        std::mem::take(&mut self.by_ordinal).into_keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_differs_between_units() {
        let waits: Vec<u64> = (1..12).map(|failures| wait_millis(failures, 7)).collect();
        for (failures, wait) in waits.iter().enumerate() {
            let whole = (FIRST_MILLIS << failures).min(LONGEST_MILLIS);
            assert!((whole / 2..=whole).contains(wait), "{failures}: {wait}");
        }
        assert_eq!(waits, (1..12).map(|failures| wait_millis(failures, 7)).collect::<Vec<_>>());
        let others: Vec<u64> = (0..20).map(|seed| wait_millis(6, seed)).collect();
        assert!(others.iter().any(|wait| wait.abs_diff(others[0]) > 1000), "{others:?}");
        assert!(wait_millis(u32::MAX, u64::MAX) <= LONGEST_MILLIS);
    }

    #[test]
    fn a_unit_is_due_at_its_time_and_not_before() {
        let at = Timestamp::from_millis;
        let mut backoff = Backoff::default();
        backoff.insert(3, at(50));
        backoff.insert(1, at(70));
        backoff.insert(3, at(60));
        assert_eq!(backoff.due(at(59)).count(), 0);
        assert_eq!(backoff.next_due(at(59)), Some(at(60)));
        assert_eq!(backoff.due(at(60)).collect::<Vec<_>>(), [3]);
        assert_eq!(backoff.next_due(at(60)), Some(at(70)));
        assert!(backoff.remove(3) && !backoff.remove(3));
        assert_eq!(backoff.all().collect::<Vec<_>>(), [1]);
        assert_eq!(backoff.take().collect::<Vec<_>>(), [1]);
        assert_eq!(backoff, Backoff::default());
    }
}
