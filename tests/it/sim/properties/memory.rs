//! What the scheduler remembers grows with the job's units, not with what happened to them.

use thresher_domain::{Stage, Timestamp};
use thresher_scheduler::Scheduler;

/// For the plan, the stages, the live workers and the 64 last lost ones, as text.
const BASE_BYTES: usize = 40_000;
/// A unit as text, its payload, and its history: three failures and why it failed permanently.
const UNIT_BYTES: usize = 1200;

pub(crate) fn at_end(scheduler: &Scheduler, now: Timestamp) {
    let units: usize = Stage::ALL.iter().map(|stage| scheduler.units(*stage) as usize).sum();
    let text_bytes = format!("{scheduler:?}").len();
    assert!(
        text_bytes < BASE_BYTES + units * UNIT_BYTES,
        "{units} units are remembered in {text_bytes} bytes of text"
    );
    let lost = scheduler.status(now).workers.iter().filter(|worker| worker.lost).count();
    assert!(lost <= 64, "{lost} lost workers are remembered");
}
