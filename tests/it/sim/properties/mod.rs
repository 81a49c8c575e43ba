//! What must hold in every world, one file per property. Each keeps its own model from the events
//! and effects alone, and compares the scheduler with it.

mod accounting;
pub(crate) mod deadlines;
mod done;
mod failed_units;
mod leases;
mod memory;
pub(crate) mod outcome;
mod stages;
mod walltime;

use thresher_domain::{AttemptRef, Report, Timestamp, UnitCondition, UnitKey};
use thresher_scheduler::{Effect, Event, Scheduler, SyncAnswer};

use super::truth::Truth;

/// One durable step.
pub(crate) struct Seen<'a> {
    pub(crate) now: Timestamp,
    pub(crate) event: &'a Event,
    pub(crate) effects: &'a [Effect],
    /// Of a call.
    pub(crate) answer: Option<&'a SyncAnswer>,
    /// After the event.
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) truth: &'a Truth,
}

impl Seen<'_> {
    /// Whether the unit has a result, as it is explained to people.
    fn is_done(&self, unit: UnitKey) -> bool {
        let explained = self.scheduler.explain(self.now, unit);
        explained.is_some_and(|explained| explained.condition == UnitCondition::Done)
    }

    fn reports(&self) -> &[Report] {
        match self.event {
            Event::Sync(request) => &request.reports,
            _ => &[],
        }
    }

    fn leases(&self) -> impl Iterator<Item = (u32, AttemptRef)> {
        let (worker_id, leases) = match (self.event, self.answer) {
            (Event::Sync(request), Some(SyncAnswer::Answer { leases, .. })) => {
                (request.worker_id, leases.as_slice())
            }
            _ => (0, [].as_slice()),
        };
        leases.iter().map(move |lease| (worker_id, lease.unit))
    }
}

#[derive(Default)]
pub(crate) struct Properties {
    accounting: accounting::AddsUpOnce,
    done: done::StaysDone,
    leases: leases::FewHolders,
    failed_units: failed_units::OnlyTheDoomed,
    walltime: walltime::EndsInTime,
}

impl Properties {
    /// Looks at a step; gives the units that a worker lost in it may have held.
    pub(crate) fn look(&mut self, seen: &Seen<'_>) -> Vec<UnitKey> {
        self.done.look(seen);
        self.accounting.look(seen);
        stages::look(seen);
        self.failed_units.look(seen);
        self.walltime.look(seen);
        self.leases.look(seen)
    }

    pub(crate) fn at_end(&mut self, scheduler: &Scheduler, truth: &Truth, now: Timestamp) {
        self.accounting.compare(scheduler, now);
        self.failed_units.at_end(scheduler, truth, now);
        memory::at_end(scheduler, now);
    }

    /// Returns the units that a worker may hold, whether or not it knows of them.
    pub(crate) fn exposed_to(&self, worker_id: u32) -> impl Iterator<Item = UnitKey> + '_ {
        self.leases.exposed_to(worker_id)
    }

    pub(crate) fn speculative_count(&self) -> u64 {
        self.leases.speculative
    }

    pub(crate) fn failed_units_count(&self) -> u64 {
        self.failed_units.count()
    }
}
