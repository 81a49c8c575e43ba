//! Band keys of generated units as real key files, and files of edges, for the tests of this crate.

use std::fs;
use std::path::{Path, PathBuf};

use thresher_dedup::KeyRange;
use thresher_dedup::exchange::{KeyFileRef, KeyFiles};
use thresher_dedup::gather::gather;
use thresher_dedup::keys::KeyCollector;
use thresher_domain::SplitMix64;

use crate::edges::{EdgeTally, EdgeTask, find_edges_on_threads};

/// Seeded numbers for tests.
pub(crate) struct Seeded(SplitMix64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}

/// The band keys of each document of each unit; all documents have the same number of bands.
pub(crate) type Units = Vec<Vec<Vec<u64>>>;

/// Returns a key that is spread like a hash.
pub(crate) fn spread(id: u64) -> u64 {
    SplitMix64::at(id)
}

/// How edges are found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) ranges: u32,
    pub(crate) group_units: u32,
    pub(crate) threads: usize,
    pub(crate) budget_bytes: u64,
    pub(crate) largest_group: u64,
}

/// Writes the key file of each unit.
pub(crate) fn write_keys(dir: &Path, units: &Units) -> Vec<KeyFileRef> {
    let write = |(unit, documents): (u32, &Vec<Vec<u64>>)| {
        let mut collector = KeyCollector::new(unit, 1 << 20, dir).with_every_occurrence();
        for (ordinal, key) in (0..).zip(documents.iter().flatten()) {
            collector.push(*key, ordinal).unwrap();
        }
        let path = dir.join(format!("keys-{unit}"));
        fs::write(&path, collector.finish(Vec::new()).unwrap().0).unwrap();
        KeyFileRef { unit, path }
    };
    (0..).zip(units).map(write).collect()
}

/// Finds the edges of all ranges, and returns their files with the tally.
pub(crate) fn write_edges(
    dir: &Path,
    files: &[KeyFileRef],
    bands: u32,
    way: Way,
) -> (Vec<PathBuf>, EdgeTally) {
    let groups = gathered(dir, files, way);
    let (mut paths, mut total) = (Vec::new(), EdgeTally::default());
    for index in 0..way.ranges {
        let range = KeyRange::new(index, way.ranges).unwrap();
        let key_files = match &groups {
            Some(files) => KeyFiles::OfGroups { files, group_units: way.group_units },
            None => KeyFiles::OfUnits(files),
        };
        let Way { budget_bytes, largest_group, .. } = way;
        let task = EdgeTask { key_files, range, bands, budget_bytes, largest_group };
        let (written, tally) =
            find_edges_on_threads(way.threads, &task, |_| Ok(Vec::new())).unwrap();
        for (name, bytes) in written {
            let path = dir.join(name.to_string());
            fs::write(&path, bytes).unwrap();
            paths.push(path);
        }
        total.merge(&tally);
    }
    (paths, total)
}

/// Gathers the keys, if there are several ranges.
fn gathered(dir: &Path, files: &[KeyFileRef], way: Way) -> Option<Vec<KeyFileRef>> {
    let last = files.iter().map(|file| file.unit / way.group_units).max()?;
    let gather = |group: u32| {
        let own = |file: &&KeyFileRef| file.unit / way.group_units == group;
        let own: Vec<KeyFileRef> = files.iter().filter(own).cloned().collect();
        let (bytes, _) = gather::<u64, _>(&own, way.ranges, own.len() / 2, Vec::new()).unwrap();
        let path = dir.join(format!("group-{group}"));
        fs::write(&path, bytes).unwrap();
        KeyFileRef { unit: group, path }
    };
    (way.ranges > 1).then(|| (0..=last).map(gather).collect())
}
