//! How a unit fails, classified by what the coordinator should do about it.

use std::io;

use thresher_proto::pb::{self, Stage, UnitRef, failed::Class};

use thresher_dedup::{CombineError, GatherError, KeysError, ResolveError, VerdictsError};
use thresher_formats::blocks::BlocksError;
use thresher_storage::commit::CommitError;
use thresher_storage::{Remedy, StorageError, is_full_or_broken};

/// Why a unit did not complete: who or what is at fault, as far as this worker can say.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// Evidently the data: every attempt would fail.
    #[error("{0}")]
    Data(String),
    /// Perhaps only this node: a local disk, a mount, memory, a permission. Another node may
    /// succeed.
    #[error("{0}")]
    Node(String),
    /// Storage refuses this job, or is full: if that holds on every node, a person must act.
    #[error("{0}")]
    Storage(String),
    /// A server did not answer, or only said that it is busy, for a long time.
    #[error("{0}")]
    Service(String),
    /// The job file, or something that it names, is wrong: a person must change it.
    #[error("{0}")]
    JobFile(String),
    /// A command of the user's failed. If this worker was asked to exit, so was the command, and
    /// the attempt did not fail.
    #[error("{0}")]
    Program(String),
    /// A defect of Thresher's own.
    #[error("{0}")]
    Defect(String),
    /// A file that an earlier unit wrote is damaged.
    #[error("{error}")]
    Damaged { producer: UnitRef, error: String },
}

