//! The drops are those of a naive oracle, for any world, ranges, budget and order of files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use super::super::combine::{RangeVerdicts, combine};
use super::super::gather::gather;
use super::super::testing::{Seeded, TestKey, load, write_key_file, write_key_file_of_records};
use super::groups::{GroupTask, find_groups};
use super::*;
use crate::comm::local::{RankFailure, run_local};
use crate::keys::KeyCollector;
use crate::{KeyFile, Position};
use thresher_formats::blocks::BlocksError;

/// Returns the drops of each unit and the tally of all ranges, by the definition. Each record of a
/// unit has the same number of lines.
fn oracle<K: TestKey>(
    units: &[Vec<K>],
    record_lines: u32,
    policy: Policy,
) -> (Vec<Vec<u32>>, ResolveTally) {
    let mut occurrences: HashMap<K, Vec<(usize, u32)>> = HashMap::new();
    let mut tally = ResolveTally::default();
    for (unit, keys) in units.iter().enumerate() {
        for (ordinal, key) in (0..).zip(keys) {
            let places = occurrences.entry(*key).or_default();
            tally.keys += u64::from(places.last().is_none_or(|(last, _)| *last != unit));
            places.push((unit, ordinal));
        }
    }
    tally.distinct = occurrences.len() as u64;
    let mut drops = vec![Vec::new(); units.len()];
    let mut repeats = 0;
    for places in occurrences.values() {
        let record = |(unit, ordinal): (usize, u32)| (unit, ordinal / record_lines);
        let in_several = places.iter().any(|place| record(*place) != record(places[0]));
        let all = policy == Policy::DropAll && in_several;
        for (unit, ordinal) in &places[usize::from(!all)..] {
            drops[*unit].push(*ordinal);
        }
        repeats += places.windows(2).filter(|pair| pair[0].0 == pair[1].0).count() as u64;
    }
    for unit in &mut drops {
        unit.sort_unstable();
        tally.dropped += unit.len() as u64;
    }
    tally.dropped -= repeats;
    (drops, tally)
}

/// How the duplicates of a stage are found.
#[derive(Debug, Clone, Copy)]
struct Way {
    ranges: u32,
    group_units: u32,
    threads: usize,
    budget_bytes: u64,
}

/// Goes through all steps, and loads every unit's verdicts.
fn resolve_all<K: TestKey>(
    dir: &Path,
    files: &[KeyFileRef],
    policy: Policy,
    way: Way,
) -> (Vec<Vec<u32>>, ResolveTally) {
    let groups = gather_groups::<K>(dir, files, way);
    let mut total = ResolveTally::default();
    let mut by_range = Vec::new();
    for index in 0..way.ranges {
        let range = KeyRange::new(index, way.ranges).unwrap();
        let key_files = match &groups {
            Some(files) => KeyFiles::OfGroups { files, group_units: way.group_units },
            None => KeyFiles::OfUnits(files),
        };
        let task = ResolveTask { key_files, range, policy, budget_bytes: way.budget_bytes };
        let (written, tally) =
            resolve_on_threads::<K, _>(way.threads, &task, |_| Ok(Vec::new())).unwrap();
        let save = |(name, bytes): (VerdictFileName, Vec<u8>)| {
            let path = dir.join(name.to_string());
            fs::write(&path, bytes).unwrap();
            RangeVerdicts { range, path }
        };
        by_range.push(written.into_iter().map(save).collect::<Vec<_>>());
        total.keys += tally.keys;
        total.distinct += tally.distinct;
        total.dropped += tally.dropped;
    }
    let mut drops = vec![Vec::new(); files.len()];
    for KeyFileRef { unit, path } in files {
        let group = (unit / way.group_units) as usize;
        let of_rank = |files: &Vec<RangeVerdicts>| files[group % way.threads].clone();
        let file = match &groups {
            None => by_range[0][*unit as usize % way.threads].path.clone(),
            Some(_) => {
                let files: Vec<RangeVerdicts> = by_range.iter().map(of_rank).collect();
                let members = group as u32 * way.group_units..(group as u32 + 1) * way.group_units;
                let members: Vec<u32> =
                    members.filter(|unit| (*unit as usize) < drops.len()).collect();
                let (bytes, _) = combine(&files, &members, policy, Vec::new()).unwrap();
                let path = dir.join("combined");
                fs::write(&path, bytes).unwrap();
                path
            }
        };
        let set = load::<K>(&file, *unit, path).unwrap();
        drops[*unit as usize] = set.iter().collect();
        assert_eq!(set.count() as usize, drops[*unit as usize].len());
    }
    (drops, total)
}

