//! One operation at a time: the exact state and the exact effects. What holds over long histories
//! is the simulation's business.

#![expect(clippy::wildcard_enum_match_arm, reason = "each test looks at one kind of effect")]

mod arbitrary;
mod blame;
mod ends;
mod key_ranges;
mod leases;
mod near;
mod reports;
mod restarts;
mod speculation;

mod walltime;

use thresher_domain::{
    AllocationEnd, AttemptRef, CoordinatorOpened, Directive, Done, Failure, FailureClass, JobState,
    Lease, Listed, Outcome, Payload, PlannedUnit, RegisterRequest, Report, Stage, StageStatus,
    SyncRequest, UnitKey,
};

use super::*;

const LEASE_MILLIS: u64 = 1000;

/// A scheduler with its clock.
struct Room {
    scheduler: Scheduler,
    now: u64,
}

fn crawl(needs_lines: bool, compares_near: bool) -> SourcePlan {
    SourcePlan { name: "crawl".to_owned(), needs_lines, compares_near, is_earlier: false }
}

impl Room {
    /// With one source, before it was listed.
    fn new(needs_lines: bool) -> Self {
        Self::with(needs_lines, |_| {})
    }

    fn with(needs_lines: bool, change: impl FnOnce(&mut Limits)) -> Self {
        Self::of_sources(vec![crawl(needs_lines, false)], change)
    }

    fn of_sources(sources: Vec<SourcePlan>, change: impl FnOnce(&mut Limits)) -> Self {
        let mut room = Self { scheduler: Scheduler::new(), now: 5000 };
        room.give(&Event::Opened(CoordinatorOpened { epoch: 1, ..CoordinatorOpened::default() }));
        let mut limits = Limits {
            lease_millis: LEASE_MILLIS as u32,
            retries: 2,
            crash_limit: 2,
            key_memory_bytes: Some(100),
            bytes_per_document_key: 10,
            ..Limits::default()
        };
        change(&mut limits);
        let plan = JobPlan {
            name: "job".to_owned(),
            output: "out".to_owned(),
            sources,
            limits,
            lease_order: LeaseOrder::Canonical,
        };
        room.give(&Event::Submitted { plan, job_toml: "job".to_owned() });
        room
    }

    /// With that number of inputs, listed by worker 1.
    fn listed(needs_lines: bool, inputs: u32) -> Self {
        Self::listed_with(needs_lines, inputs, |_| {})
    }

    /// The same, with units in every stage.
    fn with_every_stage(inputs: u32) -> Self {
        Self::of_sources(vec![crawl(true, true)], |_| {}).list(inputs)
    }

    fn listed_with(needs_lines: bool, inputs: u32, change: impl FnOnce(&mut Limits)) -> Self {
        Self::with(needs_lines, change).list(inputs)
    }

    fn list(mut self, inputs: u32) -> Self {
        let room = &mut self;
        let worker = room.register(1);
        let list = room.lease_one(worker);
        room.report(worker, list, listed(0, inputs));
        room.report(worker, list, done("list"));
        self
    }

    /// The next coordinator takes over, and worker 1 comes back.
    fn reopen(&mut self) {
        let opened = CoordinatorOpened { epoch: 2, ..CoordinatorOpened::default() };
        self.give(&Event::Opened(opened));
    }

    fn give(&mut self, event: &Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let _ = self.scheduler.handle(Timestamp::from_millis(self.now), event, &mut effects);
        effects
    }

    /// A worker with a process of its own.
    fn register(&mut self, pid: u32) -> u32 {
        self.register_holding(pid, &[])
    }

    fn register_holding(&mut self, pid: u32, held: &[AttemptRef]) -> u32 {
        self.register_on("a", pid, held)
    }

    fn register_on(&mut self, host: &str, pid: u32, held: &[AttemptRef]) -> u32 {
        let worker_id = self.scheduler.next_worker_id();
        let request = RegisterRequest {
            host: host.to_owned(),
            pid,
            slots: 4,
            held: held.to_vec(),
            ..RegisterRequest::default()
        };
        self.give(&Event::Registered { worker_id, request });
        worker_id
    }

    /// The answer to a call, and its effects.
    fn sync(&mut self, request: SyncRequest) -> (SyncAnswer, Vec<Effect>) {
        let mut effects = Vec::new();
        let now = Timestamp::from_millis(self.now);
        let synced = self.scheduler.sync(now, &request, &mut effects);
        (synced.answer, effects)
    }

