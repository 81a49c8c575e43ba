//! SEAL: compares every published file with what its unit reported, and writes the report and the
//! manifest, which marks the output as complete.
//!
//! **Invariant:** the manifest has nothing that may differ between two runs of the same job: no
//! time, no host, no path outside the output. The report may have these.

mod published;
pub(crate) mod report_sums;

use std::collections::BTreeMap;
use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use thresher_proto::pb::{self, SealUnit, Stage};

use super::publish::{PublishedFile, read_facts};
use super::{Finished, JobContext, Task, digest_of, schemas};
use thresher_formats::piece::Piece;
use thresher_storage::{Location, Output, ReadOptions, StorageError};
use thresher_unit::staging::{DocumentFile, hash_of};
use thresher_unit::{Tally, UnitError};

/// The folder of shards, below the output directory.
pub const SHARD_FOLDER: &str = "documents";

/// The content of `manifest.json`: the job, its inputs, and the published files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the layout of this file.
    pub format: u32,
    /// Name of the job.
    pub job_name: String,
    /// The versions on which the published bytes depend.
    pub thresher: String,
    /// Name of the record schema.
    pub schema: String,
    /// The job file with every default, without the locations and limits that change no byte.
    pub recipe: String,
    /// blake3 of the files that the recipe names (models, word lists), by the key that names them.
    pub recipe_files: BTreeMap<String, String>,
    /// Number of records by outcome.
    pub accounting: ManifestAccounting,
    /// The shards.
    pub shards: Vec<ShardEntry>,
    /// Rows of dropped and quarantined records.
    pub dropped: Vec<DroppedEntry>,
    /// The inputs that were read.
    pub inputs: Vec<InputEntry>,
    /// Units whose inputs are not in the output because they failed permanently.
    pub absent_units: Vec<u32>,
    /// Shards that could not be written.
    pub absent_shards: Vec<u32>,
}

/// The number of records by outcome: `records_in` is the sum of all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestAccounting {
    /// Number of records that were read.
    pub records_in: u64,
    /// Number of published documents.
    pub published: u64,
    /// Number of dropped records, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Number of quarantined records, by reason.
    pub quarantined: BTreeMap<String, u64>,
}

/// A shard in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Path below the output directory.
    pub path: String,
    /// Compressed size.
    pub bytes: u64,
    /// Hash of the compressed file.
    pub blake3: String,
    /// Number of documents.
    pub documents: u64,
    /// Size of the JSON lines before compression.
    pub json_bytes: u64,
}

/// A file of drop rows in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedEntry {
    /// Path below the output directory.
    pub path: String,
    /// Compressed size.
    pub bytes: u64,
    /// Hash of the compressed file.
    pub blake3: String,
    /// Number of rows.
    pub rows: u64,
}

/// An input in the manifest, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputEntry {
    /// Path of the input, as listed.
    pub path: String,
    /// The part of the input that this entry describes, if the input was split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<Piece>,
    /// Number of bytes that were read.
    pub bytes: u64,
    /// Hash of these bytes.
    pub blake3: String,
}

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: SealUnit = task.decode()?;
    let (manifest, published) = gather(context, &unit)?;
    published::check(context, &published, &task.stop)?;
    let mut text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| UnitError::Defect(error.to_string()))?;
    text.push(b'\n');
    let patient = ReadOptions::default();
    if let Some(other) = other_corpus(&context.output, &patient, |there| *there == manifest)? {
        return Err(UnitError::Storage(other));
    }
    let json = report_sums::added(&unit.report_json, &unit.report_markdown);
    put(context, task, "report.json", json.as_bytes(), true)?;
    put(context, task, "REPORT.md", unit.report_markdown.as_bytes(), true)?;
    // The manifest is written last, because an output with a manifest is complete.
    let hash = put(context, task, "manifest.json", &text, false)?;
    let done = pb::Done { digest: digest_of(&[hash]), ..pb::Done::default() };
    Ok(Finished { done, ..Finished::default() })
}

/// Returns the message for an output that has another corpus, or `None` if it has none.
pub(super) fn other_corpus(
    output: &Output,
    options: &ReadOptions,
    is_ours: impl FnOnce(&Manifest) -> bool,
) -> Result<Option<String>, StorageError> {
    let location = output.root().join("manifest.json");
    let owner = match read_manifest(output.root(), options)? {
        None => return Ok(None),
        Some(Ok(there)) if is_ours(&there) => return Ok(None),
        Some(Ok(there)) => format!("another corpus, of the job `{}`", there.job_name),
        Some(Err(_)) => "something else".to_owned(),
    };
    Ok(Some(format!(
        "`{location}` already exists and belongs to {owner}\nhint: choose an empty `output.path`, \
         or move everything in `{}` away, then run the same command again",
        output.root()
    )))
}

