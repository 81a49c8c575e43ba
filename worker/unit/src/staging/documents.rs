//! Staged documents and drop rows: JSON lines in checksummed blocks.
//!
//! The lines are already what is published, so publishing only picks and copies. After the blocks
//! of lines come blocks with the length of each line, so that the layout of shards reads four
//! bytes a document; the metadata says what the unit did.
//!
//! **Invariant:** the file is a function of the lines alone: blocks are cut by size, never by time.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thresher_proto::pb::Stage;

use super::input_table::InputRow;
use crate::{Tally, UnitError};
use thresher_formats::blocks::{BlockCursor, BlockFile, BlockWriter, Compression, Damage, Kind};
use thresher_formats::gzip::InputDigest;
use thresher_formats::piece::Piece;

/// Documents that passed the filters.
pub const DOCUMENTS: Kind = Kind(*b"DOCS");
/// A row for each record that was dropped or quarantined.
pub const DROPPED: Kind = Kind(*b"DROP");

const BLOCK_BYTES: usize = 1 << 20;
const SIZES_PER_BLOCK: usize = 1 << 16;

/// What a unit says of itself in its documents file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFacts {
    pub inputs: Vec<InputFacts>,
    /// blake3 of the files that the recipe names, by key.
    pub recipe_files: BTreeMap<String, String>,
    pub tally: Tally,
    /// Of each document, for sources whose near-duplicates are looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<u64>,
    /// Places that hold no document but the drop row of one that only took part in comparisons,
    /// in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<u32>,
    /// Of each document, for sources whose documents are kept by their address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<u64>,
    /// The place of the first document behind the beginning of each input that has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_starts: Vec<u32>,
}

/// One input, or a piece of it, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFacts {
    pub path: String,
    /// What was read of it, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<Piece>,
    pub bytes: u64,
    pub blake3: String,
}

