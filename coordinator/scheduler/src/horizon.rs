//! When the allocation ends, and what still fits before that.
//!
//! ```text
//!  opened ─────────────────────────────────── stops ───── gives_up ───── ends
//!          units that fit are handed out       │  drains   │  nothing runs
//!                                              └── margin ─┴──────────────┘
//! ```
//! It knows no unit. Invariant: what is started with slack left was predicted to end before
//! `stops`, or is longer than any allocation like this one and begins early in it.

use thresher_domain::AllocationEnd;

use crate::Timestamp;

/// What is longer than the whole allocation is tried in its first quarter: it may have been
/// predicted wrongly, and would else never run.
const EARLY_PART: u64 = 4;

/// The end of the allocation around the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon {
    opened: Timestamp,
    ends: Timestamp,
    margin_millis: u64,
}

impl Horizon {
    /// None when nobody told the end.
    pub(crate) fn of(now: Timestamp, allocation: &AllocationEnd) -> Option<Self> {
        let margin_millis = allocation.margin_millis.into();
        allocation.ends.map(|ends| Self { opened: now, ends, margin_millis })
    }

    /// From when on nothing is handed out.
    pub(crate) fn stops(&self) -> Timestamp {
        self.before_end(self.margin_millis)
    }

    /// Until when running units may go on.
    pub(crate) fn gives_up(&self) -> Timestamp {
        self.before_end(self.margin_millis / 2)
    }

    /// How much later a unit may begin that takes so long, and still end in time; none when it
    /// must not begin. One of unknown length is taken to need a margin.
    pub(crate) fn slack_millis(&self, now: Timestamp, predicted: Option<u64>) -> Option<u64> {
        let stops = self.stops();
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

    fn horizon() -> Horizon {
        let ends = Some(Timestamp::from_millis(11_000));
        let allocation = AllocationEnd { ends, margin_millis: 1000, ..AllocationEnd::default() };
        Horizon::of(Timestamp::default(), &allocation).unwrap()
    }

    fn slack(now: u64, predicted: Option<u64>) -> Option<u64> {
        horizon().slack_millis(Timestamp::from_millis(now), predicted)
    }

    #[test]
    fn a_unit_fits_to_the_millisecond() {
        assert_eq!(slack(6000, Some(4000)), Some(0));
        assert_eq!(slack(6001, Some(4000)), None);
        assert_eq!(slack(6000, Some(1500)), Some(2500));
        assert_eq!(slack(10_000, Some(0)), None, "nothing begins in the margin");
    }

    #[test]
    fn a_unit_of_unknown_length_is_taken_to_need_a_margin() {
        assert_eq!(slack(8500, None), Some(500));
        assert_eq!(slack(9001, None), None);
    }

    #[test]
    fn what_is_longer_than_the_allocation_is_tried_at_its_beginning() {
        assert_eq!(slack(0, Some(10_001)), Some(2499));
        assert_eq!(slack(2499, Some(10_001)), Some(0));
        assert_eq!(slack(2500, Some(10_001)), None);
        assert_eq!(slack(1, Some(10_000)), None, "that would fit into the next one");
    }
}