/// Reads the manifest of an output. Returns `None` if there is none, and an error inside if the
/// file is not a manifest.
pub(super) fn read_manifest(
    output: &Location,
    options: &ReadOptions,
) -> Result<Option<serde_json::Result<Manifest>>, StorageError> {
    let location = output.join("manifest.json");
    let mut text = Vec::new();
    match thresher_storage::open(&location, options) {
        Err(StorageError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
        Ok(mut file) => {
            let read = file.read_to_end(&mut text);
            read.map_err(|error| StorageError::from_io(error, || location.to_string()))?;
        }
    }
    Ok(Some(serde_json::from_slice(&text)))
}

/// Writes one file at the output's root. A second report replaces the first, because it has times.
fn put(
    context: &JobContext,
    task: &Task,
    name: &str,
    bytes: &[u8],
    replace: bool,
) -> Result<blake3::Hash, UnitError> {
    let mut file = context.output.create(name, &task.tag)?;
    let written = file.write_all(bytes);
    written.map_err(|error| UnitError::from(file.explain(error)))?;
    Ok(hash_of(if replace { file.commit_replacing()? } else { file.commit()? }))
}

/// Returns the manifest, and every file in it with the unit that published it.
fn gather(
    context: &JobContext,
    unit: &SealUnit,
) -> Result<(Manifest, Vec<published::Published>), UnitError> {
    let job = &context.job;
    let mut manifest = Manifest {
        format: 1,
        job_name: job.job.name.clone(),
        thresher: thresher_proto::VERSION.to_owned(),
        schema: schemas::name(job).to_owned(),
        recipe: job.recipe().resolved(),
        recipe_files: BTreeMap::new(),
        accounting: ManifestAccounting::default(),
        shards: Vec::new(),
        dropped: Vec::new(),
        inputs: Vec::new(),
        absent_units: unit.absent.clone(),
        absent_shards: unit.absent_shards.clone(),
    };
    let (mut prepared, mut rendered) = (Tally::default(), Tally::default());
    let mut published = Vec::new();
    for number in (0..unit.units).filter(|number| unit.absent.binary_search(number).is_err()) {
        let path = context.work.unit_file(Stage::Prepare, number, "documents");
        let facts = DocumentFile::open(&path, number)?.facts()?;
        prepared.add(&facts.tally);
        add_recipe_files(&mut manifest.recipe_files, facts.recipe_files)?;
        manifest.inputs.extend(facts.inputs.into_iter().map(|input| InputEntry {
            path: input.path,
            piece: input.piece,
            bytes: input.bytes,
            blake3: input.blake3,
        }));
    }
    for number in (0..unit.shards).filter(|n| unit.absent_shards.binary_search(n).is_err()) {
        let facts = read_facts(context, number)?;
        rendered.add(&facts.tally);
        published.extend(published::files_of(number, &facts));
        manifest.shards.extend(facts.documents.map(shard_entry));
        manifest.dropped.extend(facts.dropped.map(dropped_entry));
    }
    manifest.accounting = add_up(&prepared, rendered);
    Ok((manifest, published))
}

/// Adds the hashes of the recipe's files. Returns an error if two units used different files.
fn add_recipe_files(
    known: &mut BTreeMap<String, String>,
    read: BTreeMap<String, String>,
) -> Result<(), UnitError> {
    for (key, hash) in read {
        match known.get(&key) {
            Some(other) if *other != hash => {
                return Err(UnitError::JobFile(format!(
                    "the file that `{key}` names changed while the job ran: blake3 {other} for \
                     some units, {hash} for others\nhint: `--fresh` starts over with the new one"
                )));
            }
            Some(_) => {}
            None => {
                known.insert(key, hash);
            }
        }
    }
    Ok(())
}

fn add_up(prepared: &Tally, published: Tally) -> ManifestAccounting {
    let mut dropped = prepared.dropped.clone();
    for (reason, count) in published.dropped {
        *dropped.entry(reason).or_default() += count;
    }
    let quarantined = prepared.quarantined.clone();
    let records_in = prepared.records_in();
    ManifestAccounting { records_in, published: published.kept, dropped, quarantined }
}

fn shard_entry(file: PublishedFile) -> ShardEntry {
    let PublishedFile { path, bytes, blake3, lines, json_bytes } = file;
    ShardEntry { path, bytes, blake3, documents: lines, json_bytes }
}

fn dropped_entry(file: PublishedFile) -> DroppedEntry {
    let PublishedFile { path, bytes, blake3, lines, .. } = file;
    DroppedEntry { path, bytes, blake3, rows: lines }
}
