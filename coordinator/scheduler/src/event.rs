//! Everything that can happen to the scheduler.
//!
//! An event holds all that its handling depends on: the same events in the same order, at the same
//! times, give the same state. Reading a clock or a file to make an event is the shell's business.

use thresher_domain::{CoordinatorOpened, RegisterRequest, Stage, SyncRequest, Timestamp};

use crate::plan::JobPlan;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A coordinator took over, after replaying what earlier ones wrote. Every known worker gets a
    /// fresh lease time, so that it can re-attach and keep its running units.
    Opened(CoordinatorOpened),
    /// The job: its text with every default filled in, and the plan made of that text.
    Submitted {
        /// What to run, in plain numbers.
        plan: JobPlan,
        /// The text that the plan was made of; only this is journaled.
        job_toml: String,
    },
    /// The job goes on with another plan, or what it made is made again: units are missing, or the
    /// output is gone. Happens before workers are served, also to a job that is complete.
    JobChanged {
        /// What to run from now on.
        plan: JobPlan,
        /// The text that the plan was made of.
        job_toml: String,
        /// The first stage that is planned again, with all later ones; `None` changes only limits
        /// and names.
        from: Option<Stage>,
        /// Whether the units of that stage that are done stay so, and only its failed ones wait
        /// again.
        keep_done: bool,
    },
    /// A worker process made itself known. `worker_id` comes from `Scheduler::next_worker_id`.
    Registered {
        /// The id that it gets.
        worker_id: u32,
        /// What it said.
        request: RegisterRequest,
    },
    /// A worker reports, asks for units, and renews its leases.
    Sync(SyncRequest),
    /// A worker is lost: its lease ended, or the shell saw it die.
    Lost {
        /// Which one.
        worker_id: u32,
        /// For people, e.g. `it has not called for 60 s`.
        reason: String,
    },
    /// Somebody asked to stop after what runs, or the allocation ends.
    Drained {
        /// Until when running units may go on: what cannot end by then is given back. Without, as
        /// long as they take.
        until: Option<Timestamp>,
    },
    /// The coordinator did not run for a time, so that no worker could call: every lease lasts that
    /// much longer.
    Frozen {
        /// How long.
        millis: u64,
    },
    /// The coordinator ends before it did anything for the job, because what it was started with
    /// was refused. A job that was drained or blocked is so again.
    RunRefused,
    /// Somebody asked to stop for good.
    Cancelled,
    /// Somebody prefers the output without the units that failed permanently.
    FailedUnitsAccepted,
}
