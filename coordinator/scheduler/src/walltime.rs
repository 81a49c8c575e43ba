//! The walltime of the allocation, and what still fits into it.
//!
//! ```text
//!  opened ────────────────────────── leasing_stops ──── work_stops ──── ends
//!          units that fit are leased       │  drains       │  nothing runs
//!                                          └──── margin ───┴──────────────┘
//! ```
//! Invariant: a unit that starts within its window was predicted to end before `leasing_stops`, or
//! takes longer than any allocation like this one and starts early in it.

use thresher_domain::{AllocationEnd, Timestamp};

/// A unit that takes longer than the whole allocation may start in its first quarter: the
/// prediction may be wrong, and the unit would otherwise never run.
const EARLY_PART: u64 = 4;

/// The end of the allocation around the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walltime {
    opened: Timestamp,
    ends: Timestamp,
    margin_millis: u64,
}

impl Walltime {
    /// Returns the walltime, if the end of the allocation is known.
    pub(crate) fn of(now: Timestamp, allocation: &AllocationEnd) -> Option<Self> {
        let margin_millis = allocation.margin_millis.into();
        allocation.ends.map(|ends| Self { opened: now, ends, margin_millis })
    }

    /// Returns when units are no longer leased.
    pub(crate) fn leasing_stops(&self) -> Timestamp {
        self.before_end(self.margin_millis)
    }

    /// Returns when running units must have ended.
    pub(crate) fn work_stops(&self) -> Timestamp {
        self.before_end(self.margin_millis / 2)
    }

    /// Returns how many milliseconds later a unit may start and still end in time, or `None` if it
    /// must not start at all. A unit of unknown duration is assumed to need a margin.
    pub(crate) fn start_window_millis(
        &self,
        now: Timestamp,
        predicted: Option<u64>,
    ) -> Option<u64> {
        let stops = self.leasing_stops();
        let (left, whole) = (stops.millis_since(now), stops.millis_since(self.opened));
        let needed = predicted.unwrap_or(self.margin_millis);
        if let Some(slack) = left.checked_sub(needed).filter(|_| left > 0) {
            return Some(slack);
        }
        let elapsed = now.millis_since(self.opened);
        (needed > whole).then(|| (whole / EARLY_PART).checked_sub(elapsed + 1)).flatten()
    }

    fn before_end(&self, millis: u64) -> Timestamp {
        self.ends.minus_millis(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walltime() -> Walltime {
        let ends = Some(Timestamp::from_millis(11_000));
        let allocation = AllocationEnd { ends, margin_millis: 1000, ..AllocationEnd::default() };
        Walltime::of(Timestamp::default(), &allocation).unwrap()
    }

    fn window(now: u64, predicted: Option<u64>) -> Option<u64> {
        walltime().start_window_millis(Timestamp::from_millis(now), predicted)
    }

    #[test]
    fn a_unit_fits_to_the_millisecond() {
        assert_eq!(window(6000, Some(4000)), Some(0));
        assert_eq!(window(6001, Some(4000)), None);
        assert_eq!(window(6000, Some(1500)), Some(2500));
        assert_eq!(window(10_000, Some(0)), None, "nothing starts in the margin");
    }

    #[test]
    fn a_unit_of_unknown_duration_is_assumed_to_need_a_margin() {
        assert_eq!(window(8500, None), Some(500));
        assert_eq!(window(9001, None), None);
    }

    #[test]
    fn a_unit_longer_than_the_allocation_may_start_early_in_it() {
        assert_eq!(window(0, Some(10_001)), Some(2499));
        assert_eq!(window(2499, Some(10_001)), Some(0));
        assert_eq!(window(2500, Some(10_001)), None);
        assert_eq!(window(1, Some(10_000)), None, "that would fit into the next one");
    }
}
