//! The labels are those of a plain union-find, for any world, budget and order of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use thresher_dedup::comm::local::{RankFailure, run_local};
use thresher_formats::blocks::BlocksError;

use super::*;
use crate::document::Document;
use crate::labels::{Label, LabelFile};
use crate::pairs::PairWriter;
use crate::testing::{Seeded, Units, Way, spread, write_edges, write_keys};
use crate::{EDGE_FILE, LABEL_FILE};

/// The label of each document with an edge, and the number of documents of its component.
type Labels = BTreeMap<Document, (Document, u64)>;
type Edges = BTreeSet<(u64, u64)>;

/// Returns the labels and the tally, whose rounds are not known, by union-find.
fn oracle(edges: &Edges) -> (Labels, ConnectTally) {
    let pairs: Vec<(u64, u64)> = edges.iter().copied().collect();
    let labels = thresher_near::components::of_edges(&pairs);
    let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
    labels.iter().for_each(|(_, label)| *sizes.entry(*label).or_default() += 1);
    let tally = ConnectTally {
        documents: labels.len() as u64,
        edges: edges.len() as u64,
        components: sizes.len() as u64,
        largest_component: sizes.values().copied().max().unwrap_or(0),
        rounds: 0,
    };
    let named = |(document, label)| {
        (Document::from_u64(document), (Document::from_u64(label), sizes[&label]))
    };
    (labels.into_iter().map(named).collect(), tally)
}

/// How components are found.
#[derive(Debug, Clone, Copy)]
struct World {
    threads: usize,
    group_units: u32,
    /// The memory of all ranks together.
    budget_bytes: u64,
}

/// Connects, reads all labels back, and checks that nothing is left in the scratch folder.
fn connected(
    dir: &Path,
    edge_files: &[PathBuf],
    units: u32,
    world: World,
) -> (Labels, ConnectTally) {
    let scratch = dir.join("scratch");
    fs::create_dir_all(&scratch).unwrap();
    let World { threads, group_units, budget_bytes } = world;
    let task = ConnectTask { edge_files, group_units, budget_bytes, scratch: &scratch };
    let (files, tally) = connect_on_threads(threads, &task, |_| Ok(Vec::new())).unwrap();
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "spilled files are removed");
    let mut labels = Labels::new();
    for (name, bytes) in files {
        let path = dir.join(name.to_string());
        fs::write(&path, bytes).unwrap();
        let file = LabelFile::open(&path).unwrap();
        let before = labels.len();
        for unit in 0..units {
            let owner = unit / group_units % name.world;
            assert_eq!(file.summary().has_unit(unit), owner == name.rank);
            if owner != name.rank {
                assert!(file.of_unit(unit).is_err(), "unit `{unit}` is another rank's");
                continue;
            }
            let of_unit = file.of_unit(unit).unwrap();
            assert!(of_unit.is_sorted_by(|a, b| a.place < b.place));
            for Label { place, component, members } in of_unit {
                labels.insert(Document { unit, place }, (component, members));
            }
        }
        assert_eq!(labels.len() - before, file.summary().documents as usize);
    }
    (labels, tally)
}

/// Writes edges to this many files.
fn write_files(dir: &Path, edges: &[(u64, u64)], files: usize) -> Vec<PathBuf> {
    let write = |number: usize| {
        let mut writer = PairWriter::new(Vec::new(), EDGE_FILE).unwrap();
        for (u, v) in edges.iter().skip(number).step_by(files) {
            writer.push(((*u).max(*v), (*u).min(*v))).unwrap();
        }
        let path = dir.join(format!("edges-{number}"));
        fs::write(&path, writer.finish().unwrap()).unwrap();
        path
    };
    (0..files).map(write).collect()
}

/// Returns document `number` of those that are spread over this many units.
fn document(number: u64, units: u64) -> u64 {
    Document { unit: (number % units) as u32, place: (number / units) as u32 }.to_u64()
}

fn random_edges(random: &mut Seeded, units: u64) -> Vec<(u64, u64)> {
    let documents = 2 + random.below(3000);
    let count = random.below(2 * documents);
    let kind = random.below(5);
    let mut order: Vec<u64> = (0..documents).collect();
    random.shuffle(&mut order);
    let edge = |random: &mut Seeded, at: u64| match kind {
        // A chain in the order of documents, or in any order.
        0 => (at % documents, (at + 1) % documents),
        1 => (order[(at % documents) as usize], order[((at + 1) % documents) as usize]),
        // A star around the smallest document, or around any.
        2 => (0, random.below(documents)),
        3 => (order[0], random.below(documents)),
        _ => (random.below(documents), random.below(documents)),
    };
    let edges = (0..count).map(|at| edge(random, at)).filter(|(u, v)| u != v);
    edges.map(|(u, v)| (document(u, units), document(v, units))).collect()
}

