//! A simulated worker process: registers, asks, runs units for some virtual time, reports, repeats
//! what was not answered, and continues after it was lost.

use thresher_domain::{
    AttemptRef, Directive, Failure, FailureClass, Lease, Outcome, RegisterRequest, Report,
    SyncRequest, UnitKey,
};
use thresher_scheduler::Event;

use super::truth::KEY_MEMORY_BYTES;
use super::work::End;

/// A unit that runs.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) unit: AttemptRef,
    pub(crate) ends_at: u64,
    pub(crate) end: End,
    pub(crate) began_at: u64,
    /// It was asked to return the unit, and did; the run continues.
    pub(crate) given_up: bool,
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
    /// When it exits because of a signal.
    pub(crate) leaves_at: Option<u64>,
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
            leaves_at: None,
        }
    }

    pub(crate) fn worker_id(&self) -> Option<u32> {
        self.worker_id
    }

    /// The process dies and another takes its place.
    pub(crate) fn restart(&mut self, wakes_at: u64) {
        let (host, pid) = (std::mem::take(&mut self.host), self.pid + 100);
        *self = Self { host, pid, wakes_at, ..Self::new(0, self.slots) };
    }

    pub(crate) fn held(&self) -> Vec<AttemptRef> {
        let runs = self.running.iter().filter(|run| !run.given_up);
        let mut held: Vec<AttemptRef> = runs.map(|run| run.unit).collect();
        for unit in self.unreported.iter().map(|report| report.unit) {
            if !held.contains(&unit) {
                held.push(unit);
            }
        }
        held
    }

    pub(crate) fn held_keys(&self) -> impl Iterator<Item = UnitKey> {
        self.held().into_iter().map(|unit| unit.key)
    }

    /// Takes a run that has ended off the list.
    pub(crate) fn next_ended(&mut self, now: u64) -> Option<Run> {
        let ended = self.running.iter().position(|run| run.ends_at <= now)?;
        Some(self.running.remove(ended))
    }

    /// Says what came of a run.
    pub(crate) fn report(&mut self, run: &Run, outcomes: impl IntoIterator<Item = Outcome>) {
        let report = |outcome| Report {
            unit: run.unit,
            outcome,
            cpu_millis: 10,
            wall_millis: run.ends_at - run.began_at,
        };
        self.unreported.extend(outcomes.into_iter().map(report));
    }

    pub(crate) fn report_bad_luck(&mut self, run: &Run) {
        self.report_failure(run, FailureClass::Node, "bad luck");
    }

    /// The node, or what all of them use, is broken just now.
    pub(crate) fn report_fault(&mut self, run: &Run, class: FailureClass) {
        self.report_failure(run, class, "what is around the unit is broken");
    }

    /// The storage refuses the keys of this job.
    pub(crate) fn report_blocked(&mut self, run: &Run) {
        self.report_failure(run, FailureClass::Storage, "the keys have expired");
    }

    fn report_failure(&mut self, run: &Run, class: FailureClass, error: &str) {
        let failure = Failure { class, error: error.to_owned() };
        self.report(run, [Outcome::Failed(failure)]);
    }

    /// Gives back what runs.
    pub(crate) fn give_back(&mut self) {
        for run in std::mem::take(&mut self.running) {
            if !run.given_up {
                self.report(&run, [Outcome::Returned]);
            }
        }
    }

    /// Returns the units that the answer names. Their slots continue, and may come to a result.
    fn give_up(&mut self, units: &[AttemptRef]) {
        let mut runs = std::mem::take(&mut self.running);
        for run in runs.iter_mut().filter(|run| units.contains(&run.unit) && !run.given_up) {
            run.given_up = true;
            self.report(run, [Outcome::Returned]);
        }
        self.running = runs;
    }

    /// Returns the next call, with at most `most` reports, and their number.
    pub(crate) fn request(
        &mut self,
        now: u64,
        worker_id_if_new: u32,
        most: usize,
    ) -> (Event, usize) {
        let Some(worker_id) = self.worker_id else {
            let request = RegisterRequest {
                host: self.host.clone(),
                pid: self.pid,
                slots: self.slots,
                version: "simulated".to_owned(),
                held: self.held(),
                key_memory_bytes: KEY_MEMORY_BYTES,
                ..RegisterRequest::default()
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
            want: if self.drains || self.leaves_at.is_some() { 0 } else { self.slots },
            idle: self.running.is_empty() && sent == self.unreported.len(),
            reports: self.unreported[..sent].to_vec(),
            resync: self.resync,
            held: if self.resync { self.held() } else { Vec::new() },
            wait_millis: 0,
            sequence: self.sequence,
            leaves_within_millis: match self.leaves_at {
                None => 0,
                Some(at) => at.saturating_sub(now).max(1) as u32,
            },
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

    /// Takes the answer to a call with `sent` reports.
    pub(crate) fn answered(
        &mut self,
        sent: usize,
        leases: &[Lease],
        directive: Directive,
        give_up: &[AttemptRef],
    ) {
        self.unreported.drain(..sent);
        self.give_up(give_up);
        self.resync = false;
        self.drains = directive == Directive::Drain;
        if leases.iter().any(|lease| lease.unit.key.stage.is_gang()) {
            assert!(self.running.is_empty(), "a gang unit came to a worker that runs others");
            assert_eq!(leases.len(), 1, "a gang unit came with others");
        }
    }
}
