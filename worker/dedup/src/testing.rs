//! Seeded numbers and key files of generated units, for the tests of dedup.

use std::fs;
use std::path::Path;

use thresher_domain::SplitMix64;

use super::exchange::KeyFileRef;
use super::key::HashKey;
use super::keys::KeyCollector;
use super::verdict_file::VerdictFile;
use super::verdicts::{VerdictSet, VerdictsError};

/// Seeded numbers for tests.
pub(super) struct Seeded(SplitMix64);

impl Seeded {
    pub(super) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}

/// Keys that tests make from small numbers.
pub(super) trait TestKey: HashKey + std::hash::Hash {
    /// Returns a key that is spread like a hash.
    fn spread(id: u64) -> Self;
    /// Returns a key near the ends of the key space, next to others.
    fn crowded(id: u64) -> Self;
}

impl TestKey for u64 {
    fn spread(id: u64) -> Self {
        SplitMix64::at(id)
    }

    fn crowded(id: u64) -> Self {
        if id.is_multiple_of(2) { id } else { Self::MAX - id }
    }
}

impl TestKey for u128 {
    fn spread(id: u64) -> Self {
        Self::from(SplitMix64::at(id)) << 64 | Self::from(SplitMix64::at(id ^ 0xABCD))
    }

    fn crowded(id: u64) -> Self {
        // Half of the keys share their top bits.
        if id.is_multiple_of(2) { Self::from(id) } else { Self::MAX - (Self::from(id) << 63) }
    }
}

/// Writes the key file of a unit whose line `i` has key `keys[i]`, and each line of which is a
/// record.
pub(super) fn write_key_file<K: HashKey>(dir: &Path, unit: u32, keys: &[K]) -> KeyFileRef {
    write_key_file_of_records(dir, unit, keys, 1)
}

/// Writes the key file of a unit whose line `i` has key `keys[i]`, and whose records have this
/// number of lines.
pub(super) fn write_key_file_of_records<K: HashKey>(
    dir: &Path,
    unit: u32,
    keys: &[K],
    record_lines: u32,
) -> KeyFileRef {
    let mut collector = KeyCollector::new(unit, 1 << 20, dir);
    for (ordinal, key) in (0..).zip(keys) {
        if record_lines > 1 && ordinal % record_lines == 0 {
            collector.start_record(ordinal);
        }
        collector.push(*key, ordinal).unwrap();
    }
    let (bytes, _) = collector.finish(Vec::new()).unwrap();
    let path = dir.join(format!("keys-{unit}"));
    fs::write(&path, bytes).unwrap();
    KeyFileRef { unit, path }
}

/// Reads the verdicts on a unit from the file at `path`.
pub(super) fn load<K: HashKey>(
    path: &Path,
    unit: u32,
    key_file: &Path,
) -> Result<VerdictSet, VerdictsError> {
    let file =
        VerdictFile::open(path).map_err(|source| VerdictsError::VerdictFile { unit, source })?;
    VerdictSet::load::<K>(&file, unit, key_file)
}
