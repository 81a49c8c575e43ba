//! Speculative attempts: a second attempt of a straggler near a stage's end, by slots that would
//! otherwise be idle.
//!
//! ```text
//!  leased ── much slower than predicted, nothing waits, a slot is idle ──▶ two attempts
//!  two attempts ── a result of either ──▶ done; the other's result is compared with it
//!               ── one fails, is returned or lost ──▶ leased, to the other
//! ```
//! It reads the state and only names the units. Invariant: a unit has at most two running
//! attempts, on two workers; gang units and suspects have one.

use thresher_domain::{Stage, UnitKey};

use crate::forecast::Forecast;
use crate::workers::Workers;

/// A unit is slow if it takes this many times the duration that it should rarely exceed.
const SLOW_FACTOR: u64 = 2;
/// Number of running units that are examined for slow ones, longest running first.
const MAX_EXAMINED: usize = 256;

/// Chooses the units that get a speculative attempt.
pub(crate) struct Speculation<'a> {
    pub(crate) forecast: Forecast<'a>,
    pub(crate) workers: &'a Workers,
    pub(crate) heartbeat_millis: u64,
}

impl Speculation<'_> {
    /// Returns the units that a worker with idle slots should also run, at most as many as it
    /// wants.
    pub(crate) fn slow_units(&self, worker_id: u32, want: u32, stage: Stage) -> Vec<UnitKey> {
        let Some(worker) = self.workers.get(worker_id) else { return Vec::new() };
        let table = self.forecast.units.table(stage);
        if stage.is_gang() || table.tally.waiting > 0 || table.tally.leased == 0 {
            return Vec::new();
        }
        let idle = (worker.slots as usize).saturating_sub(worker.held.len());
        let longest_running = table.leased().take(MAX_EXAMINED);
        longest_running
            .map(|ordinal| UnitKey { stage, ordinal })
            .filter(|key| self.is_slow(*key, worker_id))
            .take(idle.min(want as usize))
            .collect()
    }

    fn is_slow(&self, key: UnitKey, worker_id: u32) -> bool {
        let Forecast { now, units, .. } = self.forecast;
        let mut running = units.running(key);
        let (Some(first), None) = (running.next(), running.next()) else { return false };
        let Some(predicted) = self.forecast.upper_bound_millis(key) else { return false };
        let slow = predicted.saturating_mul(SLOW_FACTOR).saturating_add(self.heartbeat_millis);
        first.worker_id != worker_id
            && now.millis_since(first.since) >= slow
            && !units.is_suspect(key)
            && self.forecast.fits(key)
    }
}