    /// What an idle worker is leased when it wants that many units.
    fn lease(&mut self, worker_id: u32, want: u32) -> Vec<Lease> {
        self.ask(SyncRequest { worker_id, want, idle: true, ..SyncRequest::default() })
    }

    fn ask(&mut self, request: SyncRequest) -> Vec<Lease> {
        leases(&self.sync(request).0)
    }

    fn lease_one(&mut self, worker_id: u32) -> AttemptRef {
        match self.lease(worker_id, 1).as_slice() {
            [lease] => lease.unit,
            other => panic!("not one lease: {other:?}"),
        }
    }

    /// What an idle worker is leased after the longest wait of a unit that failed.
    fn lease_later(&mut self, worker_id: u32) -> AttemptRef {
        self.now += 60_000;
        self.lease_one(worker_id)
    }

    /// The effects of a report.
    fn report(&mut self, worker_id: u32, unit: AttemptRef, outcome: Outcome) -> Vec<Effect> {
        let report = Report { unit, outcome, cpu_millis: 0, wall_millis: 0 };
        let reports = vec![report];
        self.sync(SyncRequest { worker_id, reports, ..SyncRequest::default() }).1
    }

    fn lose(&mut self, worker_id: u32) -> Vec<Effect> {
        self.give(&Event::Lost { worker_id, reason: "it fell silent".to_owned() })
    }

    /// Leases and ends all units of the current stage, one after the other.
    fn finish(&mut self, worker_id: u32, units: u32) -> Vec<AttemptRef> {
        let units = (0..units).map(|_| {
            let unit = self.lease_one(worker_id);
            self.report(worker_id, unit, done("bytes"));
            unit
        });
        units.collect()
    }

    fn state(&self, unit: AttemptRef) -> String {
        let now = Timestamp::from_millis(self.now);
        self.scheduler
            .explain(now, unit.key)
            .map_or_else(|| "none".to_owned(), |explained| explained.condition.name().to_owned())
    }

    fn row(&self, stage: Stage) -> StageStatus {
        let status = self.scheduler.status(Timestamp::from_millis(self.now));
        status.stages.into_iter().find(|row| row.stage == stage).unwrap()
    }

    fn reason(&self) -> String {
        self.scheduler.status(Timestamp::from_millis(self.now)).reason
    }

    /// Whether the next coordinator would meet the same.
    fn is_refused(&self) -> bool {
        self.scheduler.status(Timestamp::from_millis(self.now)).refused
    }

    fn job_state(&self) -> JobState {
        self.scheduler.status(Timestamp::from_millis(self.now)).state
    }
}

fn leases(answer: &SyncAnswer) -> Vec<Lease> {
    match answer {
        SyncAnswer::Answer { leases, .. } => leases.clone(),
        SyncAnswer::UnknownWorker => panic!("the worker is known"),
    }
}

fn directive(answer: &SyncAnswer) -> Directive {
    match answer {
        SyncAnswer::Answer { directive, .. } => *directive,
        SyncAnswer::UnknownWorker => panic!("the worker is known"),
    }
}

fn given_up(answer: &SyncAnswer) -> Vec<AttemptRef> {
    match answer {
        SyncAnswer::Answer { give_up, .. } => give_up.clone(),
        SyncAnswer::UnknownWorker => panic!("the worker is known"),
    }
}

fn unit(stage: Stage, ordinal: u32, attempt: u32) -> AttemptRef {
    UnitKey { stage, ordinal }.attempt(attempt)
}

fn done(text: &str) -> Outcome {
    Outcome::Done(Done { digest: text.as_bytes().to_vec(), ..Done::default() })
}

fn done_with_keys(keys: u64) -> Outcome {
    Outcome::Done(Done { digest: b"keys".to_vec(), keys, ..Done::default() })
}

fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed(Failure { class, error: "no luck".to_owned() })
}

fn listed(piece: u32, units: u32) -> Outcome {
    let planned =
        |number: u32| PlannedUnit { payload: number.to_le_bytes().to_vec(), cost_bytes: 10 };
    Outcome::Listed(Listed { piece, units: (0..units).map(planned).collect() })
}