impl InputFacts {
    /// Describes what was read of the input `name`; refuses an input that differs from the listing.
    pub fn of_read(name: &str, row: &InputRow, digest: InputDigest) -> Result<Self, UnitError> {
        if let Some(listed) = row.bytes_to_read().filter(|listed| *listed != digest.bytes) {
            return Err(UnitError::Fatal(format!(
                "the input `{name}` changed: listed with {listed} bytes, read {}\nhint: inputs must \
                 not change while a job runs; begin again with a new state directory",
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
    lines: u64,
    line_blocks: usize,
    facts: T,
}

/// Writes lines into blocks.
pub struct JsonLinesWriter<W: Write> {
    blocks: BlockWriter<W>,
    block: Vec<u8>,
    in_block: u32,
    sizes: Vec<u32>,
}

impl<W: Write> JsonLinesWriter<W> {
    pub fn new(sink: W, kind: Kind) -> io::Result<Self> {
        let blocks = BlockWriter::new(sink, kind, Compression::Zstd(1))?;
        Ok(Self { blocks, block: Vec::new(), in_block: 0, sizes: Vec::new() })
    }

    /// Adds one line and returns its bytes, the line feed included.
    pub fn push(&mut self, line: &impl Serialize) -> io::Result<u32> {
        let before = self.block.len();
        serde_json::to_writer(&mut self.block, line)?;
        self.block.push(b'\n');
        let too_long = |_| io::Error::other("a line of more than 4 GiB");
        let bytes = u32::try_from(self.block.len() - before).map_err(too_long)?;
        self.sizes.push(bytes);
        self.in_block += 1;
        if self.block.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(bytes)
    }

    /// How many lines were added.
    pub fn lines(&self) -> u64 {
        self.sizes.len() as u64
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.in_block > 0 {
            let first = self.sizes.len() as u128 - u128::from(self.in_block);
            self.blocks.push(first, self.in_block, &self.block)?;
            self.block.clear();
            self.in_block = 0;
        }
        Ok(())
    }

    /// Writes sizes, facts and index; gives the sink back.
    pub fn finish(mut self, facts: &impl Serialize) -> io::Result<W> {
        self.flush()?;
        let line_blocks = self.blocks.blocks();
        for (number, sizes) in self.sizes.chunks(SIZES_PER_BLOCK).enumerate() {
            let payload: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
            self.blocks.push(number as u128, sizes.len() as u32, &payload)?;
        }
        let metadata = Metadata { lines: self.sizes.len() as u64, line_blocks, facts };
        self.blocks.finish(&serde_json::to_vec(&metadata)?)
    }
}

/// An open file of lines.
pub struct DocumentFile {
    file: BlockFile,
    metadata: Metadata<serde_json::Value>,
    unit: u32,
}

impl DocumentFile {
    /// Opens the file that PREPARE unit `unit` wrote.
    pub fn open(path: &Path, kind: Kind, unit: u32) -> Result<Self, UnitError> {
        let staged = |error| UnitError::staged(Stage::Prepare, unit, &error);
        let file = BlockFile::open(path, kind).map_err(staged)?;
        let metadata: Metadata<serde_json::Value> = serde_json::from_slice(file.metadata())
            .map_err(|_| staged(file.damaged(0, Damage::Layout("metadata is no JSON"))))?;
        if metadata.line_blocks > file.entries().len() {
            return Err(staged(file.damaged(0, Damage::Layout("fewer blocks than stated"))));
        }
        Ok(Self { file, metadata, unit })
    }

    pub fn lines(&self) -> u64 {
        self.metadata.lines
    }

    /// What the unit did.
    pub fn facts(&self) -> Result<UnitFacts, UnitError> {
        serde_json::from_value(self.metadata.facts.clone())
            .map_err(|_| self.staged(self.file.damaged(0, Damage::Layout("facts are not known"))))
    }

    /// The bytes of each line.
    pub fn sizes(&self) -> Result<Vec<u32>, UnitError> {
        let blocks = self.metadata.line_blocks..self.file.entries().len();
        let mut cursor = self.file.blocks(blocks).map_err(|error| self.staged(error))?;
        let mut sizes = Vec::new();
        while let Some(block) = cursor.next_block().map_err(|error| self.staged(error))? {
            let (whole, _) = block.payload.as_chunks::<4>();
            sizes.extend(whole.iter().map(|bytes| u32::from_le_bytes(*bytes)));
        }
        if sizes.len() as u64 != self.metadata.lines {
            return Err(self.staged(self.file.damaged(0, Damage::Layout("sizes are missing"))));
        }
        Ok(sizes)
    }

    /// Hands out the lines of the places `first..last` with their place, in order.
    pub fn for_each(
        &self,
        first: u32,
        last: u32,
        mut take: impl FnMut(u32, &[u8]) -> Result<(), UnitError>,
    ) -> Result<(), UnitError> {
        let entries = &self.file.entries()[..self.metadata.line_blocks];
        let begins = |entry: &thresher_formats::blocks::BlockEntry| entry.label as u32;
        let from = entries.partition_point(|e| begins(e) + e.count <= first);
        let to = entries.partition_point(|e| begins(e) < last).max(from);
        let mut cursor = self.file.blocks(from..to).map_err(|error| self.staged(error))?;
        while let Some((label, payload)) = self.next(&mut cursor)? {
            for (place, line) in (label..).zip(payload.split_inclusive(|byte| *byte == b'\n')) {
                if (first..last).contains(&place) {
                    take(place, line)?;
                }
            }
        }
        Ok(())
    }

    fn next<'a>(
        &self,
        cursor: &'a mut BlockCursor<'_>,
    ) -> Result<Option<(u32, &'a [u8])>, UnitError> {
        let block = cursor.next_block().map_err(|error| self.staged(error))?;
        Ok(block.map(|block| (block.label as u32, block.payload)))
    }

    fn staged(&self, error: thresher_formats::blocks::BlocksError) -> UnitError {
        UnitError::staged(Stage::Prepare, self.unit, &error)
    }
}
