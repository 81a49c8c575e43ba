//! A gang step: the leader writes the task, starts the launcher, and reads the results of the
//! ranks.
//!
//! ```text
//! step folder:  task · rank-00003.failed (an error of its own) · refused · done (rank 0, last)
//! ```
//! A failed step is launched again, and with fewer ranks if it fails repeatedly. If the launcher is
//! not used any more, the caller uses threads. An error that a rank itself reports is an error of
//! the unit.
//!
//! **Invariant:** a step's folder is removed at the end of the step, which also ends ranks that a
//! launcher left behind. `done` is written only after the record of the unit is published, and the
//! record only after every rank has published its file.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thresher_proto::Message as _;
use thresher_proto::pb::{self, GangTask};
use thresher_proto::stage_name;

use super::{JobContext, Task};
use crate::gang::Gang;
use thresher_dedup::comm::Communicator;
use thresher_storage::clock;
use thresher_unit::UnitError;

const TASK: &str = "task";
pub(super) const DONE: &str = "done";
pub(super) const REFUSED: &str = "refused";
pub(super) const FAILED: &str = "failed";

/// The content of the record file of a gang unit, which is published after the files of all ranks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record<T> {
    /// Number of ranks, and so of files.
    pub(super) ranks: u32,
    /// What all ranks counted together.
    pub(super) tally: T,
}

/// What rank 0 leaves for the leader.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StepDone<T> {
    pub(super) record: Record<T>,
    /// CPU time of all ranks, which are processes of their own.
    pub(super) cpu_millis: u64,
}

/// Why a rank failed.
#[derive(Debug, thiserror::Error)]
pub enum RankError {
    /// This rank has failed.
    #[error("{0}")]
    Own(UnitError),
    /// Another rank has failed, and reported it.
    #[error("{0}")]
    Echo(String),
}

/// The end of a step on a rank.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepEnd<'f> {
    /// The folder of the step.
    pub(super) folder: &'f Path,
}

impl StepEnd<'_> {
    /// Completes the step, after every rank has published its file: rank 0 publishes the record
    /// and leaves `done`.
    pub(super) fn complete<T: Serialize, C: Communicator + ?Sized>(
        self,
        comm: &mut C,
        tally: T,
        publish_record: impl FnOnce(&Record<T>) -> Result<(), UnitError>,
    ) -> Result<(), RankError> {
        let own = u64::try_from(clock::process_cpu().as_millis()).unwrap_or(u64::MAX);
        let all = comm.all_reduce_sum(own).map_err(|error| RankError::Echo(error.to_string()))?;
        let record = Record { ranks: comm.size() as u32, tally };
        let ended = if comm.rank() == 0 {
            publish_record(&record).and_then(|()| self.leave(&StepDone { record, cpu_millis: all }))
        } else {
            Ok(())
        };
        agree(comm, ended)
    }

    fn leave<T: Serialize>(self, done: &StepDone<T>) -> Result<(), UnitError> {
        let text =
            serde_json::to_vec(done).map_err(|error| UnitError::Defect(error.to_string()))?;
        let path = self.folder.join(DONE);
        write_whole(&path, &text).map_err(|error| {
            UnitError::Node(format!("failed to write `{}`: {error}", path.display()))
        })
    }
}

/// Ends the unit on every rank if one of them has an error.
pub(super) fn agree<T, C: Communicator + ?Sized>(
    comm: &mut C,
    result: Result<T, UnitError>,
) -> Result<T, RankError> {
    let failed = if result.is_err() { comm.rank() as u64 + 1 } else { 0 };
    let worst = comm.all_reduce_max(failed);
    let value = result.map_err(RankError::Own)?;
    match worst {
        Ok(0) => Ok(value),
        Ok(rank) => Err(RankError::Echo(format!("rank `{}` failed", rank - 1))),
        Err(error) => Err(RankError::Echo(error.to_string())),
    }
}

/// Writes a file so that it is never there in part. Ranks of the same step may write the same one.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let private = path.with_extension(format!("{}.part", std::process::id()));
    let mut file = std::fs::File::create(&private)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&private, path)
}

