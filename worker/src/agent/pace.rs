//! How many units a worker holds in advance, and how long it collects reports for one call: a call
//! costs the coordinator more than a short unit costs the worker.
//!
//! **Invariant:** no slot waits because reports are collected.

use std::time::Duration;

/// How long reports are collected for one call while every slot has work.
pub(super) const GROUPING: Duration = Duration::from_millis(5);
/// Work that is held in advance, as time of one slot.
const AHEAD_MILLIS: u64 = 10;
/// Most units that are held in advance for a slot.
const MAX_AHEAD: u64 = 16;
/// Part of the newest unit in the average.
const NEWEST_PART: u64 = 8;

/// The pace of recent units.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Average wall time in microseconds; `None` before the first unit.
    average_micros: Option<u64>,
}

impl Pace {
    /// Adds the wall time of a unit that ended.
    pub(super) fn add(&mut self, wall_millis: u64) {
        let micros = wall_millis.saturating_mul(1000);
        let average = self.average_micros.unwrap_or(micros);
        self.average_micros = Some(average - average / NEWEST_PART + micros / NEWEST_PART);
    }

    /// Returns how many units a worker holds, running and waiting: half a unit more than a slot
    /// runs, or as many as it runs within moments.
    pub(super) fn room(&self, slots: usize) -> usize {
        let short = self.average_micros.map_or(0, |average| {
            (AHEAD_MILLIS * 1000).checked_div(average).unwrap_or(MAX_AHEAD).min(MAX_AHEAD)
        });
        slots + slots.div_ceil(2).max(slots * short as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_moments_are_held_in_advance_and_long_ones_are_not() {
        let mut pace = Pace::default();
        assert_eq!((pace.room(1), pace.room(8)), (2, 12), "nothing is known yet");
        (0..100).for_each(|_| pace.add(0));
        assert_eq!((pace.room(1), pace.room(8)), (17, 136));
        (0..100).for_each(|_| pace.add(5));
        assert_eq!(pace.room(8), 24, "two of 5 ms for each slot");
        pace.add(60_000);
        assert_eq!(pace.room(8), 12, "one long unit is enough");
        (0..100).for_each(|_| pace.add(60_000));
        assert_eq!(pace.room(8), 12);
        pace.add(u64::MAX);
        assert_eq!(pace.room(8), 12);
    }
}
