//! Which units a worker must return, because they cannot end in the time that is left.

use thresher_domain::{AttemptRef, Timestamp, UnitKey};

use crate::forecast::Forecast;
use crate::lifecycle::Phase;
use crate::running::RunningAttempt;
use crate::workers::Workers;

/// Chooses the units to return. It reads the state and changes nothing.
pub(crate) struct Returning<'a> {
    pub(crate) phase: &'a Phase,
    pub(crate) forecast: Forecast<'a>,
    pub(crate) workers: &'a Workers,
}

impl Returning<'_> {
    /// Returns the attempts that the worker holds and cannot finish in time. `leaves_within_millis`
    /// is the time after which the worker itself exits; 0 if it stays.
    pub(crate) fn units_to_return(
        &self,
        worker_id: u32,
        leaves_within_millis: u32,
    ) -> Vec<AttemptRef> {
        let now = self.forecast.now;
        let drain_ends = match self.phase {
            Phase::Draining { until } => *until,
            Phase::Drained => Some(now),
            Phase::Running | Phase::Over { .. } => None,
        };
        let leaves = u64::from(leaves_within_millis);
        let leaves = (leaves > 0).then(|| now.plus_millis(leaves));
        let Some(until) = drain_ends.into_iter().chain(leaves).min() else { return Vec::new() };
        let Some(worker) = self.workers.get(worker_id) else { return Vec::new() };
        let units = self.forecast.units;
        let held = worker.held.iter();
        let running = held.filter_map(|key| Some((*key, units.running_on(*key, worker_id)?)));
        let late = running.filter(|(key, one)| until <= now || self.ends_after(*key, one, until));
        late.map(|(key, one)| key.attempt(one.attempt)).collect()
    }

    /// Whether an attempt is predicted to end after `until`. It started later than it was leased if
    /// others ran before it.
    fn ends_after(&self, key: UnitKey, running: &RunningAttempt, until: Timestamp) -> bool {
        let predicted = self.forecast.upper_bound_millis(key);
        predicted.is_some_and(|millis| running.since.plus_millis(millis) > until)
    }
}
