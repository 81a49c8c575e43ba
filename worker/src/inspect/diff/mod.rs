//! `diff`: which documents only one of two corpora has, and why the other has not.
//!
//! ```text
//! lines of both → entries by record, on disk → compare ─┬→ same, changed, dropped there
//!               → entries by text, on disk   → search ──┴→ under another name, or not at all
//! ```
//! It is a merge join in parts that fit into memory: `spill` divides, `join` compares. Lines are
//! about the same record if they have the same id and address.
//!
//! **Invariant:** every published document of either corpus is counted once.

mod counts;
mod join;
mod listing;
mod read;
mod spill;
#[cfg(test)]
mod tests;
mod text;

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;
use thresher_job::Bytes;

use self::counts::Counting;
use self::join::{Event, compare, search};
use self::listing::{Instead, Listing};
use self::read::{Read, files_of, read, writing};
use self::spill::{Entry, Role};
use super::{default_threads, output_place, read_manifest};
use crate::stages::Manifest;
use thresher_storage::Location;

/// What the other corpus has instead: the text, of another record or as one copy of several.
const ELSEWHERE: &str = "has the same text in another row";
/// What the other corpus has instead: nothing.
const UNKNOWN: &str = "has no record of it";

/// Compare the documents of two corpora
///
/// Shows how many documents only one of them has, and what the other did with the record: the
/// reasons for which it was dropped or quarantined, the same text in another row, or nothing,
/// because its inputs did not have it. Records are compared by id and address, texts by their
/// hashes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thresher diff corpus-1 corpus-2\n  \
                        thresher diff corpus-1 s3://bucket/corpus-2 --documents differences.jsonl")]
pub struct DiffArgs {
    /// Output of a complete job: a directory, `s3://bucket/prefix`, web address, or job file
    #[arg(value_name = "A")]
    pub a: String,
    /// The output to compare it with
    #[arg(value_name = "B")]
    pub b: String,
    /// Write a JSON line about each document that differs
    #[arg(long, value_name = "FILE")]
    pub documents: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Memory for sorting; the rest is in temporary files
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub memory: Bytes,
    /// Directory of temporary files, about 100 bytes for each document [default: $TMPDIR or /tmp]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Files to read at a time [default: as many as cores, 8 at most]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// How two corpora differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CorpusDiff {
    /// Whether both have the same documents with the same texts.
    pub equal: bool,
    /// Number of documents in the first corpus.
    pub documents_a: u64,
    /// Number of documents in the second corpus.
    pub documents_b: u64,
    /// Counts by source.
    pub sources: Vec<SourceDiff>,
    /// Documents that only the first corpus has.
    pub only_in_a: Vec<Found>,
    /// Documents that only the second corpus has.
    pub only_in_b: Vec<Found>,
    /// Records that neither has, for different reasons.
    pub other_reasons: Vec<OtherReason>,
}

/// The documents of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceDiff {
    /// Name of the source.
    pub source: String,
    /// Number of documents that both have, with the same text.
    pub same: u64,
    /// Number of documents that both have, with different texts.
    pub changed: u64,
    /// Number of documents that only the first has.
    pub only_in_a: u64,
    /// Number of documents that only the second has.
    pub only_in_b: u64,
}

/// Documents of a source that only one corpus has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Name of the source.
    pub source: String,
    /// What the other corpus has: the reason for which it dropped the record, for example.
    pub other: String,
    /// Number of documents.
    pub documents: u64,
}

/// Records that neither corpus has, for different reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherReason {
    /// Name of the source in the first corpus.
    pub source: String,
    /// The reason in the first corpus.
    pub a: String,
    /// The reason in the second corpus.
    pub b: String,
    /// Number of records.
    pub records: u64,
}

