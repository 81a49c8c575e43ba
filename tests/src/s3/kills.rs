//! Runs jobs from S3 to S3 whose workers and coordinators are killed: at requests drawn from a
//! seed, while the network injects faults, and at each step of a multipart upload.
//!
//! **Invariant:** the moments are defined by requests, never by time, so they are the same on any
//! machine.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use thresher_tests::gate::{Fits, Moment};
use thresher_tests::job::JobText;
use thresher_tests::process::{Leftovers, kill, succeed, thresher, workers_of};
use thresher_tests::proxy::{Faults, Proxy};

use crate::case;
use crate::jobs::{Job, Jobs, PATIENCE, Published, key_of, published_on_disk};
use crate::places::Place;

/// Number of kills after which a job is left alone, so that it ends.
const MAX_KILLS: u32 = 10;
/// Requests between two kills.
const PAUSE: std::ops::Range<u64> = 2..10;
const LOOK: Duration = Duration::from_millis(2);
/// The pages do not compress, so that a shard of them is uploaded in parts.
const FILES: u64 = 3;
const PAGES: u64 = 300;
const PAGE_LETTERS: usize = 30_000;
const PARTS: &str = "part_bytes = \"5MiB\"\n";
const MANY_SHARDS: &str = "\"14MB\"";
const ONE_SHARD: &str = "\"1GB\"";

/// The steps of publishing a large object, by the request that starts or ends each.
const STEPS: &[(&str, Fits, Moment)] = &[
    ("in the middle of its parts", is_second_part, Moment::Before),
    ("before it is claimed", is_claim, Moment::Before),
    ("when it is claimed", is_claim, Moment::After),
    ("before it is completed", is_completion, Moment::Before),
    ("when it is completed", is_completion, Moment::After),
];

fn is_second_part(head: &str) -> bool {
    head.starts_with("PUT") && head.contains("partNumber=2&")
}

fn is_claim(head: &str) -> bool {
    head.starts_with("PUT") && head.contains("/.commits/documents/")
}

fn is_completion(head: &str) -> bool {
    head.starts_with("POST") && head.contains("/documents/") && head.contains("uploadId=")
}

pub(crate) fn check(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    case("from S3 to S3 under faults and kills: the same bytes", || {
        let proxy = Proxy::start(&jobs.server.address, Faults::all(11))?;
        let job = jobs.job("fire", &proxy.url(), "")?;
        under_fire(jobs, &proxy, &job, &jobs.reference, 11)
    })?;
    let large = Large::new(jobs)?;
    case("the same if shards are sent in parts", || {
        let proxy = Proxy::start(&jobs.server.address, Faults::all(12))?;
        let (reference, job) = large.job(jobs, "fire-parts", MANY_SHARDS, &proxy)?;
        under_fire(jobs, &proxy, &job, &reference, 12)
    })?;
    case(
        "killed at each step of an upload in parts: nothing is left, the bytes are the same",
        || large.killed_at_each_step(jobs),
    )
}

/// Inputs whose shards are larger than a part, on disk and in the bucket.
struct Large {
    folder: PathBuf,
    inputs: String,
}

impl Large {
    fn new(jobs: &Jobs<'_>) -> anyhow::Result<Self> {
        let folder = jobs.folder.path().join("large");
        std::fs::create_dir(&folder)?;
        let inputs = Place::s3(&jobs.server.bucket)?.output.root().to_string();
        for file in 0..FILES {
            let (name, pages) = (format!("{file}.warc.wet.gz"), pages_of_noise(file)?);
            std::fs::write(folder.join(&name), &pages)?;
            jobs.plain.put(&key_of(&format!("{inputs}/{name}"), jobs.server), pages)?;
        }
        Ok(Self { folder, inputs })
    }

    /// Returns what a job on disk publishes, and the same job in the bucket.
    fn job(
        &self,
        jobs: &Jobs<'_>,
        name: &str,
        shard_bytes: &str,
        proxy: &Proxy,
    ) -> anyhow::Result<(Published, Job)> {
        let text = |inputs: &Path| {
            let listing = "*.warc.wet.gz\"\nsteps = [\"documents\"]\n# \"";
            let text = JobText::over(inputs, listing).set("model", "\"none\"");
            text.set("shard_bytes", shard_bytes).set("lease", "\"2s\"")
        };
        let on_disk = format!("{name}-on-disk");
        let reference = published_on_disk(jobs.folder.path(), &on_disk, text(&self.folder))?;
        let table = format!("endpoint = \"{}\"\n{PARTS}", proxy.url());
        Ok((reference, jobs.job_of(text(Path::new(&self.inputs)), name, &table)?))
    }

    fn killed_at_each_step(&self, jobs: &Jobs<'_>) -> anyhow::Result<()> {
        let proxy = Proxy::start(&jobs.server.address, Faults::none())?;
        let (reference, job) = self.job(jobs, "steps", ONE_SHARD, &proxy)?;
        let _leftovers = Leftovers(job.state.clone());
        for (step, fits, moment) in STEPS {
            proxy.gate().arm(*fits, *moment);
            let mut child = job.run().stdout(Stdio::null()).spawn()?;
            ensure!(proxy.gate().holds_within(PATIENCE), "it was never {step}");
            kill_all(&mut child, &job)?;
            proxy.gate().open();
            let there = jobs.names(&job.output)?;
            let completed = *moment == Moment::After && step.contains("completed");
            let has_shard = there.iter().any(|name| name.starts_with("documents/"));
            ensure!(has_shard == completed, "killed {step}, there are {there:?}");
            let uploads = jobs.uploads(&job.output)?;
            ensure!(uploads.is_empty() == completed, "killed {step}, uploads are {uploads:?}");
            // Every other time the leftovers stay, and do not disturb later attempts.
            if step.contains("middle") || step.contains("before it is completed") {
                clean(jobs, &job)?;
            }
        }
        succeed(&mut job.run());
        clean(jobs, &job)?;
        jobs.compare(&job, &reference)?;
        only_what_is_named(jobs, &job, &reference)
    }
}

