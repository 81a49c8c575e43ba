//! Compares near-duplicates with other programs, and shows how the stages grow with the documents.
//!
//! The documents are pages of WET files and edited copies of them, as JSON lines. With FineWeb's
//! parameters and no verification, as many are removed as by datatrove.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use thresher_domain::SplitMix64;

use crate::cpu;
use crate::memory::watched;
use crate::options::Options;
use crate::pipelines::program;
use crate::table::{Row, median};

/// Bytes of text, taken from pages at even distances.
const TEXT_BYTES: usize = 2_000_000;
const FILES: usize = 8;
/// Words of a document of `near-scale`.
const SHORT_WORDS: usize = 100;
/// Changed words in 1,000, of one edited copy after the other.
const CHANGES: [u64; 6] = [0, 5, 10, 20, 50, 100];
/// The bands of a chain, of which each document has one in common with the next.
const CHAIN_BANDS: &str = "bands = 28\nrows = 4\n";
const STAGES: [&str; 7] =
    ["sign", "gather-bands", "resolve-bands", "connect", "collect", "compare", "decide"];
/// What datatrove does.
const UNVERIFIED: &str = "verify = \"none\"\nsurvivors = \"components\"\n";
const WITNESS: &str = "verify = \"jaccard\"\nsurvivors = \"witness\"\n";

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let inputs = folder.path().join("in");
    let pages = crate::language::texts(options)?;
    let all: usize = pages.iter().map(String::len).sum();
    let pages: Vec<String> = pages.into_iter().step_by((all / TEXT_BYTES).max(1)).collect();
    let words: Vec<&str> =
        pages.iter().take(200).flat_map(|text| text.split_whitespace()).collect();
    let documents = pages.iter().zip(0..).flat_map(|(page, number)| {
        let change = CHANGES[number as usize % CHANGES.len()];
        [page.clone(), edited(page, &words, number, change)]
    });
    let (count, bytes) = write(&inputs, documents)?;
    let rows = folder.path().join("documents.jsonl");
    join(&inputs, &rows)?;

    let (mut plain, mut ours, mut verified) = (Vec::new(), Vec::new(), Vec::new());
    let mut signed = Vec::new();
    let (mut datatrove, mut rensa) = (Peer::new("datatrove"), Peer::new("rensa"));
    let mut removed = [0, 0];
    for round in 0..options.rounds {
        let run = |name: &str, near| {
            Job { inputs: &inputs, near, memory: "8GiB" }
                .run(&folder.path().join(format!("{round}-{name}")))
        };
        plain.push(run("plain", None)?.cpu_seconds);
        let unverified = run("unverified", Some(UNVERIFIED))?;
        let witness = run("witness", Some(WITNESS))?;
        removed = [unverified.removed, witness.removed];
        signed.push(witness.seconds_of("sign"));
        ours.push(unverified.cpu_seconds);
        verified.push(witness.cpu_seconds);
        datatrove.run(options, &rows)?;
        rensa.run(options, &rows)?;
    }
    let [by_bands, by_witness] = removed;
    println!("# {count} documents, {:.1} MB of text", mega(bytes));
    println!("# removed: {by_bands} by bands, {by_witness} by witnesses, with exact copies");
    println!("# datatrove {}, rensa {}", datatrove.facts, rensa.facts);
    println!("# the job without the step `near`: {:.2} s", median(plain));
    let signed = median(signed);
    println!("# the stage SIGN: {signed:.2} s {:.1} MB/s", mega(bytes) / signed);
    ensure!(datatrove.facts["removed"] == by_bands, "datatrove removes another number");
    datatrove.compare("near, by bands", &ours, bytes, 10.0);
    datatrove.compare("near, verified", &verified, bytes, 10.0);
    rensa.compare("near, by bands", &ours, bytes, 1.0);
    Ok(())
}

/// Another program for the same documents.
struct Peer {
    library: &'static str,
    seconds: Vec<f64>,
    /// What it printed the last time.
    facts: Value,
}

