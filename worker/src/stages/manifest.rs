//! The content of `manifest.json`: the job, its inputs, the published files, and the totals.
//!
//! **Invariant:** the manifest has nothing that may differ between two runs of the same job: no
//! time, no host, no path outside the output. The card, the Croissant file and the checksums are
//! functions of it, so that `verify` can prove them.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};
use thresher_formats::piece::Piece;
use thresher_job::{Format, Verify};
use thresher_storage::{Location, ReadOptions, StorageError};

/// The folder of shards of JSON lines, below the output.
pub const SHARD_FOLDER: &str = "documents";
/// The folder of shards of Parquet.
pub const PARQUET_FOLDER: &str = "parquet";
/// The folder of token files.
pub const TOKEN_FOLDER: &str = "tokens";
/// The folder of the index of near-duplicates.
pub const INDEX_FOLDER: &str = "near";
/// Version of the layout of the manifest. Version 1 had no formats, tables and tokens.
pub const MANIFEST_FORMAT: u32 = 2;

/// The content of `manifest.json`.
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
    /// The sides of the split, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits: Option<SplitEntry>,
    /// Number of records by outcome.
    pub accounting: ManifestAccounting,
    /// Number of documents by what the card shows.
    #[serde(default)]
    pub counts: Vec<CountEntry>,
    /// The shards, in the order of their documents; those of each format are together.
    pub shards: Vec<ShardEntry>,
    /// Rows of dropped and quarantined records.
    pub dropped: Vec<DroppedEntry>,
    /// Token files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenEntry>,
    /// The index of documents, with which later jobs find near-duplicates of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_index: Option<NearIndex>,
    /// The inputs that were read.
    pub inputs: Vec<InputEntry>,
    /// Units whose inputs are not in the output because they failed permanently.
    pub absent_units: Vec<u32>,
    /// Shards that could not be written.
    pub absent_shards: Vec<u32>,
}

/// How documents were divided into those for training and those for validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitEntry {
    /// The part for validation, as the job file has it.
    pub validation: String,
    /// What decides: `content`, the hash of the text.
    pub by: String,
    /// The rank below which documents are for validation, by source.
    pub validation_below: BTreeMap<String, u64>,
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

/// Documents of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountEntry {
    /// Name of the source.
    pub source: String,
    /// Kind of the source.
    pub slice: String,
    /// Side of the split, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Language, if it is known.
    pub language: Option<String>,
    /// SPDX expression of the licence, if it is known.
    pub licence: Option<String>,
    /// Number of documents.
    pub documents: u64,
    /// Bytes of their texts.
    pub text_bytes: u64,
    /// Bytes of their JSON lines.
    pub json_bytes: u64,
    /// Number of their tokens, if they are counted.
    pub tokens: Option<u64>,
}

/// A shard in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Path below the output directory.
    pub path: String,
    /// Form of the file.
    #[serde(default = "lines")]
    pub format: Format,
    /// Name of the source.
    #[serde(default)]
    pub source: String,
    /// Side of the split, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Language of all its documents, if languages have folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Compressed size.
    pub bytes: u64,
    /// Hash of the compressed file.
    pub blake3: String,
    /// SHA-256 of the compressed file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// Number of documents.
    pub documents: u64,
    /// Size of JSON lines, or of the values of Parquet, before compression.
    #[serde(default)]
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

/// A token file in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// Path below the output directory.
    pub path: String,
    /// Name of the source.
    pub source: String,
    /// Side of the split, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Size in bytes.
    pub bytes: u64,
    /// Hash of the file.
    pub blake3: String,
    /// Number of documents.
    pub documents: u64,
    /// Number of tokens, with one that ends each document.
    pub tokens: u64,
}

/// The index of the documents of a job, for later jobs that look for near-duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearIndex {
    /// Version of the layout of its files.
    pub format: u32,
    /// What decides its keys and evidence: a job with another rule cannot use it.
    pub rule: IndexRule,
    /// Its files, in the order of the shards that they describe.
    pub files: Vec<IndexEntry>,
}

/// What decides the band keys and the evidence of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRule {
    /// The preset, which decides how a text is cut, hashed and signed.
    pub preset: String,
    /// The unit of shingles, and their number.
    pub shingles: String,
    /// Number of bands.
    pub bands: u64,
    /// Number of rows of a band.
    pub rows: u64,
    /// The comparison that the evidence is for.
    pub verify: Verify,
    /// blake3 of the tokenizer, if shingles are tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
}

/// A file of an index in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Path below the output directory.
    pub path: String,
    /// Name of the source.
    pub source: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Hash of the file.
    pub blake3: String,
    /// Number of documents.
    pub documents: u64,
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

/// Earlier manifests had JSON lines only.
fn lines() -> Format {
    Format::Jsonl
}

impl Manifest {
    /// Returns the forms of the shards.
    pub fn formats(&self) -> Vec<Format> {
        let mut formats: Vec<Format> = self.shards.iter().map(|shard| shard.format).collect();
        formats.sort();
        formats.dedup();
        formats
    }

    /// Returns the shards of the form that has every document and is read first: JSON lines, if
    /// there are any.
    pub fn readable_shards(&self) -> impl Iterator<Item = &ShardEntry> {
        let first = self.formats().first().copied();
        self.shards.iter().filter(move |shard| Some(shard.format) == first)
    }

    /// Returns the files of the index, if there is one.
    pub fn index_files(&self) -> impl Iterator<Item = &IndexEntry> {
        self.near_index.iter().flat_map(|index| &index.files)
    }

    /// Returns every file of the output that the manifest names, with its size and hash.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64, &str)> {
        let shards = self.shards.iter().map(|it| (it.path.as_str(), it.bytes, it.blake3.as_str()));
        let dropped =
            self.dropped.iter().map(|it| (it.path.as_str(), it.bytes, it.blake3.as_str()));
        let tokens = self.tokens.iter().map(|it| (it.path.as_str(), it.bytes, it.blake3.as_str()));
        let index = self.index_files();
        let index = index.map(|it| (it.path.as_str(), it.bytes, it.blake3.as_str()));
        shards.chain(dropped).chain(tokens).chain(index)
    }
}
