//! What follows from the loss of a worker: the units that it held wait again. A unit that may have
//! killed it is watched, and fails permanently when it does so alone too often.

use thresher_domain::AttemptRef;

use crate::failed_units::FailedUnits;
use crate::failure_history::FailedAttempt;
use crate::unit::bounded;
use crate::workers::Worker;

/// A worker that was removed.
pub(crate) struct LostWorker<'a> {
    pub(crate) worker_id: u32,
    pub(crate) worker: Worker,
    /// The worker in words.
    pub(crate) description: String,
    pub(crate) reason: &'a str,
}

/// Ends the attempts of lost workers.
pub(crate) struct Losing<'a> {
    pub(crate) crash_limit: u32,
    /// Whether losses count against units at the moment.
    pub(crate) blames_units: bool,
    pub(crate) failed_units: FailedUnits<'a>,
}

impl Losing<'_> {
    pub(crate) fn lose(&mut self, lost: &LostWorker<'_>) {
        let blames_units = self.blames_units && lost.worker.attached && !lost.worker.leaving;
        for key in lost.worker.held.iter().copied() {
            let units = &mut self.failed_units.attempts.units;
            let Some(running) = units.running_on(key, lost.worker_id) else { continue };
            let unit = key.attempt(running.attempt);
            units.table_mut(key.stage).retries += 1;
            if blames_units && self.is_killer(unit, lost) {
                let error = format!(
                    "{} workers were lost while they ran nothing but this unit, the last being \
                     {}: {}",
                    self.crash_limit,
                    lost.description,
                    bounded(lost.reason)
                );
                self.failed_units.fail_permanently(key, error);
            } else {
                self.failed_units.attempts.end(unit);
            }
        }
    }

    /// Counts the loss against the unit. Returns whether it must not be tried again.
    fn is_killer(&mut self, unit: AttemptRef, lost: &LostWorker<'_>) -> bool {
        let history = self.failed_units.attempts.units.history_mut(unit.key);
        history.crash(unit.attempt);
        let error = format!("{} was lost: {}", lost.description, bounded(lost.reason));
        let host = lost.worker.host.clone();
        history.remember(FailedAttempt { attempt: unit.attempt, class: None, host, error });
        history.crashes_alone >= self.crash_limit
    }
}
