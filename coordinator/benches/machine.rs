//! Simulates the scheduler with every node of a Summit or Frontier, in virtual time, to the end of
//! an allocation.
//!
//! `cargo bench -p thresher-coordinator --bench machine [-- NODES HOURS [MB_PER_SECOND]]`; without
//! arguments 4,608 and 9,408 nodes in bins of 2 h and 6 h, which takes 10 GB and some minutes.
//!
//! A dump is 90,000 WET files of 50 to 150 MB, a unit is one file, and there are as many dumps as
//! fill the bin. Nodes have 56 slots behind one agent, which calls
//! whenever a unit ends; they differ by 5 %, units by 10 %, one unit
//! in 5,000 takes five times as long, and a node in 1,000 dies each hour. Network and disk cost
//! nothing here; records are encoded as for the journal.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::error::Error;
use std::fs;

use prost::Message as _;
use rustix::time::{ClockId, clock_gettime};
use thresher_coordinator::event_record::into_record;
use thresher_domain::{
    AllocationEnd, AttemptRef, CoordinatorOpened, Directive, Done, Lease, Listed, Outcome,
    PlannedUnit, RegisterRequest, Report, SplitMix64, Stage, SyncRequest, Timestamp, UnitKey,
};
use thresher_scheduler::{
    Changed, Effect, Event, JobPlan, LeaseOrder, Limits, Scheduler, SourcePlan, SyncAnswer, Synced,
};

const SLOTS: u32 = 56;
/// Number of units leased beyond the slots, as the agent does.
const QUEUE: u32 = 28;
const DUMP_FILES: u64 = 90_000;
const MEAN_BYTES: u64 = 100_000_000;
const HEARTBEAT_MILLIS: u64 = 5000;
const MARGIN_MILLIS: u32 = 300_000;
const PIECE_UNITS: u64 = 8000;
/// Default rate of a core, in compressed bytes.
const MB_PER_SECOND: f64 = 0.8;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// A bin of the site's queue, and the rate of a slot.
#[derive(Clone, Copy)]
struct Bin {
    nodes: u32,
    hours: f64,
    bytes_per_millis: f64,
}

/// Returns a number from 0 to 1.
fn part(random: &mut SplitMix64) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[derive(Default)]
struct Node {
    worker_id: u32,
    pace: f64,
    busy: u32,
    queue: VecDeque<(AttemptRef, u64, u64)>,
    reports: Vec<Report>,
    given_up: Vec<AttemptRef>,
    sequence: u64,
    calls_at: u64,
    drains: bool,
    gone_at: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Ends { unit: AttemptRef, millis: u64 },
    Calls,
    Dies,
}

#[derive(Default)]
struct Figures {
    calls: u64,
    useful_millis: u64,
    started: u64,
    journal_bytes: u64,
    cpu_seconds: f64,
}

struct Machine {
    bin: Bin,
    scheduler: Scheduler,
    nodes: Vec<Node>,
    agenda: BinaryHeap<Reverse<(u64, u32, What)>>,
    done: Vec<bool>,
    random: SplitMix64,
    figures: Figures,
    now: u64,
}

impl Machine {
    fn give(&mut self, event: Event) -> Vec<Effect> {
        let began = seconds(ClockId::ThreadCPUTime);
        let now = Timestamp::from_millis(self.now);
        let mut effects = Vec::new();
        if self.scheduler.handle(now, &event, &mut effects) == Changed::Yes {
            let record = into_record(event, now).encode_to_vec();
            self.figures.journal_bytes += record.len() as u64;
        }
        self.figures.cpu_seconds += seconds(ClockId::ThreadCPUTime) - began;
        effects
    }

    fn sync(&mut self, request: SyncRequest) -> SyncAnswer {
        let began = seconds(ClockId::ThreadCPUTime);
        let now = Timestamp::from_millis(self.now);
        let Synced { answer, changed } = self.scheduler.sync(now, &request, &mut Vec::new());
        if changed == Changed::Yes {
            let record = into_record(Event::Sync(request), now).encode_to_vec();
            self.figures.journal_bytes += record.len() as u64;
        }
        self.figures.cpu_seconds += seconds(ClockId::ThreadCPUTime) - began;
        answer
    }

    fn later(&mut self, at: u64, node: u32, what: What) {
        self.agenda.push(Reverse((at, node, what)));
    }

    fn start_idle_slots(&mut self, number: u32) {
        loop {
            let node = &mut self.nodes[number as usize];
            if node.busy == SLOTS {
                return;
            }
            let Some((unit, cost, start_by)) = node.queue.pop_front() else { return };
            if self.now > start_by {
                node.reports.push(report(unit, Outcome::Returned, 0));
                continue;
            }
            node.busy += 1;
            let slow = if part(&mut self.random) < 1.0 / 5000.0 { 5.0 } else { 1.0 };
            let noise = 0.9 + 0.2 * part(&mut self.random);
            let millis =
                (cost as f64 / self.bin.bytes_per_millis * node.pace * noise * slow) as u64;
            self.figures.started += 1;
            self.later(self.now + millis, number, What::Ends { unit, millis });
        }
    }

