//! `trace`: shows where a page was read, and why it was kept or dropped.
//!
//! Every line of the output is searched for the bytes of the needle first, and only lines that have
//! them are parsed. A page may be found more than once, because it may have been crawled again.

use std::borrow::Cow;
use std::fmt;
use std::io;

use memchr::memmem::Finder;
use serde::Serialize;

use super::lines::read_lines;
use super::row::{Outcome, Row};
use super::{InspectError, default_threads, in_parallel, output_place, read_manifest};
use crate::stages::Manifest;
use thresher_domain::escape::line as line_of;
use thresher_storage::{Location, StorageError};

/// Number of sightings of one needle that are listed.
const MAX_SIGHTINGS: usize = 100;
const DUPLICATE: &str = "dedup/duplicate_document";

/// Show where a page was read and why it was kept or dropped
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thresher trace out/corpus https://example.org/\n  \
                        thresher trace out/corpus 4b1c… --json")]
pub struct TraceArgs {
    /// Directory, `s3://bucket/prefix` or web address with the manifest, or job file
    pub output: String,
    /// Complete URL, record id or content hash; or the name of an input, for its quarantined
    /// records
    #[arg(value_name = "URL-or-ID")]
    pub needle: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Files to read at a time [default: as many as cores, 8 at most]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// All records of an output that match a needle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    /// The URL, id, hash or input that was searched.
    pub needle: String,
    /// The records in the order of the manifest, shards first.
    pub sightings: Vec<Sighting>,
    /// Whether there are more records than are listed.
    pub more: bool,
}

/// One record that matches the needle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sighting {
    /// What happened to the record.
    #[serde(rename = "fate")]
    pub outcome: Outcome,
    /// The rule that dropped or quarantined it.
    pub reason: Option<String>,
    /// Further details of the reason.
    pub detail: Option<String>,
    /// Id of the record.
    pub id: String,
    /// URL of the record; empty if it has none.
    pub url: String,
    /// Name of the source.
    pub source: String,
    /// Path of the input, as listed.
    pub input: String,
    /// Offset of the record in the input, in bytes.
    pub offset: u64,
    /// Number of the record in the input.
    pub record: u64,
    /// Language of the document, if it is known.
    pub language: Option<String>,
    /// blake3 of the text, if it is known.
    pub content_hash: Option<String>,
    /// File of the output that has the record.
    pub file: String,
    /// Line in that file, counted from 1.
    pub line: u64,
    /// For a near-duplicate: the id of the kept document that it resembles.
    pub witness: Option<String>,
    /// The earlier output that has this document, if it is none of this output.
    pub witness_output: Option<String>,
    /// For a near-duplicate: how similar the two are, from 0 to 1.
    pub similarity: Option<f64>,
    /// For a near-duplicate: the similarity that was asked for, if it decided.
    pub threshold: Option<f64>,
    /// The group of near-duplicates that the document is in, if it was compared.
    pub cluster: Option<Cluster>,
    /// For a duplicate: the documents with the same text that were kept; for a near-duplicate: its
    /// witness.
    #[serde(rename = "kept_twins")]
    pub kept_documents: Vec<KeptDocument>,
}

impl Sighting {
    /// Returns whether the needle is one of its names. A damaged record may have only its input's
    /// name.
    fn is_of(&self, needle: &str) -> bool {
        let damaged = self.outcome == Outcome::Quarantined;
        let hash = self.content_hash.as_deref();
        self.url == needle
            || self.id == needle
            || hash == Some(needle)
            || (damaged && self.input == needle)
    }
}

/// A group of near-duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Its name: the column `cluster`.
    pub name: String,
    /// Number of its documents, if the row says so.
    pub size: Option<u64>,
    /// Number of documents that are removed because of this one, if the row says so.
    pub near_duplicates: Option<u64>,
}

/// What is searched in the lines of an output.
#[derive(Debug, Clone, Copy)]
enum Sought<'a> {
    /// Records with this URL, id, content hash or damaged input.
    Name(&'a str),
    /// The document that is kept for all of a cluster.
    KeptOf(&'a str),
}

impl<'a> Sought<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Name(text) | Self::KeptOf(text) => text,
        }
    }

    fn is(self, sighting: &Sighting) -> bool {
        match self {
            Self::Name(name) => sighting.is_of(name),
            Self::KeptOf(name) => sighting.cluster.as_ref().is_some_and(|cluster| {
                cluster.name == name && cluster.near_duplicates.is_some_and(|number| number > 0)
            }),
        }
    }
}

