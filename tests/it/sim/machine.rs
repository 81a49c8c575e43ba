//! A simulated worker process: registers, asks, runs units for some virtual time, reports, repeats
//! what was not answered, and goes on after it was lost.

use thresher_coordinator::scheduler::Event;
use thresher_proto::pb::{
    Directive, Failed, Lease, RegisterRequest, Report, Returned, Stage, SyncRequest, UnitRef,
    failed::Kind, report::Outcome,
};

use super::files::{Key, key};
use super::work::End;

/// A unit that runs.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) unit: UnitRef,
    pub(crate) ends_at: u64,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) slots: u32,
    worker_id: Option<u32>,
    sequence: u64,
    pub(crate) running: Vec<Run>,
    unreported: Vec<Report>,
    resync: bool,
    drains: bool,
    /// Does nothing before that.
    pub(crate) wakes_at: u64,
}

impl Machine {
    pub(crate) fn new(number: usize, slots: u32) -> Self {
        Self {
            host: format!("node{}", number / 2),
            pid: 100 + number as u32,
            slots,
            worker_id: None,
            sequence: 0,
            running: Vec::new(),
            unreported: Vec::new(),
            resync: false,
            drains: false,
            wakes_at: 0,
        }
    }

    /// The process dies and another takes its place.
    pub(crate) fn restart(&mut self, wakes_at: u64) {
        let (host, pid) = (std::mem::take(&mut self.host), self.pid + 100);
        *self = Self { host, pid, wakes_at, ..Self::new(0, self.slots) };
    }

    pub(crate) fn held(&self) -> Vec<UnitRef> {
        let mut held: Vec<UnitRef> = self.running.iter().map(|run| run.unit).collect();
        for unit in self.unreported.iter().filter_map(|report| report.unit) {
            if !held.contains(&unit) {
                held.push(unit);
            }
        }
        held
    }

    pub(crate) fn held_keys(&self) -> impl Iterator<Item = Key> {
        self.held().into_iter().map(|unit| key(&unit))
    }

    /// Takes a run that has ended off the list.
    pub(crate) fn next_ended(&mut self, now: u64) -> Option<Run> {
        let ended = self.running.iter().position(|run| run.ends_at <= now)?;
        Some(self.running.remove(ended))
    }

    pub(crate) fn report(&mut self, unit: UnitRef, outcomes: impl IntoIterator<Item = Outcome>) {
        let report = |outcome| Report {
            unit: Some(unit),
            outcome: Some(outcome),
            cpu_millis: 10,
            wall_millis: 12,
        };
        self.unreported.extend(outcomes.into_iter().map(report));
    }

    pub(crate) fn report_bad_luck(&mut self, unit: UnitRef) {
        let kind = Kind::Retry.into();
        let failed = Failed { kind, error: "bad luck".to_owned(), producer: None };
        self.report(unit, [Outcome::Failed(failed)]);
    }

    /// Gives back what runs.
    pub(crate) fn give_back(&mut self) {
        for run in std::mem::take(&mut self.running) {
            self.report(run.unit, [Outcome::Returned(Returned {})]);
        }
    }

    /// What to say next, with at most so many reports; and how many those are.
    pub(crate) fn request(&mut self, worker_id_if_new: u32, most: usize) -> (Event, usize) {
        let Some(worker_id) = self.worker_id else {
            let request = RegisterRequest {
                host: self.host.clone(),
                pid: self.pid,
                slots: self.slots,
                version: "simulated".to_owned(),
                held: self.held(),
            };
            return (Event::Registered { worker_id: worker_id_if_new, request }, 0);
        };
        if self.drains && most.is_multiple_of(2) {
            self.give_back();
        }
        let sent = self.unreported.len().min(most);
        self.sequence += 1;
        let request = SyncRequest {
            worker_id,
            // Some workers want more than they have slots for, even while they run a gang unit.
            want: if self.drains { 0 } else { self.slots },
            idle: self.running.is_empty() && sent == self.unreported.len(),
            reports: self.unreported[..sent].to_vec(),
            resync: self.resync,
            held: if self.resync { self.held() } else { Vec::new() },
            wait_millis: 0,
            sequence: self.sequence,
        };
        (Event::Sync(request), sent)
    }

    pub(crate) fn registered(&mut self, worker_id: u32) {
        self.worker_id = Some(worker_id);
        self.sequence = 0;
        self.resync = false;
        self.drains = false;
    }

    /// The call ended without an answer.
    pub(crate) fn unanswered(&mut self) {
        self.resync = self.worker_id.is_some();
    }

    pub(crate) fn unknown(&mut self) {
        self.worker_id = None;
    }

    /// The answer to a call with so many reports.
    pub(crate) fn answered(&mut self, sent: usize, leases: &[Lease], directive: Directive) {
        self.unreported.drain(..sent);
        self.resync = false;
        self.drains = directive == Directive::Drain;
        let gang = |lease: &Lease| {
            let stage = lease.unit.unwrap_or_default().stage();
            matches!(stage, Stage::ResolveLines | Stage::ResolveDocuments)
        };
        if leases.iter().any(gang) {
            assert!(self.running.is_empty(), "a gang unit came to a worker that runs others");
            assert_eq!(leases.len(), 1, "a gang unit came with others");
        }
    }
}
