//! RESOLVE-LINES and RESOLVE-DOCUMENTS: all ranks of a gang resolve one key range.
//!
//! The ranks are those of an MPI step ([`step`] launches it, [`rank`] runs in it), or threads of
//! this worker. A small record file, published last, marks the range as resolved and has the number
//! of ranks; a second attempt uses the result.
//!
//! **Invariant:** the verdicts do not depend on the number of ranks, only the file names do.

mod rank;
mod step;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thresher_domain::Counter;
use thresher_job::DedupPolicy;
use thresher_proto::pb::{self, RangeUnit, Stage};

pub use self::rank::{RankError, RankTask};
use super::{Finished, JobContext, Task};
use thresher_dedup::exchange::{KeyFileRef, ResolveTally, ResolveTask, resolve_on_threads};
use thresher_dedup::verdicts::VerdictFileName;
use thresher_dedup::{HashKey, KeyRange, Policy, VERDICT_FILE};
use thresher_formats::blocks::BlockFile;
use thresher_storage::commit::{AttemptFile, CommitError};
use thresher_unit::staging::{checked, create, publish_blocks, recall, with_checksum, write_all};
use thresher_unit::{UnitError, wire_counters};

/// The content of the record file, which is published after all verdict files of a range.
#[derive(Debug, Serialize, Deserialize)]
struct Resolved {
    ranks: u32,
    tally: ResolveTally,
}

pub(super) fn run_lines(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run::<u64>(context, task, Stage::Lines, context.job.dedup.lines.policy)
}

pub(super) fn run_documents(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run::<u128>(context, task, Stage::Prepare, context.job.dedup.documents.policy)
}

fn run<K: HashKey>(
    context: &JobContext,
    task: &Task,
    keys_of: Stage,
    policy: DedupPolicy,
) -> Result<Finished, UnitError> {
    let Some(work) = RangeWork::new(context, task, keys_of, policy)? else {
        return Ok(finished(ResolveTally::default()));
    };
    if let Some(resolved) = adopt(&work.folder, work.range) {
        return Ok(finished(resolved.tally));
    }
    if let Some(gang) = &context.gang
        && let Some(resolved) = step::run(context, gang, task, work.budget_bytes)?
    {
        return Ok(finished(resolved.tally));
    }
    let resolve = work.task(work.budget_bytes);
    let (files, tally) = resolve_on_threads::<K, _>(context.slots.max(1), &resolve, |name| {
        work.create(name, &task.tag).map_err(|error| std::io::Error::other(error.to_string()))
    })
    .map_err(|error| UnitError::resolve(keys_of, &error))?;
    let ranks = files.len() as u32;
    for (name, file) in files {
        work.publish(name, file)?;
    }
    work.publish_record(&task.tag, &Resolved { ranks, tally })?;
    Ok(finished(tally))
}

/// A key range, and what a rank needs to resolve it.
struct RangeWork {
    range: KeyRange,
    policy: Policy,
    key_files: Vec<KeyFileRef>,
    folder: PathBuf,
    /// Memory for all ranks together.
    budget_bytes: u64,
}

impl RangeWork {
    /// Returns `None` if the job does not look for duplicates in this stage.
    fn new(
        context: &JobContext,
        task: &Task,
        keys_of: Stage,
        policy: DedupPolicy,
    ) -> Result<Option<Self>, UnitError> {
        let unit: RangeUnit = task.decode()?;
        let range = KeyRange::new(unit.range, unit.ranges).ok_or_else(|| {
            UnitError::Defect(format!("`{}` is not a valid key range", task.unit))
        })?;
        let policy = match policy {
            DedupPolicy::KeepFirst => Policy::KeepFirst,
            DedupPolicy::DropAll => Policy::DropAll,
            DedupPolicy::Off => return Ok(None),
        };
        let key_files = (0..unit.units)
            .filter(|number| unit.absent.binary_search(number).is_err())
            .map(|number| KeyFileRef {
                unit: number,
                path: context.work.unit_file(keys_of, number, "keys"),
            })
            .collect();
        let folder = context.work.stage(task.unit.stage());
        let budget_bytes = unit.budget_bytes;
        Ok(Some(Self { range, policy, key_files, folder, budget_bytes }))
    }

    fn task(&self, budget_bytes: u64) -> ResolveTask<'_> {
        let Self { key_files, range, policy, .. } = self;
        ResolveTask { key_files, range: *range, policy: *policy, budget_bytes }
    }

    fn create(&self, name: VerdictFileName, tag: &str) -> Result<AttemptFile, UnitError> {
        create(&self.folder.join(name.to_string()), tag)
    }

    fn publish(&self, name: VerdictFileName, file: AttemptFile) -> Result<(), UnitError> {
        publish_blocks(file, &self.folder.join(name.to_string()), VERDICT_FILE).map(drop)
    }

    /// Marks the range as resolved. If an attempt with another number of ranks did so before, its
    /// files are used, provided that they are not damaged.
    fn publish_record(&self, tag: &str, resolved: &Resolved) -> Result<(), UnitError> {
        let mut file = create(&record_path(&self.folder, self.range), tag)?;
        write_all(&mut file, &with_checksum(resolved)?)?;
        let sound = adopt(&self.folder, self.range).is_some();
        let committed = if sound { file.commit() } else { file.commit_replacing() };
        match committed {
            Ok(_) | Err(CommitError::Different { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
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
    Finished { done, planned: Vec::new() }
}

/// Returns the verdict files of all ranges of a stage, from their record files.
pub(super) fn verdict_files(
    context: &JobContext,
    stage: Stage,
    ranges: u32,
) -> Result<Vec<PathBuf>, UnitError> {
    let folder = context.work.stage(stage);
    let mut files = Vec::new();
    for index in 0..ranges {
        let Some(range) = KeyRange::new(index, ranges) else { continue };
        let producer = pb::UnitRef { stage: stage.into(), ordinal: index, attempt: 0 };
        let resolved: Resolved = recall(&record_path(&folder, range), producer)?;
        files.extend(names(range, resolved.ranks).map(|name| folder.join(name.to_string())));
    }
    Ok(files)
}

fn names(range: KeyRange, world: u32) -> impl Iterator<Item = VerdictFileName> {
    (0..world).map(move |rank| VerdictFileName { range, rank, world })
}

fn record_path(folder: &Path, range: KeyRange) -> PathBuf {
    folder.join(format!("range-{:05}-of-{:05}.json", range.index(), range.of()))
}

/// Returns what an earlier attempt resolved, if all of its checksums are still correct.
fn adopt(folder: &Path, range: KeyRange) -> Option<Resolved> {
    let bytes = std::fs::read(record_path(folder, range)).ok()?;
    let resolved: Resolved = serde_json::from_slice(checked(&bytes)?).ok()?;
    let sound = |name: VerdictFileName| {
        let file = BlockFile::open(&folder.join(name.to_string()), VERDICT_FILE).ok()?;
        let mut blocks = file.blocks(0..file.entries().len()).ok()?;
        while blocks.next_block().ok()?.is_some() {}
        Some(())
    };
    names(range, resolved.ranks).all(|name| sound(name).is_some()).then_some(resolved)
}

#[cfg(test)]
mod tests;
