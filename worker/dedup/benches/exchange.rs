//! Measures the CPU cost of dedup: sorting the keys of one unit, and resolving ten million keys of
//! eight units in worlds of threads. Prints CPU seconds and million keys per second, each with a
//! lower bound from the same run: the standard sort, and a plain copy through the same all-to-all.
//!
//! Run with `cargo bench -p thresher-dedup --bench exchange`.

use std::fs;
use std::hint::black_box;
use std::io::{self, Write};

use thresher_dedup::comm::Communicator;
use thresher_dedup::comm::local::run_local;
use thresher_dedup::exchange::{KeyFileRef, KeyFiles, ResolveTask, resolve_on_threads};
use thresher_dedup::keys::KeyCollector;
use thresher_dedup::{KeyRange, Policy};
use thresher_domain::SplitMix64;

const UNITS: u32 = 8;
const KEYS: u64 = 10_000_000;
const SORTED_KEYS: u64 = 5_700_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let mut out = io::stdout().lock();
    bench_collector(&mut out, dir.path())?;
    bench_resolve(&mut out, dir.path())?;
    Ok(())
}

fn bench_collector(
    out: &mut impl Write,
    dir: &std::path::Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let keys: Vec<u64> = (0..SORTED_KEYS).map(SplitMix64::at).collect();
    let floor = best_of(3, || {
        let mut pairs: Vec<(u64, u32)> = keys.iter().copied().zip(0..).collect();
        pairs.sort_unstable();
        black_box(&pairs);
        Ok(())
    })?;
    report(out, "slice::sort_unstable of (key, ordinal)", floor, SORTED_KEYS)?;
    for (name, budget) in [("in memory", 1 << 30), ("spilling at 32 MB", 32 << 20)] {
        let seconds = best_of(3, || {
            let mut collector = KeyCollector::<u64>::new(0, budget, dir);
            for (ordinal, key) in (0..).zip(&keys) {
                collector.push(*key, ordinal)?;
            }
            let (bytes, summary) = collector.finish(Vec::new())?;
            black_box((bytes, summary));
            Ok(())
        })?;
        report(out, &format!("KeyCollector, {name}: push, sort, write"), seconds, SORTED_KEYS)?;
    }
    Ok(())
}

fn bench_resolve(
    out: &mut impl Write,
    dir: &std::path::Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    for unit in 0..UNITS {
        let mut collector = KeyCollector::<u64>::new(unit, 1 << 30, dir);
        // One key in four has another copy, mostly in another unit.
        for ordinal in 0..(KEYS / u64::from(UNITS)) as u32 {
            let id = u64::from(ordinal) * u64::from(UNITS) + u64::from(unit);
            let id = if id % 8 == 5 { SplitMix64::at(id) % KEYS } else { id };
            collector.push(SplitMix64::at(id), ordinal)?;
        }
        let path = dir.join(format!("keys-{unit}"));
        collector.finish(fs::File::create(&path)?)?;
        files.push(KeyFileRef { unit, path });
    }
    for size in [1, 2, 4] {
        let floor = best_of(2, || all_to_all_of(size))?;
        report(out, &format!("{size} ranks, all-to-all of the same bytes"), floor, KEYS)?;
        for (name, budget_bytes) in [("2 GB", 2 << 30), ("64 MB", 64u64 << 20)] {
            let mut tally = None;
            let seconds = best_of(2, || {
                let (range, policy) = (KeyRange::WHOLE, Policy::DropAll);
                let key_files = KeyFiles::OfUnits(&files);
                let task = ResolveTask { key_files, range, policy, budget_bytes };
                let resolved = resolve_on_threads::<u64, _>(size, &task, |_| Ok(Vec::new()))?;
                tally = Some(resolved.1);
                black_box(resolved.0);
                Ok(())
            })?;
            report(out, &format!("{size} ranks, resolve within {name}"), seconds, KEYS)?;
            if size == 1 {
                writeln!(out, "    {tally:?}")?;
            }
        }
    }
    Ok(())
}

/// Fills, exchanges and reads as many bytes as the messages of keys have.
fn all_to_all_of(size: usize) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = KEYS as usize * 12 / size / size;
    run_local(size, |comm| {
        let mut sends: Vec<Vec<u8>> = (0..size).map(|to| vec![to as u8 + 1; bytes]).collect();
        let mut receives = vec![Vec::new(); size];
        comm.all_to_all(&mut sends, &mut receives)?;
        let copies: Vec<Vec<u8>> = receives.to_vec();
        black_box(copies);
        Ok::<(), thresher_dedup::comm::CommError>(())
    })
    .map_err(|failure| format!("{:?}", failure.ranks))?;
    Ok(())
}

fn report(out: &mut impl Write, what: &str, seconds: f64, keys: u64) -> io::Result<()> {
    let rate = keys as f64 / 1e6 / seconds;
    writeln!(out, "{what:<48} {seconds:7.3} CPU s {rate:8.1} M keys/s")
}

/// Returns the CPU seconds of all threads in the best run, because the machine may be shared.
fn best_of(
    runs: usize,
    mut work: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let before = cpu_seconds()?;
        work()?;
        best = best.min(cpu_seconds()? - before);
    }
    Ok(best)
}

/// Returns the user and system time of this process, from `/proc`, in ticks of 10 ms.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().ok_or("no command in stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / 100.0)
}