/// Gathers the keys, if there are several ranges.
fn gather_groups<K: TestKey>(
    dir: &Path,
    files: &[KeyFileRef],
    way: Way,
) -> Option<Vec<KeyFileRef>> {
    let last = files.iter().map(|file| file.unit / way.group_units).max()?;
    let gathered = |group: u32| {
        let own = |file: &&KeyFileRef| file.unit / way.group_units == group;
        let own: Vec<KeyFileRef> = files.iter().filter(own).cloned().collect();
        // Some files are closed between reads.
        let (bytes, _) = gather::<K, _>(&own, way.ranges, own.len() / 2, Vec::new()).unwrap();
        let path = dir.join(format!("group-{group}"));
        fs::write(&path, bytes).unwrap();
        KeyFileRef { unit: group, path }
    };
    (way.ranges > 1).then(|| (0..=last).map(gathered).collect())
}

fn random_units<K: TestKey>(random: &mut Seeded) -> Vec<Vec<K>> {
    let crowded = random.below(5) == 0;
    let ids = 1 + random.below(600);
    let hot = random.below(2) == 0;
    let units = 1 + random.below(12);
    (0..units)
        .map(|_| {
            let lines = random.below(5) * random.below(60);
            let id = |random: &mut Seeded| random.below(ids);
            let mut keys: Vec<u64> = (0..lines).map(|_| id(random)).collect();
            if hot {
                keys.push(0);
            }
            random.shuffle(&mut keys);
            keys.into_iter()
                .map(|id| if crowded { K::crowded(id) } else { K::spread(id) })
                .collect()
        })
        .collect()
}

fn every_world_agrees_with_the_oracle<K: TestKey>(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut random = Seeded::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let units = random_units::<K>(&mut random);
        let record_lines = [1, 2, 30][random.below(3) as usize];
        let written = |(unit, keys): (u32, &Vec<K>)| {
            write_key_file_of_records(dir.path(), unit, keys, record_lines)
        };
        let mut files: Vec<KeyFileRef> = (0..).zip(&units).map(written).collect();
        random.shuffle(&mut files);
        let policy = if random.below(2) == 0 { Policy::KeepFirst } else { Policy::DropAll };
        let way = Way {
            ranges: 1 + random.below(5) as u32,
            group_units: 1 + random.below(6) as u32,
            threads: 1 + random.below(8) as usize,
            budget_bytes: [0, 40_000, 1 << 30][random.below(3) as usize],
        };
        let found = resolve_all::<K>(dir.path(), &files, policy, way);
        let expected = oracle(&units, record_lines, policy);
        assert_eq!(found, expected, "seed {seed} {policy:?} {way:?} {record_lines}");
    }
}

#[test]
fn line_drops_are_the_same_in_every_world() {
    every_world_agrees_with_the_oracle::<u64>(0..500);
}

#[test]
fn document_drops_are_the_same_in_every_world() {
    every_world_agrees_with_the_oracle::<u128>(10_000..10_300);
}

#[test]
fn many_rounds_and_batches_of_larger_units_give_the_same_drops() {
    let mut random = Seeded::new(77);
    let dir = tempfile::tempdir().unwrap();
    let units: Vec<Vec<u64>> =
        (0..5).map(|_| (0..40_000).map(|_| u64::spread(random.below(120_000))).collect()).collect();
    let files: Vec<KeyFileRef> =
        (0..).zip(&units).map(|(unit, keys)| write_key_file(dir.path(), unit, keys)).collect();
    for policy in [Policy::KeepFirst, Policy::DropAll] {
        let expected = oracle(&units, 1, policy);
        for (ranges, threads, budget_bytes) in [(1, 1, 1 << 30), (1, 2, 1 << 20), (3, 4, 1 << 17)] {
            let way = Way { ranges, group_units: 2, threads, budget_bytes };
            let found = resolve_all::<u64>(dir.path(), &files, policy, way);
            assert!(found == expected, "{policy:?} {way:?}");
        }
    }
}

