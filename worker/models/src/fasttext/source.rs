//! Reads little-endian fields from a model file whose length is known, and keeps track of the
//! offset.
//!
//! Every size is compared with the bytes that are left *before* anything is allocated, so a file
//! never makes the loader use more memory than a small multiple of its own length. The callers know
//! what the fields mean.

use std::io::Read;
use std::ops::RangeInclusive;

use super::error::LoadError;

/// Number of bytes of a long array that are converted at a time.
const BLOCK_BYTES: usize = 64 * 1024;

pub(super) struct Source<R> {
    reader: R,
    name: String,
    offset: u64,
    length: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(reader: R, name: String, length: u64) -> Self {
        Self { reader, name, offset: 0, length }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn remaining(&self) -> u64 {
        self.length - self.offset
    }

    /// Returns an error at the current offset.
    pub(super) fn malformed(&self, what: impl Into<String>) -> LoadError {
        let (name, offset) = (self.name.clone(), self.offset);
        LoadError::Malformed { name, offset, what: what.into() }
    }

    /// Refuses a count of items that cannot fit into the rest of the file.
    pub(super) fn expect_room(
        &self,
        count: u64,
        each_bytes: u64,
        what: &str,
    ) -> Result<usize, LoadError> {
        let fits = count.checked_mul(each_bytes).is_some_and(|bytes| bytes <= self.remaining());
        match usize::try_from(count) {
            Ok(count) if fits => Ok(count),
            Ok(_) | Err(_) => Err(self.malformed(format!(
                "`{count}` {what} need {each_bytes} bytes each, but only {} bytes are left",
                self.remaining()
            ))),
        }
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<(), LoadError> {
        self.expect_room(bytes.len() as u64, 1, what)?;
        self.reader.read_exact(bytes).map_err(|source| LoadError::Read {
            name: self.name.clone(),
            offset: self.offset,
            source,
        })?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn bytes(&mut self, count: u64, what: &str) -> Result<Vec<u8>, LoadError> {
        let mut bytes = vec![0; self.expect_room(count, 1, what)?];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], LoadError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self, what: &str) -> Result<u8, LoadError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(super) fn int(&mut self, what: &str) -> Result<i32, LoadError> {
        self.array(what).map(i32::from_le_bytes)
    }

    pub(super) fn long(&mut self, what: &str) -> Result<i64, LoadError> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// Reads an `int` that must be in a range.
    pub(super) fn int_within(
        &mut self,
        what: &str,
        range: RangeInclusive<usize>,
    ) -> Result<usize, LoadError> {
        let value = self.int(what)?;
        usize::try_from(value).ok().filter(|size| range.contains(size)).ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            self.malformed(format!("{what} is `{value}`, not within {low} to {high}"))
        })
    }

    /// Reads a C++ `bool`: any value but 0 and 1 means that the file is not what the loader
    /// expects.
    pub(super) fn flag(&mut self, what: &str) -> Result<bool, LoadError> {
        match self.byte(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.malformed(format!("{what} is `{other}`, neither 0 nor 1"))),
        }
    }

    /// Calls `place` with every number of a float array in turn; each must be finite.
    pub(super) fn floats(
        &mut self,
        count: u64,
        what: &str,
        mut place: impl FnMut(f32),
    ) -> Result<(), LoadError> {
        let mut left = self.expect_room(count, 4, what)? * 4;
        let mut block = vec![0; left.min(BLOCK_BYTES)];
        while left > 0 {
            let now = left.min(BLOCK_BYTES);
            self.fill(&mut block[..now], what)?;
            for four in block[..now].as_chunks::<4>().0 {
                let value = f32::from_le_bytes(*four);
                if !value.is_finite() {
                    return Err(self.malformed(format!("{what} hold `{value}`")));
                }
                place(value);
            }
            left -= now;
        }
        Ok(())
    }
}