    fn call(&mut self, number: u32) {
        let node = &mut self.nodes[number as usize];
        if node.gone_at.is_some() {
            return;
        }
        node.sequence += 1;
        node.calls_at = self.now + HEARTBEAT_MILLIS;
        let held = node.busy + node.queue.len() as u32;
        let request = SyncRequest {
            worker_id: node.worker_id,
            want: if node.drains { 0 } else { (SLOTS + QUEUE).saturating_sub(held) },
            idle: held == 0,
            reports: std::mem::take(&mut node.reports),
            sequence: node.sequence,
            ..SyncRequest::default()
        };
        let sent = request.reports.len();
        let next = node.calls_at;
        self.figures.calls += 1;
        let answer = self.sync(request);
        self.later(next, number, What::Calls);
        if let SyncAnswer::Answer { leases, directive, give_up } = answer {
            self.obey(number, leases, directive, give_up);
        }
        self.start_idle_slots(number);
        let node = &mut self.nodes[number as usize];
        let held = node.busy + node.queue.len() as u32;
        if node.drains && held == 0 && node.reports.is_empty() {
            node.gone_at = Some(self.now);
        } else if !node.reports.is_empty() && sent > 0 {
            self.later(self.now + 1, number, What::Calls);
        }
    }

    fn obey(
        &mut self,
        number: u32,
        leases: Vec<Lease>,
        directive: Directive,
        give_up: Vec<AttemptRef>,
    ) {
        let node = &mut self.nodes[number as usize];
        for lease in leases {
            let within = lease.start_within_millis;
            let start_by = within.map_or(u64::MAX, |millis| self.now + u64::from(millis));
            node.queue.push_back((lease.unit, lease.cost_bytes, start_by));
        }
        let returned = |unit| report(unit, Outcome::Returned, 0);
        if directive == Directive::Drain {
            node.drains = true;
            let waiting = std::mem::take(&mut node.queue);
            node.reports.extend(waiting.into_iter().map(|(unit, ..)| returned(unit)));
        }
        for unit in give_up {
            if !node.given_up.contains(&unit) && node.reports.iter().all(|r| r.unit != unit) {
                // The slot stops at the next record.
                node.busy -= 1;
                node.given_up.push(unit);
                node.reports.push(returned(unit));
            }
        }
    }

    fn end(&mut self, number: u32, unit: AttemptRef, millis: u64) {
        let node = &mut self.nodes[number as usize];
        if node.gone_at.is_some() {
            return;
        }
        let running = node.given_up.len();
        node.given_up.retain(|given_up| *given_up != unit);
        if node.given_up.len() < running {
            return;
        }
        node.busy -= 1;
        let digest = unit.key.ordinal.to_le_bytes().to_vec();
        let done = Done { digest, ..Done::default() };
        node.reports.push(report(unit, Outcome::Done(done), millis));
        // Only the first result of a unit counts.
        if !std::mem::replace(&mut self.done[unit.key.ordinal as usize], true) {
            self.figures.useful_millis += millis;
        }
        self.start_idle_slots(number);
        self.call(number);
    }

    /// Runs to the end of the drain, and returns its time.
    fn run(&mut self) -> u64 {
        let mut looked = 0;
        while let Some(Reverse((at, number, what))) = self.agenda.pop() {
            self.now = at;
            if self.now >= looked + 1000 {
                looked = self.now;
                for event in self.scheduler.overdue(Timestamp::from_millis(self.now)) {
                    let effects = self.give(event);
                    let ends = |effect: &Effect| matches!(effect, Effect::JobEnded { .. });
                    if effects.iter().any(ends) {
                        return self.now;
                    }
                }
            }
            match what {
                What::Ends { unit, millis } => self.end(number, unit, millis),
                What::Calls => {
                    if self.nodes[number as usize].calls_at <= self.now
                        || !self.nodes[number as usize].reports.is_empty()
                    {
                        self.call(number);
                    }
                }
                What::Dies => {
                    let node = &mut self.nodes[number as usize];
                    node.gone_at.get_or_insert(self.now);
                }
            }
            if self.nodes.iter().step_by(64).all(|node| node.gone_at.is_some())
                && self.nodes.iter().all(|node| node.gone_at.is_some())
            {
                return self.now;
            }
        }
        self.now
    }
}

fn report(unit: AttemptRef, outcome: Outcome, wall_millis: u64) -> Report {
    Report { unit, outcome, cpu_millis: wall_millis, wall_millis }
}

