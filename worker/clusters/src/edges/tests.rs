//! The edges are those of the definition, for any world, ranges, budget and order of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use thresher_dedup::comm::local::{RankFailure, run_local};
use thresher_dedup::exchange::KeyFileRef;
use thresher_formats::blocks::BlocksError;

use super::*;
use crate::testing::{Seeded, Units, Way, spread, write_edges, write_keys};

const BANDS: u32 = 3;

type Edges = BTreeSet<(Document, Document)>;

/// Returns the edges and the tally by the definition.
fn oracle(units: &Units, largest_group: u64) -> (Edges, EdgeTally) {
    let mut groups: BTreeMap<u64, BTreeSet<Document>> = BTreeMap::new();
    let mut tally = EdgeTally::default();
    for (unit, documents) in (0..).zip(units) {
        for (place, keys) in (0..).zip(documents) {
            tally.keys += keys.len() as u64;
            for key in keys {
                groups.entry(*key).or_default().insert(Document { unit, place });
            }
        }
    }
    let mut edges = Edges::new();
    for (key, members) in groups.iter().filter(|(_, members)| members.len() > 1) {
        let smallest = *members.first().unwrap();
        edges.extend(members.iter().skip(1).map(|member| (*member, smallest)));
        let size = members.len() as u64;
        tally.groups += 1;
        tally.members += size;
        tally.edges += size - 1;
        tally.largest_group = tally.largest_group.max(size);
        if size > largest_group {
            tally.large_groups += 1;
            tally.listed.push(LargeGroup { key: *key, size, smallest });
        }
    }
    // The sort keeps the order of keys.
    tally.listed.sort_by_key(|group| std::cmp::Reverse(group.size));
    tally.listed.truncate(MAX_LARGE_GROUPS);
    (edges, tally)
}

/// Reads files of edges, and checks that each has an edge once if there was room.
fn read(paths: &[PathBuf], once: bool) -> Edges {
    let mut edges = Edges::new();
    for path in paths {
        let file = EdgeFile::open(path).unwrap();
        let mut of_file = Vec::new();
        let mut reader = file.read(1 << 16);
        while let Some(edge) = reader.next_edge().unwrap() {
            of_file.push(edge);
        }
        assert!(reader.next_edge().unwrap().is_none());
        assert_eq!(of_file.len() as u64, file.edges());
        assert!(!once || of_file.is_sorted_by(|a, b| a < b));
        edges.extend(of_file);
    }
    edges
}

fn random_units(random: &mut Seeded) -> Units {
    let ids = 1 + random.below(900);
    let hot = random.below(3) == 0;
    let units = 1 + random.below(9);
    (0..units)
        .map(|_| {
            let documents = random.below(4) * random.below(60);
            let mut keys = |band| {
                let id = if hot && random.below(4) == 0 { 0 } else { random.below(ids) };
                // Bands have different keys, except for two in which they are equal by chance.
                spread(id * 4 + band % 2)
            };
            (0..documents).map(|_| (0..u64::from(BANDS)).map(&mut keys).collect()).collect()
        })
        .collect()
}

#[test]
fn edges_and_tallies_are_the_same_in_every_world() {
    for seed in 0..150 {
        let mut random = Seeded::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let units = random_units(&mut random);
        let mut files = write_keys(dir.path(), &units);
        random.shuffle(&mut files);
        let way = Way {
            ranges: random.pick(&[1, 1, 3]),
            group_units: 1 + random.below(5) as u32,
            threads: random.pick(&[1, 2, 3, 5]),
            budget_bytes: random.pick(&[0, 40_000, 1 << 30]),
            largest_group: random.pick(&[1, 2, 40]),
        };
        let (paths, tally) = write_edges(dir.path(), &files, BANDS, way);
        let found = (read(&paths, way.budget_bytes == 1 << 30), tally);
        assert_eq!(found, oracle(&units, way.largest_group), "seed {seed} {way:?}");
    }
}

