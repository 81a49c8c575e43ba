//! The scheduler: a pure state machine that decides who runs which unit.
//!
//! ```text
//!   workers ── Register, Sync ──┐                            ┌── SyncAnswer ───────▶ workers
//!   people ─── submit, drain, ──┤                            ├── WorkAvailable ────▶ parked calls
//!              cancel           ├─▶ handle(now, event) ─▶ effects
//!   the clock ─ overdue ────────┤        │                   ├── StageBegan, …  ───▶ log, progress
//!   the journal ─ replay ───────┘        ▼                   └── JobEnded ─────────▶ the driver
//!                               job: 8 stages of units; workers and what they hold
//! ```
//!
//! The shell gives it every event in one order, writes those that changed something to the journal,
//! and then performs the effects. The same code runs in replay after a crash and in the simulation
//! of a whole machine room.
//!
//! **Invariant:** nothing here reads a clock, a file, a socket or a random number, or iterates over
//! anything in an order that is not the same in every run. The same events give the same state.
//!
//! | file | what |
//! |---|---|
//! | `event.rs`, `effect.rs` | the whole vocabulary, in and out |
//! | `plan.rs` | what a job is, in plain numbers |
//! | `job.rs` | the job's state and the moves that keep it consistent |
//! | `unit.rs`, `stage.rs`, `payload.rs` | a unit's life, a stage's units, what they are told |
//! | `advance.rs` | how stages begin and end |
//! | `horizon.rs`, `pace.rs` | the allocation's end, and what fits before |
//! | `drain.rs`, `tail.rs` | how to stop, and when it pays to |
//! | `outage.rs` | how long to wait for a server that does not answer |
//! | `gaps.rs` | what becomes of units that cannot be done |
//! | `lease.rs`, `twins.rs`, `report.rs` | handing out units, some twice; taking what is said |
//! | `worker.rs` | who is there |
//! | `totals.rs`, `status.rs`, `explain.rs` | what people get to see |

mod advance;
mod drain;
mod effect;
mod event;
mod explain;
mod gaps;
mod horizon;
mod job;
mod lease;
mod outage;
mod pace;
mod payload;
mod plan;
mod report;
mod stage;
mod status;
mod tail;
#[cfg(test)]
mod tests;
mod totals;
mod twins;
mod unit;
mod worker;

pub use effect::{Changed, Effect, SyncAnswer, Synced};
pub use event::Event;
pub use plan::{JobPlan, LeaseOrder, Limits, SourcePlan};
pub use thresher_domain::Timestamp;

use thresher_domain::{
    AllocationEnd, AttemptRef, CoordinatorOpened, Directive, JobState, RegisterRequest, Stage,
    SyncRequest,
};

use horizon::Horizon;
use job::{Job, Phase};
use lease::Asked;
use outage::Outage;
use report::Told;
use unit::Trouble;
use worker::{LastSeen, Worker, Workers};

/// The state of one coordinator. Two are equal when the same events made them, apart from when
/// workers were last heard of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scheduler {
    epoch: u64,
    /// As told when the coordinator came up.
    allocation: Option<AllocationEnd>,
    horizon: Option<Horizon>,
    workers: Workers,
    job: Option<Job>,
}

impl Scheduler {
    /// Without a job and workers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event. What follows from it is added to `effects`.
    ///
    /// The answer to an [`Event::Sync`] is dropped, which is right in a replay; a worker that waits
    /// for its answer is served by [`Self::sync`].
    pub fn handle(&mut self, now: Timestamp, event: &Event, effects: &mut Vec<Effect>) -> Changed {
        let changed = match event {
            Event::Opened(opened) => self.opened(now, opened),
            Event::Submitted { plan, job_toml } => self.submitted(now, plan, job_toml, effects),
            Event::Registered { worker_id, request } => {
                self.registered(now, *worker_id, request);
                Changed::Yes
            }
            Event::Sync(request) => return self.sync(now, request, effects).changed,
            Event::Lost { worker_id, reason } => self.lost(now, *worker_id, reason, effects),
            Event::Drained { until } => self.drained(now, *until, effects),
            Event::Cancelled => self.cancelled(now, effects),
            Event::GapsAccepted => self.gaps_accepted(),
        };
        self.settle(effects);
        changed
    }

