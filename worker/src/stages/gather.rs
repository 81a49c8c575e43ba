//! GATHER-LINES, GATHER-DOCUMENTS and GATHER-BANDS: put the keys of a group of units into one file
//! by key range.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thresher_domain::{Counter, MAX_GROUP_UNITS};
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{self, GroupUnit, Stage};

use super::{Finished, JobContext, Task};
use thresher_dedup::exchange::KeyFileRef;
use thresher_dedup::gather::gather;
use thresher_dedup::{GROUP_KEY_FILE, HashKey};
use thresher_unit::staging::{create, hash_of, publish_blocks};
use thresher_unit::{UnitError, wire_counters};

/// Descriptors of the process for everything else: sockets, verdicts, files of other units.
const OTHER_DESCRIPTORS: u64 = 512;

pub(super) fn run_lines(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run::<u64>(context, task, Stage::Lines)
}

pub(super) fn run_documents(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run::<u128>(context, task, Stage::Prepare)
}

pub(super) fn run_bands(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run::<u64>(context, task, Stage::Sign)
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
    let open_files = open_files(context.slots.max(1) as u64);
    let (file, summary) = gather::<K, _>(&files, ranges, open_files, file)
        .map_err(|error| UnitError::gather(keys_of, &error))?;
    let committed = publish_blocks(file, GROUP_KEY_FILE)?;
    let done = pb::Done {
        digest: hash_of(committed).as_bytes().to_vec(),
        counters: wire_counters([(Counter::Keys, summary.keys)]),
        ..pb::Done::default()
    };
    Ok(Finished { done, ..Finished::default() })
}

/// Returns the number of files that a unit keeps open; the others are opened for each read. The
/// slots of a worker share the limit of the process, which is raised as far as the site allows: a
/// file that is opened again and again costs a metadata server more than all else in this stage.
fn open_files(slots: u64) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = slots * u64::from(MAX_GROUP_UNITS) + OTHER_DESCRIPTORS;
    let allowed = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let mut limit = current.unwrap_or(wanted);
    if limit < allowed
        && setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum }).is_ok()
    {
        limit = allowed;
    }
    share_of(limit, slots)
}

/// Returns the files of one of the slots.
fn share_of(limit: u64, slots: u64) -> usize {
    let share = limit.saturating_sub(OTHER_DESCRIPTORS) / slots;
    share.clamp(1, MAX_GROUP_UNITS.into()) as usize
}

/// Returns the units of a group that have files.
pub(super) fn units_of(unit: &GroupUnit) -> impl Iterator<Item = u32> + '_ {
    let units = key_groups(unit.groups).units_of(unit.group, unit.units);
    units.filter(|number| unit.absent.binary_search(number).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_share_the_open_files_and_a_group_fits_if_the_site_allows_it() {
        assert_eq!(share_of(1024, 2), 256);
        assert_eq!(share_of(1024, 10_000), 1);
        assert_eq!(share_of(56 * 512 + OTHER_DESCRIPTORS, 56), MAX_GROUP_UNITS as usize);
        let own = open_files(1);
        let Rlimit { current, .. } = getrlimit(Resource::Nofile);
        assert!(own > 0 && current.is_none_or(|limit| limit >= own as u64));
    }
}
