//! A file of pairs of numbers, in blocks: edges between documents, and what is spilled of them.
//!
//! A block is labelled with the first number of its first pair, so that a reader of ascending pairs
//! finds a part of them from the index. This file gives pairs no meaning.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use thresher_formats::blocks::{
    BlockCursor, BlockEntry, BlockFile, BlockWriter, BlocksError, Compression, Damage, Kind,
};

/// Size of a pair in files and messages.
pub(crate) const PAIR_BYTES: usize = 16;
/// Number of pairs per block, 32 kB: small enough that a merge holds a block of each of many files.
pub(crate) const PAIRS_PER_BLOCK: usize = 2048;

/// Writes pairs in the order in which they come.
pub(crate) struct PairWriter<W: Write> {
    blocks: BlockWriter<W>,
    payload: Vec<u8>,
    first: u64,
    pairs: u64,
}

impl<W: Write> PairWriter<W> {
    /// Starts a file of this kind.
    pub(crate) fn new(out: W, kind: Kind) -> io::Result<Self> {
        Ok(Self {
            // Positions are spread over all documents, and are read again in every round.
            blocks: BlockWriter::new(out, kind, Compression::None)?,
            payload: Vec::with_capacity(PAIRS_PER_BLOCK * PAIR_BYTES),
            first: 0,
            pairs: 0,
        })
    }

    pub(crate) fn push(&mut self, pair: (u64, u64)) -> io::Result<()> {
        if self.payload.is_empty() {
            self.first = pair.0;
        }
        self.payload.extend_from_slice(&encode(pair));
        self.pairs += 1;
        if self.payload.len() == PAIRS_PER_BLOCK * PAIR_BYTES { self.flush() } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        self.blocks.finish(&self.pairs.to_le_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.payload.is_empty() {
            return Ok(());
        }
        let count = (self.payload.len() / PAIR_BYTES) as u32;
        self.blocks.push(u128::from(self.first), count, &self.payload)?;
        self.payload.clear();
        Ok(())
    }
}

/// An open file of pairs.
#[derive(Debug)]
pub(crate) struct PairFile {
    blocks: BlockFile,
    pairs: u64,
}

impl PairFile {
    /// Opens a file of this kind. Its index is verified now, its blocks when they are read.
    pub(crate) fn open(path: &Path, kind: Kind) -> Result<Self, BlocksError> {
        let blocks = BlockFile::open(path, kind)?;
        let damaged = |why| blocks.damaged(0, Damage::Layout(why));
        let pairs = <[u8; 8]>::try_from(blocks.metadata())
            .map_err(|_| damaged("the metadata is not a number of pairs"))?;
        let pairs = u64::from_le_bytes(pairs);
        if blocks.entries().iter().map(|entry| u64::from(entry.count)).sum::<u64>() != pairs {
            return Err(damaged("the blocks hold another number of pairs than the metadata says"));
        }
        Ok(Self { blocks, pairs })
    }

    /// Returns the number of pairs.
    pub(crate) fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Returns the index.
    pub(crate) fn entries(&self) -> &[BlockEntry] {
        self.blocks.entries()
    }

    /// Closes the file until it is read. A file that was closed is opened for each read.
    pub(crate) fn release(&mut self) {
        self.blocks.release();
    }

    /// Reads the pairs of these blocks, at most this many bytes ahead.
    pub(crate) fn read(&self, blocks: Range<usize>, ahead_bytes: usize) -> PairReader<'_> {
        let cursor = self.blocks.blocks_ahead(blocks.clone(), ahead_bytes);
        PairReader { file: self, cursor, next_block: blocks.start, block: Vec::new(), at: 0 }
    }

    /// Reads all pairs, at most this many bytes ahead.
    pub(crate) fn read_all(&self, ahead_bytes: usize) -> PairReader<'_> {
        self.read(0..self.entries().len(), ahead_bytes)
    }
}

/// Reads pairs in their order, with one block in memory.
pub(crate) struct PairReader<'a> {
    file: &'a PairFile,
    cursor: BlockCursor<'a>,
    /// Number of the block after the one in memory.
    next_block: usize,
    block: Vec<(u64, u64)>,
    at: usize,
}

impl PairReader<'_> {
    /// Returns the next pairs, of one block, and none at the end.
    pub(crate) fn pairs(&mut self) -> Result<&[(u64, u64)], BlocksError> {
        if self.at == self.block.len() {
            self.at = 0;
            self.block.clear();
            if let Some(block) = self.cursor.next_block()? {
                if block.payload.len() != block.count as usize * PAIR_BYTES {
                    let what = Damage::Layout("a block of pairs is not as long as its count says");
                    return Err(self.file.blocks.damaged(block.offset, what));
                }
                self.block.extend(decode(block.payload));
                self.next_block += 1;
            }
        }
        Ok(&self.block[self.at..])
    }

    /// Returns the number of the block after the one that pairs come from.
    pub(crate) fn next_block(&self) -> usize {
        self.next_block
    }

    /// Returns the error for a pair that the caller finds to be wrong.
    pub(crate) fn damaged(&self, what: Damage) -> BlocksError {
        self.file.blocks.damaged(0, what)
    }

    /// Continues after the first `count` of [`Self::pairs`].
    pub(crate) fn skip(&mut self, count: usize) {
        self.at += count;
    }
}

/// Returns the bytes of a pair.
#[inline]
pub(crate) fn encode((first, second): (u64, u64)) -> [u8; PAIR_BYTES] {
    (u128::from(first) | u128::from(second) << 64).to_le_bytes()
}

/// Returns the pairs of whole bytes.
pub(crate) fn decode(bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    bytes.as_chunks::<PAIR_BYTES>().0.iter().map(|pair| {
        let both = u128::from_le_bytes(*pair);
        (both as u64, (both >> 64) as u64)
    })
}
