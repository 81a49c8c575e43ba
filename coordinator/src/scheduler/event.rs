//! Everything that can happen to the scheduler, and how it is written to the journal.
//!
//! An event holds all that its handling depends on: the same events in the same order, at the same
//! times, give the same state. Reading a clock or a file to make an event is the shell's business.

use std::fmt;

use thresher_proto::pb;

use super::JobPlan;

/// Unix time in milliseconds, as the shell read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment so many milliseconds after 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this moment; 0 when a clock went back.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment so many milliseconds later.
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A coordinator took over, after replaying what earlier ones wrote. Every known worker gets a
    /// fresh lease time, so that it can re-attach and keep its running units.
    Opened(pb::CoordinatorOpened),
    /// The job: its text with every default filled in, and the plan made of that text.
    Submitted {
        /// What to run, in plain numbers.
        plan: JobPlan,
        /// The text that the plan was made of; only this is journaled.
        job_toml: String,
    },
    /// A worker process made itself known. `worker_id` comes from `Scheduler::next_worker_id`.
    Registered {
        /// The id that it gets.
        worker_id: u32,
        /// What it said.
        request: pb::RegisterRequest,
    },
    /// A worker reports, asks for units, and renews its leases.
    Sync(pb::SyncRequest),
    /// A worker will not be heard of again: its lease ended, or the shell saw it die.
    Lost {
        /// Which one.
        worker_id: u32,
        /// For people, e.g. `not heard of for 60 s`.
        reason: String,
    },
    /// Somebody asked to stop after what runs, or the allocation ends.
    Drained {
        /// Until when running units may go on: what cannot end by then is given back. Without, as
        /// long as they take.
        until: Option<Timestamp>,
    },
    /// Somebody asked to stop for good.
    Cancelled,
    /// Somebody would rather have the output without what was set aside than wait for it.
    GapsAccepted,
}

/// Why a journal record is no event.
#[derive(Debug, thiserror::Error)]
pub enum RecordError<E> {
    /// A record without an event: written by a newer version.
    #[error(
        "a journal record of an unknown kind\nhint: run the version of thresher that wrote it, or a newer one"
    )]
    UnknownKind,
    /// The job in the journal could not be planned.
    #[error("a job in the journal that cannot be planned")]
    Plan(#[source] E),
}

impl Event {
    /// The record to journal. It comes after `Scheduler::handle`, so that nothing is copied.
    pub fn into_record(self, now: Timestamp) -> pb::JournalRecord {
        use pb::journal_record::Event as Written;
        let event = match self {
            Self::Opened(opened) => Written::Opened(opened),
            Self::Submitted { plan: _, job_toml } => {
                Written::Submitted(pb::JobSubmitted { job_toml })
            }
            Self::Registered { worker_id, request } => {
                Written::Registered(pb::WorkerRegistered { worker_id, request: Some(request) })
            }
            Self::Sync(request) => Written::Sync(request),
            Self::Lost { worker_id, reason } => Written::Lost(pb::WorkerLost { worker_id, reason }),
            Self::Drained { until } => Written::Drained(pb::JobDrained {
                until_millis: until.map_or(0, Timestamp::millis),
            }),
            Self::Cancelled => Written::Cancelled(pb::JobCancelled {}),
            Self::GapsAccepted => Written::GapsAccepted(pb::GapsAccepted {}),
        };
        pb::JournalRecord { now_millis: now.millis(), event: Some(event) }
    }

    /// The event that a record holds. `plan_of` turns the text of a job into its plan, as it did
    /// when the job was submitted.
    pub fn from_record<E>(
        record: pb::JournalRecord,
        plan_of: impl FnOnce(&str) -> Result<JobPlan, E>,
    ) -> Result<(Timestamp, Self), RecordError<E>> {
        use pb::journal_record::Event as Written;
        let event = match record.event.ok_or(RecordError::UnknownKind)? {
            Written::Opened(opened) => Self::Opened(opened),
            Written::Submitted(pb::JobSubmitted { job_toml }) => {
                let plan = plan_of(&job_toml).map_err(RecordError::Plan)?;
                Self::Submitted { plan, job_toml }
            }
            Written::Registered(pb::WorkerRegistered { worker_id, request }) => {
                Self::Registered { worker_id, request: request.unwrap_or_default() }
            }
            Written::Sync(request) => Self::Sync(request),
            Written::Lost(pb::WorkerLost { worker_id, reason }) => Self::Lost { worker_id, reason },
            Written::Drained(pb::JobDrained { until_millis }) => {
                Self::Drained { until: (until_millis > 0).then_some(Timestamp(until_millis)) }
            }
            Written::Cancelled(pb::JobCancelled {}) => Self::Cancelled,
            Written::GapsAccepted(pb::GapsAccepted {}) => Self::GapsAccepted,
        };
        Ok((Timestamp(record.now_millis), event))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
