//! The key file of one unit: every distinct key once, sorted, with its smallest ordinal and whether
//! several records of the unit have it; then the ordinals that are second or later copies within
//! the unit. A file of every occurrence has each pair of key and ordinal instead, and no copies.
//!
//! A block of keys is a column of keys and a column of ordinals, whose lowest bit means «repeated».
//! Its label is its first key, so that a span of keys is found from the index. This file does not
//! know where keys come from and how they are compared. Invariant: equal sets of `(key, ordinal)`
//! give equal bytes, for any order and memory in which they were collected.

use std::io::{self, Write};
use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::key::HashKey;
use super::ordinals::{MAX_PAGE_BYTES, OrdinalSet, encode_page};
use super::position::Span;
use thresher_formats::blocks::{
    BlockCursor, BlockFile, BlockWriter, BlocksError, Compression, Damage, Kind,
};

/// The kind of block file that a key file is.
pub const KEY_FILE: Kind = Kind(*b"KEYS");
/// Number of entries per block, 48 kB of line keys: small enough that reading a span reads little
/// else.
pub(super) const ENTRIES_PER_BLOCK: usize = 4096;
const REPEATS_BLOCK_BYTES: usize = 64 << 10;
const ORDINAL_BYTES: usize = 4;

/// The metadata of a key file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFileSummary {
    /// The canonical number of the unit.
    pub unit: u32,
    /// Size of a key: 8 bytes for lines, 16 for documents.
    pub key_bytes: u32,
    /// Number of entries: of distinct keys, or of all occurrences.
    pub distinct: u64,
    /// Number of ordinals that repeat a key of a smaller ordinal of the unit.
    pub repeats: u64,
    /// Number of blocks of keys; the blocks after them hold the repeats.
    key_blocks: u64,
}

/// One distinct key of a unit, or one of its occurrences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEntry<K> {
    /// The key.
    pub key: K,
    /// Its smallest ordinal in the unit, or that of this occurrence.
    pub ordinal: u32,
    /// Whether more than one record of the unit has it.
    pub repeated: bool,
}

/// Puts the mark «repeated» into the lowest bit of an ordinal, which keeps the order.
#[inline]
pub(super) fn mark(ordinal: u32, repeated: bool) -> u32 {
    ordinal << 1 | u32::from(repeated)
}

/// Splits what [`mark`] joined.
#[inline]
pub(super) fn unmark(marked: u32) -> (u32, bool) {
    (marked >> 1, marked & 1 == 1)
}

pub(super) struct KeyFileWriter<K, W: Write> {
    blocks: BlockWriter<W>,
    keys: Vec<u8>,
    ordinals: Vec<u8>,
    first: Option<K>,
    distinct: u64,
}

impl<K: HashKey, W: Write> KeyFileWriter<K, W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        Ok(Self {
            // Hashes do not compress.
            blocks: BlockWriter::new(out, KEY_FILE, Compression::None)?,
            keys: Vec::with_capacity(ENTRIES_PER_BLOCK * (K::BYTES + ORDINAL_BYTES)),
            ordinals: Vec::with_capacity(ENTRIES_PER_BLOCK * ORDINAL_BYTES),
            first: None,
            distinct: 0,
        })
    }

    /// Adds an entry; entries must come in strictly ascending order of their keys and ordinals.
    pub(super) fn push(&mut self, entry: KeyEntry<K>) -> io::Result<()> {
        self.first.get_or_insert(entry.key);
        let end = self.keys.len();
        self.keys.resize(end + K::BYTES, 0);
        entry.key.put(&mut self.keys[end..]);
        self.ordinals.extend_from_slice(&mark(entry.ordinal, entry.repeated).to_le_bytes());
        if self.ordinals.len() == ENTRIES_PER_BLOCK * ORDINAL_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        unit: u32,
        repeats: &OrdinalSet,
    ) -> io::Result<(W, KeyFileSummary)> {
        self.flush()?;
        let summary = KeyFileSummary {
            unit,
            key_bytes: K::BYTES as u32,
            distinct: self.distinct,
            repeats: repeats.count(),
            key_blocks: self.blocks.blocks() as u64,
        };
        write_repeats(&mut self.blocks, repeats)?;
        let out = self.blocks.finish(&serde_json::to_vec(&summary)?)?;
        Ok((out, summary))
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(first) = self.first.take() else { return Ok(()) };
        let count = (self.ordinals.len() / ORDINAL_BYTES) as u32;
        self.keys.append(&mut self.ordinals);
        self.blocks.push(first.label(), count, &self.keys)?;
        self.keys.clear();
        self.distinct += u64::from(count);
        Ok(())
    }
}