/// A document that was kept instead of a duplicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptDocument {
    /// Id of the document.
    pub id: String,
    /// URL of the document; empty if it has none.
    pub url: String,
    /// Path of the input, as listed.
    pub input: String,
    /// Offset of the record in the input, in bytes.
    pub offset: u64,
    /// Number of the record in the input.
    pub record: u64,
    /// The shard.
    pub file: String,
    /// Line in the shard, counted from 1.
    pub line: u64,
}

impl TraceArgs {
    /// Looks for the needle in the output that the arguments name.
    pub fn run(&self) -> anyhow::Result<Trace> {
        // Records without a URL have an empty one, and all of them would match.
        anyhow::ensure!(
            !self.needle.is_empty(),
            "nothing to look for\nhint: write a URL, a record id or a content hash"
        );
        let threads = self.threads.unwrap_or_else(default_threads);
        Ok(trace(&output_place(&self.output)?, &self.needle, threads)?)
    }
}

/// Finds every record with this URL, id or content hash, and what is quarantined of an input.
pub fn trace(output: &Location, needle: &str, threads: usize) -> Result<Trace, InspectError> {
    let manifest = read_manifest(output)?;
    let files = files_of(&manifest);
    let mut sightings = search(output, &files, threads, Sought::Name(needle))?;
    let more = sightings.len() > MAX_SIGHTINGS;
    sightings.truncate(MAX_SIGHTINGS);
    let shards = &files[..manifest.readable_shards().count()];
    for sighting in &mut sightings {
        let kept = kept_instead(sighting, |sought| search(output, shards, threads, sought))?;
        sighting.kept_documents =
            kept.into_iter().take(MAX_SIGHTINGS).map(KeptDocument::from).collect();
    }
    Ok(Trace { needle: needle.to_owned(), sightings, more })
}