#[test]
fn labels_and_tallies_are_the_same_in_every_world() {
    for seed in 0..100 {
        let mut random = Seeded::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let units = 1 + random.below(40);
        let edges = random_edges(&mut random, units);
        let larger_first = |&(u, v): &(u64, u64)| (u.max(v), u.min(v));
        let (labels, expected) = oracle(&edges.iter().map(larger_first).collect());
        let mut rounds = None;
        for threads in [1, 2, 3, 5] {
            let count = random.below(7) as usize + 1;
            let mut files = write_files(dir.path(), &edges, count);
            random.shuffle(&mut files);
            let group_units = 1 + random.below(3) as u32;
            // The least budget in which all documents could belong to one rank.
            let least = threads as u64 * Shares::budget_for(labels.len() as u64 * 33);
            let budget_bytes = random.pick(&[least, 4 * least, 1 << 30]);
            let world = World { threads, group_units, budget_bytes };
            let (found, tally) = connected(dir.path(), &files, units as u32, world);
            assert!(found == labels, "seed {seed} {world:?}");
            let rounds = *rounds.get_or_insert(tally.rounds);
            assert_eq!(tally, ConnectTally { rounds, ..expected }, "seed {seed} {world:?}");
            assert!(rounds <= 25, "{rounds} rounds, seed {seed}");
        }
    }
}

#[test]
fn documents_with_band_keys_in_common_are_connected() {
    for seed in 0..30 {
        let mut random = Seeded::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let ids = 1 + random.below(400);
        let units: Units = (0..1 + random.below(8))
            .map(|_| {
                let keys = |random: &mut Seeded| {
                    (0..3).map(|band| spread(random.below(ids) * 3 + band)).collect()
                };
                (0..random.below(60)).map(|_| keys(&mut random)).collect()
            })
            .collect();
        // By the definition, without groups and files.
        let mut edges = Edges::new();
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        for (unit, documents) in (0..).zip(&units) {
            for (place, keys) in (0..).zip(documents) {
                let document = Document { unit, place }.to_u64();
                let earlier = keys.iter().filter_map(|key| last.insert(*key, document));
                edges.extend(earlier.map(|earlier| (document, earlier)));
            }
        }
        let (labels, _) = oracle(&edges);
        let files = write_keys(dir.path(), &units);
        let threads = random.pick(&[1, 2, 3]);
        let (group_units, budget_bytes) = (2, random.pick(&[1 << 20, 1 << 30]));
        let way = Way {
            ranges: random.pick(&[1, 4]),
            group_units,
            threads,
            budget_bytes,
            largest_group: 9,
        };
        let (files, _) = write_edges(dir.path(), &files, 3, way);
        let threads = random.pick(&[1, 2, 4]);
        let world = World { threads, group_units, budget_bytes };
        let (found, _) = connected(dir.path(), &files, units.len() as u32, world);
        assert!(found == labels, "seed {seed} {way:?} {world:?}");
    }
}

#[test]
fn a_chain_and_a_star_of_many_documents_end_in_tens_of_rounds_and_bounded_memory() {
    const DOCUMENTS: u64 = 100_000;
    const UNITS: u64 = 16;
    let mut random = Seeded::new(5);
    let mut order: Vec<u64> = (0..DOCUMENTS).map(|number| document(number, UNITS)).collect();
    let in_order: Vec<(u64, u64)> = order.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let star: Vec<(u64, u64)> = order[1..].iter().map(|member| (order[0], *member)).collect();
    random.shuffle(&mut order);
    let shuffled: Vec<(u64, u64)> = order.windows(2).map(|pair| (pair[0], pair[1])).collect();
    for (edges, most_rounds) in [(in_order, 25), (star, 3), (shuffled, 25)] {
        let dir = tempfile::tempdir().unwrap();
        let files = write_files(dir.path(), &edges, 3);
        // Just enough for the documents, so that neighbours are in files.
        let budget_bytes = 5 * Shares::budget_for((DOCUMENTS / UNITS * 4) * 33);
        let mut rounds = Vec::new();
        for (threads, budget_bytes) in [(1, 1 << 30), (2, 1 << 30), (5, budget_bytes)] {
            let world = World { threads, group_units: 1, budget_bytes };
            let (labels, tally) = connected(dir.path(), &files, UNITS as u32, world);
            assert_eq!(labels.len() as u64, DOCUMENTS);
            let all = (Document { unit: 0, place: 0 }, DOCUMENTS);
            assert!(labels.values().all(|label| *label == all), "{world:?}");
            assert_eq!((tally.components, tally.largest_component), (1, DOCUMENTS));
            assert!(tally.rounds <= most_rounds, "{} rounds", tally.rounds);
            rounds.push(tally.rounds);
        }
        assert!(rounds.iter().all(|count| *count == rounds[0]), "{rounds:?}");
    }
}

