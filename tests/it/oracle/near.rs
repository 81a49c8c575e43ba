//! Near-duplicates: the job decides as a plain program that knows all documents, whatever the
//! workers, the memory and what was killed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tempfile::TempDir;
use thresher_near::{Bands, Preset, Shingles, Signer};
use thresher_tests::job::JobText;
use thresher_tests::process::{Leftovers, output, succeed};

use super::kills::run_under_fire;
use super::{places, published, run, verify};

pub(super) const THRESHOLD: f64 = 0.75;
pub(super) const FIRST_KEPT: usize = 4;
const FILES: usize = 8;

/// Documents of many kinds, in the order of the job: pages and edits of them, a chain of which each
/// is like the next, pages with the same start, copies, and documents without a shingle.
pub(super) fn corpus() -> Vec<String> {
    let mut random = ChaCha8Rng::seed_from_u64(16);
    let word = |random: &mut ChaCha8Rng| -> String {
        let letters = random.random_range(3..9);
        (0..letters).map(|_| random.random_range('a'..='p')).collect()
    };
    let words: Vec<String> = (0..3000).map(|_| word(&mut random)).collect();
    let text = |random: &mut ChaCha8Rng, length: usize| -> Vec<String> {
        (0..length).map(|_| words.choose(random).unwrap().clone()).collect()
    };
    let edit = |random: &mut ChaCha8Rng, text: &mut Vec<String>, changes: usize| {
        for _ in 0..changes {
            let at = random.random_range(0..text.len());
            text[at] = words.choose(random).unwrap().clone();
        }
    };
    let mut all: Vec<Vec<String>> = Vec::new();
    let start = text(&mut random, 40);
    for number in 0..150 {
        let length = random.random_range(60..240);
        let page = text(&mut random, length);
        for changes in 0..number % 4 {
            let mut edited = page.clone();
            edit(&mut random, &mut edited, 1 + 2 * changes);
            edited.truncate(page.len() - random.random_range(0..5));
            all.push(edited);
        }
        if number % 7 == 0 {
            all.push(page.clone());
        }
        if number % 5 == 0 {
            let own = text(&mut random, 25);
            all.push(start.iter().chain(&own).cloned().collect());
        }
        all.push(page);
    }
    let mut link = text(&mut random, 200);
    for _ in 0..30 {
        all.push(link.clone());
        edit(&mut random, &mut link, 5);
    }
    all.extend([vec!["one".to_owned()], vec!["one".to_owned(), "two".to_owned()]]);
    all.shuffle(&mut random);
    all.into_iter().map(|words| words.join(" ")).collect()
}

pub(super) fn write(texts: &[String], folder: &Path) {
    for (number, part) in texts.chunks(texts.len().div_ceil(FILES)).enumerate() {
        let first = number * texts.len().div_ceil(FILES);
        let rows = part.iter().zip(first..).map(|(text, at)| {
            let url = format!("https://n.example/{at}");
            serde_json::json!({ "text": text, "url": url }).to_string() + "\n"
        });
        let name = format!("c4-train.{number:05}-of-01024.json");
        std::fs::write(folder.join(name), rows.collect::<String>()).unwrap();
    }
}

/// A job of two sources, of which the second has the later half of the files.
pub(super) fn job(inputs: &Path, more: &str) -> JobText {
    let source = |name: &str, listing: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\nslice = \"c4\"\nbase = \"{}\"\nlisting = \"{listing}\"\n\
             steps = [\"documents\", \"near\"]\n",
            inputs.display()
        )
    };
    let sources =
        source("first", "c4-train.0000[0-3]*.json") + &source("second", "c4-train.0000[4-7]*.json");
    JobText::of(format!(
        "[job]\nname = \"test\"\n{sources}[language]\nmodel = \"none\"\n\
         [units]\ntarget_bytes = \"24KiB\"\nlease = \"3s\"\nheartbeat = \"200ms\"\n\
         crash_limit = 50\n[output]\npath = \"corpus\"\nshard_bytes = \"64KiB\"\n\
         [near]\npreset = \"redpajama-v2\"\nshingles = \"5 words\"\nbands = 14\nrows = 8\n\
         first_kept = {FIRST_KEPT}\n{more}"
    ))
}

/// What a job said of each document, by its number.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) published: BTreeMap<usize, Value>,
    pub(super) dropped: BTreeMap<usize, Value>,
    /// The number of each document, by its id.
    pub(super) numbers: HashMap<String, usize>,
}

