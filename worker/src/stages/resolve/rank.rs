//! Runs one rank of a gang step, with any communicator: it reads the step's task, resolves the
//! range with the other ranks, publishes its verdict file, and writes a result for the leader.
//!
//! ```text
//! step folder:  task · rank-00003.failed (an error of its own) · refused · done (rank 0, last)
//! ```
//! `step` starts the ranks and reads these files.
//!
//! **Invariant:** `done` is written only after the record of the range is published, and the record
//! only after every rank has published its verdict file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thresher_job::{DedupPolicy, JobSpec};
use thresher_proto::Message as _;
use thresher_proto::pb::{self, GangTask, Stage};

use super::super::{JobContext, Stop, Task};
use super::{Around, DOCUMENTS, LINES, RangeWork, Resolved};
use thresher_dedup::comm::Communicator;
use thresher_dedup::exchange::{resolve, verdict_file_name};
use thresher_dedup::{HashKey, ResolveError};
use thresher_storage::clock;
use thresher_unit::UnitError;

pub(super) const DONE: &str = "done";
pub(super) const REFUSED: &str = "refused";
pub(super) const FAILED: &str = "failed";

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

/// What rank 0 leaves for the leader.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StepDone {
    pub(super) resolved: Resolved,
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
        let dedup = &self.context.job.dedup;
        let (lines, documents) = (dedup.lines.policy, dedup.documents.policy);
        let ended = match self.task.unit.stage() {
            Stage::ResolveLines => self.resolve::<u64, C>(comm, LINES, lines),
            Stage::ResolveDocuments => self.resolve::<u128, C>(comm, DOCUMENTS, documents),
            Stage::Unspecified
            | Stage::List
            | Stage::Lines
            | Stage::GatherLines
            | Stage::CombineLines
            | Stage::Prepare
            | Stage::GatherDocuments
            | Stage::CombineDocuments
            | Stage::Layout
            | Stage::Publish
            | Stage::Seal => {
                let text = format!("`{}` is not a gang unit", self.task.unit);
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

    fn resolve<K: HashKey, C: Communicator + ?Sized>(
        &self,
        comm: &mut C,
        around: Around,
        policy: DedupPolicy,
    ) -> Result<(), RankError> {
        // This is the same on every rank, so either all of them fail or none.
        let work = RangeWork::new(&self.context, &self.task, around, policy);
        let Some(work) = work.map_err(RankError::Own)? else {
            let text = format!("`{}` has nothing to resolve", self.task.unit);
            return Err(RankError::Own(UnitError::Defect(text)));
        };
        let name = verdict_file_name(comm, work.range);
        let file = agree(comm, work.create(name, &self.task.tag))?;
        let (file, tally) = resolve::<K, C, _>(comm, &work.task(work.budget_bytes), file)
            .map_err(|error| RankError::of(around, &error))?;
        agree(comm, RangeWork::publish(file))?;
        let own = u64::try_from(clock::process_cpu().as_millis()).unwrap_or(u64::MAX);
        let all = comm.all_reduce_sum(own).map_err(|error| RankError::Echo(error.to_string()))?;
        let resolved = Resolved { ranks: comm.size() as u32, tally };
        let done = StepDone { resolved, cpu_millis: all };
        let ended = if comm.rank() == 0 { self.end(&work, &done) } else { Ok(()) };
        agree(comm, ended)
    }

    /// Completes the step on rank 0, after all verdict files are published.
    fn end(&self, work: &RangeWork, done: &StepDone) -> Result<(), UnitError> {
        work.publish_record(&self.task.tag, &done.resolved)?;
        let text =
            serde_json::to_vec(done).map_err(|error| UnitError::Defect(error.to_string()))?;
        let path = self.folder.join(DONE);
        write_whole(&path, &text).map_err(|error| {
            UnitError::Node(format!("failed to write `{}`: {error}", path.display()))
        })
    }
}

impl RankError {
    fn of(around: Around, error: &ResolveError) -> Self {
        if error.is_echo() {
            Self::Echo(error.to_string())
        } else {
            Self::Own(UnitError::resolve((around.keyed, around.gathered), error))
        }
    }
}

/// Ends the unit on every rank if one of them has an error.
fn agree<T, C: Communicator + ?Sized>(
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
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
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