#[test]
fn a_key_of_many_documents_in_many_batches_has_an_edge_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let units: Units = (0..3)
        .map(|unit| (0..7000).map(|i| vec![spread(7), spread(unit * 9000 + i % 4000)]).collect())
        .collect();
    let files = write_keys(dir.path(), &units);
    let expected = oracle(&units, 5000);
    assert_eq!(expected.1.listed.len(), 1);
    for (threads, budget_bytes) in [(1, 1 << 30), (3, 1 << 18)] {
        let way = Way { ranges: 1, group_units: 1, threads, budget_bytes, largest_group: 5000 };
        let (paths, tally) = write_edges(dir.path(), &files, 2, way);
        assert!((read(&paths, false), tally) == expected, "{way:?}");
    }
}

#[test]
fn damage_found_by_one_rank_ends_the_others_and_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let units: Units = (0..4).map(|_| vec![vec![1, 2, 3]]).collect();
    let files: Vec<KeyFileRef> = write_keys(dir.path(), &units);
    fs::write(&files[3].path, b"not a key file").unwrap();
    let task = EdgeTask {
        key_files: KeyFiles::OfUnits(&files),
        range: KeyRange::WHOLE,
        bands: BANDS,
        budget_bytes: 1 << 20,
        largest_group: 10,
    };
    let failure = run_local(4, |comm| find_edges(comm, &task, Vec::new())).unwrap_err();
    assert_eq!(failure.ranks.len(), 4);
    for (rank, failure) in failure.ranks {
        let RankFailure::Error(error) = failure else { panic!("rank {rank} panicked") };
        assert_eq!(error.is_echo(), rank != 3, "{error}");
        if let ResolveError::KeyFile { unit: 3, source: BlocksError::Damaged { file, .. } } = error
        {
            assert_eq!(file, files[3].path);
        }
    }
}

#[test]
fn ranks_with_different_numbers_of_bands_refuse_to_continue() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_keys(dir.path(), &vec![vec![vec![1]], vec![vec![1]]]);
    let failure = run_local(2, |comm| {
        let (range, budget_bytes, largest_group) = (KeyRange::WHOLE, 0, 10);
        let (key_files, bands) = (KeyFiles::OfUnits(&files), 1 + comm.rank() as u32);
        let task = EdgeTask { key_files, range, bands, budget_bytes, largest_group };
        find_edges(comm, &task, Vec::new())
    })
    .unwrap_err();
    for (_, failure) in failure.ranks {
        assert!(matches!(failure, RankFailure::Error(ResolveError::TasksDiffer)), "{failure}");
    }
}

#[test]
fn a_full_disk_is_an_error_on_every_rank() {
    #[derive(Debug)]
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let files = write_keys(dir.path(), &vec![vec![vec![1], vec![1]]]);
    let (key_files, range) = (KeyFiles::OfUnits(&files), KeyRange::WHOLE);
    let task = EdgeTask { key_files, range, bands: 1, budget_bytes: 0, largest_group: 10 };
    let error = find_edges_on_threads(2, &task, |_| Ok(Full)).unwrap_err();
    assert!(matches!(error, ResolveError::Output(_)), "{error}");
}

#[test]
fn a_changed_byte_in_a_file_of_edges_is_reported_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let units: Units = vec![(0..9).map(|id| vec![id % 4]).collect()];
    let files = write_keys(dir.path(), &units);
    let way = Way { ranges: 1, group_units: 1, threads: 1, budget_bytes: 0, largest_group: 100 };
    let (paths, _) = write_edges(dir.path(), &files, 1, way);
    let good = fs::read(&paths[0]).unwrap();
    let all = |path: &PathBuf| {
        let file = EdgeFile::open(path)?;
        let mut reader = file.read(1 << 16);
        while reader.next_edge()?.is_some() {}
        Ok::<_, BlocksError>(())
    };
    all(&paths[0]).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        fs::write(&paths[0], &bad).unwrap();
        let error = all(&paths[0]).expect_err("damage is found").to_string();
        assert!(error.contains(&paths[0].display().to_string()), "byte {at}: {error}");
    }
}
