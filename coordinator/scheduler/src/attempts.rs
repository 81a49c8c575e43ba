//! Starts and ends of attempts.
//!
//! Invariant: a unit is in `held` of a worker exactly when an attempt of it runs there. Every start
//! and end goes through this handler, which changes the units and the workers together.

use thresher_domain::{AttemptRef, Timestamp, UnitKey};

use crate::running::RunningAttempt;
use crate::unit::Step;
use crate::units::Units;
use crate::workers::Workers;

/// The units and the workers that hold them.
pub(crate) struct Attempts<'a> {
    pub(crate) units: &'a mut Units,
    pub(crate) workers: &'a mut Workers,
}

impl Attempts<'_> {
    /// Returns the same handler for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Attempts<'_> {
        Attempts { units: self.units, workers: self.workers }
    }

    /// Leases a waiting unit under its next attempt.
    pub(crate) fn start(&mut self, now: Timestamp, key: UnitKey, worker_id: u32) -> AttemptRef {
        let attempt = self.units.table_mut(key.stage).lease(key.ordinal, worker_id, now);
        self.workers.hold(worker_id, key);
        key.attempt(attempt)
    }

    /// Leases a unit that one worker runs to a second one.
    pub(crate) fn start_speculative(
        &mut self,
        now: Timestamp,
        key: UnitKey,
        worker_id: u32,
    ) -> AttemptRef {
        let first = self.units.running(key).next();
        let first_attempt = first.map_or(self.units.newest(key).attempt, |first| first.attempt);
        let attempt = self.units.table_mut(key.stage).lease_again(key.ordinal);
        let second = RunningAttempt { worker_id, attempt, since: now };
        self.units.running.add_second(key, first_attempt, second);
        self.workers.hold(worker_id, key);
        key.attempt(attempt)
    }

    /// Resumes the newest attempt of a waiting unit, which a worker still runs.
    pub(crate) fn resume(&mut self, now: Timestamp, unit: AttemptRef, worker_id: u32) {
        self.units.survive(unit);
        self.units.step(unit.key, Step::Lease { worker_id, since: now });
        self.workers.hold(worker_id, unit.key);
    }

    /// Gives a running attempt to another registration of its process.
    pub(crate) fn transfer(&mut self, key: UnitKey, from: RunningAttempt, to: u32) {
        self.workers.release(from.worker_id, key);
        self.workers.hold(to, key);
        if !self.units.running.move_second(key, from.attempt, to) {
            self.units.step(key, Step::Lease { worker_id: to, since: from.since });
        }
    }

    /// Ends an attempt without a result. The unit waits again if no other attempt of it runs.
    pub(crate) fn end(&mut self, unit: AttemptRef) {
        let AttemptRef { key, attempt } = unit;
        let Some(ended) = self.units.running(key).find(|one| one.attempt == attempt) else {
            return;
        };
        let Some(left) = self.units.running(key).find(|one| one.attempt != attempt) else {
            return self.requeue(key);
        };
        self.workers.release(ended.worker_id, key);
        self.units.running.keep_only(key, left.attempt);
        self.units.step(key, Step::Lease { worker_id: left.worker_id, since: left.since });
    }

    /// Ends the attempt of the unit that this worker runs. Returns it.
    pub(crate) fn end_on(&mut self, key: UnitKey, worker_id: u32) -> Option<AttemptRef> {
        let unit = key.attempt(self.units.running_on(key, worker_id)?.attempt);
        self.end(unit);
        Some(unit)
    }

    /// Ends every attempt of a leased unit without a result; the unit waits again.
    pub(crate) fn requeue(&mut self, key: UnitKey) {
        self.release_all(key);
        self.units.requeue(key, Step::Release);
    }

    /// Takes the unit from the workers that it is leased to. Its state is changed by the caller.
    pub(crate) fn release_all(&mut self, key: UnitKey) {
        self.units.running(key).for_each(|one| self.workers.release(one.worker_id, key));
        self.units.running.forget(key);
    }

    /// Asks the workers of all other attempts to return a unit that is done.
    pub(crate) fn cancel_duplicates(&mut self, done: AttemptRef) {
        for one in self.units.running(done.key).filter(|one| one.attempt != done.attempt) {
            self.workers.cancel(one.worker_id, done.key.attempt(one.attempt));
        }
    }
}
