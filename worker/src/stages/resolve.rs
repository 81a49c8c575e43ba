//! RESOLVE-LINES and RESOLVE-DOCUMENTS: all ranks of a gang resolve one key range.
//!
//! The ranks are those of an MPI step (`step` launches it, `rank` runs in it), or threads of this
//! worker. A small record file, published last, marks the range as resolved and has the number
//! of ranks; a second attempt uses the result.
//!
//! **Invariant:** the verdicts do not depend on the number of ranks, only the file names do.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use thresher_domain::{Counter, KeyGroups};
use thresher_job::DedupPolicy;
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{self, RangeUnit, Stage};

use super::step::{self, RankError, Record, StepDone, StepEnd, agree};
use super::{Finished, JobContext, Task};
use thresher_dedup::comm::Communicator;
use thresher_dedup::exchange::{
    KeyFileRef, KeyFiles, ResolveTally, ResolveTask, resolve, resolve_on_threads, verdict_file_name,
};
use thresher_dedup::verdicts::VerdictFileName;
use thresher_dedup::{HashKey, KeyRange, Policy, ResolveError, VERDICT_FILE};
use thresher_formats::blocks::BlockFile;
use thresher_storage::commit::{AttemptFile, CommitError};
use thresher_unit::staging::{checked, create, with_checksum, write_all};
use thresher_unit::{UnitError, wire_counters};

/// The record file in the folder of a range.
pub(super) const RECORD: &str = "record.json";

/// The content of the record file.
pub(super) type Resolved = Record<ResolveTally>;

/// The stages around a resolve stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    /// Its units write the keys.
    pub(super) keyed: Stage,
    /// Its units put the keys of groups together.
    pub(super) gathered: Stage,
    pub(super) resolved: Stage,
    /// Its units join the verdicts on groups.
    pub(super) combined: Stage,
}

pub(super) const LINES: Around = Around {
    keyed: Stage::Lines,
    gathered: Stage::GatherLines,
    resolved: Stage::ResolveLines,
    combined: Stage::CombineLines,
};

pub(super) const DOCUMENTS: Around = Around {
    keyed: Stage::Prepare,
    gathered: Stage::GatherDocuments,
    resolved: Stage::ResolveDocuments,
    combined: Stage::CombineDocuments,
};

pub(super) fn run_lines(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run::<u64>(context, task, LINES, context.job.dedup.lines.policy)
}

pub(super) fn run_documents(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run::<u128>(context, task, DOCUMENTS, context.job.dedup.documents.policy)
}

fn run<K: HashKey>(
    context: &JobContext,
    task: &Task,
    around: Around,
    policy: DedupPolicy,
) -> Result<Finished, UnitError> {
    let Some(work) = RangeWork::new(context, task, around, policy)? else {
        return Ok(finished(ResolveTally::default()));
    };
    if let Some(resolved) = work.adopt() {
        return Ok(finished(resolved.tally));
    }
    if let Some(gang) = &context.gang
        && let Some(StepDone { record: resolved, cpu_millis }) =
            step::run(context, gang, task, work.budget_bytes)?
    {
        let cpu_elsewhere = Duration::from_millis(cpu_millis);
        return Ok(Finished { cpu_elsewhere, ..finished(resolved.tally) });
    }
    let resolve = work.task(work.budget_bytes);
    let (files, tally) = resolve_on_threads::<K, _>(context.slots.max(1), &resolve, |name| {
        work.create(name, &task.tag).map_err(|error| io::Error::other(error.to_string()))
    })
    .map_err(|error| UnitError::resolve((around.keyed, around.gathered), &error))?;
    let ranks = files.len() as u32;
    for (_, file) in files {
        RangeWork::publish(file)?;
    }
    work.publish_record(&task.tag, &Resolved { ranks, tally })?;
    Ok(finished(tally))
}