    /// Takes the call of a worker, and returns the answer to it. What else follows is added to
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

    fn settle(&mut self, effects: &mut Vec<Effect>) {
        if let Some(job) = &mut self.job {
            job.settle(effects);
            if std::mem::take(&mut job.stirred) {
                effects.push(Effect::WorkAvailable);
            }
        }
    }

    /// What time alone has brought about, as the events to handle: workers whose lease has ended,
    /// and the end of the allocation.
    pub fn overdue(&self, now: Timestamp) -> Vec<Event> {
        let Some(job) = &self.job else { return Vec::new() };
        let lease_millis = u64::from(job.plan.limits.lease_millis);
        let lost = self.workers.overdue(now, lease_millis).map(|(worker_id, worker)| {
            let silence = now.millis_since(worker.last_seen.at);
            Event::Lost { worker_id, reason: format!("not heard of for {silence} ms") }
        });
        job.drain_due(now, &self.workers).into_iter().chain(lost).collect()
    }

    /// When the first lease ends, if nothing is heard until then. Looks at every worker.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let job = self.job.as_ref()?;
        let first = self.workers.first_last_seen()?;
        Some(first.plus_millis(u64::from(job.plan.limits.lease_millis)))
    }

    /// The id for the next worker that registers.
    pub fn next_worker_id(&self) -> u32 {
        self.workers.next_id()
    }

    /// How many workers are known and not lost.
    pub fn worker_count(&self) -> u64 {
        self.workers.count()
    }

    /// The epoch of the last `Opened`.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The job's text, as submitted.
    pub fn job_toml(&self) -> Option<&str> {
        self.job.as_ref().map(|job| job.job_toml.as_str())
    }

    /// The job's plan.
    pub fn plan(&self) -> Option<&JobPlan> {
        self.job.as_ref().map(|job| &job.plan)
    }

    /// How many units the stage has, skipped ones included; 0 while that is not known.
    pub fn units(&self, stage: Stage) -> u32 {
        self.job.as_ref().map_or(0, |job| job.stage(stage).len())
    }

    /// The ordinals of the stage's units that wrote nothing: set aside or skipped.
    pub fn absent(&self, stage: Stage) -> Vec<u32> {
        self.job.as_ref().map_or_else(Vec::new, |job| {
            let table = job.stage(stage);
            table.absent(0..table.len())
        })
    }

    fn opened(&mut self, now: Timestamp, opened: &CoordinatorOpened) -> Changed {
        self.epoch = opened.epoch;
        self.horizon = Horizon::of(now, &opened.allocation);
        self.allocation = Some(opened.allocation.clone()).filter(AllocationEnd::is_known);
        self.workers.await_all(now);
        if let Some(job) = &mut self.job {
            job.horizon = self.horizon;
            job.barred = None;
            job.refused = false;
            job.outage = Outage::default();
            job.retry_set_aside();
            match job.phase {
                Phase::Draining { .. } | Phase::Drained => job.phase = Phase::Running,
                Phase::Running | Phase::Over { .. } => {}
            }
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
        let job = self.job.insert(Job::new(plan.clone(), job_toml.to_owned(), now));
        job.horizon = self.horizon;
        job.advance(now, effects);
        Changed::Yes
    }

    fn registered(&mut self, now: Timestamp, worker_id: u32, request: &RegisterRequest) {
        // Ids are given once; should a journal say otherwise, the earlier worker holds nothing.
        if let Some(earlier) = self.workers.remove(worker_id)
            && let Some(job) = &mut self.job
        {
            for key in earlier.held {
                if let Some(copy) = job.copy_of(key, worker_id) {
                    job.end_copy(&mut self.workers, key, copy.attempt);
                }
            }
        }
        self.workers.add(worker_id, Worker::new(request, now));
        if let Some(job) = self.job.as_mut().filter(|job| !job.is_over()) {
            job.adopt(now, &mut self.workers, worker_id, &request.held);
        }
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
        if request.sequence > 0 && request.sequence < worker.last_seen.sequence {
            return Synced { answer: SyncAnswer::nothing(), changed: Changed::No };
        }
        worker.last_seen = LastSeen { at: now, sequence: request.sequence };
        let mut changed = !std::mem::replace(&mut worker.attached, true);
        if request.leaves_within_millis > 0 {
            changed |= !std::mem::replace(&mut worker.leaving, true);
        }
        let mut leases = Vec::new();
        let mut directive = Directive::Continue;
        let mut give_up = Vec::new();
        if let Some(job) = &mut self.job {
            if !job.is_over() {
                for report in &request.reports {
                    changed = true;
                    let told = Told { now, worker_id };
                    job.report(told, &mut self.workers, report, effects);
                }
                if request.resync {
                    changed |= job.take_back(&mut self.workers, worker_id, &request.held);
                    let held = still_held(request);
                    changed |= job.adopt(now, &mut self.workers, worker_id, &held);
                }
                job.advance(now, effects);
                let asked = Asked { worker_id, want: request.want, idle: request.idle };
                leases = job.lease(now, &mut self.workers, asked);
                changed |= !leases.is_empty();
                let leaves_within = u64::from(request.leaves_within_millis);
                give_up = job.give_up(now, &self.workers, worker_id, leaves_within);
            }
            directive = match job.phase {
                Phase::Running => Directive::Continue,
                Phase::Draining { .. } | Phase::Drained => Directive::Drain,
                Phase::Over { .. } => Directive::Exit,
            };
        }
        let unwanted = self.workers.take_unwanted(worker_id);
        changed |= !unwanted.is_empty();
        give_up.extend(unwanted);
        let answer = SyncAnswer::Answer { leases, directive, give_up };
        Synced { answer, changed: if changed { Changed::Yes } else { Changed::No } }
    }

    /// What a lost worker held waits again. A unit that may have killed it is watched, and given
    /// up when it does so alone too often.
    fn lost(
        &mut self,
        now: Timestamp,
        worker_id: u32,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        let who = self.workers.describe(worker_id);
        let Some(worker) = self.workers.remove(worker_id) else { return Changed::No };
        let Some(job) = &mut self.job else { return Changed::Yes };
        for key in worker.held {
            let Some(copy) = job.copy_of(key, worker_id) else { continue };
            let attempt = copy.attempt;
            let crash_limit = job.plan.limits.crash_limit;
            job.stage_mut(key.stage).retries += 1;
            let mut given_up = false;
            if worker.attached && !worker.leaving && job.blames(now) {
                let trouble: &mut Trouble = job.trouble(key);
                trouble.crash(attempt);
                trouble.remember(attempt, format!("{who} was lost: {}", unit::bounded(reason)));
                given_up = trouble.crashes_alone >= crash_limit;
            }
            if given_up {
                let error = format!(
                    "{crash_limit} workers were lost while they ran nothing but this unit, the \
                     last being {who}: {}",
                    unit::bounded(reason)
                );
                job.give_up_on(now, &mut self.workers, key, error, effects);
            } else {
                job.end_copy(&mut self.workers, key, attempt);
            }
        }
        if !job.is_over() {
            job.advance(now, effects);
        }
        Changed::Yes
    }

    fn drained(
        &mut self,
        now: Timestamp,
        until: Option<Timestamp>,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        let drained = self.job.as_mut().is_some_and(|job| job.drain(now, until, effects));
        if drained { Changed::Yes } else { Changed::No }
    }

    fn gaps_accepted(&mut self) -> Changed {
        match &mut self.job {
            Some(job) if !job.is_over() && !job.gaps_accepted => {
                job.gaps_accepted = true;
                Changed::Yes
            }
            Some(_) | None => Changed::No,
        }
    }

    fn cancelled(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> Changed {
        match &mut self.job {
            Some(job) if !job.is_over() => {
                job.end(now, JobState::Cancelled, String::new(), effects);
                Changed::Yes
            }
            Some(_) | None => Changed::No,
        }
    }
}

/// What a worker holds beside the units whose end it reports in the same call.
fn still_held(request: &SyncRequest) -> Vec<AttemptRef> {
    let ended = |unit: &AttemptRef| {
        request.reports.iter().any(|report| report.unit == *unit && report.outcome.is_end())
    };
    request.held.iter().filter(|unit| !ended(unit)).copied().collect()
}
