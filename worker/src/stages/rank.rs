//! Runs one rank of a gang step, with any communicator: it reads the step's task, does its part of
//! the unit with the other ranks, and leaves its own error for the leader.
//!
//! `step` starts the ranks and has the files of a step; the stages have the work of a rank.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thresher_job::JobSpec;
use thresher_proto::Message as _;
use thresher_proto::pb::{GangTask, Stage};

use super::step::{FAILED, REFUSED, RankError, StepEnd, write_whole};
use super::{JobContext, Stop, Task, near, resolve};
use thresher_dedup::comm::Communicator;
use thresher_unit::UnitError;

/// A step's task, as a rank reads it.
pub struct RankTask {
    context: JobContext,
    task: Task,
    folder: PathBuf,
    /// Number of ranks that the launcher was asked to start.
    pub ranks: u32,
    /// Time after which the rank exits by itself.
    pub deadline: Duration,
}

impl RankTask {
    /// Reads a task file.
    pub fn read(path: &Path) -> Result<Self, UnitError> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| {
            UnitError::Node(format!("failed to read the gang task `{shown}`: {error}"))
        })?;
        let foreign = |error: &dyn std::fmt::Display| {
            UnitError::Defect(format!("`{shown}` is not a valid gang task: {error}"))
        };
        let task = GangTask::decode(bytes.as_slice()).map_err(|error| foreign(&error))?;
        if task.version != thresher_proto::VERSION {
            return Err(UnitError::Node(format!(
                "the gang task is of version `{}`, this rank of `{}`\n\
                 hint: build `thresher` and `thresher-gang` from the same source",
                task.version,
                thresher_proto::VERSION
            )));
        }
        let job = JobSpec::from_resolved(&task.job_toml).map_err(|error| foreign(&error))?;
        Ok(Self {
            context: JobContext::new(job, 1, task.tag.clone())?,
            task: Task {
                unit: task.unit.unwrap_or_default(),
                payload: task.payload,
                tag: task.tag,
                stop: Stop::default(),
            },
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
            ranks: task.ranks,
            deadline: Duration::from_millis(task.deadline_millis),
        })
    }

    /// Returns an error if the world has another size than requested. The leader then stops using
    /// the launcher.
    pub fn check_world(&self, size: usize, library: &str, launcher: &str) -> Result<(), UnitError> {
        if size == self.ranks as usize {
            return Ok(());
        }
        let refusal = format!(
            "MPI's world has `{size}` rank(s), the launcher was asked to start `{}`\nhint: \
             `thresher-gang` is linked with `{library}` and was started by `{launcher}`; \
             build it with that launcher's own `MPICC`, or name the launcher of this library",
            self.ranks
        );
        // Without this file the leader sees only that the step failed; the message is also printed.
        let _ = write_whole(&self.folder.join(REFUSED), refusal.as_bytes());
        Err(UnitError::JobFile(refusal))
    }

    /// Runs the rank's part of the unit.
    pub fn run<C: Communicator + ?Sized>(&self, comm: &mut C) -> Result<(), RankError> {
        let Self { context, task, .. } = self;
        let end = StepEnd { folder: &self.folder };
        let ended = match task.unit.stage() {
            Stage::ResolveLines => resolve::rank_of_lines(context, task, comm, end),
            Stage::ResolveDocuments => resolve::rank_of_documents(context, task, comm, end),
            Stage::ResolveBands => near::rank_of_bands(context, task, comm, end),
            Stage::Connect => near::rank_of_connect(context, task, comm, end),
            Stage::Unspecified
            | Stage::List
            | Stage::Lines
            | Stage::GatherLines
            | Stage::CombineLines
            | Stage::Prepare
            | Stage::GatherDocuments
            | Stage::CombineDocuments
            | Stage::Sign
            | Stage::GatherBands
            | Stage::Collect
            | Stage::Compare
            | Stage::Decide
            | Stage::Layout
            | Stage::Publish
            | Stage::Seal => {
                let text = format!("`{}` is not a gang unit", task.unit);
                Err(RankError::Own(UnitError::Defect(text)))
            }
        };
        if let Err(RankError::Own(error)) = &ended {
            let path = self.folder.join(format!("rank-{:05}.{FAILED}", comm.rank()));
            // Without this file the leader sees only that the step failed, and tries again.
            let _ = write_whole(&path, &error.to_wire().encode_to_vec());
        }
        ended
    }
}