fn write_repeats<W: Write>(blocks: &mut BlockWriter<W>, repeats: &OrdinalSet) -> io::Result<()> {
    let mut payload = Vec::new();
    let (mut first, mut count) = (None, 0);
    for page in repeats.pages() {
        first.get_or_insert(page[0]);
        count += encode_page(&page, &mut payload) as u32;
        if payload.len() + MAX_PAGE_BYTES > REPEATS_BLOCK_BYTES {
            blocks.push(u128::from(first.take().unwrap_or(0)), count, &payload)?;
            payload.clear();
            count = 0;
        }
    }
    if let Some(first) = first {
        blocks.push(u128::from(first), count, &payload)?;
    }
    Ok(())
}

/// An open key file.
#[derive(Debug)]
pub struct KeyFile<K> {
    blocks: BlockFile,
    summary: KeyFileSummary,
    /// The blocks of keys that the index still has.
    keys: Range<usize>,
    key: PhantomData<K>,
}

impl<K: HashKey> KeyFile<K> {
    /// Opens a key file with keys of this width. Its index is verified now, its blocks when they
    /// are read.
    pub fn open(path: &Path) -> Result<Self, BlocksError> {
        let blocks = BlockFile::open(path, KEY_FILE)?;
        let damaged = |why| blocks.damaged(0, Damage::Layout(why));
        let summary: KeyFileSummary = serde_json::from_slice(blocks.metadata())
            .map_err(|_| damaged("the metadata is not a key file's"))?;
        if summary.key_bytes as usize != K::BYTES {
            return Err(damaged("the keys have another width"));
        }
        let keys = usize::try_from(summary.key_blocks).ok().and_then(|n| blocks.entries().get(..n));
        let Some(keys) = keys else { return Err(damaged("fewer blocks than the metadata says")) };
        if keys.iter().map(|entry| u64::from(entry.count)).sum::<u64>() != summary.distinct {
            return Err(damaged("the blocks hold another number of keys than the metadata says"));
        }
        if !keys.is_sorted_by(|a, b| a.label <= b.label) {
            return Err(damaged("the blocks of keys are not in order"));
        }
        let keys = 0..keys.len();
        Ok(Self { blocks, summary, keys, key: PhantomData })
    }

    /// Returns the metadata of the file.
    pub fn summary(&self) -> &KeyFileSummary {
        &self.summary
    }

    /// Calls `visit` for each entry of the span, in the order of the keys.
    pub fn for_each(
        &self,
        span: Span,
        mut visit: impl FnMut(KeyEntry<K>),
    ) -> Result<(), BlocksError> {
        self.scan(span, |key, marked| {
            let (ordinal, repeated) = unmark(marked);
            visit(KeyEntry { key, ordinal, repeated });
        })
    }

    /// Returns the ordinals that repeat a key of a smaller ordinal of the same unit.
    ///
    /// # Panics
    /// Panics after `restrict`, which drops their index.
    pub fn repeats(&self) -> Result<OrdinalSet, BlocksError> {
        let keys = usize::try_from(self.summary.key_blocks).unwrap_or(usize::MAX);
        assert_eq!(self.keys, 0..keys, "the index of a restricted file has no repeats");
        let mut repeats = OrdinalSet::default();
        let mut cursor = self.blocks.blocks(keys..self.blocks.entries().len())?;
        while let Some(block) = cursor.next_block()? {
            let wrong = || Damage::Layout("the repeats are not encoded ordinals");
            let offset = block.offset;
            repeats.add_encoded(block.payload).map_err(|_| self.blocks.damaged(offset, wrong()))?;
        }
        if repeats.count() != self.summary.repeats {
            let what = Damage::Layout("another number of repeats than the metadata says");
            return Err(self.blocks.damaged(0, what));
        }
        Ok(repeats)
    }

