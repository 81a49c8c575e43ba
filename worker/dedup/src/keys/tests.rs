//! A key file has exactly what was pushed, for any order and memory.

use std::collections::BTreeMap;

use super::super::testing::{Seeded, TestKey};
use super::*;

fn collect<K: HashKey>(dir: &Path, budget: usize, pairs: &[(K, u32)]) -> (Vec<u8>, KeyFileSummary) {
    let mut collector = KeyCollector::new(9, budget, dir);
    for (key, ordinal) in pairs {
        collector.push(*key, *ordinal).unwrap();
    }
    collector.finish(Vec::new()).unwrap()
}

/// Returns the keys with their ordinals, ascending.
fn oracle<K: HashKey>(pairs: &[(K, u32)]) -> BTreeMap<K, Vec<u32>> {
    let mut map: BTreeMap<K, Vec<u32>> = BTreeMap::new();
    for (key, ordinal) in pairs {
        map.entry(*key).or_default().push(*ordinal);
    }
    for ordinals in map.values_mut() {
        ordinals.sort_unstable();
        ordinals.dedup();
    }
    map
}

fn check<K: TestKey>(dir: &Path, bytes: &[u8], summary: &KeyFileSummary, pairs: &[(K, u32)]) {
    let expected = oracle(pairs);
    let path = dir.join("keys");
    fs::write(&path, bytes).unwrap();
    let file = KeyFile::<K>::open(&path).unwrap();
    assert_eq!(file.summary(), summary);
    let mut found = Vec::new();
    file.for_each(Span::WHOLE, |entry| found.push(entry)).unwrap();
    let entries = expected.iter().map(|(key, ordinals)| KeyEntry {
        key: *key,
        ordinal: ordinals[0],
        repeated: ordinals.len() > 1,
    });
    assert_eq!(found, entries.collect::<Vec<_>>());
    let mut repeats: Vec<u32> =
        expected.values().flat_map(|ordinals| ordinals[1..].iter().copied()).collect();
    repeats.sort_unstable();
    assert_eq!(file.repeats().unwrap().iter().collect::<Vec<_>>(), repeats);
    assert_eq!(summary.distinct, expected.len() as u64);
}

fn random_pairs<K: TestKey>(random: &mut Seeded) -> Vec<(K, u32)> {
    let count = random.below(3) * random.below(9000) + random.below(40);
    let ids = 1 + random.below(2 * count + 2);
    let crowded = random.below(4) == 0;
    let mut pairs: Vec<(K, u32)> = (0..count as u32)
        .map(|ordinal| {
            let id = if random.below(10) == 0 { 0 } else { random.below(ids) };
            (if crowded { K::crowded(id) } else { K::spread(id) }, ordinal * 3)
        })
        .collect();
    if random.below(3) == 0 {
        random.shuffle(&mut pairs);
        pairs.extend_from_within(..pairs.len() / 4);
    }
    pairs
}

fn a_key_file_is_what_was_pushed<K: TestKey>() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..80 {
        let pairs = random_pairs::<K>(&mut Seeded::new(seed));
        let (bytes, summary) = collect(dir.path(), 1 << 30, &pairs);
        check(dir.path(), &bytes, &summary, &pairs);
        // The least budget holds 4,096 entries, so the larger cases spill several runs.
        let (spilled, _) = collect(dir.path(), 0, &pairs);
        assert!(spilled == bytes, "seed {seed}: spilling changed the bytes");
    }
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 1, "spilled runs are removed");
}

#[test]
fn a_key_file_of_lines_is_what_was_pushed_in_any_order_and_memory() {
    a_key_file_is_what_was_pushed::<u64>();
}

#[test]
fn a_key_file_of_documents_is_what_was_pushed_in_any_order_and_memory() {
    a_key_file_is_what_was_pushed::<u128>();
}

#[test]
fn a_key_that_only_one_record_has_is_not_marked_in_any_order_and_memory() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..40 {
        let mut random = Seeded::new(seed);
        let mut pairs = random_pairs::<u64>(&mut random);
        let last = pairs.iter().map(|(_, ordinal)| *ordinal).max().unwrap_or(0);
        // The ordinals before the first record are records of their own, and a record can be empty.
        let mut starts: Vec<u32> =
            (0..random.below(300)).map(|_| random.below(u64::from(last) + 1) as u32).collect();
        starts.sort_unstable();
        let record = |ordinal: u32| match starts.partition_point(|start| *start <= ordinal) {
            0 => (0, ordinal),
            number => (number, 0),
        };
        let several = |ordinals: &Vec<u32>| {
            ordinals.iter().any(|ordinal| record(*ordinal) != record(ordinals[0]))
        };
        let expected: Vec<bool> = oracle(&pairs).values().map(several).collect();
        for budget in [0, 1 << 30] {
            random.shuffle(&mut pairs);
            let mut collector = KeyCollector::new(9, budget, dir.path());
            starts.iter().for_each(|start| collector.start_record(*start));
            for (key, ordinal) in &pairs {
                collector.push(*key, *ordinal).unwrap();
            }
            let path = dir.path().join("keys");
            fs::write(&path, collector.finish(Vec::new()).unwrap().0).unwrap();
            let mut marks = Vec::new();
            let file = KeyFile::<u64>::open(&path).unwrap();
            file.for_each(Span::WHOLE, |entry| marks.push(entry.repeated)).unwrap();
            assert!(marks == expected, "seed {seed}, budget {budget}");
        }
    }
}

