//! Reads one file of an output and compares it with the manifest.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};

use serde::Deserialize;

use super::Difference;
use crate::inspect::lines::read_lines;
use crate::stages::schemas::columns::NAME;
use crate::stages::splits::{rank_of, side_of};
use crate::stages::{Manifest, ShardEntry};
use thresher_formats::gzip::InputDigest;
use thresher_formats::hashed::HashedReader;
use thresher_storage::{Location, ReadOptions};

/// A file as the manifest describes it.
pub(super) struct Expected<'a> {
    pub(super) path: &'a str,
    bytes: u64,
    blake3: &'a str,
    /// Number of documents or of drop rows.
    lines: u64,
    pub(super) kind: Kind<'a>,
}

/// What a file has.
pub(super) enum Kind<'a> {
    /// Documents.
    Shard {
        /// Its entry.
        entry: &'a ShardEntry,
        /// Whether its documents are counted: each is in a file of every form.
        counts: bool,
        /// The rank below which documents are for validation, if there is a split.
        validation_below: Option<u64>,
        /// Whether documents have the columns of the schema `uniform`.
        has_columns: bool,
    },
    /// Drop rows.
    Rows,
    /// Tokens, or their index.
    Tokens {
        /// The documents, if the file says how many it has.
        documents: Option<u64>,
    },
    /// The index of near-duplicates, which its hash proves.
    Index,
}

/// Verdict and reason of a row.
pub(super) type RowOutcome = (String, String);

/// What the table of documents is divided by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DocumentKey {
    pub(super) source: String,
    pub(super) slice: String,
    pub(super) split: Option<String>,
    pub(super) language: Option<String>,
    pub(super) licence: Option<String>,
}

/// What a file has.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    pub(super) outcomes: BTreeMap<RowOutcome, u64>,
    /// Documents, bytes of text and tokens by key.
    pub(super) documents: BTreeMap<DocumentKey, (u64, u64, u64)>,
    /// Hash of all lines.
    pub(super) content: Option<blake3::Hash>,
    pub(super) differences: Vec<Difference>,
}

/// Returns every file of a manifest.
pub(super) fn expected_files(manifest: &Manifest) -> Vec<Expected<'_>> {
    let first = manifest.formats().first().copied();
    let below = |source: &str| {
        let splits = manifest.splits.as_ref()?;
        splits.validation_below.get(source).copied()
    };
    let shards = manifest.shards.iter().map(|entry| Expected {
        path: &entry.path,
        bytes: entry.bytes,
        blake3: &entry.blake3,
        lines: entry.documents,
        kind: Kind::Shard {
            entry,
            counts: Some(entry.format) == first,
            validation_below: below(&entry.source),
            has_columns: manifest.schema == NAME,
        },
    });
    let dropped = manifest.dropped.iter().map(|file| Expected {
        path: &file.path,
        bytes: file.bytes,
        blake3: &file.blake3,
        lines: file.rows,
        kind: Kind::Rows,
    });
    let tokens = manifest.tokens.iter().map(|file| Expected {
        path: &file.path,
        bytes: file.bytes,
        blake3: &file.blake3,
        lines: 0,
        kind: Kind::Tokens { documents: file.path.ends_with(".idx").then_some(file.documents) },
    });
    let index = manifest.index_files().map(|file| Expected {
        path: &file.path,
        bytes: file.bytes,
        blake3: &file.blake3,
        lines: 0,
        kind: Kind::Index,
    });
    shards.chain(dropped).chain(tokens).chain(index).collect()
}

