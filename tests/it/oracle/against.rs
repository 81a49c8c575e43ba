//! The index of an output, and jobs that find near-duplicates of earlier outputs with it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use thresher_tests::job::JobText;
use thresher_tests::process::{Leftovers, output, succeed, thresher};

use super::kills::run_under_fire;
use super::near::{FIRST_KEPT, Outcome, THRESHOLD, corpus, jaccard, job, read, signed, write};
use super::{clean, places, published, run, verify};

/// A place of a document: the number of its corpus, the own one last, and its number there.
type At = (usize, usize);

fn manifest(output: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(output.join("manifest.json")).unwrap()).unwrap()
}

/// A complete output with an index, of these texts.
fn indexed(texts: &[String], more: &str) -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("in");
    std::fs::create_dir(&inputs).unwrap();
    write(texts, &inputs);
    let (output, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = job(&inputs, &format!("threshold = 0.75\nindex = true\n{more}"));
    succeed(&mut run(&job.write(folder.path()), &state));
    verify(&output);
    (output, folder)
}

#[test]
fn an_index_has_each_published_document_that_has_shingles_and_verify_reads_it() {
    let texts = corpus();
    let (output_of_job, _folder) = indexed(&texts, "");
    let manifest = manifest(&output_of_job);
    let index = &manifest["near_index"];
    let rule = &index["rule"];
    assert_eq!((&rule["bands"], &rule["shingles"]), (&14.into(), &"5 words".into()));
    let files = index["files"].as_array().unwrap();
    let documents: u64 = files.iter().map(|file| file["documents"].as_u64().unwrap()).sum();
    let found = read(&output_of_job);
    let with_keys = signed(&texts).into_iter().filter(|(_, keys)| !keys.is_empty());
    let expected = with_keys.filter(|(number, _)| found.published.contains_key(number)).count();
    assert_eq!(documents, expected as u64);
    let sources: Vec<&str> = files.iter().map(|file| file["source"].as_str().unwrap()).collect();
    assert!(sources.contains(&"first") && sources.contains(&"second"), "{sources:?}");
    let path = output_of_job.join(files[0]["path"].as_str().unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let said = output(thresher().arg("verify").arg(&output_of_job));
    assert_eq!(said.status.code(), Some(6));
    let words = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(words.contains("near/first-00000.index"), "{words}");
}

/// Two earlier outputs and the texts of a later job, with their texts.
struct Corpora {
    texts: [Vec<String>; 3],
    earlier: [(PathBuf, TempDir); 2],
    inputs: TempDir,
}

impl Corpora {
    fn new() -> Self {
        let all = corpus();
        let third = all.len() / 3;
        let texts = [0, 1, 2].map(|part| all[part * third..(part + 1) * third].to_vec());
        let inputs = tempfile::tempdir().unwrap();
        write(&texts[2], inputs.path());
        let earlier = [indexed(&texts[0], ""), indexed(&texts[1], "")];
        Self { texts, earlier, inputs }
    }

    fn job(&self, more: &str) -> JobText {
        let [first, second] = [0, 1].map(|at| self.earlier[at].0.display());
        let against = format!("against = [\"{first}\", \"{second}\"]\n{more}");
        job(self.inputs.path(), &against)
    }

    /// All documents that take part, those of earlier outputs first, with their band keys.
    fn documents(&self) -> Vec<(At, Vec<u64>)> {
        let kept = self.earlier.each_ref().map(|(output, _)| read(output).published);
        let numbered = (0..).zip(&self.texts).flat_map(|(corpus, texts)| {
            let signed = signed(texts).into_iter();
            signed.map(move |(number, keys)| ((corpus, number), keys))
        });
        let takes_part = |((corpus, number), _): &(At, Vec<u64>)| {
            kept.get(*corpus).is_none_or(|kept| kept.contains_key(number))
        };
        numbered.filter(takes_part).collect()
    }

    /// What the job said of the witness of each near-duplicate.
    fn removed(&self, found: &Outcome) -> BTreeMap<usize, At> {
        let earlier = self.earlier.each_ref().map(|(output, _)| (output, read(output).numbers));
        let near = found.dropped.iter().filter(|(_, row)| row["reason"] == "dedup/near_duplicate");
        near.map(|(number, row)| {
            let id = row["witness"].as_str().unwrap();
            let place = row.get("witness_output").map(|output| {
                let is_named = |at: &usize| earlier[*at].0.to_str() == output.as_str();
                let corpus = (0..earlier.len()).find(is_named).unwrap();
                (corpus, earlier[corpus].1[id])
            });
            (*number, place.unwrap_or_else(|| (2, found.numbers[id])))
        })
        .collect()
    }

    fn text(&self, (corpus, number): At) -> &str {
        &self.texts[corpus][number]
    }
}

/// Runs a job; returns what it said, its published files and its folder.
fn outcome(job: &JobText, arguments: &[&str]) -> (Outcome, BTreeMap<String, String>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (output, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    succeed(run(&job.write(folder.path()), &state).args(arguments));
    verify(&output);
    (read(&output), published(&output), folder)
}

/// The rule of witnesses by its definition, with documents of earlier outputs that are kept.
fn witnesses(corpora: &Corpora) -> BTreeMap<usize, At> {
    let documents = corpora.documents();
    let mut removed = BTreeMap::new();
    let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
    for (place, (at, keys)) in documents.iter().enumerate() {
        let earlier = keys.iter().flat_map(|key| groups.get(key).into_iter().flatten()).copied();
        let similar = |other: &usize| jaccard(corpora.text(documents[*other].0), corpora.text(*at));
        let similar = |other: &usize| similar(other) >= THRESHOLD;
        let witness = if at.0 == 2 { earlier.filter(similar).min() } else { None };
        if let Some(witness) = witness {
            removed.insert(at.1, documents[witness].0);
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

#[test]
fn documents_of_earlier_outputs_remove_those_that_a_sequential_program_removes() {
    let corpora = Corpora::new();
    let (found, _, folder) = outcome(&corpora.job("threshold = 0.75\n"), &[]);
    let expected = witnesses(&corpora);
    let because_of = |corpus| expected.values().filter(|(at, _)| *at == corpus).count();
    assert!((0..3).all(|corpus| because_of(corpus) > 5), "{expected:?}");
    assert_eq!(corpora.removed(&found), expected);
    for (number, row) in &found.published {
        assert!(!expected.contains_key(number), "{row}");
    }
    let output_of_job = folder.path().join("corpus");
    let accounting = manifest(&output_of_job)["accounting"].clone();
    assert_eq!(accounting["records_in"], corpora.texts[2].len(), "an index is no input");
    let copies = corpora.texts[2].len() - found.published.len() - expected.len();
    assert_eq!(found.dropped.len(), expected.len() + copies);
    let report = std::fs::read_to_string(output_of_job.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let by_source = &report["near_duplicates"]["removed_by_source"]["first"];
    assert!(by_source["earlier-1"].as_u64() > Some(0), "{by_source}");
    // The rows name the output, and `trace` says so.
    let row = found.dropped.values().find(|row| row.get("witness_output").is_some()).unwrap();
    let id = row["id"].as_str().unwrap();
    let said = output(thresher().arg("trace").arg(&output_of_job).arg(id));
    let words = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(words.contains("in the earlier output"), "{words}");
}

#[test]
fn one_document_of_each_component_remains_unless_an_earlier_output_has_one() {
    let corpora = Corpora::new();
    let more = "verify = \"none\"\nsurvivors = \"components\"\n";
    let (found, _, _) = outcome(&corpora.job(more), &[]);
    let documents = corpora.documents();
    // Labels spread until nothing changes: the first place of each component.
    let mut labels: Vec<usize> = (0..documents.len()).collect();
    loop {
        let mut least: HashMap<u64, usize> = HashMap::new();
        for (place, (_, keys)) in documents.iter().enumerate() {
            for key in keys {
                let label = least.entry(*key).or_insert(usize::MAX);
                *label = labels[place].min(*label);
            }
        }
        let before = labels.clone();
        for (place, (_, keys)) in documents.iter().enumerate() {
            let smallest = keys.iter().map(|key| least[key]).min();
            labels[place] = smallest.unwrap_or(place).min(labels[place]);
        }
        if labels == before {
            break;
        }
    }
    let own = labels.iter().enumerate().filter(|(place, label)| place != *label);
    let own = own.filter(|(place, _)| documents[*place].0.0 == 2);
    let expected: BTreeMap<usize, At> =
        own.map(|(place, label)| (documents[place].0.1, documents[*label].0)).collect();
    assert!(expected.len() > 30, "{}", expected.len());
    assert_eq!(corpora.removed(&found), expected);
}

#[test]
fn a_copy_of_an_earlier_output_is_removed_by_what_containment_reads() {
    let mut texts: Vec<String> = corpus().into_iter().take(120).collect();
    texts.push("too short".to_owned());
    let folder = tempfile::tempdir().unwrap();
    write(&texts, folder.path());
    let rule = "verify = \"containment\"\nmax_removed_share = 1.0\n";
    let inputs = folder.path();
    let (_, _, earlier_folder) = outcome(&job(inputs, &format!("index = true\n{rule}")), &[]);
    let against = earlier_folder.path().join("corpus");
    let more = format!("{rule}against = [\"{}\"]\n", against.display());
    let (found, _, _) = outcome(&job(inputs, &more), &[]);
    let without_keys = signed(&texts).into_iter().filter(|(_, keys)| keys.is_empty()).count();
    assert_eq!(found.published.len(), without_keys, "{:?}", found.published.keys());
}

#[test]
fn no_world_and_no_kill_changes_a_byte_of_a_job_with_earlier_outputs() {
    let corpora = Corpora::new();
    let one = ["--workers", "1", "--slots", "1"];
    let (_, reference, _) = outcome(&corpora.job("index = true\n"), &one);
    let little = "index = true\n[dedup]\nmemory = \"1MiB\"\n";
    let arguments = ["--workers", "3", "--slots", "2"];
    let (_, found, _) = outcome(&corpora.job(little), &arguments);
    assert_eq!(found, reference);
    let mut killed = 0;
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let (output, state) = places(folder.path());
        let _leftovers = Leftovers(state.clone());
        let job = corpora.job(little).write(folder.path());
        let (coordinators, workers) = run_under_fire(&job, &state, seed, 150);
        killed += coordinators + workers;
        verify(&output);
        clean(&output);
        assert_eq!(published(&output), reference, "seed {seed}");
    }
    assert!(killed > 4, "too few died: {killed}");
}

#[test]
fn an_output_that_cannot_be_compared_with_is_refused_before_anything_starts() {
    let texts: Vec<String> = corpus().into_iter().take(40).collect();
    let (with_index, folder) = indexed(&texts, "");
    let inputs = folder.path().join("in");
    let (_, _, without) = outcome(&job(&inputs, ""), &[]);
    let without = without.path().join("corpus");
    let refused = |output_of_job: &Path, more: &str| {
        let folder = tempfile::tempdir().unwrap();
        let (_, state) = places(folder.path());
        let _leftovers = Leftovers(state.clone());
        let against = format!("against = [\"{}\"]\n{more}", output_of_job.display());
        let said = output(&mut run(&job(&inputs, &against).write(folder.path()), &state));
        assert!(!said.status.success());
        assert!(!folder.path().join("corpus/documents").is_dir());
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    let words = refused(&without, "");
    assert!(words.contains("has no index of its documents"), "{words}");
    let words = refused(&folder.path().join("nothing"), "");
    assert!(words.contains("which has no manifest"), "{words}");
    let words = refused(&with_index, "verify = \"containment\"\n");
    let both = "`near.verify` is `jaccard` there and `containment` in this job";
    assert!(words.contains(both) && words.contains("hint: set what that output has"), "{words}");
    let manifest_path = with_index.join("manifest.json");
    let text = std::fs::read_to_string(&manifest_path).unwrap();
    for (old, new, says) in [
        ("\"bands\": 14", "\"bands\": 20", "`near.bands` is `20` there and `14` in this job"),
        (
            "\"near_index\": {\n    \"format\": 1",
            "\"near_index\": {\n    \"format\": 9",
            "format `9`",
        ),
    ] {
        assert!(text.contains(old), "{text}");
        std::fs::write(&manifest_path, text.replace(old, new)).unwrap();
        let words = refused(&with_index, "");
        assert!(words.contains(says), "{words}");
    }
}

#[test]
fn an_index_that_changed_stops_the_job_until_it_is_what_it_was() {
    let texts = corpus();
    let (with_index, _folder) = indexed(&texts[..40], "");
    let name = manifest(&with_index)["near_index"]["files"][0]["path"].clone();
    let path = with_index.join(name.as_str().unwrap());
    let sound = std::fs::read(&path).unwrap();
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let (later, inputs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&texts[..80], inputs.path());
    let (output_of_job, state) = places(later.path());
    let _leftovers = Leftovers(state.clone());
    let more = format!("against = [\"{}\"]\nmax_removed_share = 1.0\n", with_index.display());
    let job = job(inputs.path(), &more).write(later.path());
    let said = output(&mut run(&job, &state));
    assert_eq!(said.status.code(), Some(5));
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(words.contains("its blake3 is"), "{words}");
    std::fs::write(&path, sound).unwrap();
    succeed(&mut run(&job, &state));
    verify(&output_of_job);
}