#[test]
fn groups_of_every_occurrence_are_the_same_in_every_world() {
    for seed in 0..60 {
        let mut random = Seeded::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let units = random_units::<u64>(&mut random);
        let mut expected: BTreeMap<u64, Vec<Position>> = BTreeMap::new();
        let mut files = Vec::new();
        for (unit, keys) in (0..).zip(&units) {
            let mut collector = KeyCollector::new(unit, 0, dir.path()).with_every_occurrence();
            for (ordinal, key) in (0..).zip(keys) {
                collector.push(*key, ordinal).unwrap();
                expected.entry(*key).or_default().push(Position { unit, ordinal });
            }
            let path = dir.path().join(format!("all-{unit}"));
            fs::write(&path, collector.finish(Vec::new()).unwrap().0).unwrap();
            files.push(KeyFileRef { unit, path });
        }
        expected.retain(|_, positions| positions.len() > 1);
        random.shuffle(&mut files);
        let way = Way {
            ranges: 1 + random.below(3) as u32,
            group_units: 1 + random.below(6) as u32,
            threads: 1 + random.below(5) as usize,
            budget_bytes: [0, 40_000, 1 << 30][random.below(3) as usize],
        };
        let (found, keys) = groups_of(dir.path(), &files, way);
        assert!(found == expected, "seed {seed} {way:?}");
        assert_eq!(keys as usize, units.iter().map(Vec::len).sum::<usize>(), "seed {seed}");
    }
}

/// Returns the groups of all ranks and ranges, and the number of keys.
fn groups_of(dir: &Path, files: &[KeyFileRef], way: Way) -> (BTreeMap<u64, Vec<Position>>, u64) {
    let gathered = gather_groups::<u64>(dir, files, way);
    let key_files = match &gathered {
        Some(files) => KeyFiles::OfGroups { files, group_units: way.group_units },
        None => KeyFiles::OfUnits(files),
    };
    let (mut found, mut keys) = (BTreeMap::new(), 0);
    for index in 0..way.ranges {
        let range = KeyRange::new(index, way.ranges).unwrap();
        let budget_bytes = way.budget_bytes;
        let task = GroupTask { key_files, range, rule: &[], budget_bytes };
        let ranks = run_on_threads(way.threads, |comm| {
            let mut own = Vec::new();
            let keys = find_groups::<u64, _>(comm, &task, |key, positions| {
                own.push((key, positions.collect::<Vec<_>>()));
                Ok(())
            })?;
            Ok::<_, ResolveError>((own, keys))
        });
        for (rank, (own, of_range)) in ranks.unwrap().into_iter().enumerate() {
            keys += if rank == 0 { of_range } else { 0 };
            for (key, positions) in own {
                assert!(found.insert(key, positions).is_none(), "key `{key}` has two owners");
            }
        }
    }
    (found, keys)
}

#[test]
fn a_changed_byte_in_a_key_file_is_reported_with_its_unit() {
    let dir = tempfile::tempdir().unwrap();
    let units: Vec<Vec<u64>> =
        (0..3).map(|unit| (unit..unit + 12).map(|id| u64::spread(id % 9)).collect()).collect();
    let files: Vec<KeyFileRef> =
        (0..).zip(&units).map(|(unit, keys)| write_key_file(dir.path(), unit, keys)).collect();
    let good = fs::read(&files[1].path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        fs::write(&files[1].path, &bad).unwrap();
        let key_files = KeyFiles::OfUnits(&files);
        let budget_bytes = 1 << 20;
        let task = ResolveTask {
            key_files,
            range: KeyRange::WHOLE,
            policy: Policy::DropAll,
            budget_bytes,
        };
        let resolved = resolve_on_threads::<u64, _>(2, &task, |_| Ok(Vec::new()));
        match resolved {
            Err(ResolveError::KeyFile { unit: 1, source: BlocksError::Damaged { file, .. } }) => {
                assert_eq!(file, files[1].path);
            }
            Err(other) => panic!("byte {at}: {other}"),
            // Only the block of repeats is not read here; its reader must find the damage.
            Ok(_) => {
                let keys = KeyFile::<u64>::open(&files[1].path).unwrap();
                assert!(keys.repeats().is_err(), "byte {at}");
            }
        }
    }
}