impl DiffArgs {
    /// Compares the outputs that the arguments name.
    pub fn run(&self) -> anyhow::Result<CorpusDiff> {
        let places = [output_place(&self.a)?, output_place(&self.b)?];
        let manifests = [read_manifest(&places[0])?, read_manifest(&places[1])?];
        for (place, manifest) in places.iter().zip(&manifests) {
            refuse_without_documents(place, manifest)?;
            self.refuse_to_overwrite(place)?;
        }
        let [a, b] = &manifests;
        let files = files_of([&places[0], &places[1]], [a, b]);
        let scratch = self.scratch.clone().unwrap_or_else(std::env::temp_dir);
        let threads = self.threads.unwrap_or_else(default_threads).max(1);
        let entries = read(&files, &scratch, self.memory.0, threads)?;
        let documents = [a.accounting.published, b.accounting.published];
        let listing = match &self.documents {
            Some(_) => {
                Some(Listing::create(&scratch, documents.iter().sum(), self.memory.0, files.len())?)
            }
            None => None,
        };
        let mut counting = Counting::new(&entries.labels, listing.as_ref());
        compare_records(&entries, &mut counting)?;
        search_texts(&entries, &mut counting)?;
        let diff = counting.finish();
        anyhow::ensure!(
            [diff.documents_a, diff.documents_b] == documents,
            "the manifests name {} and {} documents, and the shards have {} and {}\nhint: \
             `thresher verify` shows what is damaged",
            documents[0],
            documents[1],
            diff.documents_a,
            diff.documents_b
        );
        if let (Some(path), Some(listing)) = (&self.documents, &listing) {
            let failed = || format!("failed to create `{}`", path.display());
            let mut out = BufWriter::new(File::create(path).with_context(failed)?);
            listing.write(&files, &entries.labels, &mut out)?;
        }
        Ok(diff)
    }

    /// Returns an error if the list of documents would be written into a corpus.
    fn refuse_to_overwrite(&self, place: &Location) -> anyhow::Result<()> {
        let (Some(list), Location::Path(corpus)) = (&self.documents, place) else { return Ok(()) };
        let list = std::path::absolute(list).context("the path of the list is not valid")?;
        let folder = list.parent().map(std::path::Path::canonicalize).and_then(Result::ok);
        // A link leads to the file that would be overwritten.
        let target = list.canonicalize().ok().or_else(|| Some(folder?.join(list.file_name()?)));
        let corpus = corpus.canonicalize().unwrap_or_else(|_| corpus.clone());
        anyhow::ensure!(
            !target.is_some_and(|target| target.starts_with(&corpus)),
            "the list of documents would be written into the corpus `{place}`\nhint: name a file \
             outside of both corpora"
        );
        Ok(())
    }
}

/// Returns an error if a corpus has token files alone.
fn refuse_without_documents(place: &Location, manifest: &Manifest) -> anyhow::Result<()> {
    let has_documents = manifest.readable_shards().next().is_some();
    anyhow::ensure!(
        has_documents || manifest.tokens.is_empty(),
        "`{place}` has no documents, only token files\nhint: compare the corpus of which they were \
         made"
    );
    Ok(())
}

/// Compares the lines about each record, and adds those whose text is to be searched to the texts.
fn compare_records(entries: &Read, counting: &mut Counting<'_>) -> anyhow::Result<()> {
    for part in 0..entries.records.parts() {
        let sorted = entries.records.sorted(part).map_err(writing)?;
        for group in sorted.chunk_by(|a, b| a.key == b.key) {
            let mut events = Vec::new();
            compare(group, |event| events.push(event));
            for event in events {
                if let Event::Unknown(entry) = event {
                    let entry = Entry { key: entry.text, role: Role::Searched, ..entry };
                    entries.texts.push(&entry).map_err(writing)?;
                }
                counting.event(&event)?;
            }
        }
    }
    Ok(())
}

/// Searches the texts of documents whose record the other corpus does not have.
fn search_texts(entries: &Read, counting: &mut Counting<'_>) -> anyhow::Result<()> {
    for part in 0..entries.texts.parts() {
        let sorted = entries.texts.sorted(part).map_err(writing)?;
        for group in sorted.chunk_by(|a, b| a.key == b.key) {
            for (entry, is_there) in search(group) {
                let instead = if is_there { Instead::OtherName } else { Instead::Nothing };
                counting.only(&entry, instead)?;
            }
        }
    }
    Ok(())
}
