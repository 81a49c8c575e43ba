//! What workers and coordinators say about themselves.

use crate::{AllocationEnd, AttemptRef, Report};

/// A worker process makes itself known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterRequest {
    /// The worker's host name.
    pub host: String,
    /// The worker's process id.
    pub pid: u32,
    /// Number of units that it runs at once.
    pub slots: u32,
    /// The version of its build.
    pub version: String,
    /// Units that it still runs from an earlier registration.
    pub held: Vec<AttemptRef>,
    /// Ranks that its launcher starts over all nodes for a gang unit; 0 without a launcher.
    pub gang_ranks: u32,
    /// Memory for keys of one of these ranks, or of the worker without a launcher, as far as its
    /// node decides; 0 if that is not known.
    pub key_memory_bytes: u64,
}

/// A worker reports, asks for units, and renews its leases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncRequest {
    /// The worker's id from its registration.
    pub worker_id: u32,
    /// Number of units that it can accept now.
    pub want: u32,
    /// Whether it runs and holds nothing, so that it can take a unit that must run alone.
    pub idle: bool,
    /// What happened since its last call.
    pub reports: Vec<Report>,
    /// Whether the answer to an earlier call was lost. `held` then lists all units that it holds.
    pub resync: bool,
    /// See `resync`.
    pub held: Vec<AttemptRef>,
    /// Time for which the coordinator may hold the call while there is no work.
    pub wait_millis: u32,
    /// Counts the calls of this registration from 1; 0 if not counted. A call with a smaller number
    /// than was seen before was given up by the worker.
    pub sequence: u64,
    /// Time within which the worker exits because of a signal; 0 if it stays.
    pub leaves_within_millis: u32,
}

/// What a worker must do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directive {
    /// Keep working.
    #[default]
    Continue,
    /// Take nothing new, return what has not started, and exit when the rest has ended.
    Drain,
    /// The job is over: exit.
    Exit,
}

/// A coordinator took over: the first record of every epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoordinatorOpened {
    /// The epoch that it took.
    pub epoch: u64,
    /// The version of its build.
    pub version: String,
    /// Its host name.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// The epoch that it continues; `None` for the first.
    pub previous: Option<PreviousEpoch>,
    /// The allocation that it runs in, as far as that is known.
    pub allocation: AllocationEnd,
    /// Identity of the state directory.
    pub identity: String,
}

/// The journal segment that an epoch continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousEpoch {
    /// Its epoch.
    pub epoch: u64,
    /// Number of its bytes that count; later ones are never read.
    pub bytes: u64,
}
