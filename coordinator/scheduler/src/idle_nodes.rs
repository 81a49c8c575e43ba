//! The idle-node cutoff: whether the running units are worth the nodes that are idle meanwhile, if
//! nothing more can start in this allocation.
//!
//! Waiting for a unit costs the idle slots for as long as it takes. Not waiting costs the time that
//! was put into it, because it runs again. A few idle nodes wait; thousands are given back to the
//! site rather than kept for a handful of slow units.
//!
//! It reads the state and decides nothing; `deadlines.rs` asks. Invariant: gang units are waited
//! for, since they use all nodes.

use thresher_domain::UnitKey;

use crate::forecast::Forecast;
use crate::workers::Workers;

/// With fewer idle slots per busy one, running units are always waited for.
const IDLE_PER_BUSY: u64 = 3;

/// Compares what idle slots cost with what running units would lose.
#[derive(Clone, Copy)]
pub(crate) struct IdleNodes<'a> {
    pub(crate) forecast: Forecast<'a>,
    pub(crate) workers: &'a Workers,
}

impl IdleNodes<'_> {
    /// Whether the idle slots should be given back now, although units still run.
    pub(crate) fn is_cutoff(&self) -> bool {
        self.nothing_more_starts()
            && self.forecast.units.leased() > 0
            && !self.running_units_are_worth_waiting_for()
    }

    /// Whether it is too late to start any unit, or none of those examined fits.
    pub(crate) fn nothing_more_starts(&self) -> bool {
        let Forecast { now, walltime, units } = self.forecast;
        let Some(walltime) = walltime else { return false };
        if now >= walltime.leasing_stops() {
            return true;
        }
        let Some(stage) = units.current_stage() else { return false };
        // If no unit waits, the next stage may have some that fit.
        units.table(stage).tally.waiting > 0 && self.forecast.next_fitting(stage).is_none()
    }

    /// Whether some running units will have ended before the idle slots have cost more than they.
    fn running_units_are_worth_waiting_for(&self) -> bool {
        let units = self.forecast.units;
        let Some(stage) = units.current_stage() else { return true };
        let busy = u64::from(units.leased());
        let idle = self.workers.slots().saturating_sub(busy);
        if stage.is_gang() || busy.saturating_mul(IDLE_PER_BUSY) >= idle {
            return true;
        }
        let leased = units.table(stage).leased().map(|ordinal| UnitKey { stage, ordinal });
        let mut ends: Vec<RestOfUnit> = leased.filter_map(|key| self.rest_of(key)).collect();
        ends.sort_unstable();
        let mut saved = 0_u64;
        ends.iter().any(|rest| {
            saved = saved.saturating_add(rest.spent_millis);
            saved >= idle.saturating_mul(rest.left_millis)
        })
    }

    /// A unit that is late is assumed to need as long again.
    fn rest_of(&self, key: UnitKey) -> Option<RestOfUnit> {
        let Forecast { now, units, .. } = self.forecast;
        let spent_millis = now.millis_since(units.running(key).map(|one| one.since).min()?);
        let predicted = self.forecast.upper_bound_millis(key);
        let left_millis = predicted.and_then(|whole| whole.checked_sub(spent_millis));
        Some(RestOfUnit { left_millis: left_millis.unwrap_or(spent_millis), spent_millis })
    }
}

/// How much longer a unit runs at most, probably, and how long it has run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RestOfUnit {
    left_millis: u64,
    spent_millis: u64,
}
