//! Everything that the scheduler asks of the shell, as facts.
//!
//! No effect may be performed before the event that caused it is durable, if that event changed
//! anything ([`Changed::Yes`]). Effects of a replayed event are dropped: they were performed, or
//! their receiver will ask again.

use thresher_domain::{AttemptRef, Directive, JobState, Lease, Stage};

/// Whether an event changed more than the time of a worker's last call.
#[must_use = "a change must be journaled before its effects are performed"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Journal the event; then perform the effects.
    Yes,
    /// Nothing to journal; the effects can be performed at once.
    No,
}

impl From<bool> for Changed {
    fn from(changed: bool) -> Self {
        if changed { Self::Yes } else { Self::No }
    }
}

/// What follows from a worker's Sync.
#[must_use = "the worker waits for its answer"]
#[derive(Clone, Debug, PartialEq)]
pub struct Synced {
    /// What to answer, once the event is durable.
    pub answer: SyncAnswer,
    /// Whether the event must be journaled first.
    pub changed: Changed,
}

/// The answer to a Sync.
#[derive(Clone, Debug, PartialEq)]
pub enum SyncAnswer {
    /// The worker keeps what it holds, and its leases are renewed.
    Answer {
        /// The units that it may now run.
        leases: Vec<Lease>,
        /// Continue, drain or exit.
        directive: Directive,
        /// Units that it holds and is to return now, because they cannot end in time or another
        /// worker finished them.
        give_up: Vec<AttemptRef>,
    },
    /// The worker was lost or never known: answer NOT_FOUND. Nothing of the request was used; the
    /// worker registers again and repeats it.
    UnknownWorker,
}

impl SyncAnswer {
    /// Whether the answer says nothing. Such a call may be held: repeat the same request without
    /// its reports and its `held` after [`Effect::WorkAvailable`].
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Answer { leases, directive, give_up } => {
                leases.is_empty() && give_up.is_empty() && *directive == Directive::Continue
            }
            Self::UnknownWorker => false,
        }
    }

    pub(crate) fn nothing() -> Self {
        let (leases, give_up) = (Vec::new(), Vec::new());
        Self::Answer { leases, directive: Directive::Continue, give_up }
    }
}

/// A fact for the shell to act upon.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// There are units to lease, or another directive, that were not there before: ask for parked
    /// callers again.
    WorkAvailable,
    /// Every earlier stage has no unit left to run.
    StageStarted {
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
    /// A unit failed permanently; the job continues without it, or `JobEnded` follows.
    UnitFailed {
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
    /// A worker gets no units for a while: they fail on it, and not on others.
    WorkerExcluded {
        /// Which one, in words.
        worker: String,
        /// Why.
        reason: String,
    },
    /// Determinism violation: two attempts of one unit wrote different bytes.
    Alarm {
        /// Which unit.
        unit: AttemptRef,
        /// For people.
        text: String,
    },
    /// A report was impossible and was not used.
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
