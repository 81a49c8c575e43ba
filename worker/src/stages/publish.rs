//! PUBLISH: one shard, and the rows of what was dropped beside it.
//!
//! **Invariant:** the encoder is fed pieces of one size, so the shard's bytes are a function of
//! its lines. A shard is one zstd frame: common readers stop after the first.

mod input_lines;

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thresher_domain::{Counter, Measure};
use thresher_job::{Schema, Slice};
use thresher_proto::pb::{self, PublishUnit, Stage};

use self::input_lines::InputLines;
use super::drops::Drops;
use super::excluded::leave;
use super::{Finished, JobContext, Task, digest_of};
use thresher_storage::commit::CommitError;
use thresher_storage::{OutputFile, StorageError};
use thresher_unit::staging::{DOCUMENTS, DROPPED, DocumentFile, UnitFacts, bytes_of, hash_of};
use thresher_unit::{Tally, UnitError, wire_counters};

/// What the encoder is fed at once.
const PIECE_BYTES: usize = 1 << 20;
/// Parallel file systems are slow in large folders.
const SHARDS_PER_FOLDER: u32 = 1_000;

/// What the manifest says of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardFacts {
    pub(super) documents: Option<PublishedFile>,
    pub(super) dropped: Option<PublishedFile>,
    pub(super) tally: Tally,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PublishedFile {
    /// Below the output directory.
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) blake3: String,
    pub(super) lines: u64,
    pub(super) json_bytes: u64,
}

/// Where the facts of a shard are; `ordinal` counts over all sources.
pub(super) fn facts_path(context: &JobContext, ordinal: u32) -> PathBuf {
    context.work.unit_file(Stage::Publish, ordinal, "facts")
}

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: PublishUnit = task.decode()?;
    let source = context.source(unit.source)?;
    let schema = context.job.output.schema;
    // Crawled pages are called after their line in what is left of their input.
    let numbers_lines =
        schema == Schema::RedpajamaV1 && context.recipe(unit.source)?.slice.is_crawl();
    let drops = Drops::read(context, unit.source, unit.ranges)?;
    let name = shard_name(&source.name, unit.shard);
    let mut documents = Shard::new(context, &format!("documents/{name}"), &task.tag)?;
    let mut dropped = Shard::new(context, &format!("dropped/{name}"), &task.tag)?;
    let (mut tally, mut records_in) = (Tally::default(), 0);
    for number in unit.first_unit..=unit.last_unit {
        let (first, last) = span(&unit, number);
        if unit.absent.binary_search(&number).is_ok() || first >= last {
            continue;
        }
        let path = |suffix| context.work.unit_file(Stage::Prepare, number, suffix);
        if first == 0 {
            let rows = DocumentFile::open(&path("dropped"), DROPPED, number)?;
            rows.for_each(0, u32::MAX, |_, row| dropped.line(row))?;
        }
        let drops = drops.of(context, number)?;
        let staged = DocumentFile::open(&path("documents"), DOCUMENTS, number)?;
        let UnitFacts { withdrawn, input_starts, .. } = staged.facts()?;
        let mut lines = numbers_lines.then(|| InputLines::begin(input_starts, first, &drops));
        staged.for_each(first, last, |place, line| {
            task.stop.check()?;
            records_in += 1;
            tally.bytes_in += line.len() as u64;
            let withdrawn = withdrawn.binary_search(&place).is_ok();
            if let Some(reason) = drops.reason(place) {
                // A row of what was withdrawn names things as the uniform schema does.
                let schema = if withdrawn { Schema::Uniform } else { schema };
                tally.drop(reason);
                return dropped.line(&duplicate_row(schema, line, &source.name, reason)?);
            }
            if withdrawn {
                tally.drop(&parse(Schema::Uniform, line)?.reason);
                return dropped.line(line);
            }
            let line = match &mut lines {
                Some(lines) => Cow::Owned(lines.renumber(place, line)?),
                None => Cow::Borrowed(line),
            };
            tally.kept += 1;
            tally.bytes_kept += line.len() as u64;
            count(&mut tally, source.slice, schema, &line)?;
            documents.line(&line)
        })?;
    }
    let facts = ShardFacts { documents: documents.finish()?, dropped: dropped.finish()?, tally };
    let hash = leave(&facts_path(context, task.unit.ordinal), &task.tag, &facts)?;
    let done = pb::Done {
        accounting: Some(facts.tally.to_wire(records_in)),
        digest: digest_of(&[hash]),
        keys: 0,
        counters: wire_counters(facts.tally.counters),
    };
    Ok(Finished { done, planned: Vec::new() })
}

/// A shard's name below `documents` and `dropped`. Whoever has few finds them there; from the
/// thousandth on each thousand has a folder.
fn shard_name(source: &str, shard: u32) -> String {
    let name = format!("{source}-{shard:05}.jsonl.zst");
    match shard / SHARDS_PER_FOLDER {
        0 => name,
        thousand => format!("{source}-{thousand:02}xxx/{name}"),
    }
}

/// The places of unit `number` that belong to the shard.
fn span(unit: &PublishUnit, number: u32) -> (u32, u32) {
    let first = if number == unit.first_unit { unit.first_document } else { 0 };
    let last = if number == unit.last_unit { unit.last_document } else { u32::MAX };
    (first, last)
}

