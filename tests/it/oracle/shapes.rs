//! One job in many shapes: workers, slots, order of leases, memory for keys.

use std::collections::BTreeMap;
use std::path::Path;

use thresher_tests::job::JobText;
use thresher_tests::process::{succeed, thresher};

use super::{clean, places, published, run, verify};

fn outcome(job: &JobText, arguments: &[&str]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let (output, state) = places(folder.path());
    succeed(run(&job.write(folder.path()), &state).args(arguments));
    verify(&output);
    assert!(
        !state.join("work").try_exists().unwrap(),
        "the work directory of a complete job is emptied"
    );
    published(&output)
}

fn job(folder: &Path) -> JobText {
    JobText::sample_times(2, folder)
}

#[test]
fn workers_and_slots_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let reference = outcome(&job(folder.path()), &["--workers", "1", "--slots", "1"]);
    assert!(reference.len() > 6, "too few files to mean anything: {reference:?}");
    for (workers, slots) in [("1", "8"), ("2", "1"), ("2", "3"), ("7", "2")] {
        let arguments = ["--workers", workers, "--slots", slots];
        assert_eq!(outcome(&job(folder.path()), &arguments), reference, "{arguments:?}");
    }
}

#[test]
fn the_order_of_leases_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let shuffled = |seed: u32| {
        job(folder.path()).set("lease", &format!("\"3s\"\norder = \"shuffled:{seed}\""))
    };
    let reference = outcome(&job(folder.path()), &[]);
    for seed in [1, 2, 3] {
        assert_eq!(outcome(&shuffled(seed), &["--workers", "3"]), reference, "seed {seed}");
    }
}

#[test]
fn little_memory_for_keys_means_more_ranges_and_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let with = |memory: &str| job(folder.path()).append(&format!("[dedup]\nmemory = \"{memory}\""));
    let plenty = outcome(&with("8GiB"), &[]);
    let scarce = tempfile::tempdir().unwrap();
    let (output, state) = places(scarce.path());
    let path = with("1MiB").write(scarce.path());
    let status = succeed(run(&path, &state).arg("--json"));
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let stages = status["stages"].as_array().unwrap();
    let resolve = stages.iter().find(|stage| stage["stage"] == "resolve-lines").unwrap();
    let ranges = resolve["done"].as_u64().unwrap();
    assert!(ranges >= 3, "the keys fit in one range: {resolve}");
    assert_eq!(published(&output), plenty);
}

#[test]
fn thousands_of_shards_lie_in_folders_and_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let row = |number: u32| {
        let text = format!("A page of its own. {}", format!("Number {number}. ").repeat(100));
        let url = format!("https://example.org/{number}");
        serde_json::json!({"text": text, "url": url}).to_string() + "\n"
    };
    let rows: String = (0..1_001).map(row).collect();
    let inputs = folder.path().join("inputs");
    std::fs::create_dir(&inputs).unwrap();
    std::fs::write(inputs.join("c4-train.00000-of-01024.json"), rows).unwrap();
    let base = inputs.display();
    let job = JobText::of(format!(
        "[job]\nname = \"test\"\npreset = \"redpajama-v1\"\n\
         [[source]]\nslice = \"c4\"\nbase = \"{base}\"\nlisting = \"*.json\"\n\
         [language]\nmodel = \"none\"\n\
         [output]\npath = \"corpus\"\nshard_bytes = \"1KiB\"\n"
    ));
    let (output, state) = places(folder.path());
    succeed(&mut run(&job.write(folder.path()), &state));
    verify(&output);
    let names: Vec<String> = published(&output).into_keys().collect();
    let last = "documents/c4-01xxx/c4-01000.jsonl.zst";
    assert!(names.iter().any(|name| name == last), "{names:?}");
    assert!(names.iter().any(|name| name == "documents/c4-00999.jsonl.zst"));
    // The folder is not reported, and nothing in it counts as left behind.
    let traced = succeed(thresher().arg("trace").arg(&output).arg("https://example.org/1000"));
    assert!(traced.contains(last), "{traced}");
    clean(&output);
    assert_eq!(published(&output).into_keys().collect::<Vec<_>>(), names);
}

#[test]
fn the_manifest_tells_two_lists_of_bad_words_apart() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("words.txt");
    let section = format!("[filters.c4_quality]\nbad_words_file = \"{}\"", list.display());
    let with = |words: &str| {
        std::fs::write(&list, words).unwrap();
        let job = JobText::sample_times(1, folder.path()).append(&section);
        let manifest = outcome_manifest(&job);
        (manifest["recipe"].clone(), manifest["recipe_files"].clone())
    };
    // Neither word is in the sample: only the manifest shows a difference.
    let (recipe, files) = with("zzyzxq\n");
    let (other_recipe, other_files) = with("qzzyzx\n");
    assert_eq!(recipe, other_recipe);
    let key = "filters.c4_quality.bad_words_file";
    assert_eq!(files[key], blake3::hash(b"zzyzxq\n").to_hex().as_str());
    assert_ne!(files[key], other_files[key]);
    let model = std::fs::read(thresher_tests::job::sample().join("models/lid.176.ftz")).unwrap();
    assert_eq!(files["language.model"], blake3::hash(&model).to_hex().as_str());
}

fn outcome_manifest(job: &JobText) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let (output, state) = places(folder.path());
    succeed(&mut run(&job.write(folder.path()), &state));
    serde_json::from_slice(&std::fs::read(output.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_complete_job_is_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let (output, state) = places(folder.path());
    let path = job(folder.path()).write(folder.path());
    succeed(&mut run(&path, &state));
    let look = || {
        let modified = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
        let segments = std::fs::read_dir(state.join("journal")).unwrap().count();
        (modified(&output.join("manifest.json")), modified(&state.join("keys")), segments)
    };
    let before = look();
    let text = succeed(&mut run(&path, &state));
    assert!(text.contains("complete"), "{text}");
    assert_eq!(look(), before, "no epoch is taken to say so");
}
