//! Reads both corpora into entries: one for each line, by its record, and one for each text.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use thresher_storage::Location;

use super::super::in_parallel;
use super::super::lines::read_lines;
use super::super::row::{Outcome, Row};
use super::spill::{Entry, Role, Spill};
use crate::stages::Manifest;

/// A file of one of the corpora.
pub(super) struct SideFile {
    pub(super) side: u8,
    pub(super) path: Location,
    /// Path below the corpus.
    pub(super) name: String,
    /// The source of all documents, if the rows have another meaning of this word.
    source: Option<String>,
    blake3: String,
    lines: u64,
}

/// Returns the files of documents and drop rows of both corpora. An entry has a number in this
/// list.
pub(super) fn files_of(places: [&Location; 2], manifests: [&Manifest; 2]) -> Vec<SideFile> {
    let mut files = Vec::new();
    for (side, (place, manifest)) in (0..).zip(places.into_iter().zip(manifests)) {
        let is_published = manifest.schema.starts_with("redpajama");
        let shards = manifest.readable_shards().map(|it| {
            let source = is_published.then(|| it.source.clone());
            (&it.path, source, &it.blake3, it.documents)
        });
        let dropped = manifest.dropped.iter().map(|it| (&it.path, None, &it.blake3, it.rows));
        files.extend(shards.chain(dropped).map(|(name, source, blake3, lines)| SideFile {
            side,
            path: place.join(name),
            name: name.clone(),
            source,
            blake3: blake3.clone(),
            lines,
        }));
    }
    files
}

/// The source of a line and, for a record that was not published, why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Label {
    pub(super) source: String,
    pub(super) reason: Option<String>,
}

/// The labels that occur, with numbers.
#[derive(Default)]
pub(super) struct Labels {
    numbers: Mutex<HashMap<Label, u32>>,
}

impl Labels {
    fn number(&self, label: &Label) -> u32 {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.get(label) {
            return *number;
        }
        let number = numbers.len() as u32;
        numbers.insert(label.clone(), number);
        number
    }

    /// Returns the labels by their numbers.
    pub(super) fn into_list(self) -> Vec<Label> {
        let numbers = self.numbers.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut labels: Vec<(u32, Label)> =
            numbers.into_iter().map(|(label, number)| (number, label)).collect();
        labels.sort_unstable_by_key(|(number, _)| *number);
        labels.into_iter().map(|(_, label)| label).collect()
    }
}

/// The entries of all lines.
pub(super) struct Read {
    /// By record.
    pub(super) records: Spill,
    /// By text.
    pub(super) texts: Spill,
    pub(super) labels: Vec<Label>,
}

/// Reads all files.
pub(super) fn read(
    files: &[SideFile],
    scratch: &Path,
    memory: u64,
    threads: usize,
) -> anyhow::Result<Read> {
    let lines = files.iter().map(|file| file.lines).sum();
    let create = || {
        Spill::create(scratch, lines, memory).with_context(|| {
            format!(
                "failed to create temporary files in `{}`\nhint: choose another directory with \
                 `--scratch`",
                scratch.display()
            )
        })
    };
    let (records, texts, labels) = (create()?, create()?, Labels::default());
    let numbered: Vec<(u32, &SideFile)> = (0..).zip(files).collect();
    let found = in_parallel(&numbered, threads, |(number, file)| {
        let reading = FileReading { number: *number, file, labels: &labels };
        reading.read(&records, &texts)
    });
    found.into_iter().collect::<anyhow::Result<()>>()?;
    Ok(Read { records, texts, labels: labels.into_list() })
}

struct FileReading<'a> {
    number: u32,
    file: &'a SideFile,
    labels: &'a Labels,
}

impl FileReading<'_> {
    fn read(&self, records: &Spill, texts: &Spill) -> anyhow::Result<()> {
        let SideFile { path, blake3, .. } = self.file;
        let mut line = 0;
        let mut problem: Option<anyhow::Error> = None;
        let (digest, content) = read_lines(path, |text| {
            line += 1;
            if problem.is_some() {
                return;
            }
            let Some(entry) = self.entry(text, line) else {
                problem = Some(anyhow::anyhow!("line {line} of `{path}` is not valid"));
                return;
            };
            let spilt = records.push(&entry).and_then(|()| match entry.role {
                Role::Kept => texts.push(&Entry { key: entry.text, ..entry }),
                Role::Lost | Role::Searched | Role::Changed | Role::Only => Ok(()),
            });
            problem = spilt.err().map(writing);
        })
        .with_context(|| format!("failed to read `{path}`"))?;
        let differs = digest.blake3.to_hex().as_str() != blake3;
        anyhow::ensure!(
            !differs && content.is_ok(),
            "`{path}` differs from its manifest\nhint: `thresher verify` shows what is damaged"
        );
        problem.map_or(Ok(()), Err)
    }

    /// Returns the entry of a line, or `None` if the line is neither a document nor a drop row.
    fn entry(&self, line: &[u8], number: u32) -> Option<Entry> {
        let row = Row::parse(line)?;
        let (role, reason, text) = match row.outcome {
            Outcome::Published => (Role::Kept, None, start(&row.text_hash()?)),
            Outcome::Dropped | Outcome::Quarantined => {
                let verb = if row.outcome == Outcome::Dropped { "dropped" } else { "quarantined" };
                let reason = row.reason.as_deref().unwrap_or("unknown");
                (Role::Lost, Some(format!("{verb}: {reason}")), [0; 16])
            }
        };
        let source = self.file.source.clone().unwrap_or_else(|| row.source.to_string());
        let label = Label { source, reason };
        Some(Entry {
            key: start(&record_hash(&row)),
            side: self.file.side,
            role,
            text,
            file: self.number,
            line: number,
            label: self.labels.number(&label),
        })
    }
}

/// Returns the hash of what names a record in any output: its id and its address, or its place in
/// the input if it has neither.
fn record_hash(row: &Row<'_>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let url = row.url.as_deref().unwrap_or_default();
    if row.id.is_empty() && url.is_empty() {
        hasher.update(b"place\0").update(row.input.as_bytes()).update(b"\0");
        hasher.update(&row.offset.to_le_bytes()).update(&row.record.to_le_bytes());
    } else {
        hasher.update(b"name\0").update(row.id.as_bytes()).update(b"\0").update(url.as_bytes());
    }
    hasher.finalize()
}

fn start(hash: &blake3::Hash) -> [u8; 16] {
    std::array::from_fn(|at| hash.as_bytes()[at])
}

/// Returns the error for a temporary file that cannot be written or read.
pub(super) fn writing(error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error)
        .context("failed to use a temporary file\nhint: choose another directory with `--scratch`")
}