/// Encodes the task for the ranks.
pub(super) fn encode(context: &JobContext, task: &Task, step: &StepOrder) -> Vec<u8> {
    let task = GangTask {
        version: thresher_proto::VERSION.to_owned(),
        job_toml: context.job.resolved(),
        unit: Some(task.unit),
        payload: task.payload.clone(),
        tag: step.tag.clone(),
        ranks: step.ranks,
        deadline_millis: u64::try_from(step.deadline.as_millis()).unwrap_or(u64::MAX),
    };
    task.encode_to_vec()
}

/// The parts of a task that differ between steps.
pub(super) struct StepOrder {
    pub(super) tag: String,
    pub(super) ranks: u32,
    pub(super) deadline: Duration,
}

/// Reads the error in a rank's `.failed` file.
pub(super) fn decode_failure(bytes: &[u8]) -> Option<UnitError> {
    UnitError::from_wire(pb::Failed::decode(bytes).ok()?)
}

/// Runs the unit with ranks. Returns `None` if the launcher is not used any more.
pub(super) fn run<T: DeserializeOwned>(
    context: &JobContext,
    gang: &Gang,
    task: &Task,
    budget_bytes: u64,
) -> Result<Option<StepDone<T>>, UnitError> {
    let unit = task.unit;
    let mut number = 0;
    while let Some(ranks) = gang.ranks() {
        number += 1;
        let tag = format!("{}-{number}", task.tag);
        let deadline = gang.deadline(budget_bytes);
        let name = format!("{}-{}-{tag}", stage_name(unit.stage()), unit.ordinal);
        let folder = StepFolder::create(context.work.gang_step(&name))?;
        let order = StepOrder { tag, ranks, deadline };
        let path = folder.write_task(&encode(context, task, &order))?;
        tracing::info!(unit = %unit, ranks, "gang step started");
        let end = gang.run_step(&path, ranks, deadline);
        if let Some(done) = folder.done() {
            gang.succeeded();
            return Ok(Some(done));
        }
        if let Some(error) = folder.failure() {
            return Err(error);
        }
        if gang.is_abandoned() {
            return Err(UnitError::Node(format!("the gang step was abandoned: {end}")));
        }
        if let Some(refusal) = folder.refusal() {
            tracing::error!(unit = %unit, refusal, "gang launcher refused; threads take over");
            gang.refused();
            continue;
        }
        gang.failed();
        let next_ranks = gang.ranks().unwrap_or(0);
        tracing::warn!(unit = %unit, ranks, end = %end, next_ranks, "gang step failed");
    }
    Ok(None)
}

/// The folder of a step, which is removed when this is dropped.
struct StepFolder {
    path: PathBuf,
}

impl StepFolder {
    fn create(path: PathBuf) -> Result<Self, UnitError> {
        let make = || -> std::io::Result<()> {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            DirBuilder::new().mode(0o700).create(&path)
        };
        make().map_err(|error| {
            UnitError::Node(format!("failed to make the folder `{}`: {error}", path.display()))
        })?;
        Ok(Self { path })
    }

    fn write_task(&self, bytes: &[u8]) -> Result<PathBuf, UnitError> {
        let path = self.path.join(TASK);
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let written = options.open(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            // Other nodes read the file.
            file.sync_all()
        });
        written.map_err(|error| {
            UnitError::Node(format!("failed to write `{}`: {error}", path.display()))
        })?;
        Ok(path)
    }

    fn done<T: DeserializeOwned>(&self) -> Option<StepDone<T>> {
        serde_json::from_slice(&std::fs::read(self.path.join(DONE)).ok()?).ok()
    }

    fn refusal(&self) -> Option<String> {
        std::fs::read_to_string(self.path.join(REFUSED)).ok()
    }

    /// Returns the error of the lowest rank that has one.
    fn failure(&self) -> Option<UnitError> {
        let entries = std::fs::read_dir(&self.path).ok()?;
        let is_failure = |path: &PathBuf| path.extension().is_some_and(|end| end == FAILED);
        let mut paths: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(is_failure).collect();
        paths.sort_unstable();
        paths.iter().find_map(|path: &PathBuf| decode_failure(&std::fs::read(path).ok()?))
    }
}

impl Drop for StepFolder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes the folder. A failure is not an error: the folder has a few kilobytes, and is removed
/// with the work directory.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "failed to remove the folder of a gang \
                                                        step");
    }
}