#[test]
fn documents_beyond_the_memory_of_a_rank_are_an_error_that_says_how_much_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let edges: Vec<(u64, u64)> = (0..5000).map(|number| (number + 1, 0)).collect();
    let edge_files = &write_files(dir.path(), &edges, 2)[..];
    let task = |budget_bytes| ConnectTask {
        edge_files,
        group_units: 1,
        budget_bytes,
        scratch: dir.path(),
    };
    let run = |budget_bytes| {
        run_local(3, |comm| connect(comm, &task(budget_bytes), Vec::new()).map(|_| ()))
    };
    let failure = run(100_000).unwrap_err();
    assert_eq!(failure.ranks.len(), 3);
    let mut needs = 0;
    for (rank, failure) in failure.ranks {
        let RankFailure::Error(error) = failure else { panic!("rank {rank} panicked") };
        if let ConnectError::Memory { documents, needed, budget } = error {
            assert_eq!((rank, documents, budget), (0, 5001, 100_000));
            assert!(error.to_string().contains("hint: set a larger `dedup.memory`"), "{error}");
            needs = needed;
        } else {
            assert!(error.is_echo(), "{error}");
        }
    }
    run(needs).unwrap();
    assert!(run(needs - 8).is_err());
}

#[test]
fn damage_found_by_one_rank_ends_the_others_and_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let edges: Vec<(u64, u64)> = (0..5000).map(|number| (number + 1, number)).collect();
    let edge_files = write_files(dir.path(), &edges, 4);
    let mut bytes = fs::read(&edge_files[2]).unwrap();
    bytes[5000] ^= 1;
    fs::write(&edge_files[2], bytes).unwrap();
    let (edge_files, scratch) = (&edge_files[..], dir.path());
    let task = ConnectTask { edge_files, group_units: 1, budget_bytes: 1 << 20, scratch };
    let failure = run_local(4, |comm| connect(comm, &task, Vec::new())).unwrap_err();
    assert_eq!(failure.ranks.len(), 4);
    for (rank, failure) in failure.ranks {
        let RankFailure::Error(error) = failure else { panic!("rank {rank} panicked") };
        assert_eq!(error.is_echo(), rank != 2, "{error}");
        if let ConnectError::EdgeFile { file: 2, source: BlocksError::Damaged { file, .. } } = error
        {
            assert_eq!(file, edge_files[2]);
        }
    }
}

#[test]
fn an_edge_that_does_not_go_down_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    for edge in [(3, 3), (3, 4)] {
        let mut writer = PairWriter::new(Vec::new(), EDGE_FILE).unwrap();
        writer.push(edge).unwrap();
        let path = dir.path().join("edges");
        fs::write(&path, writer.finish().unwrap()).unwrap();
        let (edge_files, scratch) = (&[path][..], dir.path());
        let task = ConnectTask { edge_files, group_units: 1, budget_bytes: 0, scratch };
        let error = connect_on_threads(1, &task, |_| Ok(Vec::new())).unwrap_err();
        assert!(matches!(error, ConnectError::EdgeFile { file: 0, .. }), "{error}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_with_the_name_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let edges: Vec<(u64, u64)> = (0..9000).map(|number| (number + 1, number)).collect();
    let (edge_files, scratch) = (&write_files(dir.path(), &edges, 1)[..], Path::new("/nowhere"));
    let task = ConnectTask { edge_files, group_units: 1, budget_bytes: 1 << 17, scratch };
    let error = connect_on_threads(1, &task, |_| Ok(Vec::new())).unwrap_err();
    assert!(error.to_string().contains("`/nowhere/neighbours-0-0`"), "{error}");
}

#[test]
fn ranks_with_different_tasks_refuse_to_continue() {
    let dir = tempfile::tempdir().unwrap();
    let edge_files = write_files(dir.path(), &[(1, 0)], 2);
    let failure = run_local(2, |comm| {
        let (edge_files, scratch) = (&edge_files[..1 + comm.rank()], dir.path());
        let task = ConnectTask { edge_files, group_units: 1, budget_bytes: 0, scratch };
        connect(comm, &task, Vec::new())
    })
    .unwrap_err();
    for (_, failure) in failure.ranks {
        assert!(matches!(failure, RankFailure::Error(ConnectError::TasksDiffer)), "{failure}");
    }
}

#[test]
fn a_world_without_edges_has_labels_of_all_units_and_no_document() {
    let dir = tempfile::tempdir().unwrap();
    for files in [0, 2] {
        let edge_files = write_files(dir.path(), &[], files);
        let world = World { threads: 3, group_units: 2, budget_bytes: 0 };
        let found = connected(dir.path(), &edge_files, 9, world);
        assert_eq!(found, (Labels::new(), ConnectTally::default()));
    }
}

#[test]
fn a_changed_byte_in_a_file_of_labels_is_reported_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let edges: Vec<(u64, u64)> = (0..20).map(|number| (number + 1, number / 3)).collect();
    let (edge_files, scratch) = (&write_files(dir.path(), &edges, 1)[..], dir.path());
    let task = ConnectTask { edge_files, group_units: 1, budget_bytes: 0, scratch };
    let (mut files, _) = connect_on_threads(1, &task, |_| Ok(Vec::new())).unwrap();
    let good = files.remove(0).1;
    let path = dir.path().join("labels");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        fs::write(&path, &bad).unwrap();
        let read = LabelFile::open(&path).and_then(|file| file.of_unit(0));
        let error = read.expect_err("damage is found").to_string();
        assert!(error.contains(&path.display().to_string()), "byte {at}: {error}");
    }
    assert_eq!(good[8..12], LABEL_FILE.0);
}
