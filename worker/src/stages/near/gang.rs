//! A gang unit of the search for near-duplicates: each rank writes one file, and a record is
//! published after all of them. The ranks are those of an MPI step, or threads of this worker.
//!
//! **Invariant:** a second attempt uses what an earlier one published, if all of it is still there
//! and undamaged; otherwise it writes everything again.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::resolve::RECORD;
use super::super::step::{self, RankError, Record, StepDone, StepEnd, agree};
use super::super::{JobContext, Task};
use thresher_dedup::comm::Communicator;
use thresher_dedup::comm::local::{RankFailure, WorldFailure, run_local};
use thresher_formats::blocks::{BlockFile, Kind};
use thresher_storage::commit::{AttemptFile, CommitError};
use thresher_unit::UnitError;
use thresher_unit::staging::{checked, create, with_checksum, write_all};

/// The work of a gang unit, the same on every rank.
pub(super) trait GangWork: Sync {
    /// What the ranks count together.
    type Tally: Serialize + DeserializeOwned + Send;

    /// Returns the folder of the files and the record.
    fn folder(&self) -> &Path;

    /// Returns the name of the file of a rank.
    fn file_name(&self, rank: u32, world: u32) -> String;

    /// Returns the kind of these files.
    fn kind(&self) -> Kind;

    /// Returns the memory of one rank, or of all threads if they are the ranks.
    fn budget_bytes(&self) -> u64;

    /// Does the part of this rank, and writes its file.
    fn run<C: Communicator + ?Sized>(
        &self,
        comm: &mut C,
        budget_bytes: u64,
        file: AttemptFile,
    ) -> Result<(AttemptFile, Self::Tally), RankError>;
}

/// Runs the unit with all ranks that there are. Returns what they counted, and the CPU time of
/// other processes.
pub(super) fn run<W: GangWork>(
    context: &JobContext,
    task: &Task,
    work: &W,
) -> Result<(W::Tally, Duration), UnitError> {
    if let Some(record) = adopt(work) {
        return Ok((record.tally, Duration::ZERO));
    }
    if let Some(gang) = &context.gang
        && let Some(StepDone { record, cpu_millis }) =
            step::run(context, gang, task, work.budget_bytes())?
    {
        return Ok((record.tally, Duration::from_millis(cpu_millis)));
    }
    let threads = context.slots.max(1);
    let budget_bytes = work.budget_bytes() / threads as u64;
    let ranks = run_local(threads, |comm| rank(work, comm, &task.tag, budget_bytes));
    let mut tallies = ranks.map_err(first_cause)?;
    let tally = tallies.swap_remove(0);
    let record = Record { ranks: threads as u32, tally };
    publish_record(work, &task.tag, &record)?;
    Ok((record.tally, Duration::ZERO))
}

/// Runs one rank of an MPI step.
pub(super) fn run_rank<W: GangWork, C: Communicator + ?Sized>(
    work: &W,
    task: &Task,
    comm: &mut C,
    end: StepEnd<'_>,
) -> Result<(), RankError> {
    let tally = rank(work, comm, &task.tag, work.budget_bytes())?;
    end.complete(comm, tally, |record| publish_record(work, &task.tag, record))
}

fn rank<W: GangWork, C: Communicator + ?Sized>(
    work: &W,
    comm: &mut C,
    tag: &str,
    budget_bytes: u64,
) -> Result<W::Tally, RankError> {
    let name = work.file_name(comm.rank() as u32, comm.size() as u32);
    let file = agree(comm, create(&work.folder().join(name), tag))?;
    let (file, tally) = work.run(comm, budget_bytes, file)?;
    // A file of an earlier attempt, whose record does not exist or is damaged, is replaced.
    agree(comm, file.commit_replacing().map_err(UnitError::from))?;
    Ok(tally)
}

/// Returns the first of all ranks' errors that does not only repeat another's.
fn first_cause(failure: WorldFailure<RankError>) -> UnitError {
    let mut echo = None;
    for (rank, failure) in failure.ranks {
        match failure {
            RankFailure::Error(RankError::Own(error)) => return error,
            RankFailure::Error(RankError::Echo(text)) => _ = echo.get_or_insert(text),
            RankFailure::Panic(message) => {
                return UnitError::Defect(format!("rank `{rank}` panicked: {message}"));
            }
        }
    }
    UnitError::Node(echo.unwrap_or_else(|| "a rank failed".to_owned()))
}

fn publish_record<W: GangWork>(
    work: &W,
    tag: &str,
    record: &Record<W::Tally>,
) -> Result<(), UnitError> {
    let mut file = create(&work.folder().join(RECORD), tag)?;
    write_all(&mut file, &with_checksum(record)?)?;
    let committed = if adopt(work).is_some() { file.commit() } else { file.commit_replacing() };
    match committed {
        Ok(_) | Err(CommitError::Different { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns what an earlier attempt published, if all of its checksums are still correct.
fn adopt<W: GangWork>(work: &W) -> Option<Record<W::Tally>> {
    let bytes = std::fs::read(work.folder().join(RECORD)).ok()?;
    let record: Record<W::Tally> = serde_json::from_slice(checked(&bytes)?).ok()?;
    let sound = |rank| {
        let path = work.folder().join(work.file_name(rank, record.ranks));
        let file = BlockFile::open(&path, work.kind()).ok()?;
        let mut blocks = file.blocks(0..file.entries().len()).ok()?;
        while blocks.next_block().ok()?.is_some() {}
        Some(())
    };
    (0..record.ranks).all(|rank| sound(rank).is_some()).then_some(record)
}