impl Peer {
    fn new(library: &'static str) -> Self {
        Self { library, seconds: Vec::new(), facts: Value::Null }
    }

    fn run(&mut self, options: &Options, rows: &Path) -> anyhow::Result<()> {
        let mut peer = Command::new(&options.python);
        peer.arg(options.peers.join("near_peers.py")).arg(rows).args(["--library", self.library]);
        let (seconds, printed) = cpu::of_command(&mut peer)?;
        self.seconds.push(seconds);
        self.facts = serde_json::from_slice(&printed)?;
        Ok(())
    }

    /// Prints our time beside the peer's, which should be this many times as long.
    fn compare(&self, figure: &str, ours: &[f64], bytes: usize, times: f64) {
        let (ours, other) = (median(ours.to_vec()), median(self.seconds.clone()));
        Row {
            figure,
            ours: format!("{ours:.2} s {:.1} MB/s", mega(bytes) / ours),
            other: format!("{} {other:.2} s", self.library),
            ratio: format!("1/{:.1}", other / ours),
            aim: if times > 1.0 { "1/10 of the CPU" } else { "no slower" },
            reached: other / ours >= times,
        }
        .print();
    }
}

/// Runs jobs over a tenth of the documents and over all, and over those of a hard shape.
pub(crate) fn scale(options: &Options) -> anyhow::Result<()> {
    let pages = crate::language::texts(options)?;
    let words: Vec<&str> =
        pages.iter().take(200).flat_map(|text| text.split_whitespace()).collect();
    let count = u64::from(options.units);
    let random = |seed: u64| words[(SplitMix64::at(seed) % words.len() as u64) as usize];
    let of =
        |first: u64, length: u64| (first..first + length).map(random).collect::<Vec<_>>().join(" ");
    // Of two neighbours, the second is an edited copy of the first, and the first is one of a page
    // from which little is left.
    let edit = |number: u64| {
        let page = &pages[(number / 2) as usize % pages.len()];
        let page: Vec<&str> = page.split_whitespace().take(SHORT_WORDS).collect();
        let first = edited(&page.join(" "), &words, number / 2, 600);
        let change = CHANGES[(number / 2) as usize % CHANGES.len()];
        if number.is_multiple_of(2) { first } else { edited(&first, &words, number, change) }
    };
    run_shape(options, "edited copies", "", count / 10, edit)?;
    run_shape(options, "edited copies", "", count, edit)?;
    run_shape(options, "chain", CHAIN_BANDS, count, |number| of(number, 17))?;
    let template = of(1 << 40, 100);
    let filled = |number: u64| format!("{template} {}", of(number << 20, 30));
    run_shape(options, "template with 30 other words", "", count, filled)?;
    run_shape(options, "one word", "", count, |number| format!("word{number}"))
}

fn run_shape(
    options: &Options,
    name: &str,
    near: &str,
    count: u64,
    text: impl Fn(u64) -> String,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let inputs = folder.path().join("in");
    let (count, bytes) = write(&inputs, (0..count).map(text))?;
    let job = Job { inputs: &inputs, near: Some(near), memory: "64MiB" };
    let ran = job.run(&folder.path().join("job"))?;
    println!(
        "{count} documents, {name}, {:.1} MB: {:.1} s, peak of a worker {} MB, {} removed",
        mega(bytes),
        ran.cpu_seconds,
        ran.worker_bytes >> 20,
        ran.removed
    );
    let micros = STAGES.map(|stage| {
        let each = ran.seconds_of(stage) * 1e6 / count as f64;
        format!("{stage} {each:.2}")
    });
    println!("    CPU µs a document: {}", micros.join(", "));
    for key in ["bands", "candidates", "components", "largest_component", "pairs_compared"] {
        println!("    {key}: {}", ran.report["near_duplicates"][key]);
    }
    Ok(())
}

