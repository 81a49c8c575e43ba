//! The sliding window over the compressed input: it reads, hashes and keeps track of offsets.
//!
//! This file knows nothing of gzip. Invariant: `base + start` is the exact offset of the first
//! unread byte, and every byte that was read was hashed once, in order.

use std::io::{self, ErrorKind, Read};

/// Smallest size of a read.
const READ_BYTES: usize = 512 << 10;

/// Length and hash of what was read so far; of the whole input after the reader has returned `End`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputDigest {
    /// Number of bytes.
    pub bytes: u64,
    /// BLAKE3 hash of those bytes.
    pub blake3: blake3::Hash,
}

pub(crate) struct Window<R> {
    input: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    base: u64,
    ended: bool,
    hasher: blake3::Hasher,
}

impl<R: Read> Window<R> {
    pub(crate) fn new(input: R) -> Self {
        let hasher = blake3::Hasher::new();
        Self { input, bytes: Vec::new(), start: 0, end: 0, base: 0, ended: false, hasher }
    }

    /// Returns the offset in the input of the first unread byte.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Returns whether the input has ended, so that nothing follows the window.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn consume(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "only unread bytes can be consumed");
        self.start += count;
    }

    /// Goes back to `offset`, or to the earliest byte that the window still has.
    pub(crate) fn rewind(&mut self, offset: u64) {
        assert!(offset <= self.offset(), "rewinding only goes back");
        let start = offset.saturating_sub(self.base);
        self.start = usize::try_from(start).expect("it lies below `start`, a usize");
    }

    /// Reads until `wanted` bytes are unread or the input ends. The last `history` bytes before
    /// them are kept for `rewind`.
    pub(crate) fn fill(&mut self, wanted: usize, history: usize) -> io::Result<()> {
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

    pub(crate) fn digest(&self) -> InputDigest {
        InputDigest { bytes: self.base + self.end as u64, blake3: self.hasher.finalize() }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
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