#[test]
fn a_file_of_every_occurrence_has_each_pair_once_in_any_order_and_memory() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..40 {
        let mut random = Seeded::new(seed);
        let mut pairs = random_pairs::<u64>(&mut random);
        // One key fills several blocks.
        pairs.extend((0..random.below(2) * 9000).map(|i| (u64::spread(7), 1_000_000 + i as u32)));
        let mut expected = pairs.clone();
        expected.sort_unstable();
        expected.dedup();
        let mut files = Vec::new();
        for budget in [0, 1 << 30] {
            random.shuffle(&mut pairs);
            let mut collector = KeyCollector::new(9, budget, dir.path()).with_every_occurrence();
            for (key, ordinal) in &pairs {
                collector.push(*key, *ordinal).unwrap();
            }
            files.push(collector.finish(Vec::new()).unwrap().0);
        }
        assert!(files[0] == files[1], "seed {seed}: spilling changed the bytes");
        let path = dir.path().join("keys");
        fs::write(&path, &files[0]).unwrap();
        let file = KeyFile::<u64>::open(&path).unwrap();
        assert_eq!(file.repeats().unwrap().count(), 0);
        let hot = u64::spread(7);
        for span in [Span::WHOLE, Span { first: hot, last: hot }] {
            let mut found = Vec::new();
            file.for_each(span, |entry| found.push((entry.key, entry.ordinal))).unwrap();
            let inside = expected.iter().filter(|(key, _)| span.contains(*key));
            assert!(found.iter().eq(inside), "seed {seed} {span:?}");
        }
    }
}

#[test]
fn a_span_reads_its_keys_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let pairs: Vec<(u64, u32)> = (0..30_000).map(|i| (u64::spread(i), i as u32)).collect();
    let (bytes, _) = collect(dir.path(), 1 << 30, &pairs);
    let path = dir.path().join("keys");
    fs::write(&path, bytes).unwrap();
    let mut sorted: Vec<u64> = pairs.iter().map(|(key, _)| *key).collect();
    sorted.sort_unstable();
    let mut spans: Vec<Span> = (0..7).filter_map(|i| Span::WHOLE.slice(i, 7)).collect();
    // These ends are keys themselves, among them the first of a block.
    spans.push(Span { first: sorted[4096], last: sorted[4096] });
    spans.push(Span { first: sorted[4095], last: sorted[8192] });
    spans.push(Span { first: sorted[8191] + 1, last: sorted[8192] - 1 });
    for span in spans {
        let mut file = KeyFile::<u64>::open(&path).unwrap();
        for restrict in [false, true] {
            if restrict {
                file.restrict(span);
            }
            let mut found = Vec::new();
            file.for_each(span, |entry| found.push(entry.key)).unwrap();
            let expected: Vec<u64> =
                sorted.iter().copied().filter(|key| span.contains(*key)).collect();
            assert_eq!(found, expected, "{span:?}");
            assert!(file.at_most(span) >= found.len() as u64);
        }
    }
}

#[test]
fn keys_of_another_width_and_ordinals_beyond_the_limit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, _) = collect(dir.path(), 1 << 20, &[(1u64, 1)]);
    let path = dir.path().join("keys");
    fs::write(&path, bytes).unwrap();
    assert!(KeyFile::<u128>::open(&path).is_err());
    let mut collector = KeyCollector::<u64>::new(0, 1 << 20, dir.path());
    assert!(collector.push(1, MAX_ORDINAL).is_ok());
    let error = collector.push(1, MAX_ORDINAL + 1).unwrap_err();
    assert!(matches!(error, KeysError::OrdinalTooLarge { .. }));
}

#[test]
fn a_run_that_cannot_be_spilled_is_an_error_with_its_name() {
    let mut collector = KeyCollector::<u64>::new(5, 0, "/nowhere/to/spill");
    let error = (0..5000).find_map(|i| collector.push(u64::spread(i), i as u32).err());
    assert!(error.unwrap().to_string().contains("/nowhere/to/spill/keys-5-0.run"));
}

#[test]
fn the_folder_of_spilled_runs_is_created_when_needed_and_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let spill = folder.path().join("not-there-yet");
    let pairs: Vec<(u64, u32)> = (0..20_000).map(|i| (u64::spread(i.into()), i)).collect();
    let mut collector = KeyCollector::new(9, 0, &spill);
    for (key, ordinal) in &pairs {
        collector.push(*key, *ordinal).unwrap();
    }
    assert!(spill.is_dir(), "nothing was spilled");
    let (bytes, summary) = collector.finish(Vec::new()).unwrap();
    assert_eq!(summary.distinct, 20_000);
    assert!(!spill.try_exists().unwrap());
    assert_eq!(bytes, collect(folder.path(), 1 << 30, &pairs).0, "memory changes no byte");
}
