//! Compares a job with little memory for keys to one with plenty: the bytes are the same, the key
//! ranges are more, and the memory is less.
//!
//! The inputs are generated, because a real crawl with this many different lines is large: each
//! record has lines of its own and some that other records have too. Peak memory is what the kernel
//! recorded (`VmHWM`) for the coordinator and its workers.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use thresher_domain::{LINE_KEY, SplitMix64};

use crate::cpu;
use crate::options::Options;
use crate::pipelines::{job_text, program};

/// One line in this many is taken from a pool that all records share.
const SHARED_ONE_IN: u64 = 10;
const LINES_PER_RECORD: u64 = 100;
const RECORDS_PER_FILE: u64 = 5_000;
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let inputs = folder.path().join("in");
    fs::create_dir(&inputs)?;
    let lines = make_inputs(&inputs, u64::from(options.units) * 6)?;
    println!(
        "# {lines} lines; their keys need about {} MB at once",
        lines * LINE_KEY.memory_bytes / 1_000_000
    );
    let mut manifests = Vec::new();
    for memory in ["8GiB", "64MiB"] {
        let place = folder.path().join(memory);
        fs::create_dir(&place)?;
        let peaks = run(&inputs, &place, memory)?;
        let manifest = fs::read_to_string(place.join("out/manifest.json"))?;
        println!(
            "dedup.memory = {memory:5}  {} key ranges, peak of a worker {} MB, of the coordinator \
             {} MB, CPU {:.1} s, manifest {}",
            peaks.ranges,
            peaks.worker_bytes >> 20,
            peaks.coordinator_bytes >> 20,
            peaks.cpu_seconds,
            &blake3::hash(manifest.as_bytes()).to_hex()[..16]
        );
        manifests.push(manifest);
        fs::remove_dir_all(&place)?;
    }
    if manifests[0] != manifests[1] {
        bail!("the two manifests differ");
    }
    println!("the manifests are the same, and so are all shards");
    Ok(())
}

struct Peaks {
    ranges: u64,
    worker_bytes: u64,
    coordinator_bytes: u64,
    cpu_seconds: f64,
}

fn run(inputs: &Path, place: &Path, memory: &str) -> anyhow::Result<Peaks> {
    let job = place.join("job.toml");
    let text = job_text(inputs, "thresher", "none", "", &place.join("out"));
    let off = ["length", "gopher_repetition", "gopher_quality", "c4_quality", "fineweb_quality"]
        .map(|name| format!("[filters.{name}]\nenabled = false\n"));
    fs::write(&job, format!("{text}[dedup]\nmemory = \"{memory}\"\n{}", off.concat()))?;
    let mut command = Command::new(program("thresher")?);
    command.arg("run").arg(&job).arg("--state").arg(place.join("state")).args(["--slots", "2"]);
    let before = cpu::of_ended_children()?;
    let child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (mut coordinator_bytes, mut worker_bytes) = (0, 0);
    let output = watched(child, |pid| {
        coordinator_bytes = coordinator_bytes.max(cpu::peak_bytes(pid).unwrap_or(0));
        for worker in cpu::children(pid) {
            worker_bytes = worker_bytes.max(cpu::peak_bytes(worker).unwrap_or(0));
        }
    })?;
    let status: serde_json::Value = serde_json::from_slice(&output)?;
    let stages = status["stages"].as_array().context("no stages")?;
    let resolve = stages.iter().find(|stage| stage["stage"] == "resolve-lines");
    let ranges = resolve.and_then(|stage| stage["done"].as_u64()).context("no key ranges")?;
    let cpu_seconds = cpu::of_ended_children()? - before;
    Ok(Peaks { ranges, worker_bytes, coordinator_bytes, cpu_seconds })
}

/// Calls `look` repeatedly until a child exits; returns its output.
pub(crate) fn watched(mut child: Child, mut look: impl FnMut(u32)) -> anyhow::Result<Vec<u8>> {
    while child.try_wait()?.is_none() {
        look(child.id());
        std::thread::sleep(LOOK);
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("thresher exited with {}", output.status);
    }
    Ok(output.stdout)
}

/// Writes WET files with at least `least` lines; returns the number of lines.
fn make_inputs(folder: &Path, least: u64) -> anyhow::Result<u64> {
    let records = least.div_ceil(LINES_PER_RECORD);
    let mut file: Option<BufWriter<File>> = None;
    for record in 0..records {
        if record % RECORDS_PER_FILE == 0 {
            let path = folder.join(format!("{:05}.warc.wet.gz", record / RECORDS_PER_FILE));
            file = Some(BufWriter::new(File::create(path)?));
        }
        let out = file.as_mut().context("a file was just made")?;
        let mut member = GzEncoder::new(out, Compression::fast());
        member.write_all(&wet_record(record, least))?;
        member.finish()?;
    }
    Ok(records * LINES_PER_RECORD)
}

fn wet_record(record: u64, lines: u64) -> Vec<u8> {
    let mut body = b"A title\n".to_vec();
    for line in record * LINES_PER_RECORD..(record + 1) * LINES_PER_RECORD {
        let shared = line % SHARED_ONE_IN == 0;
        let name =
            if shared { SplitMix64::at(line) % (lines / SHARED_ONE_IN / 4 + 1) } else { line };
        let words = SplitMix64::at(name << 1 | u64::from(shared));
        // Numbers are written in letters, because line dedup treats all digits alike.
        let letters = words.to_be_bytes().map(|byte| [b'a' + (byte >> 4), b'a' + (byte & 15)]);
        body.extend_from_slice(b"the line ");
        body.extend_from_slice(letters.as_flattened());
        body.push(b'\n');
    }
    let mut whole = format!(
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://made.example/{record}\r\n\
         WARC-Date: 2024-02-20T22:09:22Z\r\nWARC-Record-ID: <urn:uuid:{record:032x}>\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    whole.append(&mut body);
    whole.extend_from_slice(b"\r\n\r\n");
    whole
}
