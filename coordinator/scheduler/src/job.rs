//! The state of the job, and the handlers that work on parts of it.
//!
//! Each handler borrows only the parts that it uses, so its fields say what it can change.

use thresher_domain::Timestamp;

use crate::advancing::Advancing;
use crate::attempts::Attempts;
use crate::deadlines::Deadlines;
use crate::draining::Draining;
use crate::effect::Effect;
use crate::failed_units::{FailedUnits, MissingUnit};
use crate::forecast::Forecast;
use crate::key_world::KeyWorld;
use crate::leasing::Leasing;
use crate::lifecycle::Lifecycle;
use crate::losing::Losing;
use crate::outage::Outage;
use crate::plan::JobPlan;
use crate::reattaching::Reattaching;
use crate::reporting::{ReportContext, Reporting};
use crate::returning::Returning;
use crate::units::Units;
use crate::walltime::Walltime;
use crate::workers::Workers;

/// The one job of a coordinator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job {
    pub(crate) plan: JobPlan,
    pub(crate) job_toml: String,
    pub(crate) submitted: Timestamp,
    /// The walltime of the allocation that the coordinator runs in.
    pub(crate) walltime: Option<Walltime>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) units: Units,
    pub(crate) outage: Outage,
    /// Determinism violations, for people.
    pub(crate) alarms: Vec<String>,
    /// The units for which the job stopped last, and which are tried again since.
    pub(crate) retried: Vec<MissingUnit>,
}

impl Job {
    pub(crate) fn new(
        plan: JobPlan,
        job_toml: String,
        submitted: Timestamp,
        walltime: Option<Walltime>,
    ) -> Self {
        Self {
            plan,
            job_toml,
            submitted,
            walltime,
            lifecycle: Lifecycle::new(),
            units: Units::new(),
            outage: Outage::default(),
            alarms: Vec::new(),
            retried: Vec::new(),
        }
    }

    pub(crate) fn forecast(&self, now: Timestamp) -> Forecast<'_> {
        Forecast { now, walltime: self.walltime, units: &self.units }
    }

    pub(crate) fn deadlines<'a>(&'a self, now: Timestamp, workers: &'a Workers) -> Deadlines<'a> {
        Deadlines {
            limits: &self.plan.limits,
            lifecycle: &self.lifecycle,
            forecast: self.forecast(now),
            workers,
        }
    }

    pub(crate) fn returning<'a>(&'a self, now: Timestamp, workers: &'a Workers) -> Returning<'a> {
        Returning { phase: &self.lifecycle.phase, forecast: self.forecast(now), workers }
    }

    pub(crate) fn attempts<'a>(&'a mut self, workers: &'a mut Workers) -> Attempts<'a> {
        Attempts { units: &mut self.units, workers }
    }

    pub(crate) fn reattaching<'a>(
        &'a mut self,
        now: Timestamp,
        workers: &'a mut Workers,
        worker_id: u32,
    ) -> Reattaching<'a> {
        Reattaching { now, worker_id, attempts: self.attempts(workers) }
    }

    pub(crate) fn leasing<'a>(
        &'a mut self,
        now: Timestamp,
        workers: &'a mut Workers,
    ) -> Leasing<'a> {
        Leasing {
            now,
            limits: &self.plan.limits,
            walltime: self.walltime,
            attempts: Attempts { units: &mut self.units, workers },
        }
    }

    pub(crate) fn reporting<'a>(
        &'a mut self,
        context: ReportContext,
        workers: &'a mut Workers,
        effects: &'a mut Vec<Effect>,
    ) -> Reporting<'a> {
        Reporting {
            context,
            limits: &self.plan.limits,
            sources: &self.plan.sources,
            walltime: self.walltime,
            attempts: Attempts { units: &mut self.units, workers },
            lifecycle: &mut self.lifecycle,
            outage: &mut self.outage,
            alarms: &mut self.alarms,
            effects,
        }
    }

    pub(crate) fn losing<'a>(
        &'a mut self,
        now: Timestamp,
        workers: &'a mut Workers,
        effects: &'a mut Vec<Effect>,
    ) -> Losing<'a> {
        let walltime = self.walltime;
        Losing {
            crash_limit: self.plan.limits.crash_limit,
            blames_units: self.lifecycle.blames_units(now, walltime),
            failed_units: FailedUnits {
                attempts: Attempts { units: &mut self.units, workers },
                draining: Draining { now, walltime, lifecycle: &mut self.lifecycle, effects },
            },
        }
    }

    pub(crate) fn draining<'a>(
        &'a mut self,
        now: Timestamp,
        effects: &'a mut Vec<Effect>,
    ) -> Draining<'a> {
        Draining { now, walltime: self.walltime, lifecycle: &mut self.lifecycle, effects }
    }

    pub(crate) fn advancing<'a>(
        &'a mut self,
        now: Timestamp,
        key_world: KeyWorld,
        effects: &'a mut Vec<Effect>,
    ) -> Advancing<'a> {
        Advancing {
            now,
            plan: &self.plan,
            key_world,
            walltime: self.walltime,
            units: &mut self.units,
            lifecycle: &mut self.lifecycle,
            effects,
        }
    }

    /// Ends a drain if nothing runs any more, and adds the effect that wakes those who wait.
    pub(crate) fn settle(&mut self, effects: &mut Vec<Effect>) {
        if self.lifecycle.is_draining() && self.units.leased() == 0 {
            self.lifecycle.finish_drain(effects);
        }
        let work_available = std::mem::take(&mut self.units.work_available);
        if std::mem::take(&mut self.lifecycle.directive_changed) || work_available {
            effects.push(Effect::WorkAvailable);
        }
    }
}
