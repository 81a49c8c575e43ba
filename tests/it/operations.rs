//! File operations of a job, as a parallel file system sees them: they grow with units and key
//! ranges, never with the product of the two.
//!
//! A library that is preloaded into every process of the job writes down each operation with its
//! path (`operations/count.c`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use thresher_tests::job::JobText;
use thresher_tests::process::output;

use crate::faults::member;
use crate::oracle::{places, published, run};

/// Inputs, each of which is a unit.
const UNITS: u64 = 1000;
/// Lines of one unit: with a MiB of memory there are as many ranges as it takes for all of them.
const LINES: u64 = 250;
/// Exit status of a job whose records are all dropped.
const NOTHING_PUBLISHED: i32 = 7;

/// Builds the library that counts.
fn library(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/operations/count.c");
    let library = folder.join("count.so");
    let built = output(
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source),
    );
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

fn inputs(folder: &Path) {
    for unit in 0..UNITS {
        let mut text = String::new();
        for line in unit * LINES..(unit + 1) * LINES {
            // In letters: digits are all one to line dedup.
            let letter = |place: u32| char::from(b'a' + (line / 26_u64.pow(place) % 26) as u8);
            let word: String = (0..5).map(letter).collect();
            writeln!(text, "a line with a word of its own {word}").unwrap();
        }
        let record = format!(
            "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://a.example/{unit}\r\n\
             WARC-Record-ID: <urn:uuid:{unit:032x}>\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{text}\r\n\r\n",
            text.len()
        );
        std::fs::write(folder.join(format!("{unit:05}.warc.wet.gz")), member(record.as_bytes()))
            .unwrap();
    }
}

/// Operations by kind and stage folder.
struct Operations(BTreeMap<(String, String), u64>);

impl Operations {
    fn read(log: &Path) -> Self {
        let mut counts = BTreeMap::new();
        for line in std::fs::read_to_string(log).unwrap().lines() {
            let Some((kind, path)) = line.split_once(' ') else { continue };
            let Some((_, below)) = path.split_once("/state/work/") else { continue };
            let stage = below.split('/').next().unwrap_or_default();
            *counts.entry((kind.to_owned(), stage.to_owned())).or_default() += 1;
        }
        Self(counts)
    }

    fn of(&self, kind: &str, stage: &str) -> u64 {
        self.0.get(&(kind.to_owned(), stage.to_owned())).copied().unwrap_or(0)
    }

    fn all(&self, stage: &str) -> u64 {
        self.0.iter().filter(|((_, of), _)| of == stage).map(|(_, count)| count).sum()
    }
}

/// Runs the job with this memory for keys; gives its operations, the number of its key ranges, and
/// what it published.
fn counted(
    job: &JobText,
    library: &Path,
    memory: &str,
) -> (Operations, u64, BTreeMap<String, String>) {
    let folder = tempfile::tempdir().unwrap();
    let (corpus, state) = places(folder.path());
    let log = folder.path().join("operations");
    let mut command = run(&job.clone().append(memory).write(folder.path()), &state);
    command.args(["--slots", "2"]).env("LD_PRELOAD", library);
    let ended = output(command.env("THRESHER_TEST_OPERATIONS", &log));
    assert_eq!(ended.status.code(), Some(NOTHING_PUBLISHED), "{ended:?}");
    let report = std::fs::read(corpus.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let mut stages = report["stages"].as_array().unwrap().iter();
    let resolve = stages.find(|stage| stage["stage"] == "resolve-lines").unwrap();
    let ranges = resolve["units"].as_u64().unwrap();
    (Operations::read(&log), ranges, published(&corpus))
}

#[test]
fn file_operations_grow_with_units_and_ranges_and_not_with_their_product() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let inputs_folder = folder.path().join("in");
    std::fs::create_dir(&inputs_folder).unwrap();
    inputs(&inputs_folder);
    let job = JobText::over(&inputs_folder, "*.warc.wet.gz")
        .set("model", "\"none\"")
        .set("target_bytes", "\"1B\"");
    let (one, ranges, reference) = counted(&job, &library, "[dedup]\nmemory = \"8GiB\"\n");
    assert_eq!(ranges, 1);
    let (many, ranges, files) = counted(&job, &library, "[dedup]\nmemory = \"1MiB\"\n");
    assert!((20..30).contains(&ranges), "{ranges} ranges");
    assert_eq!(files, reference);

    for (operations, ranges) in [(&one, 1), (&many, ranges)] {
        let Operations(counts) = operations;
        // A LINES unit writes two files, a PREPARE unit three; each is synced, and their folder.
        assert!(operations.of("sync", "lines") <= 3 * UNITS + 20, "{counts:?}");
        assert!(operations.of("sync", "prepare") <= 4 * UNITS + 20, "{counts:?}");
        assert_eq!(operations.of("create", "lines"), 2 * UNITS, "{counts:?}");
        assert_eq!(operations.of("create", "prepare"), 3 * UNITS, "{counts:?}");
        // Whatever the ranges: what LINES wrote is opened by what resolves it and by PREPARE.
        assert!(operations.all("lines") <= 16 * UNITS, "{counts:?}");
        assert!(operations.all("prepare") <= 24 * UNITS, "{counts:?}");
        for stage in ["gather-lines", "resolve-lines", "combine-lines"] {
            let most = 8 * UNITS + 40 * ranges;
            assert!(operations.all(stage) <= most, "{stage}: {counts:?}");
        }
    }
    // A range costs no operation for each unit.
    let of_dedup = |operations: &Operations| {
        let stages = ["lines", "gather-lines", "resolve-lines", "combine-lines", "prepare"];
        stages.iter().map(|stage| operations.all(stage)).sum::<u64>()
    };
    let (few, more) = (of_dedup(&one), of_dedup(&many));
    println!("{UNITS} units: {few} operations with one range, {more} with {ranges}");
    assert!(more <= few + 2 * UNITS + 60 * ranges, "{few} with one range, {more} with {ranges}");
}
