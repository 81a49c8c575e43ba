//! Buckets larger than a test can fill: a dump is listed by a request for a thousand objects, never
//! one for each, and an object is read in the same memory whatever its size.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::oracle::{places, published, run};
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use thresher_tests::bucket::{Bucket, LISTING};
use thresher_tests::job::{JobText, root, sample};
use thresher_tests::process::{succeed, thresher, workers_of};

/// As one dump of CommonCrawl has.
const OBJECTS: u64 = 90_000;
/// Objects that a plan takes its sample from, at most.
const MAX_SAMPLED: u64 = 256;

/// What each gzip member of the sample begins with.
const GZIP_MEMBER: [u8; 4] = [0x1f, 0x8b, 8, 0];
const KEPT_MEMBERS: usize = 8;
/// Gzip members of one page each: a small object has one, a large one many.
const LARGE_MEMBERS: u64 = 2_000;
/// What allocators keep, and no object's size.
const ALLOWANCE_BYTES: u64 = 48 << 20;

/// What `thresher plan` says of a dump with this listing, and the bucket that was asked.
fn plan(folder: &Path, bucket: &Bucket, listing: &str) -> serde_json::Value {
    let text = JobText::over(Path::new("s3://dumps"), listing);
    let table = format!("[s3]\nendpoint = \"{}\"\nanonymous = true\n", bucket.url());
    let job = text.append(&table).write(folder);
    let said = succeed(thresher().args(["plan", "--json", "--sample", "1MB"]).arg(job));
    serde_json::from_str(&said).unwrap()
}

fn bucket() -> (Bucket, u64) {
    let content = some_pages();
    let bytes = content.len() as u64;
    (Bucket::start(OBJECTS, content).unwrap(), bytes)
}

/// The first pages of the sample.
fn some_pages() -> Vec<u8> {
    let wet = sample().join("crawl-data/CC-MAIN-2024-10/segments");
    let wet = glob_one(&wet, ".warc.wet.gz").expect("the sample has pages");
    let mut content = std::fs::read(wet).unwrap();
    // A few of its pages, whole: the job must fit on any machine, or it is refused.
    let members = content.windows(4).enumerate().filter(|(_, bytes)| *bytes == GZIP_MEMBER);
    let end = members.map(|(at, _)| at).nth(KEPT_MEMBERS).unwrap();
    content.truncate(end);
    content
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

#[test]
fn an_object_is_read_in_the_same_memory_whatever_its_size() {
    let member = member_of_noise();
    let large = member.len() as u64 * LARGE_MEMBERS;
    assert!(large > 4 * ALLOWANCE_BYTES, "{large} bytes would show nothing");
    let small_peak = peak_of_a_worker(&member, 10);
    let large_peak = peak_of_a_worker(&member, LARGE_MEMBERS);
    println!(
        "peak {} MB for little, {} MB for {} MB",
        small_peak >> 20,
        large_peak >> 20,
        large >> 20
    );
    assert!(large_peak < small_peak + ALLOWANCE_BYTES, "{large_peak} bytes, not {small_peak}");
}

#[test]
fn each_object_is_downloaded_once_if_its_text_is_kept() {
    const OBJECTS: u64 = 20;
    let c4 = root().join("worker/sources/src/c4/testdata/c4-sample.01.json.gz");
    for (slice, content) in [("commoncrawl", some_pages()), ("c4", std::fs::read(c4).unwrap())] {
        let bucket = Bucket::start(OBJECTS, content).unwrap();
        let run = |keep_text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let (corpus, state) = places(folder.path());
            let table = format!(
                "[s3]\nendpoint = \"{}\"\nanonymous = true\n[dedup.lines]\nkeep_text = \
                 \"{keep_text}\"\n",
                bucket.url()
            );
            let listing = "crawl/segments/*/wet/*.warc.wet.gz";
            let job = JobText::over(Path::new("s3://dumps"), listing)
                .set("slice", &format!("\"{slice}\"\nsteps = [\"lines\", \"documents\"]"))
                .set("model", "\"none\"")
                .append(&table)
                .write(folder.path());
            succeed(&mut run(&job, &state));
            (bucket.asked(), published(&corpus))
        };
        let (once, kept) = run("auto");
        let (twice, read_again) = run("never");
        assert_eq!((once["get"], twice["get"]), (OBJECTS, 2 * OBJECTS), "{slice}");
        assert_eq!(kept, read_again, "{slice}");
        assert!(kept.keys().any(|name| name.starts_with("documents/")), "{kept:?}");
    }
}

/// A page that does not compress.
fn member_of_noise() -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let letter = |_| char::from(b'!' + random.random_range(0..90_u8));
    let body: String = (0..160_000).map(letter).collect();
    let mut member = GzEncoder::new(Vec::new(), Compression::fast());
    write!(
        member,
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://page.example/\r\n\
         WARC-Date: 2024-02-20T22:09:22Z\r\nWARC-Record-ID: <urn:uuid:1>\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}\r\n\r\n",
        body.len()
    )
    .unwrap();
    member.finish().unwrap()
}

/// The most memory that the worker of a job over one such object ever had.
fn peak_of_a_worker(member: &[u8], repeated: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let bucket = Bucket::start_repeating(1, member.to_vec(), repeated).unwrap();
    let text = JobText::over(Path::new("s3://dumps"), "crawl/segments/*/wet/*.warc.wet.gz");
    let off = "[filters.length]\nenabled = false\n[filters.c4_quality]\nenabled = false\n";
    let table = format!("[s3]\nendpoint = \"{}\"\nanonymous = true\n{off}", bucket.url());
    let job = text.set("model", "\"none\"").append(&table).write(folder.path());
    let state = folder.path().join("state");
    let mut command = thresher();
    command.arg("run").arg(job).arg("--state").arg(&state).args(["--slots", "1"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        for worker in workers_of(&state) {
            peak = peak.max(peak_bytes(worker).unwrap_or(0));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    // Nothing of these records is published, which many of them are reported for.
    assert!(matches!(status.code(), Some(0 | 7)), "{status}");
    assert!(peak > 0, "nobody was looked at");
    let manifest = std::fs::read_to_string(folder.path().join("corpus/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["accounting"]["records_in"], repeated);
    peak
}

/// As the kernel noted it.
fn peak_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}
