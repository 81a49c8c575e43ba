//! A unit's verdicts are complete or an error.

use std::fs;

use super::super::combine::{CombineError, RangeVerdicts, combine};
use super::super::exchange::{KeyFileRef, KeyFiles, ResolveTask, resolve_on_threads};
use super::super::position::Policy;
use super::super::testing::{Seeded, TestKey, load, write_key_file};
use super::*;

/// Writes the verdict files of one range by one rank, for all units.
fn range_file(dir: &Path, files: &[KeyFileRef], range: KeyRange) -> RangeVerdicts {
    let key_files = KeyFiles::OfUnits(files);
    let task = ResolveTask { key_files, range, policy: Policy::KeepFirst, budget_bytes: 1 << 20 };
    let (written, _) = resolve_on_threads::<u64, _>(1, &task, |_| Ok(Vec::new())).unwrap();
    let path = dir.join(written[0].0.to_string());
    fs::write(&path, &written[0].1).unwrap();
    RangeVerdicts { range, path }
}

fn whole_file(dir: &Path, files: &[KeyFileRef]) -> PathBuf {
    range_file(dir, files, KeyRange::WHOLE).path
}

fn key_files(dir: &Path, units: u32, keys_each: u64) -> Vec<KeyFileRef> {
    let mut random = Seeded::new(3);
    (0..units)
        .map(|unit| {
            let keys: Vec<u64> =
                (0..keys_each).map(|_| u64::spread(random.below(keys_each * 2))).collect();
            write_key_file(dir, unit, &keys)
        })
        .collect()
}

#[test]
fn verdicts_of_all_ranges_are_those_of_one_range() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 7, 300);
    let whole = whole_file(dir.path(), &keys);
    let ranges = (0..3).map(|index| KeyRange::new(index, 3).unwrap());
    let ranges: Vec<_> = ranges.map(|range| range_file(dir.path(), &keys, range)).collect();
    let (bytes, dropped) = combine(&ranges, &[2, 3, 4], Policy::KeepFirst, Vec::new()).unwrap();
    let combined = dir.path().join("combined");
    fs::write(&combined, bytes).unwrap();
    let mut counted = 0;
    for file in &keys[2..5] {
        let set = |path: &Path| load::<u64>(path, file.unit, &file.path).unwrap();
        assert!(set(&whole) == set(&combined), "unit {}", file.unit);
        let repeats = KeyFile::<u64>::open(&file.path).unwrap().repeats().unwrap();
        counted += set(&combined).count() - repeats.count();
    }
    assert_eq!(dropped, counted);
    let other = load::<u64>(&combined, 1, &keys[1].path).unwrap_err();
    assert!(matches!(other, VerdictsError::Missing { unit: 1, .. }), "{other}");
}

#[test]
fn a_file_of_one_range_or_of_another_range_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 4, 50);
    let [first, second] = [0, 1].map(|index| KeyRange::new(index, 2).unwrap());
    let [mut first, second] = [first, second].map(|range| range_file(dir.path(), &keys, range));
    let partial = load::<u64>(&first.path, 1, &keys[1].path).unwrap_err();
    assert!(matches!(partial, VerdictsError::Partial { .. }), "{partial}");
    let combine = |files: &[RangeVerdicts], units: &[u32]| {
        combine(files, units, Policy::KeepFirst, Vec::new()).unwrap_err()
    };
    let unknown = combine(&[first.clone(), second.clone()], &[3, 9]);
    assert!(matches!(unknown, CombineError::Missing { unit: 9, .. }), "{unknown}");
    first.path = second.path.clone();
    let misnamed = combine(&[first, second], &[1]);
    assert!(matches!(misnamed, CombineError::Misnamed { .. }), "{misnamed}");
}

#[test]
fn keys_of_another_unit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 4, 50);
    let whole = whole_file(dir.path(), &keys);
    let other = load::<u64>(&whole, 1, &keys[2].path).unwrap_err();
    assert!(matches!(other, VerdictsError::WrongUnit { expected: 1, found: 2, .. }));
}

#[test]
fn a_unit_that_was_not_compared_is_not_taken_for_clean() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 5, 50);
    let whole = whole_file(dir.path(), &keys[..4]);
    let error = load::<u64>(&whole, 4, &keys[4].path).unwrap_err();
    assert!(matches!(error, VerdictsError::Missing { unit: 4, .. }), "{error}");
}

#[test]
fn a_changed_byte_in_a_verdict_file_is_never_read_as_a_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 4, 60);
    let file = whole_file(dir.path(), &keys);
    let good = fs::read(&file).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&file, &bad).unwrap();
        match load::<u64>(&file, 3, &keys[3].path) {
            Err(VerdictsError::VerdictFile { unit: 3, source: BlocksError::Damaged { .. } }) => {}
            Err(other) => panic!("byte {at}: {other}"),
            Ok(_) => panic!("byte {at} was not noticed"),
        }
    }
}

#[test]
fn one_unit_of_a_large_file_is_found_across_blocks_and_batches() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 60, 9000);
    // A small budget: several batches, each with several blocks.
    let range = KeyRange::WHOLE;
    let mut seen = Vec::new();
    for budget_bytes in [1 << 19, 1 << 30] {
        let key_files = KeyFiles::OfUnits(&keys);
        let task = ResolveTask { key_files, range, policy: Policy::DropAll, budget_bytes };
        let (written, tally) = resolve_on_threads::<u64, _>(1, &task, |_| Ok(Vec::new())).unwrap();
        let path = dir.path().join(written[0].0.to_string());
        fs::write(&path, &written[0].1).unwrap();
        let sets: Vec<VerdictSet> =
            keys.iter().map(|file| load::<u64>(&path, file.unit, &file.path).unwrap()).collect();
        seen.push((sets, tally));
    }
    assert!(seen[0] == seen[1]);
}

#[test]
fn a_file_is_named_by_its_range_and_rank() {
    let range = KeyRange::new(2, 9).unwrap();
    let name = VerdictFileName { range, rank: 3, world: 736 };
    assert_eq!(name.to_string(), "verdicts-00002-of-00009-rank-00003-of-00736");
}