/// Runs one rank of RESOLVE-LINES.
pub(super) fn rank_of_lines<C: Communicator + ?Sized>(
    context: &JobContext,
    task: &Task,
    comm: &mut C,
    end: StepEnd<'_>,
) -> Result<(), RankError> {
    let work = RangeWork::new(context, task, LINES, context.job.dedup.lines.policy);
    rank::<u64, C>(work, LINES, task, comm, end)
}

/// Runs one rank of RESOLVE-DOCUMENTS.
pub(super) fn rank_of_documents<C: Communicator + ?Sized>(
    context: &JobContext,
    task: &Task,
    comm: &mut C,
    end: StepEnd<'_>,
) -> Result<(), RankError> {
    let work = RangeWork::new(context, task, DOCUMENTS, context.job.dedup.documents.policy);
    rank::<u128, C>(work, DOCUMENTS, task, comm, end)
}

fn rank<K: HashKey, C: Communicator + ?Sized>(
    work: Result<Option<RangeWork>, UnitError>,
    around: Around,
    task: &Task,
    comm: &mut C,
    end: StepEnd<'_>,
) -> Result<(), RankError> {
    // This is the same on every rank, so either all of them fail or none.
    let Some(work) = work.map_err(RankError::Own)? else {
        let text = format!("`{}` has nothing to resolve", task.unit);
        return Err(RankError::Own(UnitError::Defect(text)));
    };
    let name = verdict_file_name(comm, work.range);
    let file = agree(comm, work.create(name, &task.tag))?;
    let (file, tally) = resolve::<K, C, _>(comm, &work.task(work.budget_bytes), file)
        .map_err(|error| rank_error((around.keyed, around.gathered), &error))?;
    agree(comm, RangeWork::publish(file))?;
    end.complete(comm, tally, |record| work.publish_record(&task.tag, record))
}

/// Returns the error of a rank: its own, or that of another.
pub(super) fn rank_error(writers: (Stage, Stage), error: &ResolveError) -> RankError {
    if error.is_echo() {
        RankError::Echo(error.to_string())
    } else {
        RankError::Own(UnitError::resolve(writers, error))
    }
}

/// A key range, and what a rank needs to resolve it.
struct RangeWork {
    range: KeyRange,
    policy: Policy,
    groups: KeyGroups,
    /// The key files of units, or of groups if keys are gathered.
    key_files: Vec<KeyFileRef>,
    /// The folder of the range.
    folder: PathBuf,
    /// Memory of one rank, or of all threads if they are the ranks.
    budget_bytes: u64,
}

impl RangeWork {
    /// Returns `None` if the job does not look for duplicates in this stage.
    fn new(
        context: &JobContext,
        task: &Task,
        around: Around,
        policy: DedupPolicy,
    ) -> Result<Option<Self>, UnitError> {
        let Some(policy) = policy_of(policy) else { return Ok(None) };
        let unit: RangeUnit = task.decode()?;
        let groups = key_groups(unit.groups);
        let range = KeyRange::new(unit.range, groups.ranges).ok_or_else(|| {
            UnitError::Defect(format!("`{}` is not a valid key range", task.unit))
        })?;
        let key_files = key_file_refs(context, around, groups, &unit);
        let folder = range_folder(context, task.unit.stage(), range);
        let budget_bytes = unit.budget_bytes;
        Ok(Some(Self { range, policy, groups, key_files, folder, budget_bytes }))
    }

