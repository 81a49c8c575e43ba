//! The keys of a group of units in one file, ordered by key range.
//!
//! ```text
//! block: sections of one range   section: unit · count · keys… · marked ordinals…
//! ```
//! A block is labelled with its range and its first unit, so that a range is found from the index.
//! Within a range, the sections of a unit have its keys in ascending order. [`super::gather`]
//! writes such files, and the exchange reads them.
//! Invariant: equal key files and numbers of ranges give equal bytes.

use std::io::{self, Write};
use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::key::HashKey;
use super::position::{KeyRange, Span};
use thresher_formats::blocks::{BlockFile, BlockWriter, BlocksError, Compression, Damage, Kind};

/// The kind of block file that holds the keys of a group.
pub const GROUP_KEY_FILE: Kind = Kind(*b"KEYG");
/// A block is written when it has this many bytes. A section adds at most one block of a key file.
const BLOCK_BYTES: usize = 256 << 10;
const SECTION_HEADER_BYTES: usize = 8;
const ORDINAL_BYTES: usize = 4;

/// The metadata of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSummary {
    /// The canonical numbers of the units, ascending.
    pub units: Vec<u32>,
    /// Number of key ranges.
    pub ranges: u32,
    /// Size of a key: 8 bytes for lines, 16 for documents.
    pub key_bytes: u32,
    /// Number of entries of all units.
    pub keys: u64,
}

/// Receives the keys of one unit after another.
pub(super) trait UnitKeys<K> {
    /// What follows belongs to this unit.
    fn start_unit(&mut self, unit: u32);
    /// One key with its marked ordinal.
    fn entry(&mut self, key: K, marked: u32);
}

pub(super) struct GroupWriter<K, W: Write> {
    blocks: BlockWriter<W>,
    payload: Vec<u8>,
    first_unit: Option<u32>,
    count: u32,
    range: u32,
    keys: u64,
    key: PhantomData<K>,
}

impl<K: HashKey, W: Write> GroupWriter<K, W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        Ok(Self {
            // Hashes do not compress.
            blocks: BlockWriter::new(out, GROUP_KEY_FILE, Compression::None)?,
            payload: Vec::with_capacity(2 * BLOCK_BYTES),
            first_unit: None,
            count: 0,
            range: 0,
            keys: 0,
            key: PhantomData,
        })
    }

    /// Adds neighbouring keys of a unit, which all belong to the present range.
    pub(super) fn push(&mut self, unit: u32, entries: &[(K, u32)]) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.first_unit.get_or_insert(unit);
        let count = entries.len() as u32;
        self.payload.extend_from_slice(&unit.to_le_bytes());
        self.payload.extend_from_slice(&count.to_le_bytes());
        for (key, _) in entries {
            let end = self.payload.len();
            self.payload.resize(end + K::BYTES, 0);
            key.put(&mut self.payload[end..]);
        }
        for (_, marked) in entries {
            self.payload.extend_from_slice(&marked.to_le_bytes());
        }
        self.count += count;
        self.keys += u64::from(count);
        if self.payload.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends the present range.
    pub(super) fn end_range(&mut self) -> io::Result<()> {
        self.flush()?;
        self.range += 1;
        Ok(())
    }

    pub(super) fn finish(mut self, units: Vec<u32>) -> io::Result<(W, GroupSummary)> {
        self.flush()?;
        let key_bytes = K::BYTES as u32;
        let summary = GroupSummary { units, ranges: self.range, key_bytes, keys: self.keys };
        let out = self.blocks.finish(&serde_json::to_vec(&summary)?)?;
        Ok((out, summary))
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(unit) = self.first_unit.take() else { return Ok(()) };
        let label = u128::from(self.range) << 32 | u128::from(unit);
        self.blocks.push(label, std::mem::take(&mut self.count), &self.payload)?;
        self.payload.clear();
        Ok(())
    }
}

/// An open file with the keys of a group, of which one range is read.
#[derive(Debug)]
pub(super) struct GroupFile<K> {
    blocks: BlockFile,
    summary: GroupSummary,
    range: KeyRange,
    key: PhantomData<K>,
}

