//! The files of a PREPARE unit that hold documents and drop rows.
//!
//! ```text
//! <unit>.documents   blocks of documents · blocks of their summaries · facts of the unit
//! <unit>.dropped     blocks of drop rows
//! ```
//! The summaries are beside the documents so that LAYOUT, which decides by them, reads a few bytes
//! of each document and no text.
//!
//! **Invariant:** a file is a function of its records and facts alone.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thresher_proto::pb::Stage;

use super::input_table::InputRow;
use super::records::{ENCODING, RecordBlocks, RecordFile};
use super::staged::{DocumentSummary, Staged, StagedRow};
use crate::{Tally, UnitError};
use thresher_formats::blocks::{BlockWriter, Compression, Kind};
use thresher_formats::gzip::InputDigest;
use thresher_formats::piece::Piece;

/// The name ending of a file of documents that passed the filters.
pub const DOCUMENTS: Kind = Kind(*b"DOCS");
/// The name ending of a file with a row for each record that was dropped or quarantined.
pub const DROPPED: Kind = Kind(*b"DROP");

/// The facts about a unit in its documents file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFacts {
    /// The inputs of the unit.
    pub inputs: Vec<InputFacts>,
    /// blake3 of the files that the recipe names, by key.
    pub recipe_files: BTreeMap<String, String>,
    /// The counts of the unit.
    pub tally: Tally,
}

/// One input, or a piece of it, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFacts {
    /// Path of the input, as listed.
    pub path: String,
    /// The part that was read, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<Piece>,
    /// Number of bytes that were read.
    pub bytes: u64,
    /// Hash of these bytes.
    pub blake3: String,
}

impl InputFacts {
    /// Describes what was read of the input `name`; refuses an input that differs from the listing.
    pub fn of_read(name: &str, row: &InputRow, digest: InputDigest) -> Result<Self, UnitError> {
        let published = row.published.as_ref();
        if let Some(shard) = published.filter(|it| *it.blake3 != *digest.blake3.to_hex()) {
            return Err(UnitError::Storage(format!(
                "the shard `{name}` is not the file that the manifest of its corpus describes: its \
                 blake3 is {}, not {}\nhint: it was damaged or changed; copy it from its origin \
                 again, and check the corpus with `thresher verify`",
                digest.blake3.to_hex(),
                shard.blake3
            )));
        }
        if let Some(listed) = row.bytes_to_read().filter(|listed| *listed != digest.bytes) {
            return Err(UnitError::Data(format!(
                "the input `{name}` changed: listed with {listed} bytes, read {}\nhint: inputs \
                 must not change while a job runs; after it has stopped, the same command \
                 continues with the new ones",
                digest.bytes
            )));
        }
        let blake3 = digest.blake3.to_hex().to_string();
        let (path, piece) = (row.path.clone(), row.piece);
        Ok(Self { path, piece, bytes: digest.bytes, blake3 })
    }
}

#[derive(Serialize, Deserialize)]
struct Metadata<T> {
    encoding: u32,
    documents: u64,
    /// Number of blocks of documents; the blocks of summaries follow.
    document_blocks: usize,
    /// Number of documents that have an address.
    addressed: u64,
    facts: T,
}

/// Writes the documents of a unit.
pub struct DocumentWriter<W: Write> {
    file: BlockWriter<W>,
    documents: RecordBlocks,
    summaries: Vec<DocumentSummary>,
}

impl<W: Write> DocumentWriter<W> {
    /// Starts a file.
    pub fn new(sink: W) -> io::Result<Self> {
        let file = BlockWriter::new(sink, DOCUMENTS, Compression::Zstd(1))?;
        Ok(Self { file, documents: RecordBlocks::default(), summaries: Vec::new() })
    }

    /// Adds the document, or the drop row in its place, at the next place.
    pub fn push(&mut self, staged: &Staged<'_>, summary: DocumentSummary) -> io::Result<()> {
        self.documents.push(&mut self.file, staged)?;
        self.summaries.push(summary);
        Ok(())
    }