    fn task(&self, budget_bytes: u64) -> ResolveTask<'_> {
        let Self { range, policy, groups, key_files: files, .. } = self;
        let key_files = if groups.is_gathered() {
            KeyFiles::OfGroups { files, group_units: groups.group_units }
        } else {
            KeyFiles::OfUnits(files)
        };
        ResolveTask { key_files, range: *range, policy: *policy, budget_bytes }
    }

    /// Whether the rank of this name has keys, and therefore a verdict file.
    fn has_keys(&self, name: VerdictFileName) -> bool {
        self.key_files.iter().any(|file| file.unit % name.world == name.rank)
    }

    fn create(&self, name: VerdictFileName, tag: &str) -> Result<VerdictOutput, UnitError> {
        if !self.has_keys(name) {
            return Ok(VerdictOutput(None));
        }
        create(&self.folder.join(name.to_string()), tag).map(|file| VerdictOutput(Some(file)))
    }

    /// Replaces a file of an earlier attempt, whose record does not exist or is damaged. With other
    /// memory the same verdicts are in other blocks.
    fn publish(output: VerdictOutput) -> Result<(), UnitError> {
        let Some(file) = output.0 else { return Ok(()) };
        file.commit_replacing()?;
        Ok(())
    }

    /// Marks the range as resolved. If an attempt with another number of ranks did so before, its
    /// files are used, provided that they are not damaged.
    fn publish_record(&self, tag: &str, resolved: &Resolved) -> Result<(), UnitError> {
        let mut file = create(&self.folder.join(RECORD), tag)?;
        write_all(&mut file, &with_checksum(resolved)?)?;
        let committed =
            if self.adopt().is_some() { file.commit() } else { file.commit_replacing() };
        match committed {
            Ok(_) | Err(CommitError::Different { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns what an earlier attempt resolved, if all of its checksums are still correct.
    fn adopt(&self) -> Option<Resolved> {
        let bytes = std::fs::read(self.folder.join(RECORD)).ok()?;
        let resolved: Resolved = serde_json::from_slice(checked(&bytes)?).ok()?;
        let sound = |name: VerdictFileName| {
            let file = BlockFile::open(&self.folder.join(name.to_string()), VERDICT_FILE).ok()?;
            let mut blocks = file.blocks(0..file.entries().len()).ok()?;
            while blocks.next_block().ok()?.is_some() {}
            Some(())
        };
        let (range, world) = (self.range, resolved.ranks);
        let mut names = (0..world).map(|rank| VerdictFileName { range, rank, world });
        names.all(|name| !self.has_keys(name) || sound(name).is_some()).then_some(resolved)
    }
}

/// Returns the key files of the units of a range, or of their groups if keys are gathered.
pub(super) fn key_file_refs(
    context: &JobContext,
    around: Around,
    groups: KeyGroups,
    unit: &RangeUnit,
) -> Vec<KeyFileRef> {
    let file = |stage, number| KeyFileRef {
        unit: number,
        path: context.work.unit_file(stage, number, "keys"),
    };
    if groups.is_gathered() {
        (0..groups.groups(unit.units)).map(|group| file(around.gathered, group)).collect()
    } else {
        let present = |number: &u32| unit.absent.binary_search(number).is_err();
        (0..unit.units).filter(present).map(|number| file(around.keyed, number)).collect()
    }
}

/// The verdict file of a rank; a rank without keys has none.
struct VerdictOutput(Option<AttemptFile>);

impl Write for VerdictOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(bytes.len()), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), AttemptFile::flush)
    }
}

/// Returns which occurrences are dropped, or `None` if nothing is compared.
pub(super) fn policy_of(policy: DedupPolicy) -> Option<Policy> {
    match policy {
        DedupPolicy::KeepFirst => Some(Policy::KeepFirst),
        DedupPolicy::DropAll => Some(Policy::DropAll),
        DedupPolicy::Off => None,
    }
}

fn finished(tally: ResolveTally) -> Finished {
    let counters = [
        (Counter::Keys, tally.keys),
        (Counter::DistinctKeys, tally.distinct),
        (Counter::Duplicates, tally.dropped),
    ];
    let text = format!("{} {} {}", tally.keys, tally.distinct, tally.dropped);
    let done = pb::Done {
        digest: blake3::hash(text.as_bytes()).as_bytes().to_vec(),
        counters: wire_counters(counters),
        ..pb::Done::default()
    };
    Finished { done, ..Finished::default() }
}

/// Returns the folder with the verdict files of a range, one for each rank.
pub(super) fn range_folder(context: &JobContext, resolved: Stage, range: KeyRange) -> PathBuf {
    let name = format!("range-{:05}-of-{:05}", range.index(), range.of());
    context.work.stage(resolved).join(name)
}

#[cfg(test)]
mod tests;
