//! Rebuilds the scheduler from a state directory, by replaying the events of the journal.

use std::path::{Path, PathBuf};

use thresher_channel::identity::{Found, IdentityError, establish, find};
use thresher_channel::private_file::{PrivateFileError, ensure_private_directory};
use thresher_domain::{AllocationEnd, CoordinatorOpened, Timestamp};
use thresher_job::JobError;
use thresher_scheduler::{Event, Scheduler};

use crate::allocation::Allocation;
use crate::clock;
use crate::event_record::{RecordError, from_record, into_record};
use crate::job_plan::plan_of_text;
use crate::journal::{self, Journal, JournalError, Replay};

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("failed to use the state directory: {0}")]
    State(#[from] PrivateFileError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(
        "`{}` is a copy of the state directory `{}`, which still exists and has the same work \
         directory\nhint: use `--state {}`; or remove the copy",
        copy.display(), original.display(), original.display()
    )]
    Copy { copy: PathBuf, original: PathBuf },
    #[error("failed to make the folder `{}` for the state directory: {source}", path.display())]
    Parent { path: PathBuf, source: std::io::Error },
    #[error("failed to read the journal: {0}")]
    Record(#[from] RecordError<JobError>),
    #[error("the journal holds a job that this version cannot read: {0}")]
    Job(#[from] JobError),
}

/// The state with which a new coordinator starts.
pub(super) struct Taken {
    pub(super) scheduler: Scheduler,
    pub(super) journal: Journal,
    pub(super) identity: String,
}

/// What a journal holds.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The state after its last event.
    pub scheduler: Scheduler,
    /// The time of its last event.
    pub last: Timestamp,
}

/// Returns the folder of a job's journal.
pub(crate) fn journal_directory(state: &Path) -> PathBuf {
    state.join("journal")
}

/// Takes the next epoch. It is durable when this function returns.
pub(super) fn open(
    state: &Path,
    host: &str,
    allocation: &Allocation,
) -> Result<Taken, RecoveryError> {
    make_parent(state)?;
    ensure_private_directory(state)?;
    let identity = establish(state, false)?.id;
    let (mut journal, replay) = Journal::open(&journal_directory(state))?;
    let Recovered { mut scheduler, last } = replayed(replay)?;
    clock::never_before(last);
    let opened = Event::Opened(CoordinatorOpened {
        version: thresher_proto::VERSION.to_owned(),
        host: host.to_owned(),
        pid: std::process::id(),
        allocation: AllocationEnd {
            allocation: allocation.name.clone(),
            ends: allocation.ends.map(clock::from_wall),
            margin_millis: allocation.margin_millis(),
        },
        identity: identity.clone(),
        ..CoordinatorOpened::from(journal.opening())
    });
    let now = clock::now();
    let _ = scheduler.handle(now, &opened, &mut Vec::new());
    journal.append(&into_record(opened, now))?;
    journal.commit()?;
    Ok(Taken { scheduler, journal, identity })
}

/// Refuses to run a job in a copy of a state directory that still exists: both would use the same
/// work directory. A directory that was moved to another file system is accepted.
pub(crate) fn refuse_copy(state: &Path) -> Result<(), RecoveryError> {
    match find(state)? {
        Found::CopyOf(original) if original.has_original() => {
            Err(RecoveryError::Copy { copy: state.to_owned(), original: original.path })
        }
        Found::CopyOf(original) => {
            let (from, to) = (original.path.display(), state.display());
            tracing::warn!(%from, %to, "the state directory was moved, and gets a new identity");
            Ok(())
        }
        Found::Own(_) | Found::Missing => Ok(()),
    }
}

/// Makes the state directory. Only it is private, because its parents may hold the output.
fn make_parent(state: &Path) -> Result<(), RecoveryError> {
    let Some(path) = state.parent() else { return Ok(()) };
    std::fs::create_dir_all(path)
        .map_err(|source| RecoveryError::Parent { path: path.to_owned(), source })
}

/// Returns the scheduler as the journal defines it, without taking an epoch.
pub fn read_scheduler(state: &Path) -> Result<Recovered, RecoveryError> {
    replayed(journal::replay(&journal_directory(state))?)
}

fn replayed(replay: Replay) -> Result<Recovered, RecoveryError> {
    let mut recovered = Recovered::default();
    let mut effects = Vec::new();
    for record in replay {
        let (now, event) = from_record(record?, plan_of_text)?;
        let _ = recovered.scheduler.handle(now, &event, &mut effects);
        recovered.last = recovered.last.max(now);
        // These effects were performed before, or their receivers ask again.
        effects.clear();
    }
    Ok(recovered)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quickstart's state directory is in a folder that a fresh clone does not have.
    #[test]
    fn a_state_directory_is_made_with_what_is_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("not/there/state");
        assert_eq!(open(&state, "host", &Allocation::default()).unwrap().scheduler.epoch(), 1);
    }
}
