//! What fits into the rest of the allocation. It reads the state and decides nothing.

use thresher_domain::{AttemptRef, Lease, Stage, Timestamp, UnitKey};

use crate::units::Units;
use crate::walltime::Walltime;

/// Number of waiting units that are examined for one that fits, if those before it do not.
pub(crate) const MAX_EXAMINED: usize = 512;

/// How much later than now a unit may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartWindow {
    /// No end of the allocation is known.
    Unlimited,
    /// It must start within this time.
    Millis(u64),
}

/// The units, as of a moment in an allocation.
#[derive(Clone, Copy)]
pub(crate) struct Forecast<'a> {
    pub(crate) now: Timestamp,
    pub(crate) walltime: Option<Walltime>,
    pub(crate) units: &'a Units,
}

impl Forecast<'_> {
    /// Returns a duration that the unit rarely exceeds, once units of its stage are done.
    pub(crate) fn upper_bound_millis(&self, key: UnitKey) -> Option<u64> {
        let durations = &self.units.table(key.stage).durations;
        durations.upper_bound_millis(self.units.cost_bytes(key))
    }

    /// Returns how much later the unit may start, or `None` if it must not start at all.
    pub(crate) fn start_window(&self, key: UnitKey) -> Option<StartWindow> {
        let Some(walltime) = &self.walltime else { return Some(StartWindow::Unlimited) };
        let predicted = self.upper_bound_millis(key);
        walltime.start_window_millis(self.now, predicted).map(StartWindow::Millis)
    }

    /// Whether the unit may start now.
    pub(crate) fn fits(&self, key: UnitKey) -> bool {
        self.start_window(key).is_some()
    }

    /// Returns the first waiting unit that can end within the allocation, of a limited number that
    /// are examined.
    pub(crate) fn next_fitting(&self, stage: Stage) -> Option<UnitKey> {
        let waiting = self.units.table(stage).waiting().take(MAX_EXAMINED);
        waiting.map(|ordinal| UnitKey { stage, ordinal }).find(|key| self.fits(*key))
    }

    /// Returns a waiting unit of the stage that fits, however many must be examined.
    pub(crate) fn any_fitting(&self, stage: Stage) -> Option<UnitKey> {
        let table = self.units.table(stage);
        let mut waiting = table.waiting().chain(table.next_suspect());
        let ordinal = waiting.find(|ordinal| self.fits(UnitKey { stage, ordinal: *ordinal }))?;
        Some(UnitKey { stage, ordinal })
    }

    /// Returns what a worker is sent for an attempt that it was just leased. A rank that it starts
    /// has this memory for keys.
    pub(crate) fn lease(&self, unit: AttemptRef, key_memory_bytes: u64) -> Lease {
        let start_within_millis = match self.start_window(unit.key) {
            None | Some(StartWindow::Unlimited) => None,
            Some(StartWindow::Millis(millis)) => Some(u32::try_from(millis).unwrap_or(u32::MAX)),
        };
        Lease {
            unit,
            payload: self.units.payload(unit.key, key_memory_bytes),
            cost_bytes: self.units.cost_bytes(unit.key),
            start_within_millis,
        }
    }
}
