//! The table of the inputs of one source, in canonical order, which the list unit writes. A large
//! input that was split has a row for each piece.
//!
//! **Invariant:** the index of a row in the table is its number in positions and manifests.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thresher_proto::pb::Stage;

use super::create;
use crate::UnitError;
use thresher_formats::blocks::{BlockFile, BlockWriter, Compression, Damage, Kind};
use thresher_formats::piece::Piece;
use thresher_storage::commit::Committed;

const KIND: Kind = Kind(*b"INPT");
const ROWS_PER_BLOCK: usize = 4096;

/// One input as it was listed, or a piece of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRow {
    /// Path in the listing, relative to the source's base.
    pub path: String,
    /// Compressed size of the whole input; `None` for web addresses.
    pub bytes: Option<u64>,
    /// Whether the input was listed but did not exist.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
    /// ETag from the listing, if it had one. The input must have the same when it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The piece of the input, if it was split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<Piece>,
    /// What the manifest says of the input, if it is a shard of a corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedShard>,
}

/// What the manifest of a corpus says of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedShard {
    /// Hash of the file.
    pub blake3: String,
    /// Name of the source of its documents.
    pub source: String,
    /// Name of their slice; empty if it is not known.
    pub slice: String,
}

impl InputRow {
    /// Returns an input of which only the path is known.
    pub fn named(path: String) -> Self {
        Self { path, bytes: None, missing: false, etag: None, piece: None, published: None }
    }

    /// Returns the number of bytes that are read, if it is known.
    pub fn bytes_to_read(&self) -> Option<u64> {
        self.piece.map(|piece| piece.length).or(self.bytes)
    }
}

/// The rows of one source.
#[derive(Debug)]
pub struct InputTable {
    /// The rows, in canonical order.
    pub rows: Vec<InputRow>,
}

impl InputTable {
    /// Publishes the table, and replaces one that is there, which lists what the inputs were then.
    /// Two attempts that differ are noticed by their digests.
    pub fn write(&self, path: &Path, attempt_tag: &str) -> Result<Committed, UnitError> {
        let mut file = create(path, attempt_tag)?;
        let written = self.write_rows(&mut file);
        written.map_err(|error| UnitError::from(file.explain(error)))?;
        Ok(file.commit_replacing()?)
    }

    fn write_rows(&self, sink: &mut impl Write) -> std::io::Result<()> {
        let mut blocks = BlockWriter::new(sink, KIND, Compression::Zstd(1))?;
        for (number, rows) in self.rows.chunks(ROWS_PER_BLOCK).enumerate() {
            let payload = serde_json::to_vec(rows)?;
            blocks.push(number as u128, rows.len() as u32, &payload)?;
        }
        blocks.finish(b"")?;
        Ok(())
    }

    /// Reads the table of the list unit `source`.
    pub fn read(path: &Path, source: u32) -> Result<Self, UnitError> {
        let staged = |error| UnitError::staged(Stage::List, source, &error);
        let file = BlockFile::open(path, KIND).map_err(staged)?;
        let mut blocks = file.blocks(0..file.entries().len()).map_err(staged)?;
        let mut rows = Vec::new();
        while let Some(block) = blocks.next_block().map_err(staged)? {
            let some: Vec<InputRow> = serde_json::from_slice(block.payload).map_err(|_| {
                staged(file.damaged(block.offset, Damage::Layout("rows are not valid JSON")))
            })?;
            rows.extend(some);
        }
        Ok(Self { rows })
    }
}
