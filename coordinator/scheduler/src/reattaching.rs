//! Workers that come back: what they say they hold is compared with what they were leased.

use thresher_domain::{AttemptRef, Timestamp, UnitKey};

use crate::attempts::Attempts;
use crate::running::RunningAttempt;
use crate::unit::UnitState;

/// Makes the leases of one worker match what it holds.
pub(crate) struct Reattaching<'a> {
    pub(crate) now: Timestamp,
    pub(crate) worker_id: u32,
    pub(crate) attempts: Attempts<'a>,
}

impl Reattaching<'_> {
    /// Gives the worker what it says it holds: units that wait since their lease ended, or that are
    /// leased to an earlier registration of the same process. Returns whether anything changed.
    pub(crate) fn adopt(&mut self, held: &[AttemptRef]) -> bool {
        let mut adopted = false;
        for unit in held {
            adopted |= self.adopt_one(*unit);
        }
        adopted
    }

    fn adopt_one(&mut self, unit: AttemptRef) -> bool {
        let units = &self.attempts.units;
        if !units.contains(unit.key)
            || units.is_of_earlier_plan(unit)
            || units.is_stale(unit)
            || units.has_failed(unit)
        {
            return false;
        }
        match units.state(unit.key) {
            // An older attempt may end as it likes: its result counts, its failure does not.
            UnitState::Waiting if units.newest(unit.key) == unit => {
                self.attempts.resume(self.now, unit, self.worker_id);
                true
            }
            UnitState::Leased { .. } => match self.of_same_process(unit) {
                Some(earlier) => {
                    self.attempts.transfer(unit.key, earlier, self.worker_id);
                    true
                }
                None => false,
            },
            UnitState::Waiting
            | UnitState::Done { .. }
            | UnitState::Failed
            | UnitState::Skipped => false,
        }
    }

    /// Returns the running attempt if an earlier registration of the worker's process holds it. One
    /// process never runs both attempts of a unit.
    fn of_same_process(&self, unit: AttemptRef) -> Option<RunningAttempt> {
        let Attempts { units, workers } = &self.attempts;
        let said = units.running(unit.key).find(|one| one.attempt == unit.attempt);
        said.filter(|one| {
            one.worker_id != self.worker_id
                && workers.are_one_process(one.worker_id, self.worker_id)
                && units.running_on(unit.key, self.worker_id).is_none()
        })
    }

    /// Takes back what was leased to the worker and it does not hold, because the answer was lost.
    /// Returns whether anything changed.
    pub(crate) fn take_back(&mut self, held: &[AttemptRef]) -> bool {
        let Attempts { units, workers } = &self.attempts;
        let Some(worker) = workers.get(self.worker_id) else { return false };
        let mut said = held.to_vec();
        said.sort_unstable();
        let is_held = |key: UnitKey| {
            let running = units.running_on(key, self.worker_id);
            running.is_some_and(|one| said.binary_search(&key.attempt(one.attempt)).is_ok())
        };
        let lost: Vec<UnitKey> = worker.held.iter().copied().filter(|key| !is_held(*key)).collect();
        for key in &lost {
            self.attempts.end_on(*key, self.worker_id);
        }
        !lost.is_empty()
    }
}
