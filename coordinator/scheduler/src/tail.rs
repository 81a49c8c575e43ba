//! Whether what still runs is worth the nodes that stand idle for it, when nothing more can begin
//! in this allocation.
//!
//! Waiting for a unit costs the idle slots for as long as it takes; not waiting costs what was put
//! into it, for it runs again. On a few nodes one waits; thousands are given back to the site
//! rather than kept for a handful of slow units.
//!
//! It decides nothing: `drain.rs` asks. Invariant: gang units are waited for, since they take all
//! nodes.

use thresher_domain::UnitKey;

use crate::job::Job;
use crate::worker::Workers;
use crate::{Timestamp, horizon::Horizon};

/// With fewer idle slots for each that works, one waits without counting.
const IDLE_PER_BUSY: u64 = 3;

impl Job {
    /// Whether the allocation is over but for what runs: it is too late to begin anything, or
    /// nothing that waits fits.
    pub(crate) fn is_tail(&self, now: Timestamp, horizon: &Horizon) -> bool {
        if now >= horizon.stops() {
            return true;
        }
        let Some(stage) = self.current_stage() else { return false };
        // The units that are looked at when somebody asks for one: none of them goes out. Where
        // none waits, the next stage may have some that fit.
        self.stage(stage).tally.waiting > 0 && self.next_fitting(now, stage).is_none()
    }

    /// Whether some of what runs will have ended before the idle slots have cost more than it.
    pub(crate) fn is_worth_waiting(&self, now: Timestamp, workers: &Workers) -> bool {
        let Some(stage) = self.current_stage() else { return true };
        let busy = u64::from(self.leased());
        let idle = workers.slots().saturating_sub(busy);
        if stage.is_gang() || busy.saturating_mul(IDLE_PER_BUSY) >= idle {
            return true;
        }
        let units = self.stage(stage).longest().map(|ordinal| UnitKey { stage, ordinal });
        let mut ends: Vec<(u64, u64)> = units.filter_map(|key| self.left_of(now, key)).collect();
        ends.sort_unstable();
        let mut saved = 0_u64;
        ends.iter().any(|(left, spent)| {
            saved = saved.saturating_add(*spent);
            saved >= idle.saturating_mul(*left)
        })
    }

    /// How much longer a running unit will hardly take, and what was put into it. One that is late
    /// is taken to need as long again.
    fn left_of(&self, now: Timestamp, key: UnitKey) -> Option<(u64, u64)> {
        let spent = now.millis_since(self.running(key).map(|copy| copy.since).min()?);
        let left = self.predict_millis(key).and_then(|whole| whole.checked_sub(spent));
        Some((left.unwrap_or(spent), spent))
    }
}
