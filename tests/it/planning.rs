//! Planning over a whole dump on S3: it takes a request for a thousand objects, never one for each.

use std::path::Path;

use thresher_tests::bucket::{Bucket, LISTING};
use thresher_tests::job::{JobText, sample};
use thresher_tests::process::{succeed, thresher};

/// As one dump of CommonCrawl has.
const OBJECTS: u64 = 90_000;
/// Objects that a plan takes its sample from, at most.
const MAX_SAMPLED: u64 = 256;

/// What `thresher plan` says of a dump with this listing, and the bucket that was asked.
fn plan(folder: &Path, bucket: &Bucket, listing: &str) -> serde_json::Value {
    let text = JobText::over(Path::new("s3://dumps"), listing);
    let table = format!("[s3]\nendpoint = \"{}\"\nanonymous = true\n", bucket.url());
    let job = text.append(&table).write(folder);
    let said = succeed(thresher().args(["plan", "--json", "--sample", "1MB"]).arg(job));
    serde_json::from_str(&said).unwrap()
}

fn bucket() -> (Bucket, u64) {
    let wet = sample().join("crawl-data/CC-MAIN-2024-10/segments");
    let wet = glob_one(&wet, ".warc.wet.gz").expect("the sample has pages");
    let content = std::fs::read(wet).unwrap();
    let bytes = content.len() as u64;
    (Bucket::start(OBJECTS, content).unwrap(), bytes)
}

fn glob_one(folder: &Path, ending: &str) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().find_map(|path| match path.is_dir() {
        true => glob_one(&path, ending),
        false => path.to_string_lossy().ends_with(ending).then_some(path),
    })
}

#[test]
fn a_dump_of_ninety_thousand_objects_is_listed_by_pages() {
    let folder = tempfile::tempdir().unwrap();
    let (bucket, bytes) = bucket();
    let plan = plan(folder.path(), &bucket, "crawl/segments/*/wet/*.warc.wet.gz");
    let asked = bucket.asked();
    println!("{asked:?}\n{plan}");
    assert_eq!(asked["list"], OBJECTS / 1000);
    assert!((1..=MAX_SAMPLED).contains(&asked["get"]), "{asked:?}");
    assert_eq!(asked.len(), 2, "{asked:?}");
    let source = &plan["sources"][0];
    assert_eq!(source["inputs"], OBJECTS);
    assert_eq!(source["bytes"], OBJECTS * bytes, "as the listing says");
}

#[test]
fn a_list_of_ninety_thousand_paths_takes_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let (bucket, bytes) = bucket();
    let plan = plan(folder.path(), &bucket, LISTING);
    let asked = bucket.asked();
    println!("{asked:?}\n{plan}");
    // The list itself, and the sample's objects, which are asked for their size.
    assert!((2..=1 + MAX_SAMPLED).contains(&asked["get"]), "{asked:?}");
    assert_eq!(asked["head"], asked["get"] - 1, "{asked:?}");
    assert_eq!(asked.len(), 2, "{asked:?}");
    let source = &plan["sources"][0];
    assert_eq!(source["inputs"], OBJECTS);
    assert_eq!(source["bytes"], OBJECTS * bytes, "by the sample");
}

#[test]
fn a_job_whose_output_goes_to_a_bucket_needs_no_room_for_it_here() {
    let folder = tempfile::tempdir().unwrap();
    let (bucket, _) = bucket();
    let text = JobText::over(Path::new("s3://dumps"), "crawl/segments/*/wet/*.warc.wet.gz");
    let table = format!("[s3]\nendpoint = \"{}\"\nanonymous = true\n", bucket.url());
    let job = text.set("path", "\"s3://dumps/out\"").append(&table).write(folder.path());
    let mut command = thresher();
    let said = succeed(command.args(["plan", "--json"]).arg(job).current_dir(folder.path()));
    let plan: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(plan["machine"]["output"].is_null(), "{said}");
    assert!(!plan["disks"].to_string().contains("s3:"), "{said}");
    assert_eq!(bucket.asked()["list"], OBJECTS / 1000);
}