    /// Writes summaries, facts and index, and returns the sink.
    pub fn finish(mut self, facts: &UnitFacts) -> io::Result<W> {
        self.documents.flush(&mut self.file)?;
        let document_blocks = self.file.blocks();
        let mut blocks = RecordBlocks::default();
        for summary in &self.summaries {
            blocks.push(&mut self.file, summary)?;
        }
        blocks.flush(&mut self.file)?;
        let metadata = Metadata {
            encoding: ENCODING,
            documents: self.documents.records(),
            document_blocks,
            addressed: self.summaries.iter().filter(|s| s.address.is_some()).count() as u64,
            facts,
        };
        self.file.finish(&serde_json::to_vec(&metadata)?)
    }
}

/// An open documents file.
pub struct DocumentFile {
    records: RecordFile,
    metadata: Metadata<serde_json::Value>,
}

impl DocumentFile {
    /// Opens the file that PREPARE unit `unit` wrote.
    pub fn open(path: &Path, unit: u32) -> Result<Self, UnitError> {
        let records = RecordFile::open(path, DOCUMENTS, (Stage::Prepare, unit))?;
        let metadata: Metadata<serde_json::Value> = serde_json::from_slice(records.file.metadata())
            .map_err(|_| records.damaged(0, "the metadata is not known"))?;
        if metadata.encoding != ENCODING {
            return Err(UnitError::Node(format!(
                "`{}` has encoding {} of staged documents, and this build reads {ENCODING}\nhint: \
                 run all workers of a job with one version",
                path.display(),
                metadata.encoding
            )));
        }
        if metadata.document_blocks > records.file.entries().len() {
            return Err(records.damaged(0, "fewer blocks than stated"));
        }
        Ok(Self { records, metadata })
    }

    /// Returns the number of documents that have an address.
    pub fn addressed(&self) -> u64 {
        self.metadata.addressed
    }

    /// Returns the facts about the unit.
    pub fn facts(&self) -> Result<UnitFacts, UnitError> {
        serde_json::from_value(self.metadata.facts.clone())
            .map_err(|_| self.records.damaged(0, "facts are not known"))
    }

    /// Reads the summary of each document, in order.
    pub fn summaries(&self) -> Result<Vec<DocumentSummary>, UnitError> {
        let blocks = self.metadata.document_blocks..self.records.file.entries().len();
        let mut summaries = Vec::with_capacity(self.metadata.documents as usize);
        self.records.for_each(blocks, 0..u32::MAX, |_, summary| {
            summaries.push(summary.decode()?);
            Ok(())
        })?;
        if summaries.len() as u64 != self.metadata.documents {
            return Err(self.records.damaged(0, "summaries are missing"));
        }
        Ok(summaries)
    }

    /// Passes on what is at the places `first..last`, with the place, in order.
    pub fn for_each(
        &self,
        first: u32,
        last: u32,
        mut each: impl FnMut(u32, Staged<'_>) -> Result<(), UnitError>,
    ) -> Result<(), UnitError> {
        let blocks = 0..self.metadata.document_blocks;
        self.records.for_each(blocks, first..last, |place, staged| each(place, staged.decode()?))
    }
}

/// Writes the drop rows of a unit.
pub struct DropWriter<W: Write> {
    file: BlockWriter<W>,
    rows: RecordBlocks,
}

impl<W: Write> DropWriter<W> {
    /// Starts a file.
    pub fn new(sink: W) -> io::Result<Self> {
        let file = BlockWriter::new(sink, DROPPED, Compression::Zstd(1))?;
        Ok(Self { file, rows: RecordBlocks::default() })
    }

    /// Adds a row.
    pub fn push(&mut self, row: &StagedRow<'_>) -> io::Result<()> {
        self.rows.push(&mut self.file, row)
    }

    /// Writes the index, and returns the sink.
    pub fn finish(mut self) -> io::Result<W> {
        self.rows.flush(&mut self.file)?;
        self.file.finish(b"")
    }
}

/// An open file of drop rows.
pub struct DropFile(RecordFile);

impl DropFile {
    /// Opens the file that PREPARE unit `unit` wrote.
    pub fn open(path: &Path, unit: u32) -> Result<Self, UnitError> {
        RecordFile::open(path, DROPPED, (Stage::Prepare, unit)).map(Self)
    }

    /// Passes on the rows in order.
    pub fn for_each(
        &self,
        mut each: impl FnMut(&StagedRow<'_>) -> Result<(), UnitError>,
    ) -> Result<(), UnitError> {
        let blocks = 0..self.0.file.entries().len();
        self.0.for_each(blocks, 0..u32::MAX, |_, row| each(&row.decode()?))
    }
}

#[cfg(test)]
mod tests;
