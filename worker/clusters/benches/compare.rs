//! Measures the comparison of members: what a corpus mostly consists of, and its worst components.
//!
//! * pairs: components of two documents;
//! * chain: one component, each document 0.85 similar to the next one;
//! * group: one component, all documents with one band in common and nothing else;
//! * copies: one component of similar documents.
//!
//! Run with `cargo bench -p thresher-clusters --bench compare [-- NAME DOCUMENTS MEGABYTES]`. Each
//! case prints CPU seconds, comparisons, and the largest memory of the process, which is why a name
//! runs one case alone.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use thresher_clusters::compare::{CompareTask, Settings, Survivors, Verify, compare};
use thresher_clusters::decisions::{DecisionFile, Group, decide};
use thresher_clusters::members_file::MembersWriter;
use thresher_clusters::runs::RunFile;
use thresher_clusters::{Document, Evidence, Head, Member};
use thresher_domain::SplitMix64;
use thresher_near::Threshold;

type Failure = Box<dyn std::error::Error>;

/// Shingles of a document of about 1,200 bytes.
const SHINGLES: u64 = 200;
const BANDS: u64 = 14;
const THRESHOLD: Threshold = Threshold::from_millionths(800_000);
const NAMES: [&str; 4] = ["pairs", "chain", "group", "copies"];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = io::stdout().lock();
    match arguments[..] {
        [] => NAMES.iter().try_for_each(|name| run(&mut out, name, 200_000, 64)),
        [name, documents, megabytes] if NAMES.contains(&name) => {
            run(&mut out, name, documents.parse()?, megabytes.parse()?)
        }
        _ => Err("usage: compare [pairs|chain|group|copies DOCUMENTS MEGABYTES]".into()),
    }
}

fn run(out: &mut impl Write, name: &str, documents: u64, megabytes: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let before = cpu_seconds()?;
    let files = [write_members(name, documents, folder.path())?];
    let size = fs::metadata(&files[0].path)?.len();
    let seconds = cpu_seconds()? - before;
    writeln!(out, "{name}, {documents} documents, {megabytes} MB of memory")?;
    writeln!(out, "    write members: {seconds:.2} CPU s, {} MB", size / 1_000_000)?;
    for survivors in [Survivors::Witness, Survivors::Components] {
        let before = cpu_seconds()?;
        let verify = Verify::Jaccard(THRESHOLD);
        let settings =
            Settings { verify, survivors, first_kept: 64, memory_bytes: megabytes << 20 };
        let task = CompareTask {
            members: &files,
            parts: 1,
            part: 0,
            group_units: 1000,
            settings,
            kept_from_source: u32::MAX,
            scratch_folder: folder.path(),
            open_files: 1,
        };
        let path = folder.path().join("decisions");
        let (_, tally) = compare(&task, BufWriter::new(File::create(&path)?))?;
        let compared = cpu_seconds()? - before;
        let group = Group { group: 0, group_units: 1000 };
        let parts = [RunFile { number: 0, path }];
        let decided = folder.path().join("group");
        let (_, summary) = decide(&parts, group, 1, BufWriter::new(File::create(&decided)?))?;
        let first = DecisionFile::open(&decided)?.of_unit(0)?.len();
        writeln!(
            out,
            "    {survivors:?}: {compared:.2} CPU s to compare, {:.2} to decide; {} comparisons, \
             {} removed, {} not compared, {first} decisions in unit 0; {} MB",
            cpu_seconds()? - before - compared,
            tally.comparisons,
            summary.removed,
            tally.not_compared,
            largest_memory_bytes()? / 1_000_000,
        )?;
    }
    Ok(())
}

fn write_members(name: &str, documents: u64, folder: &Path) -> Result<RunFile, Failure> {
    let path = folder.join("members");
    let out = BufWriter::new(File::create(&path)?);
    let mut writer = MembersWriter::new(out, 1, 64 << 20, folder)?;
    for at in 0..documents {
        writer.push(&member(name, at))?;
    }
    writer.finish()?.0.flush()?;
    Ok(RunFile { number: 0, path })
}

fn member(name: &str, at: u64) -> Member {
    // A chain goes on by a part of the shingles: (200 − 16) / (200 + 16) = 0.85 of them are common.
    let (first_shingle, first_key, component) = match name {
        "pairs" => (at / 2 * 1_000 + at % 2 * 10, at / 2 * 1_000, at / 2 * 2),
        "chain" => (at * 16, at * 4, 0),
        "group" => (at * 1_000, at * 1_000, 0),
        _ => (at % 16, 0, 0),
    };
    let mut shingles: Vec<u64> =
        (first_shingle..first_shingle + SHINGLES).map(SplitMix64::at).collect();
    shingles.sort_unstable();
    let mut keys: Vec<u64> = (0..BANDS)
        .map(|band| SplitMix64::at(1 << 50 | band << 40 | ((first_key + band) / 8)))
        .collect();
    if name == "group" {
        keys[3] = 7;
    }
    let document = |at: u64| Document { unit: (at / 10_000) as u32, place: (at % 10_000) as u32 };
    Member {
        component: document(component),
        rank: Vec::new(),
        head: Head {
            document: document(at),
            source: 0,
            dump: "CC-MAIN-2023-06".to_owned(),
            id: format!("https://example.org/some/path/of/a/page/{at}"),
            keys,
        },
        evidence: Evidence::Shingles(shingles),
    }
}

/// Returns the user and system time of this process, from `/proc`, in ticks of 10 ms.
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().ok_or("no command in stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / 100.0)
}

/// Returns the largest resident size of this process so far.
fn largest_memory_bytes() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
