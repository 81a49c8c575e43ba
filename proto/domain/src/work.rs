//! What is leased to a worker, and what the worker reports.

use crate::{AttemptRef, CounterValue, KeyGroups, UnitKey};

/// The right to run a unit until the worker's lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The attempt that the worker runs.
    pub unit: AttemptRef,
    /// What the unit has to do.
    pub payload: Payload,
    /// Bytes of input, for rates and estimates; 0 if unknown.
    pub cost_bytes: u64,
    /// Time after which the unit could not end within the allocation, so the worker returns it
    /// instead of starting it. `None` if no end is known.
    pub start_within_millis: Option<u32>,
}

/// What a unit has to do. Only workers can interpret planned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// LIST: the source's position in the job file.
    List {
        /// Counts the sources of the job file from 0.
        source: u32,
    },
    /// LINES and PUBLISH: the bytes that LIST or LAYOUT planned.
    Planned(Vec<u8>),
    /// PREPARE: the bytes that LIST planned, and where the verdicts on lines are.
    Prepare {
        /// The bytes that LIST planned.
        inputs: Vec<u8>,
        /// How the keys of lines were put together.
        line_groups: KeyGroups,
    },
    /// GATHER and COMBINE: a group of units of the keyed stage.
    Group(GroupPayload),
    /// RESOLVE: a part of the key space. CONNECT: all of it.
    Range(RangePayload),
    /// SIGN: the bytes that LIST planned, and where the verdicts on documents are.
    Sign {
        /// The bytes that LIST planned.
        inputs: Vec<u8>,
        /// How the keys of documents were put together.
        document_groups: KeyGroups,
    },
    /// COLLECT, COMPARE and DECIDE: a group of PREPARE units, or a part of the components.
    Members(MembersPayload),
    /// LAYOUT: the units of one source.
    Layout(LayoutPayload),
    /// SEAL: the whole job; the report is rendered when the lease is sent.
    Seal {
        /// How band keys were put together.
        band_groups: KeyGroups,
    },
}

/// Neighbouring units of the keyed stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPayload {
    /// Position of the group.
    pub group: u32,
    /// The size of the groups, and the number of key ranges.
    pub groups: KeyGroups,
    /// Number of units of the keyed stage.
    pub units: u32,
    /// Ordinals of those of the group that wrote no files.
    pub absent: Vec<u32>,
}

/// One of `groups.ranges` equal parts of the key space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangePayload {
    /// Position of the part.
    pub range: u32,
    /// How the keys were put together.
    pub groups: KeyGroups,
    /// The units 0..`units` of the keyed stage take part, without those that are absent.
    pub units: u32,
    /// Ordinals of the keyed stage's units that wrote no files.
    pub absent: Vec<u32>,
    /// Memory in bytes that one gang may use for keys.
    pub budget_bytes: u64,
}

/// A group of PREPARE units, or a part of the components that their documents are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersPayload {
    /// Position of the group or the part.
    pub number: u32,
    /// Number of PREPARE units of the job.
    pub units: u32,
    /// Ordinals of the SIGN units of the group, or of all for a part, that wrote no keys.
    pub absent: Vec<u32>,
    /// How band keys were put together.
    pub band_groups: KeyGroups,
    /// For each unit of a group, the position of its source in the job file.
    pub sources: Vec<u32>,
}

/// The PREPARE units of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutPayload {
    /// The source's position in the job file.
    pub source: u32,
    /// The source's first PREPARE unit.
    pub first_unit: u32,
    /// Number of its PREPARE units.
    pub units: u32,
    /// Ordinals of those that wrote no files.
    pub absent: Vec<u32>,
    /// How the keys of documents were put together.
    pub groups: KeyGroups,
    /// Number of PREPARE units of the whole job: what is kept of one source may depend on the
    /// addresses of another.
    pub job_units: u32,
    /// Ordinals of the job's PREPARE units that wrote no files.
    pub job_absent: Vec<u32>,
    /// How band keys were put together; without key ranges, nothing was decided about
    /// near-duplicates.
    pub band_groups: KeyGroups,
}

