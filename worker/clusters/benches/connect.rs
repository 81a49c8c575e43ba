//! Measures the CPU cost and the memory of finding edges and components, in worlds of threads.
//! Prints CPU seconds of all ranks, the largest memory of the process, and the rounds.
//!
//! Documents of a chain share a key with the next one each, in an order that has nothing to do with
//! their positions; in a random graph each document has two random keys; pairs have all keys of
//! eight bands in common with one other document, as near-duplicates usually do.
//!
//! Run with `cargo bench -p thresher-clusters --bench connect`, and with `-- 10000000` for another
//! number of documents than a million.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thresher_clusters::connect::{ConnectTask, connect_on_threads};
use thresher_clusters::edges::{EdgeTask, find_edges_on_threads};
use thresher_dedup::KeyRange;
use thresher_dedup::exchange::{KeyFileRef, KeyFiles};
use thresher_dedup::keys::KeyCollector;
use thresher_domain::SplitMix64;

const UNITS: u32 = 32;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let documents = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let mut out = io::stdout().lock();
    for (name, bands, keys) in [
        ("chain", 2, chain as fn(u64, u64) -> Vec<u64>),
        ("random", 2, random),
        ("star", 2, star),
        ("pairs", 8, pairs),
    ] {
        let dir = tempfile::tempdir()?;
        let files = write_keys(dir.path(), documents, bands, keys)?;
        for (threads, budget_bytes) in [(1, 2 << 30), (2, 2 << 30), (2, 128_u64 << 20)] {
            let memory = budget_bytes >> 20;
            writeln!(out, "{documents} documents, {name}, {threads} ranks, {memory} MiB:")?;
            let edges = measure(&mut out, "edges", || {
                let task = EdgeTask {
                    key_files: KeyFiles::OfUnits(&files),
                    range: KeyRange::WHOLE,
                    bands,
                    budget_bytes,
                    largest_group: 10_000,
                };
                let (files, tally) = find_edges_on_threads(threads, &task, |name| {
                    let path = dir.path().join(name.to_string());
                    let file = BufWriter::new(File::create(&path)?);
                    Ok(Named(path, file))
                })?;
                let paths: Vec<PathBuf> = files.into_iter().map(|(_, file)| file.0).collect();
                Ok((paths, format!("{} edges", tally.edges)))
            })?;
            measure(&mut out, "connect", || {
                let scratch = dir.path();
                let task =
                    ConnectTask { edge_files: &edges, group_units: 1, budget_bytes, scratch };
                let (_, tally) = connect_on_threads(threads, &task, |_| Ok(io::sink()))?;
                Ok(((), format!("{tally:?}")))
            })?;
        }
    }
    Ok(())
}

/// A file that keeps its name.
struct Named(PathBuf, BufWriter<File>);

impl Write for Named {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

fn chain(number: u64, documents: u64) -> Vec<u64> {
    // Multiplication by an odd number permutes, within the next power of two.
    let mask = documents.next_power_of_two() - 1;
    let place = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) & mask;
    vec![SplitMix64::at(place), SplitMix64::at(place + 1)]
}

fn random(number: u64, documents: u64) -> Vec<u64> {
    let key = |band| SplitMix64::at(SplitMix64::at(2 * number + band) % (documents * 2));
    vec![key(0), key(1)]
}

fn star(number: u64, _: u64) -> Vec<u64> {
    vec![SplitMix64::at(0), SplitMix64::at(number + 1)]
}

fn pairs(number: u64, documents: u64) -> Vec<u64> {
    let pair = number % (documents / 2).max(1);
    (0..8).map(|band| SplitMix64::at(pair * 8 + band)).collect()
}

fn write_keys(
    dir: &Path,
    documents: u64,
    bands: u32,
    keys: fn(u64, u64) -> Vec<u64>,
) -> Result<Vec<KeyFileRef>, Failed> {
    let mut files = Vec::new();
    let of_unit = documents / u64::from(UNITS);
    for unit in 0..UNITS {
        let mut collector = KeyCollector::<u64>::new(unit, 1 << 30, dir).with_every_occurrence();
        for place in 0..of_unit {
            let keys = keys(u64::from(unit) * of_unit + place, documents);
            for (band, key) in (0..).zip(keys) {
                collector.push(key, place as u32 * bands + band)?;
            }
        }
        let path = dir.join(format!("keys-{unit}"));
        collector.finish(BufWriter::new(File::create(&path)?))?;
        files.push(KeyFileRef { unit, path });
    }
    Ok(files)
}

fn measure<T>(
    out: &mut impl Write,
    what: &str,
    work: impl FnOnce() -> Result<(T, String), Failed>,
) -> Result<T, Failed> {
    // The largest memory is counted from here.
    fs::write("/proc/self/clear_refs", "5")?;
    let before = cpu_seconds()?;
    let (value, text) = work()?;
    let seconds = cpu_seconds()? - before;
    writeln!(out, "    {what:<8} {seconds:7.2} CPU s {:6} MiB  {text}", peak_mib()?)?;
    Ok(value)
}

fn peak_mib() -> Result<u64, Failed> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

/// Returns the user and system time of this process, from `/proc`, in ticks of 10 ms.
fn cpu_seconds() -> Result<f64, Failed> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().ok_or("no command in stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / 100.0)
}
