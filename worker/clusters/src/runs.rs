//! Files of records that are sorted by part and key, whatever the order and memory in which they
//! were collected.
//!
//! ```text
//! push(part, key, payload) ──▶ memory ──full──▶ sorted runs in a scratch file
//!                                                         │ finish: merged
//!                                                         ▼
//!                                  one block file: records by (part, key, payload)
//! one part of many such files ──▶ RunFiles ──merge──▶ records by (key, payload)
//! ```
//! A block holds records of one part, which is its label, so that a part is found from the index.
//! This file does not know what keys and payloads mean.
//!
//! **Invariant:** equal sets of records give equal bytes.

mod merge;
mod reader;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thresher_formats::blocks::{BlockWriter, Compression, Kind};

use crate::scratch::{Scratch, ScratchError, ScratchWriter};
use merge::{Blocks, Merge, put_record, record_at};

pub use reader::{RunFile, RunFiles, RunMerge, RunsError};

/// A block is written when it has this many bytes: large enough for a short index, and small enough
/// that a reader holds one block of each of a thousand files.
const BLOCK_BYTES: usize = 256 << 10;
/// The same for runs, of which there may be more.
const RUN_BLOCK_BYTES: usize = 64 << 10;
/// Size of the part's number, with which a key starts.
const PART_BYTES: usize = 4;

/// The metadata of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {
    /// What the division into parts depends on; see [`RunFormat`].
    division: u32,
    records: u64,
}

/// What the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFormat {
    /// The kind of block file.
    pub kind: Kind,
    /// What the division into parts depends on, such as their number. A reader that expects another
    /// one refuses the file.
    pub division: u32,
    /// Whether records are compressed.
    pub compression: Compression,
}

/// Why records cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RunWriteError {
    /// The scratch file for what does not fit into memory failed.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The file itself could not be written.
    #[error("failed to write sorted records: {0}")]
    Output(#[from] io::Error),
}

/// Collects records in any order and writes them sorted.
pub struct RunWriter<W: Write> {
    blocks: BlockWriter<W>,
    division: u32,
    memory_bytes: usize,
    scratch_folder: PathBuf,
    held: Held,
    spilled: Option<Spilled>,
    key: Vec<u8>,
}

/// Records in memory, and the ranges of their keys and payloads.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    places: Vec<(Range<usize>, Range<usize>)>,
}

/// Sorted runs in the scratch file.
struct Spilled {
    scratch: ScratchWriter,
    /// The number of the block after each run.
    ends: Vec<usize>,
    records: u64,
}

impl<W: Write> RunWriter<W> {
    /// Starts a file. About `memory_bytes` are held in memory; what exceeds them goes to a scratch
    /// file without a name in `scratch_folder`.
    pub fn new(
        out: W,
        format: RunFormat,
        memory_bytes: usize,
        scratch_folder: &Path,
    ) -> io::Result<Self> {
        Ok(Self {
            blocks: BlockWriter::new(out, format.kind, format.compression)?,
            division: format.division,
            // A vector may have twice the capacity that it needs.
            memory_bytes: memory_bytes / 2,
            scratch_folder: scratch_folder.to_path_buf(),
            held: Held::default(),
            spilled: None,
            key: Vec::new(),
        })
    }

    /// Adds a record.
    pub fn push(&mut self, part: u32, key: &[u8], payload: &[u8]) -> Result<(), RunWriteError> {
        let added = PART_BYTES + key.len() + payload.len();
        if !self.held.places.is_empty() && self.held.size() + added > self.memory_bytes {
            self.spill()?;
        }
        self.key.clear();
        self.key.extend_from_slice(&part.to_be_bytes());
        self.key.extend_from_slice(key);
        self.held.push(&self.key, payload);
        Ok(())
    }

