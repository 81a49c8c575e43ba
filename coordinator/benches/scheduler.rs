//! Measures the cost of a unit for the coordinator: CPU time in the scheduler and the journal on a
//! real disk, memory while it waits, and replay time. It uses no network; another bench does.
//!
//! `cargo bench -p thresher-coordinator --bench scheduler`; `TMPDIR` selects the disk.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::error::Error;
use std::fs;

use rustix::time::{ClockId, clock_gettime};
use thresher_coordinator::event_record::{from_record, into_record};
use thresher_coordinator::journal::Journal;
use thresher_domain::{
    Accounting, AttemptRef, Count, Done, Listed, Outcome, PlannedUnit, RegisterRequest, Report,
    Stage, SyncRequest, Timestamp,
};
use thresher_proto::pb;
use thresher_scheduler::{
    Changed, Effect, Event, JobPlan, LeaseOrder, Limits, Scheduler, SourcePlan, SyncAnswer,
};

const UNITS: u32 = 1_000_000;
const WORKERS: u32 = 64;
/// Number of units in one call of a worker.
const CALL_UNITS: u32 = 32;
const PIECE_UNITS: u32 = 4000;
const PAYLOAD_BYTES: usize = 40;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// The scheduler and its journal, as the driver couples them.
struct Coordinator {
    scheduler: Scheduler,
    journal: Journal,
    millis: u64,
}

impl Coordinator {
    fn give(&mut self, event: Event, effects: &mut Vec<Effect>) -> Fallible<()> {
        let now = Timestamp::from_millis(self.millis);
        match self.scheduler.handle(now, &event, effects) {
            Changed::Yes => Ok(self.journal.append(&into_record(event, now))?),
            Changed::No => Ok(()),
        }
    }

    fn sync(
        &mut self,
        request: SyncRequest,
        effects: &mut Vec<Effect>,
    ) -> Fallible<Vec<AttemptRef>> {
        let now = Timestamp::from_millis(self.millis);
        let synced = self.scheduler.sync(now, &request, effects);
        if synced.changed == Changed::Yes {
            self.journal.append(&into_record(Event::Sync(request), now))?;
        }
        match synced.answer {
            SyncAnswer::Answer { leases, .. } => {
                Ok(leases.into_iter().map(|lease| lease.unit).collect())
            }
            SyncAnswer::UnknownWorker => Err("the worker is not known".into()),
        }
    }

    /// Handles one call of every worker, commits, and stores the units that each was leased. The
    /// calls arrive as messages.
    fn round(&mut self, calls: Vec<Vec<pb::Report>>) -> Fallible<Vec<Vec<AttemptRef>>> {
        let mut leased = Vec::with_capacity(calls.len());
        let mut effects = Vec::new();
        for (worker_id, reports) in (1..).zip(calls) {
            let call = pb::SyncRequest {
                worker_id,
                want: CALL_UNITS,
                reports,
                sequence: self.millis,
                ..pb::SyncRequest::default()
            };
            leased.push(self.sync(call.try_into()?, &mut effects)?);
        }
        self.journal.commit()?;
        self.millis += 1;
        Ok(leased)
    }
}

fn plan() -> JobPlan {
    JobPlan {
        name: "bench".to_owned(),
        output: "nowhere".to_owned(),
        sources: vec![SourcePlan {
            name: "crawl".to_owned(),
            needs_lines: true,
            compares_near: false,
            is_earlier: false,
        }],
        limits: Limits::default(),
        lease_order: LeaseOrder::Canonical,
    }
}

/// Returns the report of a typical unit.
fn done(unit: AttemptRef) -> Report {
    let count = |name: &str, value| Count { name: name.to_owned(), value };
    let accounting = Accounting {
        records_in: 1000,
        kept: 600,
        dropped: vec![count("language", 300), count("short", 90)],
        quarantined: vec![count("gzip", 10)],
        bytes_in: 1 << 20,
        bytes_kept: 1 << 19,
    };
    let digest = unit.key.ordinal.to_le_bytes().repeat(8);
    let done = Done { digest, accounting: Some(accounting), ..Done::default() };
    report(unit, Outcome::Done(done))
}

fn report(unit: AttemptRef, outcome: Outcome) -> Report {
    Report { unit, outcome, cpu_millis: 900, wall_millis: 1000 }
}