impl<K: HashKey> GroupFile<K> {
    /// Opens the file for one of its ranges. The rest of its index is forgotten.
    pub(super) fn open(path: &Path, range: KeyRange) -> Result<Self, BlocksError> {
        let mut blocks = BlockFile::open(path, GROUP_KEY_FILE)?;
        let damaged = |why| blocks.damaged(0, Damage::Layout(why));
        let summary: GroupSummary = serde_json::from_slice(blocks.metadata())
            .map_err(|_| damaged("the metadata is not that of the keys of a group"))?;
        if summary.key_bytes as usize != K::BYTES {
            return Err(damaged("the keys have another width"));
        }
        if summary.ranges != range.of() {
            return Err(damaged("the keys are gathered for another number of key ranges"));
        }
        let counted: u64 = blocks.entries().iter().map(|entry| u64::from(entry.count)).sum();
        if counted != summary.keys {
            return Err(damaged("the blocks hold another number of keys than the metadata says"));
        }
        if !blocks.entries().is_sorted_by(|a, b| a.label <= b.label) {
            return Err(damaged("the blocks of keys are not in order"));
        }
        blocks.keep_only(blocks_of(&blocks, range.index()));
        Ok(Self { blocks, summary, range, key: PhantomData })
    }

    /// Closes the file until it is read.
    pub(super) fn release(&mut self) {
        self.blocks.release();
    }

    pub(super) fn units(&self) -> &[u32] {
        &self.summary.units
    }

    /// Returns about how many keys of the range lie in the span, if they are spread evenly.
    pub(super) fn about(&self, span: Span) -> u64 {
        let all: u64 = self.blocks.entries().iter().map(|entry| u64::from(entry.count)).sum();
        let share = u128::from(all) * span.width().min(self.range.span().width());
        share.div_ceil(self.range.span().width()) as u64
    }

    /// Gives the keys of the span to the sink, unit by unit within each block.
    pub(super) fn scan(&self, span: Span, sink: &mut impl UnitKeys<K>) -> Result<(), BlocksError> {
        let mut cursor = self.blocks.blocks(0..self.blocks.entries().len())?;
        while let Some(block) = cursor.next_block()? {
            let wrong = || Damage::Layout("a block is not made of sections of keys");
            let offset = block.offset;
            scan_sections(block.payload, span, sink)
                .ok_or_else(|| self.blocks.damaged(offset, wrong()))?;
        }
        Ok(())
    }
}

fn blocks_of(blocks: &BlockFile, range: u32) -> Range<usize> {
    let of = |label: u128| label >> 32;
    let begin = blocks.entries().partition_point(|entry| of(entry.label) < u128::from(range));
    let end = blocks.entries().partition_point(|entry| of(entry.label) <= u128::from(range));
    begin..end
}

/// Returns `None` if the bytes are not sections of keys.
fn scan_sections<K: HashKey>(
    mut bytes: &[u8],
    span: Span,
    sink: &mut impl UnitKeys<K>,
) -> Option<()> {
    while !bytes.is_empty() {
        let (header, rest) = bytes.split_at_checked(SECTION_HEADER_BYTES)?;
        let (unit, count) = header.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*count.first_chunk::<4>()?) as usize;
        let (keys, rest) = rest.split_at_checked(count.checked_mul(K::BYTES)?)?;
        let (ordinals, rest) = rest.split_at_checked(count.checked_mul(ORDINAL_BYTES)?)?;
        sink.start_unit(u32::from_le_bytes(*unit));
        let ordinals = ordinals.as_chunks::<ORDINAL_BYTES>().0;
        for (key, ordinal) in keys.chunks_exact(K::BYTES).zip(ordinals) {
            let key = K::get(key);
            if span.contains(key.top()) {
                sink.entry(key, u32::from_le_bytes(*ordinal));
            }
        }
        bytes = rest;
    }
    Some(())
}
