//! Merges blocks of sorted records into one sorted sequence.
//!
//! A record is a key and a payload, both with their lengths before them. Memory: one block of each
//! source.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

/// Size of the lengths of a key and a payload.
const HEADER_BYTES: usize = 8;

/// Appends a record to a block.
pub(super) fn put_record(block: &mut Vec<u8>, key: &[u8], payload: &[u8]) {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    block.extend_from_slice(&length(key));
    block.extend_from_slice(&length(payload));
    block.extend_from_slice(key);
    block.extend_from_slice(payload);
}

/// Returns where key and payload are in the block, of which a record starts at `at`; none if there
/// is none.
pub(super) fn record_at(block: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    let header = block.get(at..)?.first_chunk::<HEADER_BYTES>()?;
    let [a, b, c, d, e, f, g, h] = *header;
    let start = at + HEADER_BYTES;
    let middle = start.checked_add(u32::from_le_bytes([a, b, c, d]) as usize)?;
    let end = middle.checked_add(u32::from_le_bytes([e, f, g, h]) as usize)?;
    (end <= block.len()).then_some((start..middle, middle..end))
}

/// Gives the blocks of one sorted sequence.
pub(super) trait Blocks {
    /// Why a block cannot be had.
    type Error;
    /// Reads the next block; returns whether there is one.
    fn next_block(&mut self, block: &mut Vec<u8>) -> Result<bool, Self::Error>;
    /// Returns the error for a block that is not what it should be.
    fn damaged(&self, why: &'static str) -> Self::Error;
}

/// A source and its present record.
pub(super) struct Cursor<B> {
    source: B,
    block: Vec<u8>,
    key: Range<usize>,
    payload: Range<usize>,
    /// The last key of the block before.
    previous: Vec<u8>,
}

impl<B: Blocks> Cursor<B> {
    pub(super) fn source(&self) -> &B {
        &self.source
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.block[self.key.clone()]
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.block[self.payload.clone()]
    }

    /// Goes to the next record; returns whether there is one.
    fn advance(&mut self) -> Result<bool, B::Error> {
        let before = self.key.clone();
        let is_new_block = self.payload.end == self.block.len();
        if is_new_block {
            self.previous.clear();
            self.previous.extend_from_slice(&self.block[before.clone()]);
            self.payload = 0..0;
            while self.source.next_block(&mut self.block)? && self.block.is_empty() {}
            if self.block.is_empty() {
                return Ok(false);
            }
        }
        let (key, payload) = record_at(&self.block, self.payload.end)
            .ok_or_else(|| self.source.damaged("a block is not made of records"))?;
        let previous = if is_new_block { &self.previous[..] } else { &self.block[before] };
        if self.block[key.clone()] < *previous {
            return Err(self.source.damaged("the records are not in order"));
        }
        (self.key, self.payload) = (key, payload);
        Ok(true)
    }
}

impl<B: Blocks> Ord for Cursor<B> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key()).then_with(|| self.payload().cmp(other.payload()))
    }
}

impl<B: Blocks> PartialOrd for Cursor<B> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<B: Blocks> PartialEq for Cursor<B> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<B: Blocks> Eq for Cursor<B> {}

/// Several sorted sequences as one.
pub(super) struct Merge<B> {
    cursors: BinaryHeap<Reverse<Cursor<B>>>,
    /// Whether the first cursor's record was given.
    is_given: bool,
}

impl<B: Blocks> Merge<B> {
    /// Reads the first block of each source.
    pub(super) fn new(sources: impl IntoIterator<Item = B>) -> Result<Self, B::Error> {
        let mut cursors = BinaryHeap::new();
        for source in sources {
            let (block, previous) = (Vec::new(), Vec::new());
            let mut cursor = Cursor { source, block, key: 0..0, payload: 0..0, previous };
            if cursor.advance()? {
                cursors.push(Reverse(cursor));
            }
        }
        Ok(Self { cursors, is_given: false })
    }

    /// Returns the cursor with the next record, or none after the last.
    pub(super) fn next_record(&mut self) -> Result<Option<&Cursor<B>>, B::Error> {
        if self.is_given
            && let Some(mut first) = self.cursors.peek_mut()
            && !first.0.advance()?
        {
            PeekMut::pop(first);
        }
        self.is_given = true;
        Ok(self.cursors.peek().map(|first| &first.0))
    }
}