pub(super) fn read(output: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    for name in published(output).into_keys().filter(|name| name.ends_with(".jsonl.zst")) {
        let lines = zstd::decode_all(&*std::fs::read(output.join(&name)).unwrap()).unwrap();
        for line in String::from_utf8(lines).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let url = row["url"].as_str().unwrap();
            let number = url.rsplit('/').next().unwrap().parse().unwrap();
            outcome.numbers.insert(row["id"].as_str().unwrap().to_owned(), number);
            let is_document = name.starts_with("documents/");
            let rows = if is_document { &mut outcome.published } else { &mut outcome.dropped };
            assert!(rows.insert(number, row).is_none(), "document {number} is there twice");
        }
    }
    outcome
}

fn shingles(text: &str) -> BTreeSet<Vec<&str>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(5).map(<[&str]>::to_vec).collect()
}

pub(super) fn jaccard(left: &str, right: &str) -> f64 {
    let (left, right) = (shingles(left), shingles(right));
    let common = left.intersection(&right).count();
    common as f64 / (left.len() + right.len() - common) as f64
}

/// The documents that are no copies of earlier ones, with their band keys.
pub(super) fn signed(texts: &[String]) -> Vec<(usize, Vec<u64>)> {
    let bands = Bands { bands: 14, rows: 8 };
    let mut parameters = Preset::RedPajamaV2.parameters().with_shingles(Shingles::Words(5));
    parameters.bands = bands;
    let mut signer = Signer::new(parameters.signature_rule());
    let mut seen = BTreeSet::new();
    let fresh = texts.iter().enumerate().filter(|(_, text)| seen.insert(text.as_str()));
    let keys = fresh.map(|(number, text)| {
        let mut keys = Vec::new();
        if let Some(signature) = signer.sign(text).unwrap() {
            bands.keys(&signature, &mut keys);
        }
        (number, keys)
    });
    keys.collect()
}

/// The rule of witnesses by its definition: the number of each removed document, and of the kept
/// one that it resembles. Documents come in the order of survival.
fn witnesses(documents: &[(usize, Vec<u64>)], texts: &[String]) -> BTreeMap<usize, usize> {
    let mut removed = BTreeMap::new();
    let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
    for (place, (number, keys)) in documents.iter().enumerate() {
        let earlier = keys.iter().flat_map(|key| groups.get(key).into_iter().flatten()).copied();
        let similar =
            |other: &usize| jaccard(&texts[documents[*other].0], &texts[*number]) >= THRESHOLD;
        if let Some(witness) = earlier.filter(similar).min() {
            removed.insert(*number, documents[witness].0);
            continue;
        }
        for key in keys {
            let members = groups.entry(*key).or_default();
            if members.len() < FIRST_KEPT {
                members.push(place);
            }
        }
    }
    removed
}

/// Runs a job to its end; returns what it said and its published files.
fn outcome(
    inputs: &Path,
    more: &str,
    arguments: &[&str],
) -> (Outcome, BTreeMap<String, String>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (corpus, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = job(inputs, more).write(folder.path());
    succeed(run(&job, &state).args(arguments));
    verify(&corpus);
    (read(&corpus), published(&corpus), folder)
}

fn inputs() -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let texts = corpus();
    write(&texts, folder.path());
    (folder, texts)
}

fn removed(outcome: &Outcome) -> BTreeMap<usize, usize> {
    let near = outcome.dropped.iter().filter(|(_, row)| row["reason"] == "dedup/near_duplicate");
    near.map(|(number, row)| (*number, outcome.numbers[row["witness"].as_str().unwrap()])).collect()
}

#[test]
fn documents_are_removed_as_a_sequential_program_removes_them() {
    let (inputs, texts) = inputs();
    let (found, _, _) = outcome(inputs.path(), "threshold = 0.75\n", &[]);
    let documents = signed(&texts);
    let expected = witnesses(&documents, &texts);
    assert!(expected.len() > 100, "too few: {}", expected.len());
    assert_eq!(removed(&found), expected);
    for (number, witness) in &expected {
        let row = &found.dropped[number];
        let exact = jaccard(&texts[*number], &texts[*witness]);
        assert!(exact >= THRESHOLD, "{number} {witness}: {exact}");
        let stated = row["value"].as_f64().unwrap();
        assert!((stated - exact).abs() < 2e-4, "{row}: {exact}");
        assert_eq!(row["threshold"], THRESHOLD);
    }
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    expected.values().for_each(|witness| *counts.entry(*witness).or_default() += 1);
    let mut clusters = HashSet::new();
    for (number, row) in &found.published {
        let near = counts.get(number).copied().unwrap_or(0);
        assert_eq!(
            (&row["near_duplicates"], &row["cluster_size"]),
            (&near.into(), &(near + 1).into())
        );
        assert!(clusters.insert(&row["cluster"]), "two clusters have one name: {row}");
    }
    for (number, witness) in &expected {
        assert_eq!(found.dropped[number]["cluster"], found.published[witness]["cluster"]);
    }
    assert_eq!(
        found.published.len() + expected.len(),
        documents.len(),
        "copies are dropped before"
    );
}

