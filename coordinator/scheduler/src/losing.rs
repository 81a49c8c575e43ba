//! What follows from the loss of a worker: the units that it held wait again. A unit that may have
//! killed it is watched, and fails permanently when it does so alone too often.

use thresher_domain::AttemptRef;

use crate::attempts::Attempts;
use crate::failed_units::FailedUnits;
use crate::failure_history::{FailedAttempt, FailedPlace};
use crate::trouble::FailureOnWorker;
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
        if blames_units {
            self.blame_host(lost);
        }
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
                self.failed_units.fail_permanently(unit, error);
            } else {
                self.failed_units.attempts.end(unit);
            }
        }
    }

    /// Counts the loss for the worker that takes this one's place: perhaps its host kills them.
    fn blame_host(&mut self, lost: &LostWorker<'_>) {
        let Some(unit) = lost.worker.held.first().copied() else { return };
        let now = self.failed_units.draining.now;
        let workers = &mut self.failed_units.attempts.workers;
        let others_succeed = workers.others_succeed(lost.worker_id, &lost.worker.trouble, now);
        workers.blame_lost(&FailureOnWorker {
            now,
            worker_id: lost.worker_id,
            unit,
            started: now,
            class: None,
            error: &format!("{} was lost: {}", lost.description, bounded(lost.reason)),
            others_succeed,
        });
    }

    /// Counts the loss against the unit. Returns whether it must not be tried again: it took enough
    /// workers with it, on two hosts if there are two.
    fn is_killer(&mut self, unit: AttemptRef, lost: &LostWorker<'_>) -> bool {
        let now = self.failed_units.draining.now;
        let Attempts { units, workers } = &mut self.failed_units.attempts;
        let history = units.history_mut(unit.key);
        history.crash(unit.attempt);
        let host = lost.worker.host.clone();
        history.crash_on(FailedPlace {
            worker_id: lost.worker_id,
            host: host.clone(),
            at: now,
            was_sound: lost.worker.is_sound(),
        });
        let error = format!("{} was lost: {}", lost.description, bounded(lost.reason));
        history.remember(FailedAttempt { attempt: unit.attempt, class: None, host, error });
        history.crashes_alone >= self.crash_limit && history.hosts() >= workers.hosts().min(2)
    }
}
