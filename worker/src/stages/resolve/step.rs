//! The leader's part of a gang step: it writes the task, starts the launcher, and reads the results
//! of the ranks.
//!
//! A failed step is launched again, and with fewer ranks if it fails repeatedly. If the launcher is
//! not used any more, the caller uses threads. An error that a rank itself reports is an error of
//! the unit.
//!
//! **Invariant:** a step's folder is removed at the end of the step, which also ends ranks that a
//! launcher left behind.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thresher_proto::stage_name;

use super::super::{JobContext, Task};
use super::rank::{DONE, FAILED, REFUSED, StepDone, StepOrder, decode_failure, encode};
use crate::gang::Gang;
use thresher_unit::UnitError;

const TASK: &str = "task";

/// Resolves the unit with ranks. Returns `None` if the launcher is not used any more.
pub(super) fn run(
    context: &JobContext,
    gang: &Gang,
    task: &Task,
    budget_bytes: u64,
) -> Result<Option<StepDone>, UnitError> {
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

    fn done(&self) -> Option<StepDone> {
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
