//! Everything that the scheduler asks of the shell, as facts.
//!
//! No effect may be performed before the event that caused it is durable, if that event changed
//! anything ([`Changed::Yes`]). Effects of a replayed event are dropped: they were performed, or
//! their receiver will ask again.

use thresher_domain::{AttemptRef, Directive, JobState, Lease, Stage};

/// Whether an event changed anything but how long ago a worker was heard of.
#[must_use = "a change must be journaled before its effects are performed"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Journal the event; then perform the effects.
    Yes,
    /// Nothing to journal; the effects can be performed at once.
    No,
}

/// A fact for the shell to act upon.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The answer to a Sync: exactly one of this and `Unknown` follows from each Sync.
    /// Without leases and with the directive CONTINUE, the call may be parked: give the same
    /// request without its reports and its `held` again after `WorkAvailable`.
    Answer {
        /// Who asked.
        worker_id: u32,
        /// The units that it may now run. A SEAL unit's payload is empty: the shell fills it in.
        leases: Vec<Lease>,
        /// Go on, drain or exit.
        directive: Directive,
        /// Units that it holds and is to give back now: they cannot end in time.
        give_up: Vec<AttemptRef>,
    },
    /// The Sync came from a worker that was lost or never known: answer NOT_FOUND. Nothing of the
    /// request was used; the worker registers again and repeats it.
    Unknown {
        /// Who asked.
        worker_id: u32,
    },
    /// There are units to lease, or another directive, that were not there before: ask for parked
    /// callers again.
    WorkAvailable,
    /// Every earlier stage has no unit left to run.
    StageBegan {
        /// Which stage.
        stage: Stage,
        /// How many units it has to run.
        units: u32,
    },
    /// The stage has no unit left to run.
    StageEnded {
        /// Which stage.
        stage: Stage,
    },
    /// A unit will not be tried again; the job goes on without it, or `JobEnded` follows.
    UnitSetAside {
        /// Which one, with its last attempt.
        unit: AttemptRef,
        /// Why.
        error: String,
    },
    /// An attempt ended without a result; the unit will be tried again.
    AttemptFailed {
        /// Which attempt.
        unit: AttemptRef,
        /// Why.
        error: String,
    },
    /// Two runs of one unit gave different bytes: the promise of same bytes is broken.
    Alarm {
        /// Which unit.
        unit: AttemptRef,
        /// For people.
        text: String,
    },
    /// A report said something impossible and was not used.
    ReportRefused {
        /// Who sent it.
        worker_id: u32,
        /// What it was about.
        unit: AttemptRef,
        /// For people.
        reason: String,
    },
    /// The job stopped: complete, failed, cancelled, or drained.
    JobEnded {
        /// How.
        state: JobState,
        /// For people; empty when there is nothing to say.
        reason: String,
    },
}