fn piece(unit: AttemptRef, piece: u32) -> Report {
    let planned = PlannedUnit { payload: vec![7; PAYLOAD_BYTES], cost_bytes: 1 << 20 };
    let units = vec![planned; PIECE_UNITS as usize];
    report(unit, Outcome::Listed(Listed { piece, units }))
}

fn open(directory: &std::path::Path) -> Fallible<Coordinator> {
    let (journal, replay) = Journal::open(directory)?;
    let mut scheduler = Scheduler::new();
    let mut effects = Vec::new();
    for record in replay {
        let (now, event) = from_record(record?, |_| Ok::<_, std::convert::Infallible>(plan()))?;
        let _ = scheduler.handle(now, &event, &mut effects);
        effects.clear();
    }
    let opening = Event::Opened(journal.opening().into());
    let mut coordinator = Coordinator { scheduler, journal, millis: 1 };
    coordinator.give(opening, &mut effects)?;
    coordinator.journal.commit()?;
    Ok(coordinator)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn resident_bytes() -> Fallible<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(kilobytes * 1024.0)
}

/// Lists the units, and returns the memory of each while it waits, with its payload.
fn list(coordinator: &mut Coordinator) -> Fallible<f64> {
    let mut effects = Vec::new();
    coordinator.give(Event::Submitted { plan: plan(), job_toml: String::new() }, &mut effects)?;
    for worker_id in 1..=WORKERS {
        let request = RegisterRequest { slots: CALL_UNITS, ..RegisterRequest::default() };
        coordinator.give(Event::Registered { worker_id, request }, &mut effects)?;
    }
    let unit = coordinator.round(vec![Vec::new()])?[0][0];
    let before = resident_bytes()?;
    for number in 0..UNITS / PIECE_UNITS {
        let call = SyncRequest {
            worker_id: 1,
            reports: vec![piece(unit, number)],
            ..SyncRequest::default()
        };
        coordinator.sync(call, &mut effects)?;
        coordinator.journal.commit()?;
        effects.clear();
    }
    let call = SyncRequest { worker_id: 1, reports: vec![done(unit)], ..SyncRequest::default() };
    coordinator.sync(call, &mut effects)?;
    coordinator.journal.commit()?;
    Ok((resident_bytes()? - before) / f64::from(UNITS))
}

/// Runs every unit of LINES.
fn run(coordinator: &mut Coordinator) -> Fallible<()> {
    let mut reports = vec![Vec::new(); WORKERS as usize];
    loop {
        let leased = coordinator.round(reports)?;
        if leased.iter().flatten().all(|unit| unit.key.stage != Stage::Lines) {
            return Ok(());
        }
        reports = leased
            .iter()
            .map(|units| units.iter().copied().map(|unit| done(unit).into()).collect())
            .collect();
    }
}

fn main() -> Fallible<()> {
    let directory = tempfile::tempdir()?;
    let mut coordinator = open(directory.path())?;
    let waiting_bytes = list(&mut coordinator)?;
    println!(
        "waiting: {waiting_bytes:.0} bytes a unit, twice in the tables (LINES, PREPARE), of which \
         {PAYLOAD_BYTES} payload (aim: 100)"
    );
    let (cpu, wall) = (seconds(ClockId::ProcessCPUTime), seconds(ClockId::Monotonic));
    run(&mut coordinator)?;
    let cpu = seconds(ClockId::ProcessCPUTime) - cpu;
    let wall = seconds(ClockId::Monotonic) - wall;
    println!(
        "running: {:.2} µs CPU a unit (aim: 2), {:.0} units a second, with {} calls of \
         {CALL_UNITS} units to a sync",
        cpu * 1e6 / f64::from(UNITS),
        f64::from(UNITS) / wall,
        WORKERS,
    );
    let expected = coordinator.scheduler.status(Timestamp::default());
    drop(coordinator);
    let (cpu, wall) = (seconds(ClockId::ProcessCPUTime), seconds(ClockId::Monotonic));
    let replayed = open(directory.path())?;
    let cpu = seconds(ClockId::ProcessCPUTime) - cpu;
    let wall = seconds(ClockId::Monotonic) - wall;
    let bytes: u64 = fs::read_dir(directory.path())?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum::<Fallible<u64>>()?;
    println!(
        "replay: {cpu:.2} s CPU, {wall:.2} s for {UNITS} units listed and done (aim: 3), {} bytes \
         of journal a unit",
        bytes / u64::from(UNITS),
    );
    let found = replayed.scheduler.status(Timestamp::default());
    if found.stages != expected.stages {
        return Err("replay gave another state".into());
    }
    Ok(())
}