#[test]
fn who_survives_is_decided_by_what_the_job_prefers() {
    let (inputs, texts) = inputs();
    let more = "threshold = 0.75\nprefer = [\"longest\"]\n";
    let (found, _, _) = outcome(inputs.path(), more, &[]);
    let mut documents = signed(&texts);
    documents.sort_by_key(|(number, _)| (usize::MAX - texts[*number].len(), *number));
    assert_eq!(removed(&found), witnesses(&documents, &texts));
    // The same, but everything is published and says what would have been removed.
    let annotated = format!("{more}action = \"annotate\"\n");
    let (all, _, _) = outcome(inputs.path(), &annotated, &[]);
    assert_eq!(all.published.len(), documents.len());
    for (number, witness) in removed(&found) {
        let row = &all.published[&number];
        assert_eq!(row["cluster"], all.published[&witness]["cluster"]);
        assert_eq!(row["near_duplicates"], 0);
    }
}

#[test]
fn without_a_comparison_one_document_of_each_component_remains() {
    let (inputs, texts) = inputs();
    let more = "verify = \"none\"\nsurvivors = \"components\"\n";
    let (found, _, _) = outcome(inputs.path(), more, &[]);
    // Labels spread until nothing changes.
    let documents = signed(&texts);
    let mut labels: BTreeMap<usize, usize> = documents.iter().map(|(at, _)| (*at, *at)).collect();
    loop {
        let mut least: HashMap<u64, usize> = HashMap::new();
        for (number, keys) in &documents {
            for key in keys {
                let label = least.entry(*key).or_insert(usize::MAX);
                *label = labels[number].min(*label);
            }
        }
        let before = labels.clone();
        for (number, keys) in &documents {
            let smallest = keys.iter().map(|key| least[key]).min();
            labels.insert(*number, smallest.unwrap_or(*number).min(labels[number]));
        }
        if labels == before {
            break;
        }
    }
    let expected: BTreeMap<usize, usize> =
        labels.into_iter().filter(|(number, label)| number != label).collect();
    assert_eq!(removed(&found), expected);
}

#[test]
fn no_world_and_no_kill_changes_a_byte() {
    let (inputs, _) = inputs();
    let much = "index = true\n";
    let (_, reference, _) = outcome(inputs.path(), much, &["--workers", "1", "--slots", "1"]);
    assert!(reference.keys().any(|name| name.starts_with("near/")), "the index is compared too");
    let little = "index = true\n[dedup]\nmemory = \"1MiB\"\n";
    for (more, workers, slots) in [(much, "2", "3"), (little, "3", "2"), (little, "1", "1")] {
        let arguments = ["--workers", workers, "--slots", slots];
        let (_, found, _) = outcome(inputs.path(), more, &arguments);
        assert_eq!(found, reference, "{more} {arguments:?}");
    }
    let mut killed = 0;
    for seed in 1..=6 {
        let folder = tempfile::tempdir().unwrap();
        let (output, state) = places(folder.path());
        let _leftovers = Leftovers(state.clone());
        let more = if seed % 2 == 0 { little } else { much };
        let job = job(inputs.path(), more).write(folder.path());
        let (coordinators, workers) = run_under_fire(&job, &state, seed, 150);
        killed += coordinators + workers;
        verify(&output);
        super::clean(&output);
        assert_eq!(published(&output), reference, "seed {seed}");
    }
    assert!(killed > 8, "too few died: {killed}");
}

#[test]
fn a_source_that_loses_most_of_its_documents_is_named_until_fewer_are_alike() {
    let (inputs, _) = inputs();
    let folder = tempfile::tempdir().unwrap();
    let (_, state) = places(folder.path());
    let text = job(inputs.path(), "max_removed_share = 0.5\n");
    let said = output(&mut run(&text.write(folder.path()), &state));
    assert_eq!(said.status.code(), Some(7));
    let words = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(words.contains("source `second`") && !words.contains("source `first`"), "{words}");
    // The output stays as it is; only what is expected of it has changed.
    let text = job(inputs.path(), "max_removed_share = 0.99\n");
    let accepted = output(&mut run(&text.write(folder.path()), &state));
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    let text = job(inputs.path(), "max_removed_share = 0.5\n");
    assert_eq!(output(&mut run(&text.write(folder.path()), &state)).status.code(), Some(7));
    let strict = text.append("threshold = 0.97");
    succeed(run(&strict.write(folder.path()), &state).arg("--fresh"));
}
