//! A unit's verdicts are complete or an error.

use std::fs;

use super::super::exchange::{KeyFileRef, ResolveTask, resolve_on_threads};
use super::super::position::Policy;
use super::super::testing::{Seeded, TestKey, write_key_file};
use super::*;

/// Writes verdict files of three ranges, the middle one by another world.
fn verdict_files(dir: &Path, key_files: &[KeyFileRef]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (index, threads) in [(0, 2), (1, 3), (2, 2)] {
        let range = KeyRange::new(index, 3).unwrap();
        let task =
            ResolveTask { key_files, range, policy: Policy::KeepFirst, budget_bytes: 1 << 20 };
        let (written, _) =
            resolve_on_threads::<u64, _>(threads, &task, |_| Ok(Vec::new())).unwrap();
        for (name, bytes) in written {
            paths.push(dir.join(name.to_string()));
            fs::write(paths.last().unwrap(), bytes).unwrap();
        }
    }
    paths
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
fn ranges_resolved_by_different_worlds_are_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 7, 300);
    let files = verdict_files(dir.path(), &keys);
    assert_eq!(files.len(), 7);
    let first = VerdictSet::load::<u64>(&files, 0, &keys[0].path).unwrap();
    let repeats = KeyFile::<u64>::open(&keys[0].path).unwrap().repeats().unwrap();
    assert_eq!(first.iter().collect::<Vec<_>>(), repeats.iter().collect::<Vec<_>>());
    let last = VerdictSet::load::<u64>(&files, 6, &keys[6].path).unwrap();
    assert!(last.count() > 200 && last.iter().all(|ordinal| last.is_dropped(ordinal)));
}

#[test]
fn a_missing_surplus_or_misnamed_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 4, 50);
    let files = verdict_files(dir.path(), &keys);
    let load = |files: &[PathBuf]| VerdictSet::load::<u64>(files, 1, &keys[1].path).unwrap_err();
    for (at, name) in files.iter().enumerate() {
        let mut fewer = files.clone();
        fewer.remove(at);
        let concerns = VerdictFileName::parse(name).unwrap().concerns(1);
        let loaded = VerdictSet::load::<u64>(&fewer, 1, &keys[1].path);
        assert_eq!(loaded.is_err(), concerns, "without {}", name.display());
        if concerns {
            assert!(matches!(load(&fewer), VerdictsError::Missing { unit: 1, .. }));
        }
    }
    assert!(matches!(load(&[]), VerdictsError::Missing { index: 0, .. }));
    let twice = [&files[..], &files[1..2]].concat();
    assert!(matches!(load(&twice), VerdictsError::Surplus(_)));
    let unnamed = [&files[..], &[PathBuf::from("verdicts")]].concat();
    assert!(matches!(load(&unnamed), VerdictsError::Name(_)));
    fs::copy(&files[0], &files[1]).unwrap();
    assert!(matches!(load(&files), VerdictsError::Misnamed(_)));
    let other = VerdictSet::load::<u64>(&files, 1, &keys[2].path).unwrap_err();
    assert!(matches!(other, VerdictsError::WrongUnit { expected: 1, found: 2, .. }));
}

#[test]
fn a_unit_that_was_not_compared_is_not_taken_for_clean() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 5, 50);
    let files = verdict_files(dir.path(), &keys[..4]);
    let error = VerdictSet::load::<u64>(&files, 4, &keys[4].path).unwrap_err();
    assert!(matches!(error, VerdictsError::Missing { unit: 4, index: 0 }), "{error}");
}

#[test]
fn a_changed_byte_in_a_verdict_file_is_never_read_as_a_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 4, 60);
    let files = verdict_files(dir.path(), &keys);
    let whole = VerdictSet::load::<u64>(&files, 3, &keys[3].path).unwrap();
    let damaged = files.iter().find(|path| VerdictFileName::parse(path).unwrap().concerns(3));
    let damaged = damaged.unwrap();
    let good = fs::read(damaged).unwrap();
    let mut unharmed = 0;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(damaged, &bad).unwrap();
        match VerdictSet::load::<u64>(&files, 3, &keys[3].path) {
            Err(VerdictsError::VerdictFile {
                range,
                source: BlocksError::Damaged { file, .. },
            }) => {
                assert_eq!((range.index(), &file), (0, damaged));
            }
            Err(other) => panic!("byte {at}: {other}"),
            Ok(set) => {
                assert_eq!(set, whole, "byte {at}");
                unharmed += 1;
            }
        }
    }
    assert_eq!(unharmed, 0, "every byte of this small file is read");
}

#[test]
fn one_unit_of_a_large_file_is_found_across_blocks_and_batches() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_files(dir.path(), 60, 9000);
    // A small budget: several batches, each with several blocks.
    let range = KeyRange::WHOLE;
    let mut seen = Vec::new();
    for budget_bytes in [1 << 19, 1 << 30] {
        let task = ResolveTask { key_files: &keys, range, policy: Policy::DropAll, budget_bytes };
        let (written, tally) = resolve_on_threads::<u64, _>(1, &task, |_| Ok(Vec::new())).unwrap();
        let path = dir.path().join(written[0].0.to_string());
        fs::write(&path, &written[0].1).unwrap();
        let sets: Vec<VerdictSet> = keys
            .iter()
            .map(|file| {
                VerdictSet::load::<u64>(std::slice::from_ref(&path), file.unit, &file.path).unwrap()
            })
            .collect();
        seen.push((sets, tally));
    }
    assert!(seen[0] == seen[1]);
}

#[test]
fn names_are_read_back_with_any_ending() {
    let range = KeyRange::new(2, 9).unwrap();
    let name = VerdictFileName { range, rank: 3, world: 736 };
    assert_eq!(name.to_string(), "verdicts-00002-of-00009-rank-00003-of-00736");
    let path = PathBuf::from(format!("/a/b/{name}.blocks"));
    assert_eq!(VerdictFileName::parse(&path), Some(name));
    for wrong in ["verdicts-9-of-9-rank-0-of-1", "verdicts-0-of-1-rank-1-of-1", "keys-0", ""] {
        assert_eq!(VerdictFileName::parse(Path::new(wrong)), None, "{wrong}");
    }
}