/// Returns the machine with its units listed and its nodes registered, and the number of dumps.
fn machine(bin: Bin) -> (Machine, u64) {
    let millis = bin.hours * 3_600_000.0;
    let units = millis * f64::from(bin.nodes * SLOTS) * bin.bytes_per_millis / MEAN_BYTES as f64;
    let dumps = (units * 1.02 / DUMP_FILES as f64).ceil() as u64;
    let mut machine = Machine {
        bin,
        scheduler: Scheduler::new(),
        nodes: Vec::new(),
        agenda: BinaryHeap::new(),
        done: vec![false; (dumps * DUMP_FILES) as usize],
        random: SplitMix64::new(7),
        figures: Figures::default(),
        now: 1,
    };
    machine.give(Event::Opened(CoordinatorOpened {
        epoch: 1,
        allocation: AllocationEnd {
            ends: Some(Timestamp::from_millis(millis as u64)),
            margin_millis: MARGIN_MILLIS,
            ..AllocationEnd::default()
        },
        ..CoordinatorOpened::default()
    }));
    let plan = JobPlan {
        name: "paper".to_owned(),
        output: "nowhere".to_owned(),
        sources: vec![SourcePlan {
            name: "crawl".to_owned(),
            needs_lines: true,
            compares_near: false,
            is_earlier: false,
        }],
        limits: Limits { lease_millis: 30_000, heartbeat_millis: 5000, ..Limits::default() },
        lease_order: LeaseOrder::Canonical,
    };
    machine.give(Event::Submitted { plan, job_toml: String::new() });
    for worker_id in 1..=bin.nodes {
        let request =
            RegisterRequest { slots: SLOTS, pid: worker_id, ..RegisterRequest::default() };
        machine.give(Event::Registered { worker_id, request });
        let pace = 0.95 + 0.1 * part(&mut machine.random);
        machine.nodes.push(Node { worker_id, pace, ..Node::default() });
    }
    list(&mut machine, dumps * DUMP_FILES);
    for number in 0..bin.nodes {
        machine.later(1 + u64::from(number) % HEARTBEAT_MILLIS, number, What::Calls);
        let hours = -part(&mut machine.random).max(1e-12).ln() * 1000.0;
        machine.later((hours * 3_600_000.0) as u64, number, What::Dies);
    }
    (machine, dumps)
}

fn list(machine: &mut Machine, units: u64) {
    let unit = UnitKey { stage: Stage::List, ordinal: 0 }.attempt(1);
    machine.sync(SyncRequest { worker_id: 1, want: 1, ..SyncRequest::default() });
    for piece in 0..units.div_ceil(PIECE_UNITS) {
        let count = PIECE_UNITS.min(units - piece * PIECE_UNITS);
        let planned = (0..count).map(|_| PlannedUnit {
            payload: vec![7; 12],
            cost_bytes: MEAN_BYTES / 2 + machine.random.next_u64() % MEAN_BYTES,
        });
        let listed = Listed { piece: piece as u32, units: planned.collect() };
        let reports = vec![report(unit, Outcome::Listed(listed), 0)];
        machine.sync(SyncRequest { worker_id: 1, reports, ..SyncRequest::default() });
    }
    let reports = vec![report(unit, Outcome::Done(Done::default()), 0)];
    machine.sync(SyncRequest { worker_id: 1, reports, ..SyncRequest::default() });
    machine.figures = Figures::default();
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn resident_megabytes() -> Fallible<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim_end().parse::<f64>()? / 1e3)
}

fn measure(bin: Bin) -> Fallible<()> {
    let before = resident_megabytes()?;
    let (mut machine, dumps) = machine(bin);
    let memory = resident_megabytes()? - before;
    let ended = machine.run();
    let figures = &machine.figures;
    let walltime = bin.hours * 3_600_000.0;
    let of = |millis: f64| {
        100.0 * figures.useful_millis as f64 / (f64::from(bin.nodes * SLOTS) * millis)
    };
    let row = machine.scheduler.status(Timestamp::from_millis(machine.now)).stages;
    let done = row.iter().find(|row| row.stage == Stage::Lines).map_or(0, |row| row.done);
    println!(
        "{} nodes, {} h, {} dumps of {DUMP_FILES} files ({:.0} s a file): useful {:.2} % of the \
         node time charged ({:.0} s of {:.0}), {:.2} % of the bin; {done} units done, {:.3} % \
         started again or given up; {:.0} calls/s; scheduler {:.1} % of a core, {memory:.0} MB, \
         {:.0} kB/s of journal",
        bin.nodes,
        bin.hours,
        dumps,
        MEAN_BYTES as f64 / bin.bytes_per_millis / 1e3,
        of(ended as f64),
        ended as f64 / 1e3,
        walltime / 1e3,
        of(walltime),
        100.0 * (figures.started - u64::from(done)) as f64 / figures.started as f64,
        figures.calls as f64 / (ended as f64 / 1e3),
        100.0 * figures.cpu_seconds / (ended as f64 / 1e3),
        figures.journal_bytes as f64 / ended as f64,
    );
    Ok(())
}

fn main() -> Fallible<()> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let pace = arguments.get(2).map_or(Ok(MB_PER_SECOND), |text| text.parse())?;
    let bin = |nodes, hours| Bin { nodes, hours, bytes_per_millis: pace * 1e3 };
    if let [nodes, hours, ..] = arguments.as_slice() {
        return measure(bin(nodes.parse()?, hours.parse()?));
    }
    for nodes in [4608, 9408] {
        for hours in [2.0, 6.0] {
            measure(bin(nodes, hours))?;
        }
    }
    Ok(())
}