/// Returns a text with this many of 1,000 words replaced.
fn edited(text: &str, words: &[&str], seed: u64, change: u64) -> String {
    let mut random = SplitMix64::new(SplitMix64::at(seed));
    let parts = text.split(' ').map(|part| {
        let replaced = random.next_u64() % 1000 < change;
        let other = random.next_u64() % words.len() as u64;
        if replaced { words[other as usize] } else { part }
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// Writes documents as inputs of the slice `c4`; returns their number and the bytes of text.
fn write(folder: &Path, documents: impl Iterator<Item = String>) -> anyhow::Result<(usize, usize)> {
    fs::create_dir_all(folder)?;
    let mut files = Vec::new();
    for number in 0..FILES {
        let path = folder.join(format!("c4-train.{number:05}-of-01024.json"));
        files.push(BufWriter::new(File::create(path)?));
    }
    let (mut count, mut bytes) = (0, 0);
    for text in documents {
        let out = &mut files[count % FILES];
        let url = format!("https://made.example/{count}");
        serde_json::to_writer(&mut *out, &json!({ "text": text, "url": url }))?;
        out.write_all(b"\n")?;
        count += 1;
        bytes += text.len();
    }
    files.iter_mut().try_for_each(Write::flush)?;
    Ok((count, bytes))
}

fn join(folder: &Path, path: &Path) -> anyhow::Result<()> {
    let mut out = File::create(path)?;
    for input in fs::read_dir(folder)? {
        std::io::copy(&mut File::open(input?.path())?, &mut out)?;
    }
    Ok(())
}

/// A job over documents; `near` has keys of that table.
struct Job<'a> {
    inputs: &'a Path,
    near: Option<&'a str>,
    memory: &'a str,
}

/// What a job took and removed.
struct Ran {
    cpu_seconds: f64,
    worker_bytes: u64,
    removed: u64,
    report: Value,
}

impl Job<'_> {
    fn run(&self, place: &Path) -> anyhow::Result<Ran> {
        fs::create_dir_all(place)?;
        let job: PathBuf = place.join("job.toml");
        let Self { inputs, near, memory } = self;
        let (steps, near) = match near {
            Some(keys) => {
                ("\"documents\", \"near\"", format!("[near]\npreset = \"fineweb\"\n{keys}"))
            }
            None => ("\"documents\"", String::new()),
        };
        let text = format!(
            "[job]\nname = \"near\"\n[[source]]\nslice = \"c4\"\nbase = \"{}\"\n\
             listing = \"*.json\"\nsteps = [{steps}]\n[language]\nmodel = \"none\"\n\
             [output]\npath = \"{}\"\n[dedup]\nmemory = \"{memory}\"\n{near}",
            inputs.display(),
            place.join("out").display()
        );
        fs::write(&job, text)?;
        let mut command = Command::new(program("thresher")?);
        command.arg("run").arg(&job).arg("--state").arg(place.join("state"));
        command.args(["--slots", "2", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let before = cpu::of_ended_children()?;
        let mut worker_bytes = 0;
        watched(command.spawn()?, |pid| {
            for worker in cpu::children(pid) {
                worker_bytes = worker_bytes.max(cpu::peak_bytes(worker).unwrap_or(0));
            }
        })?;
        let cpu_seconds = cpu::of_ended_children()? - before;
        let report: Value = serde_json::from_slice(&fs::read(place.join("out/report.json"))?)?;
        let dropped = report["records"]["dropped"].as_object().context("no drop reasons")?;
        let copies = dropped.iter().filter(|(reason, _)| reason.starts_with("dedup/"));
        let removed = copies.filter_map(|(_, count)| count.as_u64()).sum();
        fs::remove_dir_all(place)?;
        Ok(Ran { cpu_seconds, worker_bytes, removed, report })
    }
}

impl Ran {
    /// Returns the CPU seconds of a stage.
    fn seconds_of(&self, stage: &str) -> f64 {
        let stages = self.report["stages"].as_array();
        let found = stages.into_iter().flatten().find(|found| found["stage"] == stage);
        found.and_then(|found| found["cpu_millis"].as_f64()).unwrap_or_default() / 1000.0
    }
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
