//! How a unit fails, classified by what the coordinator should do about it.

use std::io;

use thresher_proto::pb::{self, Stage, UnitRef, failed::Kind};

use thresher_dedup::{KeysError, ResolveError, VerdictsError};
use thresher_formats::blocks::BlocksError;
use thresher_storage::commit::CommitError;
use thresher_storage::{Remedy, StorageError, is_full_or_broken};

/// Why a unit did not complete.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// The next attempt may succeed.
    #[error("{0}")]
    Retry(String),
    /// A command of the user's failed, and the next attempt may succeed. If this worker was asked
    /// to exit, so was the command, and the attempt did not fail.
    #[error("{0}")]
    Command(String),
    /// Every attempt would fail.
    #[error("{0}")]
    Fatal(String),
    /// No unit can continue until a person fixes something outside the job.
    #[error("{0}")]
    Barred(String),
    /// A server did not answer for a long time.
    #[error("{0}")]
    Unanswered(String),
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
            return Self::Retry(text);
        }
        Self::Barred(format!(
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
            Remedy::Retry => Self::Retry(text),
            Remedy::Wait => Self::Unanswered(text),
            Remedy::GiveUp => Self::Fatal(text),
            Remedy::Stop => Self::Barred(text),
        }
    }

    /// Returns the error for verdicts that cannot be read.
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

    /// Returns the error for a range that was not resolved.
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

    /// Reads the error that a rank reported; returns `None` if no version of this program sends it.
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

    /// Converts the error to the message for the coordinator.
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
            // Another attempt wrote other bytes, which is a determinism violation that a retry
            // would hide.
            CommitError::Different { .. } => Self::Fatal(error.to_string()),
            CommitError::Remote(error) => {
                Self::by(error.remedy(), format!("failed to publish: {error}"))
            }
            CommitError::NoSpace { .. }
            | CommitError::Device { .. }
            | CommitError::Unsupported { .. } => Self::Barred(error.to_string()),
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
