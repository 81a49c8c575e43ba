//! One job in many shapes: workers, slots, order of leases, memory for keys.

use std::collections::BTreeMap;
use std::path::Path;

use thresher_tests::job::JobText;
use thresher_tests::process::succeed;

use super::{places, published, run, verify};

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
fn a_complete_job_is_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let (output, state) = places(folder.path());
    let path = job(folder.path()).write(folder.path());
    succeed(&mut run(&path, &state));
    let before = std::fs::metadata(output.join("manifest.json")).unwrap().modified().unwrap();
    let text = succeed(&mut run(&path, &state));
    assert!(text.contains("complete"), "{text}");
    let after = std::fs::metadata(output.join("manifest.json")).unwrap().modified().unwrap();
    assert_eq!(before, after);
}
