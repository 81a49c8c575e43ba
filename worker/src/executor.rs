//! The slots: threads that run one leased unit at a time, and send reports.
//!
//! They do not know the coordinator: leases arrive in a queue, and reports are sent over a channel.
//!
//! **Invariant:** each lease gives exactly one final report, even if the unit panics.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thresher_proto::pb::{self, Lease, Report, UnitRef, failed::Class, report::Outcome};
use tokio::sync::mpsc::UnboundedSender;

use crate::reports::{self, Started};
use crate::signals;
use crate::stages::{JobContext, Stop, run_unit};
use thresher_formats::third_party::panic_text;
use thresher_storage::clock;
use thresher_unit::UnitError;

/// Stack of a slot. It is large because HTML trees are freed recursively.
const STACK_BYTES: usize = 16 << 20;

/// A signal to all processes of a job reaches them within this time.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// A lease that waits for a slot.
struct Waiting {
    lease: Lease,
    stop: Stop,
    /// Latest start. A unit that starts later could not finish in the allocation.
    until: Option<Instant>,
}

/// The waiting leases, and the units that run.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    running: Vec<Running>,
    closed: bool,
}

/// A unit that a slot runs.
struct Running {
    unit: UnitRef,
    stop: Stop,
    /// The last number of records that was seen, and since when.
    records: (Option<u64>, Instant),
}

/// The slots of this worker.
pub struct Executor {
    shared: Arc<(Mutex<Queue>, Condvar)>,
    slots: Vec<thread::JoinHandle<()>>,
}

impl Executor {
    /// Starts the threads, which send to `reports`.
    pub fn start(
        context: &Arc<JobContext>,
        slots: usize,
        reports: &UnboundedSender<Report>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
        let mut threads = Vec::with_capacity(slots);
        for slot in 0..slots {
            let (shared, context) = (Arc::clone(&shared), Arc::clone(context));
            let reports = reports.clone();
            let run = move || {
                while let Some(waiting) = next(&shared) {
                    let ended = run_or_return(&context, &waiting);
                    has_ended(&shared, &waiting);
                    for report in ended {
                        // The channel is closed when the worker exits.
                        let _ = reports.send(report);
                    }
                }
            };
            let builder = thread::Builder::new().name(format!("slot-{slot}"));
            threads.push(builder.stack_size(STACK_BYTES).spawn(run)?);
        }
        Ok(Self { shared, slots: threads })
    }

    /// Adds a lease to the queue.
    pub fn push(&self, lease: Lease) {
        let (queue, wake) = &*self.shared;
        let limit = Some(lease.start_within_millis).filter(|millis| *millis > 0);
        let until = limit.map(|millis| clock::now() + Duration::from_millis(millis.into()));
        let waiting = Waiting { lease, stop: Stop::default(), until };
        queue.lock().unwrap_or_else(PoisonError::into_inner).waiting.push_back(waiting);
        wake.notify_one();
    }

    /// Removes and returns the units that no slot has started.
    pub fn take_waiting(&self) -> Vec<UnitRef> {
        let mut queue = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.drain(..).filter_map(|waiting| waiting.lease.unit).collect()
    }

    /// Removes a unit that no slot has started, or asks the slot that runs it to stop.
    pub fn forget(&self, unit: &UnitRef) {
        let mut queue = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.retain(|waiting| waiting.lease.unit.as_ref() != Some(unit));
        for running in queue.running.iter().filter(|running| running.unit == *unit) {
            running.stop.set();
        }
    }

    /// Returns the running units that have been in one record since a call at least `patience` ago.
    pub fn stuck(&self, patience: Duration) -> Vec<UnitRef> {
        let mut queue = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let running = queue.running.iter_mut();
        running
            .filter_map(|running| running.is_stuck(now, patience).then_some(running.unit))
            .collect()
    }

    /// Removes the waiting leases, and lets the running units finish.
    pub fn close(&self) {
        let (queue, wake) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.clear();
        queue.closed = true;
        wake.notify_all();
    }

    /// Waits for the running units to finish.
    pub fn join(self) {
        self.close();
        for slot in self.slots {
            // A unit's panic is caught inside the slot.
            let _ = slot.join();
        }
    }
}

impl Running {
    fn is_stuck(&mut self, now: Instant, patience: Duration) -> bool {
        let records = self.stop.records();
        if records != self.records.0 {
            self.records = (records, now);
        }
        records.is_some() && now.duration_since(self.records.1) >= patience
    }
}

fn next(shared: &(Mutex<Queue>, Condvar)) -> Option<Waiting> {
    let (queue, wake) = shared;
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(waiting) = queue.waiting.pop_front() {
            let unit = waiting.lease.unit.unwrap_or_default();
            let (stop, records) = (waiting.stop.clone(), (None, clock::now()));
            queue.running.push(Running { unit, stop, records });
            return Some(waiting);
        }
        if queue.closed {
            return None;
        }
        queue = wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

fn has_ended(shared: &(Mutex<Queue>, Condvar), waiting: &Waiting) {
    let unit = waiting.lease.unit.unwrap_or_default();
    let mut queue = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    queue.running.retain(|running| running.unit != unit);
}

/// Runs a unit, or returns it if it waited too long to finish in the allocation.
fn run_or_return(context: &JobContext, waiting: &Waiting) -> Vec<Report> {
    if waiting.until.is_some_and(|until| clock::now() > until) {
        return vec![returned(&waiting.lease)];
    }
    run_lease(context, &waiting.lease, &waiting.stop)
}

fn returned(lease: &Lease) -> Report {
    let outcome = Some(Outcome::Returned(pb::Returned {}));
    Report { unit: lease.unit, outcome, ..Report::default() }
}

/// Runs one unit. Returns its planned units in several reports, then its final report.
fn run_lease(context: &JobContext, lease: &Lease, stop: &Stop) -> Vec<Report> {
    let started = Started::now();
    let unit = lease.unit;
    tracing::debug!(unit = %unit.unwrap_or_default(), "unit started");
    let ended = catch_unwind(AssertUnwindSafe(|| run_unit(context, lease, stop)));
    let outcome = match ended {
        Ok(Ok(finished)) => return reports::finished(unit, finished, started),
        Ok(Err(_)) if stop.is_set() => return vec![returned(lease)],
        Ok(Err(UnitError::Program(_))) if signals::was_asked_within(SAME_SIGNAL) => {
            return vec![returned(lease)];
        }
        Ok(Err(error)) => Outcome::Failed(error.to_wire()),
        Err(panic) => Outcome::Failed(pb::Failed {
            class: Class::Defect.into(),
            error: format!("the unit panicked: {}", panic_text(panic.as_ref())),
            producer: None,
        }),
    };
    vec![reports::ended(unit, outcome, started)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_stuck_if_one_record_lasts_longer_than_the_patience() {
        let (stop, start) = (Stop::default(), clock::now());
        let records = (None, start);
        let mut running = Running { unit: UnitRef::default(), stop: stop.clone(), records };
        let patience = Duration::from_secs(10);
        let mut is_stuck_after =
            |seconds| running.is_stuck(start + Duration::from_secs(seconds), patience);
        assert!(!is_stuck_after(100), "it has not reached its first record");
        stop.count_record();
        assert!(!is_stuck_after(200), "the record was not seen before");
        assert!(!is_stuck_after(209));
        assert!(is_stuck_after(210));
        stop.count_record();
        assert!(!is_stuck_after(220), "it is in another record");
        stop.end_records();
        assert!(!is_stuck_after(300), "it is past its last record");
    }
}