    /// Drops the index of everything outside the span, and closes the file until it is read.
    pub(super) fn restrict(&mut self, span: Span) {
        let keep = self.overlapping(span);
        self.keys = 0..keep.len();
        self.blocks.keep_only(keep);
        self.blocks.release();
    }

    /// Returns an upper bound of the number of entries in the span, from the index.
    pub(super) fn at_most(&self, span: Span) -> u64 {
        let blocks = &self.blocks.entries()[self.overlapping(span)];
        blocks.iter().map(|entry| u64::from(entry.count)).sum()
    }

    /// Calls `visit` with key and marked ordinal for each entry of the span, in key order.
    pub(super) fn scan(
        &self,
        span: Span,
        mut visit: impl FnMut(K, u32),
    ) -> Result<(), BlocksError> {
        let blocks = self.overlapping(span);
        if blocks.is_empty() {
            return Ok(());
        }
        let mut cursor = self.blocks.blocks(blocks)?;
        while self.scan_block(&mut cursor, |key, marked| {
            if span.contains(key.top()) {
                visit(key, marked);
            }
        })? {}
        Ok(())
    }

    /// Closes the file until it is read.
    pub(super) fn release(&mut self) {
        self.blocks.release();
    }

    /// Reads all keys in their order, this many bytes ahead. A file that was closed is opened for
    /// each read.
    pub(super) fn reader(&self, read_ahead_bytes: usize) -> KeyReader<'_, K> {
        let cursor = self.blocks.blocks_ahead(self.keys.clone(), read_ahead_bytes);
        KeyReader { file: self, cursor, block: Vec::new(), at: 0 }
    }

    /// Returns all entries of block `number`, for a merge that holds one block of each file.
    pub(super) fn block(&self, number: usize) -> Result<Option<Vec<(K, u32)>>, BlocksError> {
        if number >= self.keys.end {
            return Ok(None);
        }
        let mut entries = Vec::with_capacity(ENTRIES_PER_BLOCK);
        let mut cursor = self.blocks.blocks(number..number + 1)?;
        self.scan_block(&mut cursor, |key, marked| entries.push((key, marked)))?;
        Ok(Some(entries))
    }

    fn scan_block(
        &self,
        cursor: &mut BlockCursor<'_>,
        mut visit: impl FnMut(K, u32),
    ) -> Result<bool, BlocksError> {
        let Some(block) = cursor.next_block()? else { return Ok(false) };
        let count = block.count as usize;
        if block.payload.len() != count * (K::BYTES + ORDINAL_BYTES) {
            let what = Damage::Layout("a block of keys is not as long as its count says");
            return Err(self.blocks.damaged(block.offset, what));
        }
        let (keys, ordinals) = block.payload.split_at(count * K::BYTES);
        let ordinals = ordinals.as_chunks::<ORDINAL_BYTES>().0;
        for (key, ordinal) in keys.chunks_exact(K::BYTES).zip(ordinals) {
            visit(K::get(key), u32::from_le_bytes(*ordinal));
        }
        Ok(true)
    }

    /// Returns the blocks of keys that may hold keys of the span.
    fn overlapping(&self, span: Span) -> Range<usize> {
        let keys = &self.blocks.entries()[self.keys.clone()];
        let end = keys.partition_point(|entry| K::top_of_label(entry.label) <= span.last);
        // The block before the first that starts inside may end inside, even at its first value.
        let begin = keys.partition_point(|entry| K::top_of_label(entry.label) < span.first);
        begin.saturating_sub(1).min(end)..end
    }
}

/// Reads the keys of a file in their order, with one block in memory.
pub(super) struct KeyReader<'a, K> {
    file: &'a KeyFile<K>,
    cursor: BlockCursor<'a>,
    block: Vec<(K, u32)>,
    at: usize,
}

impl<K: HashKey> KeyReader<'_, K> {
    /// Returns the next keys with their marked ordinals, and none at the end.
    pub(super) fn entries(&mut self) -> Result<&[(K, u32)], BlocksError> {
        if self.at == self.block.len() {
            self.at = 0;
            self.block.clear();
            let block = &mut self.block;
            self.file.scan_block(&mut self.cursor, |key, marked| block.push((key, marked)))?;
        }
        Ok(&self.block[self.at..])
    }

    /// Goes on behind the first `count` of [`Self::entries`].
    pub(super) fn skip(&mut self, count: usize) {
        self.at += count;
    }
}