    /// Writes what was collected and returns the sink.
    pub fn finish(mut self) -> Result<W, RunWriteError> {
        if self.spilled.is_some() {
            self.spill()?;
        }
        let mut file = PartBlocks { blocks: self.blocks, block: Vec::new(), part: 0, count: 0 };
        let mut records = self.held.places.len() as u64;
        match self.spilled {
            None => {
                self.held.sort();
                self.held.records().try_for_each(|(key, payload)| file.push(key, payload))?;
            }
            Some(Spilled { scratch, ends, records: all }) => {
                records = all;
                let scratch = scratch.finish()?;
                let starts = [0].into_iter().chain(ends.iter().copied());
                let runs = starts
                    .zip(&ends)
                    .map(|(start, end)| Run { scratch: &scratch, blocks: start..*end });
                let mut merge = Merge::new(runs)?;
                while let Some(record) = merge.next_record()? {
                    file.push(record.key(), record.payload())?;
                }
            }
        }
        file.flush()?;
        let summary = Summary { division: self.division, records };
        let metadata = serde_json::to_vec(&summary).map_err(io::Error::from)?;
        Ok(file.blocks.finish(&metadata)?)
    }

    /// Writes what is in memory as one run.
    fn spill(&mut self) -> Result<(), RunWriteError> {
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            None => {
                let scratch = ScratchWriter::create(&self.scratch_folder)?;
                self.spilled.insert(Spilled { scratch, ends: Vec::new(), records: 0 })
            }
        };
        self.held.sort();
        let mut block = Vec::with_capacity(RUN_BLOCK_BYTES);
        for (key, payload) in self.held.records() {
            put_record(&mut block, key, payload);
            if block.len() >= RUN_BLOCK_BYTES {
                spilled.scratch.append(&block)?;
                block.clear();
            }
        }
        if !block.is_empty() {
            spilled.scratch.append(&block)?;
        }
        spilled.ends.push(spilled.scratch.count());
        spilled.records += self.held.places.len() as u64;
        self.held.bytes.clear();
        self.held.places.clear();
        Ok(())
    }
}

impl Held {
    fn size(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<(Range<usize>, Range<usize>)>()
    }

    fn push(&mut self, key: &[u8], payload: &[u8]) {
        let at = self.bytes.len();
        put_record(&mut self.bytes, key, payload);
        self.places.extend(record_at(&self.bytes, at));
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.places.sort_unstable_by(|left, right| {
            let of = |range: &Range<usize>| &bytes[range.clone()];
            of(&left.0).cmp(of(&right.0)).then_with(|| of(&left.1).cmp(of(&right.1)))
        });
    }

    fn records(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let places = self.places.iter().cloned();
        places.map(|(key, payload)| (&self.bytes[key], &self.bytes[payload]))
    }
}

/// Cuts sorted records into blocks of one part each.
struct PartBlocks<W: Write> {
    blocks: BlockWriter<W>,
    block: Vec<u8>,
    part: u32,
    count: u32,
}

impl<W: Write> PartBlocks<W> {
    fn push(&mut self, key: &[u8], payload: &[u8]) -> io::Result<()> {
        let part = part_of(key);
        if part != self.part || self.block.len() >= BLOCK_BYTES {
            self.flush()?;
            self.part = part;
        }
        put_record(&mut self.block, key, payload);
        self.count += 1;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.count > 0 {
            self.blocks.push(self.part.into(), std::mem::take(&mut self.count), &self.block)?;
            self.block.clear();
        }
        Ok(())
    }
}

/// Returns the part with which a key starts; all of its bits are set if the key is too short.
fn part_of(key: &[u8]) -> u32 {
    key.first_chunk::<PART_BYTES>().map_or(u32::MAX, |part| u32::from_be_bytes(*part))
}

/// One run of the scratch file.
struct Run<'a> {
    scratch: &'a Scratch,
    blocks: Range<usize>,
}

impl Blocks for Run<'_> {
    type Error = ScratchError;

    fn next_block(&mut self, block: &mut Vec<u8>) -> Result<bool, ScratchError> {
        block.clear();
        let Some(number) = self.blocks.next() else { return Ok(false) };
        self.scratch.read(number, block)?;
        Ok(true)
    }

    fn damaged(&self, _: &'static str) -> ScratchError {
        self.scratch.damaged(self.blocks.start.saturating_sub(1))
    }
}
