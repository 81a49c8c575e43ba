//! GATHER-LINES and GATHER-DOCUMENTS: put the keys of a group of units into one file by key range.

use thresher_domain::Counter;
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{self, GroupUnit, Stage};

use super::{Finished, JobContext, Task};
use thresher_dedup::exchange::KeyFileRef;
use thresher_dedup::gather::gather;
use thresher_dedup::{GROUP_KEY_FILE, HashKey};
use thresher_unit::staging::{create, hash_of, publish_blocks};
use thresher_unit::{UnitError, wire_counters};

/// Files that a unit keeps open; the others are opened for each read. Several slots of a worker
/// share the limit of the process, which is 1024 or more.
const OPEN_FILES: usize = 256;

pub(super) fn run_lines(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run::<u64>(context, task, Stage::Lines)
}

pub(super) fn run_documents(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run::<u128>(context, task, Stage::Prepare)
}

fn run<K: HashKey>(
    context: &JobContext,
    task: &Task,
    keys_of: Stage,
) -> Result<Finished, UnitError> {
    let unit: GroupUnit = task.decode()?;
    let files: Vec<KeyFileRef> = units_of(&unit)
        .map(|unit| KeyFileRef { unit, path: context.work.unit_file(keys_of, unit, "keys") })
        .collect();
    let path = context.work.unit_file(task.unit.stage(), task.unit.ordinal, "keys");
    let file = create(&path, &task.tag)?;
    let ranges = key_groups(unit.groups).ranges;
    let (file, summary) = gather::<K, _>(&files, ranges, OPEN_FILES / context.slots.max(1), file)
        .map_err(|error| UnitError::gather(keys_of, &error))?;
    let committed = publish_blocks(file, GROUP_KEY_FILE)?;
    let done = pb::Done {
        digest: hash_of(committed).as_bytes().to_vec(),
        counters: wire_counters([(Counter::Keys, summary.keys)]),
        ..pb::Done::default()
    };
    Ok(Finished { done, ..Finished::default() })
}

/// Returns the units of a group that have files.
pub(super) fn units_of(unit: &GroupUnit) -> impl Iterator<Item = u32> + '_ {
    let units = key_groups(unit.groups).units_of(unit.group, unit.units);
    units.filter(|number| unit.absent.binary_search(number).is_err())
}
