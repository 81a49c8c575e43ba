//! `verify`: compares an output with its manifest.
//!
//! Every file is hashed, decompressed and counted; the drop rows are counted by reason; the sums of
//! the manifest are checked; and the reports are compared with their checksums (`reports`). An
//! output without a document is not sound: nobody wants one. Documents are not evaluated again;
//! only another run of the job does that.

mod companions;
mod files;
mod reports;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use self::files::{Expected, Kind, RowOutcome, Seen, expected_files, read_file};
use super::{InspectError, default_threads, in_parallel, output_place, read_manifest};
use crate::stages::{INDEX_FOLDER, Manifest, PARQUET_FOLDER, SHARD_FOLDER, TOKEN_FOLDER};
use thresher_storage::commit::is_private;
use thresher_storage::{Location, ReadOptions, names_below};

/// The folder of drop rows, below the output directory.
pub const DROPPED_FOLDER: &str = "dropped";

/// Hash every shard of an output again and recount its records
///
/// Compares both with the manifest. Exit status 6 means that something differs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thresher verify out/corpus && echo sound")]
pub struct VerifyArgs {
    /// Directory, `s3://bucket/prefix` or web address with the manifest, or job file
    pub output: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Files to read at a time [default: as many as cores, 8 at most]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// The figures of an output, and its differences from the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Name of the job.
    pub job_name: String,
    /// Whether there are no differences.
    pub sound: bool,
    /// Number of shards, counted once for each form.
    pub shards: u64,
    /// Number of files of drop rows.
    pub dropped_files: u64,
    /// Compressed size of all files.
    pub bytes: u64,
    /// Number of documents in the shards.
    pub documents: u64,
    /// Number of drop rows.
    pub rows: u64,
    /// Number of records that the job read, from the manifest.
    pub records_in: u64,
    /// Number of missing units, from the manifest.
    pub absent_units: u64,
    /// Number of missing shards, from the manifest.
    pub absent_shards: u64,
    /// Number of records in shards that could not be written.
    pub unpublished: u64,
    /// The differences from the manifest.
    pub differences: Vec<Difference>,
}

/// One difference from the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
pub enum Difference {
    Missing { path: String },
    Surplus { path: String },
    Unreadable { path: String, error: String },
    Damaged { path: String, error: String },
    Bytes { path: String, expected: u64, found: u64 },
    Hash { path: String, expected: String, found: String },
    Lines { path: String, expected: u64, found: u64 },
    JsonBytes { path: String, expected: u64, found: u64 },
    Row { path: String, line: u64, error: String },
    Published { expected: u64, found: u64 },
    Reason { verdict: String, reason: String, expected: u64, found: u64 },
    Sum { records_in: u64, accounted: u64 },
    NothingPublished { records_in: u64 },
    Forms { path: String, other: String },
    Count { of: String, expected: u64, found: u64 },
    Made { path: String },
}

impl VerifyReport {
    /// Returns whether the job itself reported units or shards as missing.
    pub fn has_missing_units(&self) -> bool {
        self.absent_units + self.absent_shards > 0
    }
}

impl VerifyArgs {
    /// Verifies the output that the arguments name.
    pub fn run(&self) -> anyhow::Result<VerifyReport> {
        let output = output_place(&self.output)?;
        Ok(verify(&output, self.threads.unwrap_or_else(default_threads))?)
    }
}

/// Reads every file of an output and compares it with the manifest.
pub fn verify(output: &Location, threads: usize) -> Result<VerifyReport, InspectError> {
    let manifest = read_manifest(output)?;
    let files = expected_files(&manifest);
    let found = in_parallel(&files, threads.max(1), |file| read_file(output, file));

    let mut report = VerifyReport {
        job_name: manifest.job_name.clone(),
        sound: false,
        shards: manifest.shards.len() as u64,
        dropped_files: manifest.dropped.len() as u64,
        bytes: found.iter().map(|file| file.bytes).sum(),
        documents: 0,
        rows: 0,
        records_in: manifest.accounting.records_in,
        absent_units: manifest.absent_units.len() as u64,
        absent_shards: manifest.absent_shards.len() as u64,
        unpublished: 0,
        differences: Vec::new(),
    };
    let mut outcomes = BTreeMap::new();
    report.differences.extend(companions::wrong_counts(&manifest, &files, &found));
    report.differences.extend(different_forms(&files, &found));
    for (file, seen) in files.iter().zip(found) {
        match file.kind {
            Kind::Shard { counts: true, .. } => report.documents += seen.lines,
            Kind::Rows => report.rows += seen.lines,
            Kind::Shard { .. } | Kind::Tokens { .. } | Kind::Index => {}
        }
        for (outcome, records) in seen.outcomes {
            *outcomes.entry(outcome).or_default() += records;
        }
        report.differences.extend(seen.differences);
    }
    if manifest.shards.is_empty() {
        report.documents = tokenised(&manifest);
    }
    report.differences.extend(surplus(output, &manifest, &files)?);
    check_accounting(&manifest, &outcomes, &mut report);
    report.differences.extend(reports::altered(output)?);
    report.differences.extend(companions::altered(output, &manifest)?);
    if report.documents == 0 {
        let records_in = report.records_in;
        report.differences.push(Difference::NothingPublished { records_in });
    }
    report.sound = report.differences.is_empty();
    Ok(report)
}