/// What a document line says of itself that a drop row needs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow)]
    language: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Cow<'a, str>,
    offset: u64,
    record: u64,
    tokens: Option<u64>,
    /// Of what was withdrawn.
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow)]
    content_hash: Option<Cow<'a, str>>,
}

/// Where a document line says so: itself, below `origin`, or below `meta`, by its schema.
#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(borrow, default)]
    origin: Option<Named<'a>>,
    #[serde(borrow, default)]
    meta: Option<&'a RawValue>,
}

fn parse(schema: Schema, line: &[u8]) -> Result<Named<'_>, UnitError> {
    let named =
        match schema {
            Schema::Uniform => serde_json::from_slice(line),
            Schema::RedpajamaV1 => serde_json::from_slice::<Nested<'_>>(line).and_then(|nested| {
                match (nested.origin, nested.meta) {
                    (Some(origin), _) => Ok(origin),
                    (None, Some(meta)) => serde_json::from_str(meta.get()),
                    (None, None) => Ok(Named::default()),
                }
            }),
        };
    named.map_err(|error| UnitError::Fatal(format!("a staged document is no JSON: {error}")))
}

fn duplicate_row(
    schema: Schema,
    line: &[u8],
    source: &str,
    reason: &str,
) -> Result<Vec<u8>, UnitError> {
    let named = parse(schema, line)?;
    let detail = named.content_hash.as_deref().map(|hash| format!("content_hash {hash}"));
    let row = thresher_unit::document::DroppedRow {
        id: &named.id,
        url: &named.url,
        verdict: "dropped",
        reason,
        detail: detail.as_deref().unwrap_or_default(),
        source,
        input: &named.input,
        offset: named.offset,
        record: named.record,
    };
    let mut text = serde_json::to_vec(&row).map_err(|error| UnitError::Fatal(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// Counts a published document for the report's tables of slices and languages.
fn count(tally: &mut Tally, slice: Slice, schema: Schema, line: &[u8]) -> Result<(), UnitError> {
    let named = parse(schema, line)?;
    let of_slice = |measure| Counter::Slice { slice: slice.name().to_owned(), measure };
    let of_language =
        |language: &str, measure| Counter::Language { language: language.to_owned(), measure };
    tally.count(of_slice(Measure::Documents), 1);
    tally.count(of_slice(Measure::JsonBytes), line.len() as u64);
    if let Some(tokens) = named.tokens {
        tally.count(of_slice(Measure::Tokens), tokens);
        let language = named.language.as_deref().unwrap_or("unknown");
        tally.count(of_language(language, Measure::Tokens), tokens);
    }
    if let Some(language) = named.language {
        tally.count(of_language(&language, Measure::Documents), 1);
        tally.count(of_language(&language, Measure::JsonBytes), line.len() as u64);
    }
    Ok(())
}

/// A file of JSON lines on its way to the output; without a line there is no file.
struct Shard {
    name: String,
    encoder: zstd::stream::Encoder<'static, OutputFile>,
    piece: Vec<u8>,
    lines: u64,
    json_bytes: u64,
}

impl Shard {
    fn new(context: &JobContext, name: &str, tag: &str) -> Result<Self, UnitError> {
        let file = context.output.create(name, tag)?;
        let encoder = encoder(file, context.job.output.zstd_level).map_err(|e| fail(name, &e))?;
        let piece = Vec::with_capacity(PIECE_BYTES);
        Ok(Self { name: name.to_owned(), encoder, piece, lines: 0, json_bytes: 0 })
    }

    fn line(&mut self, line: &[u8]) -> Result<(), UnitError> {
        self.lines += 1;
        self.json_bytes += line.len() as u64;
        let mut rest = line;
        while !rest.is_empty() {
            let room = PIECE_BYTES - self.piece.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.piece.extend_from_slice(now);
            rest = later;
            if self.piece.len() == PIECE_BYTES {
                self.encoder.write_all(&self.piece).map_err(|error| fail(&self.name, &error))?;
                self.piece.clear();
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Option<PublishedFile>, UnitError> {
        if self.lines == 0 {
            return Ok(None);
        }
        self.encoder.write_all(&self.piece).map_err(|error| fail(&self.name, &error))?;
        let file = self.encoder.finish().map_err(|error| fail(&self.name, &error))?;
        let committed = match file.commit() {
            Err(CommitError::Different { path, ours, theirs }) => {
                return Err(other(&path, &ours, &theirs));
            }
            result => result?,
        };
        Ok(Some(PublishedFile {
            path: self.name,
            bytes: bytes_of(committed),
            blake3: hash_of(committed).to_hex().to_string(),
            lines: self.lines,
            json_bytes: self.json_bytes,
        }))
    }
}

fn encoder(file: OutputFile, level: i32) -> io::Result<zstd::stream::Encoder<'static, OutputFile>> {
    let mut encoder = zstd::stream::Encoder::new(file, level)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

fn fail(name: &str, error: &io::Error) -> UnitError {
    let text = format!("failed to write the shard `{name}`: {error}");
    match StorageError::of(error) {
        Some(known) => UnitError::by(known.remedy_of_place(), text),
        None => UnitError::writing(error, text),
    }
}

fn other(path: &Path, ours: &blake3::Hash, theirs: &blake3::Hash) -> UnitError {
    UnitError::Barred(format!(
        "`{}` is there with other content (blake3 {theirs}, this job makes {ours})\nhint: it is of \
         another job, or was changed; move it away, then run again",
        path.display()
    ))
}
