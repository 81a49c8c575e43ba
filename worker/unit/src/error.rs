//! How a unit fails, sorted by what the coordinator should do about it.

use std::io;

use thresher_proto::pb::{self, Stage, UnitRef, failed::Kind};

use thresher_dedup::{KeysError, ResolveError, VerdictsError};
use thresher_formats::blocks::BlocksError;
use thresher_storage::commit::CommitError;
use thresher_storage::{Remedy, StorageError, is_full_or_broken};

/// Why a unit did not end.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// May go better next time.
    #[error("{0}")]
    Retry(String),
    /// A program of the user's failed. May go better next time; and where this worker was asked to
    /// end, so was the program, and nobody failed.
    #[error("{0}")]
    Command(String),
    /// Will fail again.
    #[error("{0}")]
    Fatal(String),
    /// No unit can go on until somebody changes something outside.
    #[error("{0}")]
    Barred(String),
    /// A server did not answer for long.
    #[error("{0}")]
    Unanswered(String),
    /// A file that an earlier unit wrote is damaged.
    #[error("{error}")]
    Damaged { producer: UnitRef, error: String },
}

impl UnitError {
    /// A damaged or unreadable file of an earlier unit. A missing file counts as damaged: it was
    /// there when its unit was done.
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

    /// An error of a file of the job's own. Where the file system takes nothing from anybody, the
    /// job stops before it loses what it could not write, and goes on once there is room.
    pub fn writing(error: &io::Error, text: String) -> Self {
        if !is_full_or_broken(error) {
            return Self::Retry(text);
        }
        Self::Barred(format!(
            "{text}\nhint: make room, or see that it can be written to, then run again: what is done \
             stays done"
        ))
    }

    /// An error of an input's reader.
    pub fn input(input: &str, error: &io::Error) -> Self {
        let mut text = format!("failed to read the input `{input}`: {error}");
        if matches!(StorageError::of(error), Some(StorageError::NotFound { .. })) {
            text += "\nhint: inputs must stay while a job runs; those on `https://` are not looked for \
                     before they are read";
        }
        Self::by(StorageError::of(error).map_or(Remedy::Retry, StorageError::remedy), text)
    }

    /// What a storage's error means for the unit.
    pub fn by(remedy: Remedy, text: String) -> Self {
        match remedy {
            Remedy::Retry => Self::Retry(text),
            Remedy::Wait => Self::Unanswered(text),
            Remedy::GiveUp => Self::Fatal(text),
            Remedy::Stop => Self::Barred(text),
        }
    }

    pub fn verdicts(stage: Stage, error: &VerdictsError) -> Self {
        let resolve = match stage {
            Stage::Lines => Stage::ResolveLines,
            Stage::Prepare => Stage::ResolveDocuments,
            Stage::Unspecified
            | Stage::List
            | Stage::ResolveLines
            | Stage::ResolveDocuments
            | Stage::Layout
            | Stage::Publish
            | Stage::Seal => stage,
        };
        match error {
            VerdictsError::VerdictFile { range, source } => {
                Self::staged(resolve, range.index(), source)
            }
            VerdictsError::KeyFile { unit, source } => Self::staged(stage, *unit, source),
            VerdictsError::Missing { index, .. } => {
                let producer = UnitRef { stage: resolve.into(), ordinal: *index, attempt: 0 };
                Self::Damaged { producer, error: error.to_string() }
            }
            VerdictsError::WrongUnit { expected, .. } => {
                let producer = UnitRef { stage: stage.into(), ordinal: *expected, attempt: 0 };
                Self::Damaged { producer, error: error.to_string() }
            }
            VerdictsError::Name(_) | VerdictsError::Misnamed(_) | VerdictsError::Surplus(_) => {
                Self::Fatal(error.to_string())
            }
        }
    }

    pub fn resolve(stage: Stage, error: &ResolveError) -> Self {
        match error {
            ResolveError::KeyFile { unit, source } => Self::staged(stage, *unit, source),
            ResolveError::WrongUnit { expected, .. } => {
                let producer = UnitRef { stage: stage.into(), ordinal: *expected, attempt: 0 };
                Self::Damaged { producer, error: error.to_string() }
            }
            ResolveError::Output(source) => Self::writing(source, error.to_string()),
            ResolveError::UnitTwice { .. }
            | ResolveError::TasksDiffer
            | ResolveError::OtherRank { .. }
            | ResolveError::Message { .. }
            | ResolveError::Lost { .. }
            | ResolveError::Panicked { .. }
            | ResolveError::Comm(_) => Self::Retry(error.to_string()),
        }
    }

    /// What a rank said; nothing when it said something that no version of this program says.
    pub fn from_wire(failed: pb::Failed) -> Option<Self> {
        match (failed.kind(), failed.producer) {
            (Kind::Retry, _) => Some(Self::Retry(failed.error)),
            (Kind::Fatal, _) => Some(Self::Fatal(failed.error)),
            (Kind::Barred, _) => Some(Self::Barred(failed.error)),
            (Kind::Unanswered, _) => Some(Self::Unanswered(failed.error)),
            (Kind::Damaged, Some(producer)) => {
                Some(Self::Damaged { producer, error: failed.error })
            }
            (Kind::Damaged, None) | (Kind::Unspecified, _) => None,
        }
    }

    /// As the coordinator is told.
    pub fn to_wire(&self) -> pb::Failed {
        let (kind, producer) = match self {
            Self::Retry(_) | Self::Command(_) => (Kind::Retry, None),
            Self::Fatal(_) => (Kind::Fatal, None),
            Self::Barred(_) => (Kind::Barred, None),
            Self::Unanswered(_) => (Kind::Unanswered, None),
            Self::Damaged { producer, .. } => (Kind::Damaged, Some(*producer)),
        };
        pb::Failed { kind: kind.into(), error: self.to_string(), producer }
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
            // Another attempt gave other bytes: promise 1 is broken, and trying again hides it.
            CommitError::Different { .. } => Self::Fatal(error.to_string()),
            CommitError::Remote(error) => {
                Self::by(error.remedy_of_place(), format!("failed to publish: {error}"))
            }
            CommitError::NoSpace { .. } | CommitError::Device { .. } => {
                Self::Barred(error.to_string())
            }
            CommitError::Io { ref source, .. } => Self::writing(source, error.to_string()),
        }
    }
}

impl From<KeysError> for UnitError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::OrdinalTooLarge { .. } => Self::Fatal(error.to_string()),
            KeysError::Output(ref source) | KeysError::Spill { ref source, .. } => {
                Self::writing(source, error.to_string())
            }
            KeysError::SpillRead(_) => Self::Retry(error.to_string()),
        }
    }
}