impl UnitError {
    /// Returns the error for a damaged or unreadable file of an earlier unit. A missing file counts
    /// as damaged: it existed when its unit was done.
    pub fn staged(stage: Stage, ordinal: u32, error: &BlocksError) -> Self {
        let producer = UnitRef { stage: stage.into(), ordinal, attempt: 0 };
        match error {
            BlocksError::Damaged { .. } => Self::Damaged { producer, error: error.to_string() },
            BlocksError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::Damaged { producer, error: error.to_string() }
            }
            BlocksError::Io { source, .. } => Self::writing(source, error.to_string()),
        }
    }

    /// Returns the error for a file that the job writes. If the file system is full or
    /// read-only, the job stops, and resumes when files can be written again.
    pub fn writing(error: &io::Error, text: String) -> Self {
        if !is_full_or_broken(error) {
            return Self::Node(text);
        }
        Self::Storage(format!(
            "{text}\nhint: free some space, or make it writable, then run the same command again; \
             finished units are kept"
        ))
    }

    /// Returns the error of an input's reader.
    pub fn input(input: &str, error: &io::Error) -> Self {
        let mut text = format!("failed to read the input `{input}`: {error}");
        if matches!(StorageError::of(error), Some(StorageError::NotFound { .. })) {
            text += "\nhint: inputs must not be removed while a job runs; those on `https://` are \
                     not checked before they are read";
        }
        Self::by(StorageError::of(error).map_or(Remedy::Retry, StorageError::remedy), text)
    }

    /// Returns the error of a unit for a storage error with this remedy.
    pub fn by(remedy: Remedy, text: String) -> Self {
        match remedy {
            Remedy::Retry => Self::Node(text),
            Remedy::Wait => Self::Service(text),
            Remedy::GiveUp => Self::Data(text),
            Remedy::Stop => Self::Storage(text),
            Remedy::Correct => Self::JobFile(text),
        }
    }

    /// Returns the error for a file that `producer` wrote and that has other content than it
    /// should.
    fn damaged(stage: Stage, ordinal: u32, error: &dyn std::error::Error) -> Self {
        let producer = UnitRef { stage: stage.into(), ordinal, attempt: 0 };
        Self::Damaged { producer, error: error.to_string() }
    }

    /// Returns the error for verdicts that cannot be read. The unit `made_by` wrote them, units of
    /// `keyed` the keys.
    pub fn verdicts((stage, ordinal): (Stage, u32), keyed: Stage, error: &VerdictsError) -> Self {
        match error {
            VerdictsError::VerdictFile { source, .. } => Self::staged(stage, ordinal, source),
            VerdictsError::KeyFile { unit, source } => Self::staged(keyed, *unit, source),
            VerdictsError::Missing { .. } | VerdictsError::Partial { .. } => {
                Self::damaged(stage, ordinal, error)
            }
            VerdictsError::WrongUnit { expected, .. } => Self::damaged(keyed, *expected, error),
        }
    }

    /// Returns the error for keys of units of `keyed` that were not gathered.
    pub fn gather(keyed: Stage, error: &GatherError) -> Self {
        match error {
            GatherError::KeyFile { unit, source } => Self::staged(keyed, *unit, source),
            GatherError::WrongUnit { expected, .. } => Self::damaged(keyed, *expected, error),
            GatherError::Output(source) => Self::writing(source, error.to_string()),
        }
    }

    /// Returns the error for verdicts of units of `resolved` that were not combined.
    pub fn combine(resolved: Stage, error: &CombineError) -> Self {
        match error {
            CombineError::VerdictFile { range, source } => {
                Self::staged(resolved, range.index(), source)
            }
            CombineError::Misnamed { range, .. } | CombineError::Missing { range, .. } => {
                Self::damaged(resolved, range.index(), error)
            }
            CombineError::Output(source) => Self::writing(source, error.to_string()),
        }
    }

    /// Returns the error for a range that was not resolved: units of `keyed` wrote the keys, and
    /// units of `gathered` the files of groups.
    pub fn resolve((keyed, gathered): (Stage, Stage), error: &ResolveError) -> Self {
        match error {
            ResolveError::KeyFile { unit, source } => Self::staged(keyed, *unit, source),
            ResolveError::GroupFile { group, source } => Self::staged(gathered, *group, source),
            ResolveError::WrongUnit { expected, .. } => Self::damaged(keyed, *expected, error),
            ResolveError::Output(source) => Self::writing(source, error.to_string()),
            ResolveError::UnitTwice { .. } | ResolveError::TasksDiffer => {
                Self::Defect(error.to_string())
            }
            ResolveError::OtherRank { .. }
            | ResolveError::Message { .. }
            | ResolveError::Lost { .. }
            | ResolveError::Panicked { .. }
            | ResolveError::Comm(_) => Self::Node(error.to_string()),
        }
    }

    /// Reads the error that a rank reported; returns `None` if no version of this program sends it.
    pub fn from_wire(failed: pb::Failed) -> Option<Self> {
        match (failed.class(), failed.producer) {
            (Class::Node, _) => Some(Self::Node(failed.error)),
            (Class::Data, _) => Some(Self::Data(failed.error)),
            (Class::Storage, _) => Some(Self::Storage(failed.error)),
            (Class::Service, _) => Some(Self::Service(failed.error)),
            (Class::JobFile, _) => Some(Self::JobFile(failed.error)),
            (Class::Program, _) => Some(Self::Program(failed.error)),
            (Class::Defect, _) => Some(Self::Defect(failed.error)),
            (Class::Damaged, Some(producer)) => {
                Some(Self::Damaged { producer, error: failed.error })
            }
            (Class::Damaged, None) | (Class::Unspecified, _) => None,
        }
    }

    /// Converts the error to the message for the coordinator.
    pub fn to_wire(&self) -> pb::Failed {
        let (class, producer) = match self {
            Self::Node(_) => (Class::Node, None),
            Self::Data(_) => (Class::Data, None),
            Self::Storage(_) => (Class::Storage, None),
            Self::Service(_) => (Class::Service, None),
            Self::JobFile(_) => (Class::JobFile, None),
            Self::Program(_) => (Class::Program, None),
            Self::Defect(_) => (Class::Defect, None),
            Self::Damaged { producer, .. } => (Class::Damaged, Some(*producer)),
        };
        pb::Failed { class: class.into(), error: self.to_string(), producer }
    }
}

impl From<StorageError> for UnitError {
    fn from(error: StorageError) -> Self {
        Self::by(error.remedy(), error.to_string())
    }
}

impl From<CommitError> for UnitError {
    fn from(error: CommitError) -> Self {
        match error {
            // Another attempt wrote other bytes, which is a determinism violation that a retry
            // would hide.
            CommitError::Different { .. } => Self::Defect(error.to_string()),
            CommitError::Remote(error) => {
                Self::by(error.remedy(), format!("failed to publish: {error}"))
            }
            CommitError::NoSpace { .. }
            | CommitError::Device { .. }
            | CommitError::Unsupported { .. } => Self::Storage(error.to_string()),
            CommitError::Io { ref source, .. } => Self::writing(source, error.to_string()),
        }
    }
}

impl From<KeysError> for UnitError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::OrdinalTooLarge { .. } => Self::JobFile(error.to_string()),
            KeysError::Output(ref source) => Self::writing(source, error.to_string()),
            // Runs are spilled to this node's own disk.
            KeysError::Spill { .. } | KeysError::SpillRead(_) => Self::Node(error.to_string()),
        }
    }
}
