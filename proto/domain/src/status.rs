//! The state of a job, for people and programs.

use crate::{
    Accounting, AttemptRef, CounterValue, FailureClass, JobState, Stage, Timestamp, UnitKey,
};

/// The state of a job, with everything that is reported about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The job's name; empty without a job.
    pub job_name: String,
    /// The state of the job.
    pub state: JobState,
    /// Why it stopped, for people; empty if there is nothing to say.
    pub reason: String,
    /// The epoch of the coordinator.
    pub epoch: u64,
    /// The time to which all of this refers.
    pub now: Timestamp,
    /// When the job was submitted.
    pub submitted: Option<Timestamp>,
    /// When the job ended permanently.
    pub finished: Option<Timestamp>,
    /// Every stage, in order; none without a job.
    pub stages: Vec<StageStatus>,
    /// Known workers, and the latest of those that were lost.
    pub workers: Vec<WorkerStatus>,
    /// Totals of the whole job: those of PREPARE, without what PUBLISH removed as duplicates.
    pub accounting: Option<Accounting>,
    /// Units that failed permanently.
    pub failed_units: Vec<FailedUnit>,
    /// Determinism violations: two attempts of one unit wrote different bytes.
    pub alarms: Vec<String>,
    /// Location of the output.
    pub output: String,
    /// The allocation that the coordinator runs in; `None` if nothing is known about it.
    pub allocation: Option<AllocationEnd>,
    /// Whether no more units are leased while running ones may end.
    pub draining: bool,
    /// Whether the job stopped for a reason that would stop the next coordinator too, until
    /// somebody fixes it.
    pub refused: bool,
    /// What a person should look at before using the output; a complete job then ends with its own
    /// exit status.
    pub attention: Vec<String>,
}

/// The allocation around a coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationEnd {
    /// Its id in the batch system; empty if unknown.
    pub allocation: String,
    /// When it ends, if that is known.
    pub ends: Option<Timestamp>,
    /// Time before the end in which nothing runs.
    pub margin_millis: u32,
}

impl AllocationEnd {
    /// Returns whether anything is known about the allocation.
    pub fn is_known(&self) -> bool {
        !self.allocation.is_empty() || self.ends.is_some()
    }
}

/// The state of one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageStatus {
    /// The stage.
    pub stage: Stage,
    /// Units that the job needs.
    pub units: u32,
    /// Units that wait.
    pub waiting: u32,
    /// Units that are leased.
    pub leased: u32,
    /// Units with a result.
    pub done: u32,
    /// Units that failed permanently.
    pub failed: u32,
    /// Bytes of input of all units.
    pub bytes: u64,
    /// Bytes of input of the units with a result.
    pub bytes_done: u64,
    /// CPU time of all attempts.
    pub cpu_millis: u64,
    /// Wall time of the attempts with a result.
    pub wall_millis: u64,
    /// When the first unit was leased.
    pub started: Option<Timestamp>,
    /// When the last unit ended.
    pub ended: Option<Timestamp>,
    /// Failed attempts, and attempts that were lost with their worker.
    pub retries: u32,
    /// The sums of all results.
    pub accounting: Accounting,
    /// Further sums of all results.
    pub counters: Vec<CounterValue>,
    /// Whether the stage's units are known.
    pub planned: bool,
}

/// The state of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its id.
    pub worker_id: u32,
    /// Its host name.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// Number of units that it runs at once.
    pub slots: u32,
    /// Number of units that it holds.
    pub held: u32,
    /// When it last called.
    pub last_seen: Timestamp,
    /// Whether it was declared lost.
    pub lost: bool,
    /// Why it gets no units; `None` if it may have some.
    pub excluded: Option<String>,
}

/// A unit that failed permanently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedUnit {
    /// The unit.
    pub unit: UnitKey,
    /// Why it failed.
    pub error: String,
    /// Number of attempts.
    pub attempts: u32,
    /// Who or what is at fault; `None` if the unit took its workers with it.
    pub class: Option<FailureClass>,
    /// The host on which it failed last; empty if that is not known.
    pub host: String,
}

/// What a unit does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitCondition {
    /// It waits to be leased.
    Waiting,
    /// One or two workers run it.
    Leased,
    /// It has a result.
    Done,
    /// It failed permanently.
    Failed,
    /// The job does not need it.
    Skipped,
}

impl UnitCondition {
    /// Returns the condition in words, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Failed => "failed permanently",
            Self::Skipped => "skipped",
        }
    }
}

/// Why a unit is in its condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The unit, with its latest attempt.
    pub unit: AttemptRef,
    /// Its condition.
    pub condition: UnitCondition,
    /// The reasons as sentences, most important first.
    pub because: Vec<String>,
}