/// Reads a file to its end.
pub(super) fn read_file(output: &Location, file: &Expected<'_>) -> Seen {
    let mut seen = Seen::default();
    let mut json_bytes = 0;
    let mut bad_row = None;
    let location = output.join(file.path);
    let read = match &file.kind {
        Kind::Tokens { documents } => hash(&location).map(|digest| {
            let documents = documents.map(|expected| check_index(&location, expected));
            (digest, documents.unwrap_or(Ok(())))
        }),
        Kind::Index => hash(&location).map(|digest| (digest, Ok(()))),
        Kind::Shard { .. } | Kind::Rows => {
            let mut content = blake3::Hasher::new();
            let read = read_lines(&location, |line| {
                seen.lines += 1;
                json_bytes += line.len() as u64;
                content.update(line);
                if let Err(error) = seen.line(line, &file.kind) {
                    bad_row.get_or_insert((seen.lines, error));
                }
            });
            seen.content = Some(content.finalize());
            read
        }
    };
    let path = || file.path.to_owned();
    let (InputDigest { bytes, blake3 }, content) = match read {
        Ok(read) => read,
        Err(error) => {
            seen.differences.push(if error.kind() == ErrorKind::NotFound {
                Difference::Missing { path: path() }
            } else {
                Difference::Unreadable { path: path(), error: error.to_string() }
            });
            return seen;
        }
    };
    seen.bytes = bytes;
    let differences = &mut seen.differences;
    if bytes != file.bytes {
        differences.push(Difference::Bytes { path: path(), expected: file.bytes, found: bytes });
    }
    let found = blake3.to_hex();
    if found.as_str() != file.blake3 {
        let (expected, found) = (file.blake3.to_owned(), found.to_string());
        differences.push(Difference::Hash { path: path(), expected, found });
    }
    if let Err(error) = content {
        differences.push(Difference::Damaged { path: path(), error: error.to_string() });
        return seen;
    }
    if seen.lines != file.lines {
        let (expected, found) = (file.lines, seen.lines);
        differences.push(Difference::Lines { path: path(), expected, found });
    }
    if let Some(expected) = file.json_bytes().filter(|expected| *expected != json_bytes) {
        differences.push(Difference::JsonBytes { path: path(), expected, found: json_bytes });
    }
    if let Some((line, error)) = bad_row {
        differences.push(Difference::Row { path: path(), line, error });
    }
    seen
}

fn hash(location: &Location) -> std::io::Result<InputDigest> {
    HashedReader::new(thresher_storage::open(location, &ReadOptions::default())?).finish()
}

/// Compares the number of documents in the header of an index.
fn check_index(location: &Location, expected: u64) -> std::io::Result<()> {
    let (mut before, mut count) = ([0; 18], [0; 8]);
    let mut file = thresher_storage::open(location, &ReadOptions::default())?;
    file.read_exact(&mut before).and_then(|()| file.read_exact(&mut count))?;
    let found = u64::from_le_bytes(count);
    if found == expected {
        return Ok(());
    }
    Err(std::io::Error::other(format!("it has {found} documents, not {expected}")))
}

impl Expected<'_> {
    /// Returns the size of JSON lines before compression.
    fn json_bytes(&self) -> Option<u64> {
        match &self.kind {
            Kind::Shard { entry, .. } if entry.format == thresher_job::Format::Jsonl => {
                Some(entry.json_bytes)
            }
            Kind::Shard { .. } | Kind::Rows | Kind::Tokens { .. } | Kind::Index => None,
        }
    }

    /// Returns the shard without its folder and its ending, which its forms have in common.
    pub(super) fn stem(&self) -> Option<&str> {
        let Kind::Shard { .. } = self.kind else { return None };
        let (_, below) = self.path.split_once('/')?;
        below.strip_suffix(".jsonl.zst").or_else(|| below.strip_suffix(".parquet"))
    }
}

impl Seen {
    /// Counts one line, or returns what is wrong with it.
    fn line(&mut self, line: &[u8], kind: &Kind<'_>) -> Result<(), String> {
        match kind {
            Kind::Rows => {
                let row: Row<'_> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
                let outcome = (row.verdict.into_owned(), row.reason.into_owned());
                *self.outcomes.entry(outcome).or_default() += 1;
            }
            Kind::Shard { entry, validation_below, has_columns: true, .. } => {
                let row: Document<'_> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
                row.check_side(entry, *validation_below)?;
                let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
                let key = DocumentKey {
                    source: row.source.into_owned(),
                    slice: row.slice.into_owned(),
                    split: entry.split.clone(),
                    language: owned(row.language),
                    licence: owned(row.licence),
                };
                let (documents, bytes, tokens) = self.documents.entry(key).or_default();
                *documents += 1;
                *bytes += row.bytes;
                *tokens += row.tokens.unwrap_or_default();
            }
            Kind::Shard { .. } | Kind::Tokens { .. } | Kind::Index => {}
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    verdict: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

/// The columns by which documents are counted.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    slice: Cow<'a, str>,
    #[serde(borrow)]
    language: Option<Cow<'a, str>>,
    #[serde(borrow)]
    licence: Option<Cow<'a, str>>,
    bytes: u64,
    tokens: Option<u64>,
    #[serde(borrow)]
    content_hash: Cow<'a, str>,
}

impl Document<'_> {
    /// Returns an error if the document is on the wrong side of the split.
    fn check_side(&self, entry: &ShardEntry, below: Option<u64>) -> Result<(), String> {
        let Some(below) = below else { return Ok(()) };
        let hash = blake3::Hash::from_hex(&*self.content_hash).map_err(|e| e.to_string())?;
        let side = side_of(true, rank_of(&hash), below);
        if side == entry.split.as_deref() {
            return Ok(());
        }
        Err(format!("it belongs to the side `{}` of the split", side.unwrap_or_default()))
    }
}
