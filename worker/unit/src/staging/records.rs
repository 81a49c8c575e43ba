//! Typed records in the blocks of a staged file.
//!
//! ```text
//! block = length u32 · record · length u32 · record · …      (each record is encoded by postcard)
//! ```
//! The length lets a reader skip a record without looking into it. Postcard writes the fields in
//! the order of their declaration and without their names, so the types in `staged` are the format:
//! raise [`ENCODING`] when one of them changes, and the state version of the coordinator with it.
//!
//! **Invariant:** the blocks are a function of the records alone: they are cut by size, never by
//! time.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thresher_formats::blocks::{BlockEntry, BlockFile, BlockWriter, BlocksError, Damage, Kind};
use thresher_proto::pb::Stage;

use crate::UnitError;

/// Version of the encoding of staged records.
pub(super) const ENCODING: u32 = 5;

const BLOCK_BYTES: usize = 1 << 20;
const LENGTH_BYTES: usize = size_of::<u32>();

/// Writes records of one type into the blocks of a file. The label of a block is the place of its
/// first record.
#[derive(Debug, Default)]
pub(super) struct RecordBlocks {
    block: Vec<u8>,
    in_block: u32,
    records: u64,
}

impl RecordBlocks {
    /// Number of records that were added.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn push<W: Write>(
        &mut self,
        file: &mut BlockWriter<W>,
        record: &impl Serialize,
    ) -> io::Result<()> {
        let start = self.block.len();
        self.block.extend_from_slice(&[0; LENGTH_BYTES]);
        postcard::to_io(record, &mut self.block).map_err(io::Error::other)?;
        let length = u32::try_from(self.block.len() - start - LENGTH_BYTES)
            .map_err(|_| io::Error::other("a record of more than 4 GiB"))?;
        self.block[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        self.in_block += 1;
        self.records += 1;
        if self.block.len() >= BLOCK_BYTES { self.flush(file) } else { Ok(()) }
    }

    /// Writes the block that is not full. It must be called after the last record.
    pub(super) fn flush<W: Write>(&mut self, file: &mut BlockWriter<W>) -> io::Result<()> {
        if self.in_block > 0 {
            let first = self.records - u64::from(self.in_block);
            file.push(first.into(), self.in_block, &self.block)?;
            self.block.clear();
            self.in_block = 0;
        }
        Ok(())
    }
}

/// An open file of records, with the unit that has to run again if the file is damaged.
pub(super) struct RecordFile {
    pub(super) file: BlockFile,
    /// The unit that wrote it.
    producer: (Stage, u32),
}

/// One record as it is in the file.
pub(super) struct EncodedRecord<'a> {
    bytes: &'a [u8],
    file: &'a RecordFile,
    /// Offset of its block in the file.
    block_offset: u64,
}

impl<'a> EncodedRecord<'a> {
    /// Decodes the record; its texts point into the block.
    pub(super) fn decode<T: Deserialize<'a>>(&self) -> Result<T, UnitError> {
        postcard::from_bytes(self.bytes)
            .map_err(|_| self.file.damaged(self.block_offset, "a record cannot be decoded"))
    }
}

impl RecordFile {
    /// Opens a file that the unit `producer` wrote.
    pub(super) fn open(path: &Path, kind: Kind, producer: (Stage, u32)) -> Result<Self, UnitError> {
        let file = BlockFile::open(path, kind);
        let file = file.map_err(|error| UnitError::staged(producer.0, producer.1, &error))?;
        Ok(Self { file, producer })
    }

    /// Passes on the records at `places` with their place, in order, from the given blocks.
    pub(super) fn for_each(
        &self,
        blocks: Range<usize>,
        places: Range<u32>,
        mut each: impl FnMut(u32, &EncodedRecord<'_>) -> Result<(), UnitError>,
    ) -> Result<(), UnitError> {
        let entries = &self.file.entries()[blocks.clone()];
        let first_place = |entry: &BlockEntry| entry.label as u32;
        let from = entries.partition_point(|e| first_place(e) + e.count <= places.start);
        let to = entries.partition_point(|e| first_place(e) < places.end).max(from);
        let chosen = blocks.start + from..blocks.start + to;
        let mut cursor = self.file.blocks(chosen).map_err(|error| self.staged(&error))?;
        while let Some(block) = cursor.next_block().map_err(|error| self.staged(&error))? {
            let (mut place, mut rest) = (block.label as u32, block.payload);
            while let Some((length, after)) = rest.split_first_chunk::<LENGTH_BYTES>() {
                let length = u32::from_le_bytes(*length) as usize;
                let (bytes, after) = after
                    .split_at_checked(length)
                    .ok_or_else(|| self.damaged(block.offset, "a record is cut off"))?;
                if places.contains(&place) {
                    each(place, &EncodedRecord { bytes, file: self, block_offset: block.offset })?;
                }
                (place, rest) = (place + 1, after);
            }
        }
        Ok(())
    }

    /// Returns the error for a file whose content is inconsistent.
    pub(super) fn damaged(&self, offset: u64, what: &'static str) -> UnitError {
        self.staged(&self.file.damaged(offset, Damage::Layout(what)))
    }

    fn staged(&self, error: &BlocksError) -> UnitError {
        UnitError::staged(self.producer.0, self.producer.1, error)
    }
}
