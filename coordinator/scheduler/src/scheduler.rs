//! The state of one coordinator, and the events that change it.

use thresher_domain::{
    AllocationEnd, AttemptRef, CoordinatorOpened, Explanation, JobState, RegisterRequest, Stage,
    Status, SyncRequest, Timestamp, UnitKey,
};

use crate::effect::{Changed, Effect, SyncAnswer, Synced};
use crate::event::Event;
use crate::explain::Explaining;
use crate::failed_units::{MissingUnit, missing_units, retry_failed_units};
use crate::job::Job;
use crate::leasing::LeaseRequest;
use crate::losing::LostWorker;
use crate::outage::Outage;
use crate::plan::JobPlan;
use crate::reporting::ReportContext;
use crate::restarting::{Change, restart};
use crate::status::StatusView;
use crate::walltime::Walltime;
use crate::workers::{Worker, Workers};

/// The state of one coordinator. Two are equal if the same events made them, apart from when
/// workers called last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scheduler {
    epoch: u64,
    /// As it was known when the coordinator started.
    allocation: Option<AllocationEnd>,
    walltime: Option<Walltime>,
    workers: Workers,
    job: Option<Job>,
}

impl Scheduler {
    /// Returns a scheduler without a job and workers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies one event. What follows from it is added to `effects`.
    ///
    /// The answer to an [`Event::Sync`] is dropped, which is right in a replay; a worker that waits
    /// for its answer is served by [`Self::sync`].
    pub fn handle(&mut self, now: Timestamp, event: &Event, effects: &mut Vec<Effect>) -> Changed {
        let changed = match event {
            Event::Opened(opened) => self.opened(now, opened, effects),
            Event::Submitted { plan, job_toml } => self.submitted(now, plan, job_toml, effects),
            Event::JobChanged { plan, job_toml, from, keep_done } => {
                let change = Change { plan, job_toml, from: *from, keep_done: *keep_done };
                self.job_changed(now, &change, effects)
            }
            Event::Registered { worker_id, request } => self.registered(now, *worker_id, request),
            Event::Sync(request) => return self.sync(now, request, effects).changed,
            Event::Lost { worker_id, reason } => self.lost(now, *worker_id, reason, effects),
            Event::Drained { until } => self.drained(now, *until, effects),
            Event::Frozen { millis } => self.frozen(now, *millis),
            Event::RunRefused => self.run_refused(),
            Event::Cancelled => self.cancelled(now, effects),
            Event::FailedUnitsAccepted => self.failed_units_accepted(),
        };
        self.settle(effects);
        changed
    }

    /// Applies the call of a worker, and returns the answer to it. What else follows is added to
    /// `effects`.
    pub fn sync(
        &mut self,
        now: Timestamp,
        request: &SyncRequest,
        effects: &mut Vec<Effect>,
    ) -> Synced {
        let synced = self.answer(now, request, effects);
        self.settle(effects);
        synced
    }

    /// Returns what time alone has brought about, as the events to handle: workers whose lease has
    /// ended, and the end of the allocation.
    pub fn overdue(&self, now: Timestamp) -> Vec<Event> {
        self.job.as_ref().map_or_else(Vec::new, |job| job.deadlines(now, &self.workers).due())
    }

