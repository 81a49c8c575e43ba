//! The sliding window over the compressed input: reading, hashing, offsets.
//!
//! It knows nothing of gzip. Invariant: `base + start` is the exact offset of the first unread
//! byte, and every byte that was ever read went through the hash once, in order.

use std::io::{self, ErrorKind, Read};

/// Reads are asked for in pieces of at least this size.
const READ_BYTES: usize = 512 << 10;

/// Length and hash of what was read so far; of the whole input once the reader has said `End`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputDigest {
    pub bytes: u64,
    pub blake3: blake3::Hash,
}

pub(super) struct Window<R> {
    input: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    base: u64,
    ended: bool,
    hasher: blake3::Hasher,
}

impl<R: Read> Window<R> {
    pub(super) fn new(input: R) -> Self {
        let hasher = blake3::Hasher::new();
        Self { input, bytes: Vec::new(), start: 0, end: 0, base: 0, ended: false, hasher }
    }

    /// Offset in the input of the first unread byte.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether the input has said that nothing follows the window.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn consume(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "only unread bytes can be consumed");
        self.start += count;
    }

    /// Goes back to `offset`, or as near to it as the window still reaches.
    pub(super) fn rewind(&mut self, offset: u64) {
        assert!(offset <= self.offset(), "rewinding only goes back");
        let start = offset.saturating_sub(self.base);
        self.start = usize::try_from(start).expect("it lies below `start`, a usize");
    }

    /// Reads until `wanted` bytes are unread or the input ends. Of the bytes before them, the last
    /// `history` stay for `rewind`.
    pub(super) fn fill(&mut self, wanted: usize, history: usize) -> io::Result<()> {
        if self.end - self.start >= wanted || self.ended {
            return Ok(());
        }
        self.discard(history);
        let needed = self.start + wanted.max(READ_BYTES);
        if self.bytes.len() < needed {
            self.bytes.resize(needed, 0);
        }
        while self.end - self.start < wanted && !self.ended {
            match self.input.read(&mut self.bytes[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    self.hasher.update(&self.bytes[self.end..self.end + count]);
                    self.end += count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn digest(&self) -> InputDigest {
        InputDigest { bytes: self.base + self.end as u64, blake3: self.hasher.finalize() }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    fn discard(&mut self, history: usize) {
        let gone = self.start.saturating_sub(history);
        self.bytes.copy_within(gone..self.end, 0);
        self.start -= gone;
        self.end -= gone;
        self.base += gone as u64;
    }
}
