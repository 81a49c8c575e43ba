//! Reads the verdicts on units from the files of RESOLVE and COMBINE, and keeps those files open
//! for the units that follow.
//!
//! Units that a worker runs one after the other need the same few files. If each unit opened them,
//! a stage would make as many operations more as it has units, and would read a whole index each
//! time.
//!
//! **Invariant:** a file that was written again is found: whatever fails with a kept file is tried
//! once more with files that are opened for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use thresher_domain::KeyGroups;
use thresher_proto::pb::{self, Stage};

use super::JobContext;
use super::resolve::{Around, RECORD, Resolved, range_folder};
use thresher_dedup::combine::RangeVerdicts;
use thresher_dedup::verdicts::{VerdictFileName, VerdictSet};
use thresher_dedup::{HashKey, KeyRange, VerdictFile};
use thresher_unit::UnitError;
use thresher_unit::staging::recall;

/// Number of verdict files that a worker keeps open. If one key range has all keys, the units cycle
/// through the files of its ranks, which are as many as a node has slots.
const OPEN_FILES: usize = 64;

/// What a worker has read about verdicts.
#[derive(Debug, Default)]
pub(super) struct VerdictFiles(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Number of ranks that resolved a range, by the folder of the range.
    ranks: BTreeMap<PathBuf, u32>,
    /// The open files; the one that was used last is at the end.
    files: Vec<Arc<VerdictFile>>,
}

impl VerdictFiles {
    /// Closes all files, so that the next ones are opened by name.
    pub(super) fn forget(&self) {
        self.with(|kept| *kept = Kept::default());
    }

    fn with<T>(&self, action: impl FnOnce(&mut Kept) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    /// Returns the number of ranks that resolved a range, which the record in its folder has.
    fn ranks(&mut self, folder: &PathBuf, producer: pb::UnitRef) -> Result<u32, UnitError> {
        if let Some(ranks) = self.ranks.get(folder) {
            return Ok(*ranks);
        }
        let Resolved { ranks, .. } = recall(&folder.join(RECORD), producer)?;
        self.ranks.insert(folder.clone(), ranks);
        Ok(ranks)
    }

    /// Returns a verdict file that the unit `made_by` wrote.
    fn file(
        &mut self,
        path: PathBuf,
        (stage, ordinal): (Stage, u32),
    ) -> Result<Arc<VerdictFile>, UnitError> {
        let file = match self.files.iter().position(|file| file.path() == path) {
            Some(found) => self.files.remove(found),
            None => {
                let opened = VerdictFile::open(&path);
                Arc::new(opened.map_err(|error| UnitError::staged(stage, ordinal, &error))?)
            }
        };
        if self.files.len() == OPEN_FILES {
            self.files.remove(0);
        }
        self.files.push(Arc::clone(&file));
        Ok(file)
    }
}

/// Reads verdicts; if that fails, it reads them once more without what this worker has kept.
pub(super) fn read_or_reopen<T>(
    context: &JobContext,
    read: impl Fn() -> Result<T, UnitError>,
) -> Result<T, UnitError> {
    read().or_else(|_| {
        context.verdict_files.forget();
        read()
    })
}

/// Returns the lines or documents of a unit that are duplicates.
pub(super) fn verdicts_on<K: HashKey>(
    context: &JobContext,
    around: Around,
    groups: KeyGroups,
    unit: u32,
) -> Result<VerdictSet, UnitError> {
    let keys = context.work.unit_file(around.keyed, unit, "keys");
    read_or_reopen(context, || {
        let group = groups.group_of(unit);
        let (path, made_by) = if groups.is_gathered() {
            let path = context.work.unit_file(around.combined, group, "verdicts");
            (path, (around.combined, group))
        } else {
            let whole = verdicts_of(context, around.resolved, KeyRange::WHOLE, group)?;
            (whole.path, (around.resolved, 0))
        };
        let file = context.verdict_files.with(|kept| kept.file(path, made_by))?;
        VerdictSet::load::<K>(&file, unit, &keys)
            .map_err(|error| UnitError::verdicts(made_by, around.keyed, &error))
    })
}

/// Returns the verdict files of all ranges that are about a group.
pub(super) fn range_verdicts(
    context: &JobContext,
    resolved: Stage,
    groups: KeyGroups,
    group: u32,
) -> Result<Vec<RangeVerdicts>, UnitError> {
    let ranges = (0..groups.ranges).filter_map(|index| KeyRange::new(index, groups.ranges));
    ranges.map(|range| verdicts_of(context, resolved, range, group)).collect()
}

/// Returns the verdict file of a range about a unit or group; the record of the range says how many
/// ranks resolved it.
fn verdicts_of(
    context: &JobContext,
    resolved: Stage,
    range: KeyRange,
    number: u32,
) -> Result<RangeVerdicts, UnitError> {
    let folder = range_folder(context, resolved, range);
    let producer = pb::UnitRef { stage: resolved.into(), ordinal: range.index(), attempt: 0 };
    let world = context.verdict_files.with(|kept| kept.ranks(&folder, producer))?;
    let name = VerdictFileName { range, rank: number % world.max(1), world };
    Ok(RangeVerdicts { range, path: folder.join(name.to_string()) })
}