/// Returns the number of documents of an output that has token files and no shards. Each document
/// is in a file of every form.
fn tokenised(manifest: &Manifest) -> u64 {
    let of = |ending: &str| {
        let files = manifest.tokens.iter().filter(|file| file.path.ends_with(ending));
        files.map(|file| file.documents).sum::<u64>()
    };
    of(".bin").max(of(".npy"))
}

/// Returns the files in the folders of an output that its manifest does not name.
fn surplus(
    output: &Location,
    manifest: &Manifest,
    files: &[Expected<'_>],
) -> Result<Vec<Difference>, InspectError> {
    let made = companions::names(manifest);
    let known: BTreeSet<&str> =
        files.iter().map(|file| file.path).chain(made.iter().map(String::as_str)).collect();
    let mut surplus = Vec::new();
    let folders = [SHARD_FOLDER, PARQUET_FOLDER, DROPPED_FOLDER, TOKEN_FOLDER, INDEX_FOLDER];
    for folder in folders {
        // A web server has no listing, so only files that the manifest names can be checked there.
        let names = names_below(output, folder, &ReadOptions::default())?.unwrap_or_default();
        // Unfinished files of killed attempts are not part of the output; `thresher clean` removes
        // them.
        let names =
            names.into_iter().filter(|name| !known.contains(name.as_str()) && !is_private(name));
        surplus.extend(names.map(|path| Difference::Surplus { path }));
    }
    Ok(surplus)
}

/// Returns the shards whose Parquet has other rows than their JSON lines.
fn different_forms(files: &[Expected<'_>], found: &[Seen]) -> Vec<Difference> {
    let mut first: BTreeMap<&str, (&str, blake3::Hash)> = BTreeMap::new();
    let mut different = Vec::new();
    for (file, seen) in files.iter().zip(found) {
        let (Some(stem), Some(content)) = (file.stem(), seen.content) else { continue };
        // A file that cannot be read is reported as such.
        if !seen.differences.is_empty() {
            continue;
        }
        match first.get(stem) {
            Some((other, hash)) if *hash != content => {
                let (path, other) = (file.path.to_owned(), (*other).to_owned());
                different.push(Difference::Forms { path, other });
            }
            Some(_) => {}
            None => {
                first.insert(stem, (file.path, content));
            }
        }
    }
    different
}

/// Checks that the manifest's sums are consistent, and compares them with what was counted.
fn check_accounting(
    manifest: &Manifest,
    outcomes: &BTreeMap<RowOutcome, u64>,
    into: &mut VerifyReport,
) {
    let accounting = &manifest.accounting;
    // A damaged manifest may have any numbers.
    let reasons = accounting.dropped.values().chain(accounting.quarantined.values());
    let accounted = reasons.fold(accounting.published, |sum, records| sum.saturating_add(*records));
    let records_in = accounting.records_in;
    // The records of shards that could not be written are missing; the manifest lists these shards.
    let lacks_shards = !manifest.absent_shards.is_empty();
    match records_in.checked_sub(accounted) {
        Some(0) => {}
        Some(missing) if lacks_shards => into.unpublished = missing,
        Some(_) | None => into.differences.push(Difference::Sum { records_in, accounted }),
    }
    if accounting.published != into.documents {
        let (expected, found) = (accounting.published, into.documents);
        into.differences.push(Difference::Published { expected, found });
    }
    let mut reasons: BTreeMap<RowOutcome, (u64, u64)> = BTreeMap::new();
    for (verdict, expected) in
        [("dropped", &accounting.dropped), ("quarantined", &accounting.quarantined)]
    {
        for (reason, records) in expected {
            let sum = &mut reasons.entry((verdict.to_owned(), reason.clone())).or_default().0;
            *sum = sum.saturating_add(*records);
        }
    }
    for (outcome, found) in outcomes {
        reasons.entry(outcome.clone()).or_default().1 += found;
    }
    for ((verdict, reason), (expected, found)) in reasons {
        // The rows of a shard that could not be written are missing too.
        let fits = expected == found || lacks_shards && found < expected;
        if !fits {
            into.differences.push(Difference::Reason { verdict, reason, expected, found });
        }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shards, documents, dropped_files, rows, bytes, .. } = self;
        let is_empty =
            |difference: &&Difference| matches!(difference, Difference::NothingPublished { .. });
        let state = match self.differences.iter().filter(is_empty).count() {
            _ if self.sound => "is sound",
            0 => "is different from its manifest",
            1 if self.differences.len() == 1 => "has no documents: nothing was published",
            _ => "is different from its manifest, and no documents of it can be counted",
        };
        writeln!(f, "output of job `{}` {state}", self.job_name)?;
        let (shards, documents) = (counted(*shards, "shard"), counted(*documents, "document"));
        writeln!(f, "  {shards} with {documents}")?;
        let (files, rows) = (counted(*dropped_files, "file"), counted(*rows, "row"));
        writeln!(f, "  {files} with {rows} of other records")?;
        writeln!(f, "  {bytes} bytes hashed")?;
        let records_in = self.records_in;
        write!(
            f,
            "  {} in = {} published + {} dropped or quarantined",
            counted(records_in, "record"),
            self.documents,
            self.rows,
        )?;
        if self.unpublished > 0 {
            write!(f, " + {} in shards that failed", self.unpublished)?;
        }
        writeln!(f)?;
        if self.absent_units + self.absent_shards > 0 {
            let units = counted(self.absent_units, "unit");
            let shards = counted(self.absent_shards, "shard");
            writeln!(f, "  {units} and {shards} failed permanently in the job")?;
        }
        if !self.sound {
            writeln!(f, "{}:", counted(self.differences.len() as u64, "difference"))?;
        }
        self.differences.iter().try_for_each(|difference| writeln!(f, "  {difference}"))
    }
}

/// Returns `1 shard` or `2 shards`.
fn counted(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "`{path}` is missing"),
            Self::Surplus { path } => write!(f, "`{path}` is not in the manifest"),
            Self::Unreadable { path, error } => write!(f, "`{path}` cannot be read: {error}"),
            Self::Damaged { path, error } => write!(f, "`{path}` is damaged: {error}"),
            Self::Bytes { path, expected, found } => {
                write!(f, "`{path}` has {found} bytes, not {expected}")
            }
            Self::Hash { path, expected, found } => {
                write!(f, "`{path}` has the blake3 {found}, not {expected}")
            }
            Self::Lines { path, expected, found } => {
                write!(f, "`{path}` has {found} lines, not {expected}")
            }
            Self::JsonBytes { path, expected, found } => {
                write!(f, "`{path}` inflates to {found} bytes, not {expected}")
            }
            Self::Row { path, line, error } => {
                write!(f, "line {line} of `{path}` is not a valid row: {error}")
            }
            Self::Published { expected, found } => {
                write!(f, "the shards have {found} documents, not {expected}")
            }
            Self::Reason { verdict, reason, expected, found } => {
                write!(f, "{found} records are {verdict} as `{reason}`, not {expected}")
            }
            Self::NothingPublished { records_in } => {
                write!(
                    f,
                    "nothing was published of {records_in} records\n  hint: `REPORT.md` counts \
                     them by the reason for which they were dropped"
                )
            }
            Self::Forms { path, other } => {
                write!(f, "`{path}` has other documents than `{other}`")
            }
            Self::Count { of, expected, found } => {
                write!(f, "the shards have {found} {of}, not {expected} as the manifest says")
            }
            Self::Made { path } => {
                write!(f, "`{path}` is not what is made from the manifest")
            }
            Self::Sum { records_in, accounted } => {
                write!(f, "{records_in} records came in, {accounted} are accounted for")
            }
        }
    }
}