/// Returns the documents that were kept instead of one, or that it resembles, with `search`.
fn kept_instead(
    sighting: &Sighting,
    search: impl Fn(Sought<'_>) -> Result<Vec<Sighting>, InspectError>,
) -> Result<Vec<Sighting>, InspectError> {
    if sighting.reason.as_deref() == Some(DUPLICATE) {
        let hash = sighting.content_hash.as_deref();
        return hash.map_or(Ok(Vec::new()), |hash| search(Sought::Name(hash)));
    }
    let resembles = match &sighting.cluster {
        Some(cluster) if sighting.outcome == Outcome::Published => {
            cluster.near_duplicates == Some(0) && cluster.size.is_some_and(|size| size > 1)
        }
        Some(_) | None => sighting.witness.is_some(),
    };
    if !resembles || sighting.witness_output.is_some() {
        return Ok(Vec::new());
    }
    if let Some(cluster) = &sighting.cluster {
        let kept = search(Sought::KeptOf(&cluster.name))?;
        if !kept.is_empty() {
            return Ok(kept);
        }
    }
    // A schema without the column `cluster` has only ids, which several documents may have.
    sighting.witness.as_deref().map_or(Ok(Vec::new()), |id| search(Sought::Name(id)))
}

fn files_of(manifest: &Manifest) -> Vec<&str> {
    let shards = manifest.readable_shards().map(|shard| shard.path.as_str());
    shards.chain(manifest.dropped.iter().map(|file| file.path.as_str())).collect()
}

fn search(
    output: &Location,
    files: &[&str],
    threads: usize,
    sought: Sought<'_>,
) -> Result<Vec<Sighting>, InspectError> {
    // The needle is searched as it is encoded in JSON.
    let quoted = serde_json::to_string(sought.text()).unwrap_or_default();
    let finder = Finder::new(quoted.trim_matches('"').as_bytes());
    let found = in_parallel(files, threads.max(1), |file| {
        let path = output.join(file);
        search_file(&path, file, sought, &finder)
            .map_err(|error| StorageError::from_io(error, || path.to_string()))
    });
    let mut sightings = Vec::new();
    for some in found {
        sightings.extend(some?);
    }
    Ok(sightings)
}

fn search_file(
    path: &Location,
    file: &str,
    sought: Sought<'_>,
    finder: &Finder<'_>,
) -> io::Result<Vec<Sighting>> {
    let mut sightings = Vec::new();
    let mut number = 0;
    let (_, content) = read_lines(path, |line| {
        number += 1;
        if sightings.len() > MAX_SIGHTINGS || finder.find(line).is_none() {
            return;
        }
        let Some(sighting) = sighting(line, file, number) else { return };
        if sought.is(&sighting) {
            sightings.push(sighting);
        }
    })?;
    content?;
    Ok(sightings)
}

/// Returns the record of one line, or `None` if the line is not valid.
fn sighting(text: &[u8], file: &str, line: u64) -> Option<Sighting> {
    let row = Row::parse(text)?;
    let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    let detail = owned(row.detail);
    let in_detail = || detail.as_deref()?.strip_prefix("content_hash ").map(str::to_owned);
    Some(Sighting {
        outcome: row.outcome,
        content_hash: owned(row.content_hash).or_else(in_detail),
        reason: owned(row.reason),
        detail,
        similarity: row.value.filter(|_| row.witness.is_some()),
        threshold: row.threshold.filter(|_| row.witness.is_some()),
        cluster: owned(row.cluster).map(|name| Cluster {
            name,
            size: row.cluster_size,
            near_duplicates: row.near_duplicates,
        }),
        witness: owned(row.witness),
        witness_output: owned(row.witness_output),
        id: row.id.into_owned(),
        url: owned(row.url).unwrap_or_default(),
        source: row.source.into_owned(),
        input: row.input.into_owned(),
        offset: row.offset,
        record: row.record,
        language: owned(row.language),
        file: file.to_owned(),
        line,
        kept_documents: Vec::new(),
    })
}

impl From<Sighting> for KeptDocument {
    fn from(sighting: Sighting) -> Self {
        let Sighting { id, url, input, offset, record, file, line, .. } = sighting;
        Self { id, url, input, offset, record, file, line }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sightings.iter().try_for_each(|sighting| write!(f, "{sighting}"))?;
        if self.more {
            writeln!(f, "and more; the first {MAX_SIGHTINGS} are shown")?;
        }
        Ok(())
    }
}

impl Sighting {
    /// Writes what is known of near-duplicates.
    fn write_near(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(witness) = self.witness.as_deref().map(line_of) {
            match (self.similarity, self.threshold) {
                (Some(similarity), Some(threshold)) => writeln!(
                    f,
                    "  near    similarity {similarity} to {witness}, threshold {threshold}"
                )?,
                (Some(similarity), None) => {
                    writeln!(f, "  near    similarity {similarity} to {witness}")?;
                }
                (None, _) => writeln!(f, "  near    {witness}")?,
            }
        }
        if let Some(output) = &self.witness_output {
            writeln!(f, "  kept    in the earlier output {}", line_of(output))?;
        }
        if let Some(Cluster { name, size, near_duplicates }) = &self.cluster {
            write!(f, "  cluster {}", line_of(name))?;
            if let Some(size) = size.filter(|size| *size > 1) {
                let removed = near_duplicates.unwrap_or(0);
                write!(f, ", {size} documents, {removed} of them removed because of this one")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, input, offset, record, source, .. } = self;
        // All of it was read from the output, and most of it came from inputs.
        let [file, input, source] = [file, input, source].map(|text| line_of(text));
        let reason = line_of(self.reason.as_deref().unwrap_or("unknown"));
        match self.outcome {
            Outcome::Published => writeln!(f, "published in `{file}`, line {line}")?,
            Outcome::Dropped => writeln!(f, "dropped: {reason} (`{file}`, line {line})")?,
            Outcome::Quarantined => writeln!(f, "quarantined: {reason} (`{file}`, line {line})")?,
        }
        writeln!(f, "  url     {}", line_of(&self.url))?;
        writeln!(f, "  id      {}", line_of(&self.id))?;
        writeln!(f, "  source  {source}")?;
        writeln!(f, "  input   {input}, at byte {offset}, record {record} of its piece")?;
        for (name, value) in
            [("lang  ", &self.language), ("hash  ", &self.content_hash), ("detail", &self.detail)]
        {
            if let Some(value) = value {
                writeln!(f, "  {name}  {}", line_of(value))?;
            }
        }
        self.write_near(f)?;
        for document in &self.kept_documents {
            let KeptDocument { url, file, line, input, record, .. } = document;
            let [url, file, input] = [url, file, input].map(|text| line_of(text));
            let place = format!("{input}, record {record} of its piece");
            writeln!(f, "  kept    {url} in `{file}`, line {line} ({place})")?;
        }
        if self.kept_documents.is_empty() && self.reason.as_deref() == Some(DUPLICATE) {
            writeln!(f, "  kept    none with this text")?;
        }
        Ok(())
    }
}