/// A unit of a later stage, as a LIST or LAYOUT unit planned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedUnit {
    /// What the unit has to do.
    pub payload: Vec<u8>,
    /// Bytes of input; 0 if unknown.
    pub cost_bytes: u64,
}

/// Number of records of one reason, such as `gopher_quality/too_few_words` = 17. Filters and the
/// user's commands choose the names of reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The reason.
    pub name: String,
    /// Number of records.
    pub value: u64,
}

/// Every record that was read, and its outcome. `records_in` must equal `kept` plus the sums of
/// `dropped` and `quarantined`, or the result is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Records that were read.
    pub records_in: u64,
    /// Records that were kept.
    pub kept: u64,
    /// Records that were dropped, by reason.
    pub dropped: Vec<Count>,
    /// Records that were quarantined, by reason.
    pub quarantined: Vec<Count>,
    /// Bytes of the records that were read.
    pub bytes_in: u64,
    /// Bytes of the records that were kept.
    pub bytes_kept: u64,
}

/// The result of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Absent for units that read no records.
    pub accounting: Option<Accounting>,
    /// Hash of everything that the unit wrote, empty if it wrote nothing. A second run of the unit
    /// must give the same.
    pub digest: Vec<u8>,
    /// Distinct keys for the resolve stage that follows.
    pub keys: u64,
    /// Further numbers for the report, which are added up by counter.
    pub counters: Vec<CounterValue>,
}

/// A piece of what a LIST or LAYOUT unit planned, reported before its result. Piece 0 starts over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Position of the piece.
    pub piece: u32,
    /// The units that the piece adds.
    pub units: Vec<PlannedUnit>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who or what is at fault.
    pub class: FailureClass,
    /// Message for people: what failed, where, and a hint.
    pub error: String,
}

/// Who or what is at fault, as far as the worker can say. What follows is decided by the scheduler,
/// which also knows where else the unit and the node fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// Evidently the data: every attempt would fail.
    Data,
    /// Perhaps only this node: a local disk, a mount, memory, a permission, a file that is not
    /// visible yet.
    Node,
    /// Storage refuses this job, or is full. If that holds on every node, a person must act.
    Storage,
    /// A server did not answer, or only said that it is busy, for longer than a request waits.
    Service,
    /// The job file, or something that it names, is wrong: a person must change it.
    JobFile,
    /// A program of the user's failed.
    Program,
    /// A defect of Thresher's own.
    Defect,
    /// A file that an earlier unit wrote is damaged, so that unit must run again first.
    Damaged {
        /// The unit that wrote the file.
        producer: UnitKey,
    },
}

impl FailureClass {
    /// Returns the class in words, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Node => "node",
            Self::Storage | Self::Damaged { .. } => "storage",
            Self::Service => "service",
            Self::JobFile => "job file",
            Self::Program => "program",
            Self::Defect => "defect of Thresher",
        }
    }
}

/// How far an attempt is, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ended with a result.
    Done(Done),
    /// It ended without a result.
    Failed(Failure),
    /// It was returned (drain, preemption), which does not count against any unit.
    Returned,
    /// It still runs, and has planned some units.
    Listed(Listed),
}

/// One report of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The attempt that is reported.
    pub unit: AttemptRef,
    /// What happened.
    pub outcome: Outcome,
    /// CPU time of the attempt.
    pub cpu_millis: u64,
    /// Wall time of the attempt.
    pub wall_millis: u64,
}

impl Outcome {
    /// Returns whether the attempt no longer runs.
    pub const fn is_end(&self) -> bool {
        match self {
            Self::Listed(_) => false,
            Self::Done(_) | Self::Failed(_) | Self::Returned => true,
        }
    }
}
