//! Errors of the journal, with messages for the person who has to fix the cause.

use std::io;
use std::path::PathBuf;

/// What went wrong with the journal. The same coordinator cannot retry any of these.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another coordinator took over.
    #[error(
        "coordinator of epoch {epoch} was replaced by that of epoch {by}\n\
         hint: nothing is lost; use the newer coordinator, or stop it before you start another"
    )]
    Fenced {
        /// The epoch of this coordinator.
        epoch: u64,
        /// An epoch that was taken later.
        by: u64,
    },
    /// The file system returned an error.
    #[error("could not {action} `{}`\nhint: {}", path.display(), hint(source))]
    Io {
        /// What was attempted, e.g. `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// The end of the file is unknown after an earlier error; nothing may be written after it.
    #[error(
        "journal `{}` is closed after an earlier error: {first}\n\
         hint: fix the cause and start the coordinator again; it resumes from the last complete \
         record",
        path.display()
    )]
    Poisoned {
        /// The file.
        path: PathBuf,
        /// The first error, with its hint.
        first: String,
    },
    /// Records that were written completely cannot be read any more.
    #[error(
        "journal `{}` is damaged at byte {offset}: {what}\n\
         hint: restore the file from a copy; or resume the job with `--recover`, as in \
         `thresher run JOB.toml --recover`, which continues from the last whole record before the \
         damage: units that ended after it run again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset of the first unreadable byte.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The state directory was written by another version of the program.
    #[error(
        "the state directory of the journal `{}` has version {found}, and this program reads \
         version {known}\nhint: finish the job with the program that started it, or run it again \
         with a new state directory",
        path.display()
    )]
    OtherVersion {
        /// The newest segment.
        path: PathBuf,
        /// The version of the state directory.
        found: u32,
        /// The version that this program writes.
        known: u32,
    },
    /// A record larger than can be read back.
    #[error(
        "a journal record of {bytes} bytes is over the limit of {limit}\n\
         hint: let workers report in smaller pieces"
    )]
    TooBig {
        /// Size of the record.
        bytes: usize,
        /// Largest size.
        limit: usize,
    },
    /// Other coordinators took every epoch that was tried.
    #[error(
        "could not take an epoch in `{}`: other coordinators were faster {tries} times\n\
         hint: start only one coordinator on this state directory",
        path.display()
    )]
    Crowded {
        /// The segment that was tried last.
        path: PathBuf,
        /// Number of tries.
        tries: u32,
    },
}

fn hint(source: &io::Error) -> &'static str {
    use io::ErrorKind::{
        NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    let kind = source.kind();
    if matches!(kind, StorageFull | QuotaExceeded) {
        "free some space or raise the quota, then start again; it resumes from the last complete \
         record"
    } else if matches!(kind, PermissionDenied | ReadOnlyFilesystem) {
        "the state directory must be on a file system that you can write to"
    } else if kind == NotFound {
        "check whether the state directory was moved or purged while the job ran"
    } else {
        "check the file system of the state directory, then start again; it resumes from the last \
         complete record"
    }
}
