//! Which worker gets which unit: batches in order; gang units and suspects one at a time, to idle
//! workers; speculative attempts if nothing else waits.
//!
//! Invariant: a unit is leased only in the first stage that is not over.

use thresher_domain::{AttemptRef, Lease, Stage, Timestamp, UnitKey};

use crate::attempts::Attempts;
use crate::forecast::{Forecast, MAX_EXAMINED};
use crate::key_world::KeyWorld;
use crate::plan::Limits;
use crate::speculation::Speculation;
use crate::walltime::Walltime;
use crate::workers::Worker;

/// Number of leases in one answer, whatever the worker wants; it asks again.
const MAX_LEASES: u32 = 4096;

/// A worker that asks for units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseRequest {
    pub(crate) worker_id: u32,
    pub(crate) want: u32,
    /// Whether it runs nothing at all.
    pub(crate) idle: bool,
}

/// Leases units of a job that runs.
pub(crate) struct Leasing<'a> {
    pub(crate) now: Timestamp,
    pub(crate) limits: &'a Limits,
    pub(crate) walltime: Option<Walltime>,
    pub(crate) attempts: Attempts<'a>,
}

impl Leasing<'_> {
    /// Leases what the worker may run now.
    pub(crate) fn lease(&mut self, request: LeaseRequest) -> Vec<Lease> {
        if request.want == 0 {
            return Vec::new();
        }
        let Some(stage) = self.attempts.units.current_stage() else { return Vec::new() };
        let Some(worker) = self.attempts.workers.get(request.worker_id) else { return Vec::new() };
        if worker.held.iter().any(|key| self.attempts.units.runs_alone(*key)) {
            return Vec::new();
        }
        if worker.trouble.rests(self.now) {
            return Vec::new();
        }
        // After failures one unit at a time shows whether the next succeeds.
        let on_trial = match worker.trouble.row {
            0 => MAX_LEASES,
            1 => 1,
            _ => u32::from(worker.held.is_empty()),
        };
        let alone = self.may_run_alone(request, worker, stage);
        if alone && let Some(suspect) = self.fitting_suspect(request.worker_id, stage) {
            return vec![self.start(suspect, request.worker_id)];
        }
        let most = match (stage.is_gang(), alone) {
            (true, true) => 1,
            (true, false) => 0,
            (false, _) => request.want.min(on_trial),
        };
        let leases = self.lease_batch(request.worker_id, stage, most);
        if leases.is_empty() { self.lease_speculative(request, stage) } else { leases }
    }

    /// Whether the worker could run a unit of the stage beside which nothing else may run.
    fn may_run_alone(&self, request: LeaseRequest, worker: &Worker, stage: Stage) -> bool {
        let is_idle = request.idle && worker.held.is_empty();
        is_idle && (!stage.is_gang() || self.attempts.workers.may_lead_gang(request.worker_id))
    }

    fn fitting_suspect(&self, worker_id: u32, stage: Stage) -> Option<UnitKey> {
        let ordinal = self.attempts.units.table(stage).next_suspect()?;
        let suspect = UnitKey { stage, ordinal };
        let may_run = !self.rather_elsewhere(suspect, worker_id) && self.forecast().fits(suspect);
        may_run.then_some(suspect)
    }

    fn lease_batch(&mut self, worker_id: u32, stage: Stage, most: u32) -> Vec<Lease> {
        let waiting = self.attempts.units.table(stage).tally.waiting;
        let mut leases = Vec::with_capacity(most.min(waiting) as usize);
        while leases.len() < most as usize
            && let Some(fitting) = self.next_for(worker_id, stage)
        {
            leases.push(self.start(fitting, worker_id));
        }
        leases
    }

    /// Returns the first unit that the worker may run now, of a limited number that are examined.
    fn next_for(&self, worker_id: u32, stage: Stage) -> Option<UnitKey> {
        let leasable = self.attempts.units.table(stage).leasable(self.now).take(MAX_EXAMINED);
        let mut leasable = leasable.map(|ordinal| UnitKey { stage, ordinal });
        leasable.find(|key| !self.rather_elsewhere(*key, worker_id) && self.forecast().fits(*key))
    }

    /// Whether the unit failed here and should run elsewhere. After the time of a lease it may run
    /// here again: the others may be busy, or about to be lost.
    fn rather_elsewhere(&self, key: UnitKey, worker_id: u32) -> bool {
        let Some(history) = self.attempts.units.history(key) else { return false };
        let Some(last) = history.failed_on.last() else { return false };
        let since = history.not_before.unwrap_or(last.at);
        let waits_until = since.plus_millis(self.limits.lease_millis.into());
        self.now < waits_until
            && self.attempts.workers.rather_elsewhere(worker_id, &history.failed_on, self.now)
    }

    fn lease_speculative(&mut self, request: LeaseRequest, stage: Stage) -> Vec<Lease> {
        let speculation = Speculation {
            forecast: self.forecast(),
            workers: self.attempts.workers,
            heartbeat_millis: self.limits.heartbeat_millis.into(),
        };
        let slow = speculation.slow_units(request.worker_id, request.want, stage);
        let leases = slow.into_iter().map(|key| {
            let unit = self.attempts.start_speculative(self.now, key, request.worker_id);
            self.describe(unit, request.worker_id)
        });
        leases.collect()
    }

    fn start(&mut self, key: UnitKey, worker_id: u32) -> Lease {
        let unit = self.attempts.start(self.now, key, worker_id);
        self.describe(unit, worker_id)
    }

    fn describe(&self, unit: AttemptRef, worker_id: u32) -> Lease {
        let worker = self.attempts.workers.get(worker_id);
        let key_memory = worker.map_or(KeyWorld::UNKNOWN, |worker| worker.key_world);
        self.forecast().lease(unit, key_memory.with(self.limits).bytes_per_rank)
    }

    fn forecast(&self) -> Forecast<'_> {
        Forecast { now: self.now, walltime: self.walltime, units: self.attempts.units }
    }
}
