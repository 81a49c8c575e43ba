//! Bad input and bad luck, as a user meets them: counted, located, and nothing else lost.

mod cases;
mod coordinators;
mod crashes;
mod forms;
mod gaps;
mod inputs;
mod jobs;
mod liveness;
mod outputs;
mod purges;
mod recovery;
mod repairs;
mod restarts;
mod signals;
mod slices;
mod terminal;

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use thresher_tests::job::JobText;
use thresher_tests::process::{output, succeed, thresher};

/// Returns a number that a status in JSON has of a stage; 0 before there is a job.
pub(crate) fn of_stage(status: &serde_json::Value, stage: &str, number: &str) -> u64 {
    let mut stages = status["stages"].as_array().into_iter().flatten();
    stages.find(|found| found["stage"] == stage).map_or(0, |found| found[number].as_u64().unwrap())
}

/// A gzip member.
pub(crate) fn member(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A WET record with a page of its own.
pub(crate) fn page(number: usize) -> Vec<u8> {
    // Letters, since dedup takes all digits for one.
    let name = char::from(b'a' + u8::try_from(number).unwrap());
    let line = |n: usize| {
        format!(
            "Line {} of the page with the name {name} has no twin in any other page",
            "abcdefgh".split_at(n).1
        )
    };
    let text: Vec<String> = (0..8).map(line).collect();
    record(number, &format!("Title {number}\n{}\n", text.join("\n")).into_bytes())
}

/// A WET record with this body and the length that it has.
fn record(number: usize, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    record_of_length(number, body, &format!("Content-Length: {length}\r\n"))
}

fn record_of_length(number: usize, body: &[u8], length: &str) -> Vec<u8> {
    let mut record = format!(
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://page.example/{number}\r\n\
         WARC-Record-ID: <urn:uuid:{number:08}>\r\nContent-Type: text/plain\r\n{length}\r\n"
    )
    .into_bytes();
    record.extend_from_slice(body);
    record.extend_from_slice(b"\r\n\r\n");
    record
}

/// What a job came to.
struct Outcome {
    manifest: serde_json::Value,
    output: PathBuf,
}

impl Outcome {
    fn published(&self) -> u64 {
        self.manifest["accounting"]["published"].as_u64().unwrap()
    }

    fn quarantined(&self, reason: &str) -> u64 {
        self.manifest["accounting"]["quarantined"][reason].as_u64().unwrap_or(0)
    }

    /// The first drop row of this reason.
    fn row(&self, reason: &str) -> serde_json::Value {
        let folder = std::fs::read_dir(self.output.join("dropped")).unwrap();
        let rows = folder.flat_map(|file| {
            let raw = std::fs::File::open(file.unwrap().path()).unwrap();
            let text = zstd::decode_all(raw).unwrap();
            String::from_utf8(text).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        });
        rows.map(|row| serde_json::from_str::<serde_json::Value>(&row).unwrap())
            .find(|row| row["reason"] == reason)
            .unwrap_or_else(|| panic!("no row says `{reason}`"))
    }
}

/// A job over one input file, without language and filters.
pub(crate) fn job_over(folder: &Path, name: &str, bytes: &[u8]) -> JobText {
    std::fs::write(folder.join(name), bytes).unwrap();
    JobText::over(folder, name)
        .set("model", "\"none\"")
        .append(
            "[filters.gopher_repetition]\nenabled = false\n[filters.c4_quality]\nenabled = false\n\
         [filters.fineweb_quality]\nenabled = false",
        )
        .set("min_stop_words", "0\nenabled = false")
}

/// Runs a job to its good end, and checks what it published.
fn complete(folder: &Path, job: &JobText) -> Outcome {
    let corpus = folder.join("corpus");
    let state = folder.join("state");
    let ran = output(thresher().arg("run").arg(job.write(folder)).arg("--state").arg(&state));
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let manifest = std::fs::read(corpus.join("manifest.json")).expect(&said);
    let value: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    // An output without documents asks for attention, unless a few records were dropped by name.
    let accounting = &value["accounting"];
    let counts = |of: &str| {
        let counts = accounting[of].as_object().map(serde_json::Map::values);
        counts.into_iter().flatten().filter_map(serde_json::Value::as_u64).sum::<u64>()
    };
    let (read, dropped) = (accounting["records_in"].as_u64().unwrap_or(0), counts("dropped"));
    let explained = read == dropped && (1..100).contains(&read);
    // So does one of which a part of the only input is missing.
    let reasons = accounting["quarantined"].as_object().into_iter().flatten();
    let is_damaged = reasons.into_iter().any(|(reason, _)| thresher_domain::is_of_input(reason));
    let is_empty = accounting["published"] == 0 && !explained;
    let expected = if is_empty || is_damaged { 7 } else { 0 };
    assert_eq!(ran.status.code(), Some(expected), "{said}");
    let mut verify = thresher();
    verify.arg("verify").arg(&corpus);
    if value["accounting"]["published"] == 0 {
        let verified = output(&mut verify);
        let said = String::from_utf8_lossy(&verified.stdout);
        assert_eq!(verified.status.code(), Some(6), "{said}");
        assert!(said.contains("nothing was published"), "{said}");
    } else {
        succeed(&mut verify);
    }
    Outcome { manifest: serde_json::from_slice(&manifest).unwrap(), output: corpus }
}

/// Runs a job that is expected to fail; gives the exit status and all that was said.
fn fail(folder: &Path, job: &JobText) -> (i32, String) {
    let state = folder.join("state");
    let ended = output(thresher().arg("run").arg(job.write(folder)).arg("--state").arg(&state));
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}