/// Runs the job to its end while processes are killed as requests arrive; then compares the output,
/// cleans, and checks what is left.
pub(crate) fn under_fire(
    jobs: &Jobs<'_>,
    proxy: &Proxy,
    job: &Job,
    reference: &Published,
    seed: u64,
) -> anyhow::Result<()> {
    let _leftovers = Leftovers(job.state.clone());
    let mut kills = Kills { random: ChaCha8Rng::seed_from_u64(seed), workers: 0, coordinators: 0 };
    let status = loop {
        let mut child = job.run().args(["--workers", "2"]).stdout(Stdio::null()).spawn()?;
        if let Some(status) = kills.watch(&mut child, proxy, job)? {
            break status;
        }
    };
    ensure!(status.success(), "the job exited with {status}");
    let Kills { workers, coordinators, .. } = kills;
    println!(
        "    killed: {workers} workers, {coordinators} coordinators; {:?}",
        proxy.fault_counts()
    );
    ensure!(workers > 1 && coordinators > 1, "too few were killed: this proves little");
    proxy.set(Faults::none());
    jobs.compare(job, reference)?;
    clean(jobs, job)?;
    jobs.compare(job, reference)?;
    only_what_is_named(jobs, job, reference)
}

struct Kills {
    random: ChaCha8Rng,
    workers: u32,
    coordinators: u32,
}

impl Kills {
    /// Kills workers and coordinators in turn; returns the exit status of a coordinator that was
    /// not killed.
    fn watch(
        &mut self,
        child: &mut Child,
        proxy: &Proxy,
        job: &Job,
    ) -> anyhow::Result<Option<ExitStatus>> {
        let mut next = proxy.requests() + self.random.random_range(PAUSE);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(LOOK);
            if proxy.requests() < next || self.workers + self.coordinators >= MAX_KILLS {
                continue;
            }
            next = proxy.requests() + self.random.random_range(PAUSE);
            let alive = workers_of(&job.state);
            if alive.is_empty() || self.random.random_bool(0.4) {
                child.kill()?;
                child.wait()?;
                self.coordinators += 1;
                return Ok(None);
            }
            kill(alive[self.random.random_range(0..alive.len())]);
            self.workers += 1;
        }
    }
}

/// Kills the coordinator and its workers, as a node that loses power would.
fn kill_all(child: &mut Child, job: &Job) -> anyhow::Result<()> {
    child.kill()?;
    child.wait()?;
    while let Some(worker) = workers_of(&job.state).first() {
        kill(*worker);
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Checks that `thresher clean` ends every upload, and finds nothing when it is called again.
fn clean(jobs: &Jobs<'_>, job: &Job) -> anyhow::Result<()> {
    let before = jobs.uploads(&job.output)?.len();
    let cleaning = || {
        let said = succeed(
            thresher().arg("clean").arg(&job.file).arg("--state").arg(&job.state).arg("--json"),
        );
        serde_json::from_str::<serde_json::Value>(&said).context("`clean --json` gives JSON")
    };
    let said = cleaning()?;
    let ended = said["uploads"].as_array().map(Vec::len);
    ensure!(ended == Some(before), "{before} uploads were there, {said}");
    let left = jobs.uploads(&job.output)?;
    ensure!(left.is_empty(), "uploads are left: {left:?}");
    let again = cleaning()?;
    for what in ["files", "uploads", "commit_records"] {
        ensure!(again[what].as_array().is_some_and(Vec::is_empty), "found again: {again}");
    }
    Ok(())
}

/// Checks that the output has only what was published and the reports.
fn only_what_is_named(jobs: &Jobs<'_>, job: &Job, reference: &Published) -> anyhow::Result<()> {
    let names = jobs.names(&job.output)?;
    let strange = names.iter().filter(|name| {
        !reference.contains_key(*name) && !matches!(name.as_str(), "report.json" | "REPORT.md")
    });
    let strange: Vec<&String> = strange.collect();
    ensure!(strange.is_empty(), "left behind: {strange:?}");
    Ok(())
}

/// Returns a WET file whose documents compress little.
fn pages_of_noise(number: u64) -> anyhow::Result<Vec<u8>> {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    for page in 0..PAGES {
        let letter = |_| match random.random_range(0..64_u8) {
            0 => ' ',
            1 => '\n',
            small @ 2..28 => char::from(b'a' + small - 2),
            capital @ 28..54 => char::from(b'A' + capital - 28),
            digit => char::from(b'0' + digit - 54),
        };
        let body: String = (0..PAGE_LETTERS).map(letter).collect();
        let name = format!("{number:016x}{page:016x}");
        write!(
            file,
            "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://page.example/{name}\r\n\
             WARC-Date: 2024-02-20T22:09:22Z\r\nWARC-Record-ID: <urn:uuid:{name}>\r\n\
             Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}\r\n\r\n",
            body.len()
        )?;
    }
    Ok(file.finish()?)
}