    /// Returns when something may be overdue next, if no event happens before: the shell may sleep
    /// until then. Looks at every worker.
    pub fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        self.job.as_ref()?.deadlines(now, &self.workers).next()
    }

    /// Returns when the next unit may be leased that waits some time, or the next worker may have
    /// units again that rests: calls that wait for work should then be repeated.
    pub fn next_work(&self, now: Timestamp) -> Option<Timestamp> {
        let job = self.job.as_ref().filter(|job| job.lifecycle.is_running())?;
        let table = job.units.table(job.units.current_stage()?);
        table.backoff.next_due(now).into_iter().chain(self.workers.next_rest_end(now)).min()
    }

    /// Returns the id for the next worker that registers.
    pub fn next_worker_id(&self) -> u32 {
        self.workers.next_id()
    }

    /// Returns the number of workers that are known and not lost.
    pub fn worker_count(&self) -> u64 {
        self.workers.count()
    }

    /// Returns the epoch of the last `Opened`.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the job's text, as submitted.
    pub fn job_toml(&self) -> Option<&str> {
        self.job.as_ref().map(|job| job.job_toml.as_str())
    }

    /// Returns the job's plan.
    pub fn plan(&self) -> Option<&JobPlan> {
        self.job.as_ref().map(|job| &job.plan)
    }

    /// Returns the number of the stage's units, skipped ones included; 0 while it is not known.
    pub fn units(&self, stage: Stage) -> u32 {
        self.job.as_ref().map_or(0, |job| job.units.table(stage).len())
    }

    /// Returns the ordinals of the stage's units that wrote nothing: failed or skipped.
    pub fn absent(&self, stage: Stage) -> Vec<u32> {
        self.job.as_ref().map_or_else(Vec::new, |job| {
            let table = job.units.table(stage);
            table.absent(0..table.len())
        })
    }

    /// Returns the missing units of the first stage that has some: those that failed permanently,
    /// or those for which the job stopped and that are not done since.
    pub fn missing_units(&self) -> Vec<MissingUnit> {
        self.job.as_ref().map_or_else(Vec::new, |job| missing_units(&job.units, &job.retried))
    }

    /// Returns the first stage in which units failed permanently.
    pub fn first_missing_stage(&self) -> Option<Stage> {
        self.job.as_ref()?.units.first_missing_stage()
    }

    /// Returns everything that can be said about the job.
    pub fn status(&self, now: Timestamp) -> Status {
        let (epoch, allocation) = (self.epoch, self.allocation.as_ref());
        let (workers, job) = (&self.workers, self.job.as_ref());
        StatusView { now, epoch, allocation, workers, job }.status()
    }

    /// Returns why the unit is in its condition, or `None` if there is no such unit (yet).
    pub fn explain(&self, now: Timestamp, key: UnitKey) -> Option<Explanation> {
        let job = self.job.as_ref().filter(|job| job.units.contains(key))?;
        let forecast = job.forecast(now);
        Some(Explaining { job, workers: &self.workers, forecast }.explain(key))
    }

    fn settle(&mut self, effects: &mut Vec<Effect>) {
        if let Some(job) = &mut self.job {
            job.settle(effects);
        }
    }

    /// Returns the job unless it ended for good.
    fn open_job(&mut self) -> Option<&mut Job> {
        self.job.as_mut().filter(|job| !job.lifecycle.is_over())
    }

    fn opened(
        &mut self,
        now: Timestamp,
        opened: &CoordinatorOpened,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        self.epoch = opened.epoch;
        self.walltime = Walltime::of(now, &opened.allocation);
        self.allocation = Some(opened.allocation.clone()).filter(AllocationEnd::is_known);
        self.workers.await_all(now);
        if let Some(job) = &mut self.job {
            job.walltime = self.walltime;
            job.outage = Outage::default();
            job.units.forgive();
            job.lifecycle.reopen();
            if job.plan.limits.stop_at_failed_units && !job.lifecycle.is_over() {
                job.retried = missing_units(&job.units, &job.retried);
                retry_failed_units(&mut job.units);
            }
            // What stopped the job at the end of a stage may still be so.
            job.advancing(now, self.workers.key_world(), effects).advance();
        }
        Changed::Yes
    }

    fn submitted(
        &mut self,
        now: Timestamp,
        plan: &JobPlan,
        job_toml: &str,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        if self.job.is_some() {
            return Changed::No;
        }
        let job = Job::new(plan.clone(), job_toml.to_owned(), now, self.walltime);
        self.job.insert(job).advancing(now, self.workers.key_world(), effects).advance();
        Changed::Yes
    }

    fn job_changed(
        &mut self,
        now: Timestamp,
        change: &Change<'_>,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        let Some(job) = &mut self.job else { return Changed::No };
        restart(now, job, &mut self.workers, change);
        job.advancing(now, self.workers.key_world(), effects).advance();
        Changed::Yes
    }

    fn registered(&mut self, now: Timestamp, worker_id: u32, request: &RegisterRequest) -> Changed {
        // Ids are given once; should a journal say otherwise, the earlier worker holds nothing.
        if let Some(earlier) = self.workers.remove(worker_id)
            && let Some(job) = &mut self.job
        {
            for key in earlier.held {
                job.attempts(&mut self.workers).end_on(key, worker_id);
            }
        }
        self.workers.add(worker_id, Worker::new(request, now));
        if let Some(job) = self.job.as_mut().filter(|job| !job.lifecycle.is_over()) {
            job.reattaching(now, &mut self.workers, worker_id).adopt(&request.held);
        }
        Changed::Yes
    }

    fn answer(
        &mut self,
        now: Timestamp,
        request: &SyncRequest,
        effects: &mut Vec<Effect>,
    ) -> Synced {
        let worker_id = request.worker_id;
        let Some(worker) = self.workers.get_mut(worker_id) else {
            return Synced { answer: SyncAnswer::UnknownWorker, changed: Changed::No };
        };
        if worker.is_superseded(request) {
            return Synced { answer: SyncAnswer::nothing(), changed: Changed::No };
        }
        let mut changed = worker.seen(now, request);
        let (mut leases, mut give_up) = (Vec::new(), Vec::new());
        if let Some(job) = self.job.as_mut().filter(|job| !job.lifecycle.is_over()) {
            let workers = &mut self.workers;
            let context = ReportContext { now, worker_id };
            let mut reporting = job.reporting(context, workers, effects);
            request.reports.iter().for_each(|report| reporting.apply(report));
            changed |= !request.reports.is_empty();
            if request.resync {
                let mut reattaching = job.reattaching(now, workers, worker_id);
                changed |= reattaching.take_back(&request.held);
                changed |= reattaching.adopt(&still_held(request));
            }
            job.advancing(now, workers.key_world(), effects).advance();
            if job.lifecycle.is_running() {
                let asked = LeaseRequest { worker_id, want: request.want, idle: request.idle };
                leases = job.leasing(now, workers).lease(asked);
                changed |= !leases.is_empty();
            }
            let returning = job.returning(now, workers);
            give_up = returning.units_to_return(worker_id, request.leaves_within_millis);
        }
        let cancelled = self.workers.take_cancelled(worker_id);
        changed |= !cancelled.is_empty();
        give_up.extend(cancelled);
        let directive =
            self.job.as_ref().map_or_else(Default::default, |job| job.lifecycle.directive());
        let answer = SyncAnswer::Answer { leases, directive, give_up };
        Synced { answer, changed: Changed::from(changed) }
    }

    fn lost(
        &mut self,
        now: Timestamp,
        worker_id: u32,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        let description = self.workers.describe(worker_id);
        let Some(worker) = self.workers.remove(worker_id) else { return Changed::No };
        let Some(job) = &mut self.job else { return Changed::Yes };
        let lost = LostWorker { worker_id, worker, description, reason };
        job.losing(now, &mut self.workers, effects).lose(&lost);
        job.advancing(now, self.workers.key_world(), effects).advance();
        Changed::Yes
    }

    fn drained(
        &mut self,
        now: Timestamp,
        until: Option<Timestamp>,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        let job = self.job.as_mut();
        Changed::from(job.is_some_and(|job| job.draining(now, effects).start(until)))
    }

    fn frozen(&mut self, now: Timestamp, millis: u64) -> Changed {
        // Without workers nothing follows from it.
        if self.workers.count() == 0 {
            return Changed::No;
        }
        self.workers.extend_leases(now, millis);
        if let Some(job) = &mut self.job {
            job.outage.extend(now, millis);
        }
        Changed::Yes
    }

    fn run_refused(&mut self) -> Changed {
        let job = self.job.as_mut();
        Changed::from(job.is_some_and(|job| job.lifecycle.reopened_in_vain()))
    }

    fn failed_units_accepted(&mut self) -> Changed {
        let Some(job) = self.open_job() else { return Changed::No };
        Changed::from(!std::mem::replace(&mut job.lifecycle.failed_units_accepted, true))
    }

    fn cancelled(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> Changed {
        let Some(job) = self.open_job() else { return Changed::No };
        job.lifecycle.end(now, JobState::Cancelled, String::new(), effects);
        Changed::Yes
    }
}

/// Returns what a worker holds beside the units whose end it reports in the same call.
fn still_held(request: &SyncRequest) -> Vec<AttemptRef> {
    let ended = |unit: &AttemptRef| {
        request.reports.iter().any(|report| report.unit == *unit && report.outcome.is_end())
    };
    request.held.iter().filter(|unit| !ended(unit)).copied().collect()
}