#[test]
fn a_changed_byte_in_the_keys_of_a_group_is_reported_with_the_group() {
    let dir = tempfile::tempdir().unwrap();
    let keys = |unit: u64| (unit..unit + 12).map(|id| u64::spread(id % 9)).collect::<Vec<u64>>();
    let files: Vec<KeyFileRef> =
        (0..4).map(|unit| write_key_file(dir.path(), unit as u32, &keys(unit))).collect();
    let way = Way { ranges: 2, group_units: 2, threads: 2, budget_bytes: 1 << 20 };
    let groups = gather_groups::<u64>(dir.path(), &files, way).unwrap();
    let good = fs::read(&groups[1].path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        fs::write(&groups[1].path, &bad).unwrap();
        let key_files = KeyFiles::OfGroups { files: &groups, group_units: 2 };
        let found = (0..2).any(|index| {
            let range = KeyRange::new(index, 2).unwrap();
            let (policy, budget_bytes) = (Policy::DropAll, 1 << 20);
            let task = ResolveTask { key_files, range, policy, budget_bytes };
            match resolve_on_threads::<u64, _>(2, &task, |_| Ok(Vec::new())) {
                Err(ResolveError::GroupFile { group: 1, .. }) => true,
                Err(other) => panic!("byte {at}: {other}"),
                Ok(_) => false,
            }
        });
        assert!(found, "byte {at}");
    }
}

#[test]
fn damage_found_by_one_rank_ends_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<KeyFileRef> =
        (0..4).map(|unit| write_key_file(dir.path(), unit, &[1u64, 2, 3])).collect();
    fs::write(&files[3].path, b"not a key file").unwrap();
    let task = ResolveTask {
        key_files: KeyFiles::OfUnits(&files),
        range: KeyRange::WHOLE,
        policy: Policy::KeepFirst,
        budget_bytes: 1 << 20,
    };
    let failure = run_local(4, |comm| resolve::<u64, _, _>(comm, &task, Vec::new())).unwrap_err();
    assert_eq!(failure.ranks.len(), 4);
    for (rank, failure) in failure.ranks {
        let RankFailure::Error(error) = failure else { panic!("rank {rank} panicked") };
        assert_eq!(error.is_echo(), rank != 3, "{error}");
        if rank != 3 {
            assert!(error.to_string().contains("`3`"), "{error}");
        }
    }
}

#[test]
fn ranks_with_different_tasks_refuse_to_continue() {
    let dir = tempfile::tempdir().unwrap();
    let files = [write_key_file(dir.path(), 0, &[1u64]), write_key_file(dir.path(), 1, &[1u64])];
    let failure = run_local(2, |comm| {
        let key_files = KeyFiles::OfUnits(&files[..1 + comm.rank()]);
        let (range, policy) = (KeyRange::WHOLE, Policy::KeepFirst);
        let task = ResolveTask { key_files, range, policy, budget_bytes: 0 };
        resolve::<u64, _, _>(comm, &task, Vec::new())
    })
    .unwrap_err();
    for (_, failure) in failure.ranks {
        assert!(matches!(failure, RankFailure::Error(ResolveError::TasksDiffer)), "{failure}");
    }
    let twice = [files[0].clone(), files[0].clone()];
    let swapped = [KeyFileRef { unit: 7, path: files[0].path.clone() }];
    let resolve = |key_files: &[KeyFileRef]| {
        let key_files = KeyFiles::OfUnits(key_files);
        let (range, policy) = (KeyRange::WHOLE, Policy::KeepFirst);
        let task = ResolveTask { key_files, range, policy, budget_bytes: 0 };
        resolve_on_threads::<u64, _>(2, &task, |_| Ok(Vec::new())).unwrap_err()
    };
    assert!(matches!(resolve(&twice), ResolveError::UnitTwice { unit: 0 }));
    assert!(matches!(resolve(&swapped), ResolveError::WrongUnit { expected: 7, found: 0, .. }));
}
