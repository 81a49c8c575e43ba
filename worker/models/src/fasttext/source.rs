//! The fields of a fastText model file: little-endian numbers, each refused if it cannot be right.
//!
//! What the fields mean is left to the callers.

use std::io::Read;
use std::ops::RangeInclusive;

use super::error::LoadError;
use crate::model_file::{FileFault, ModelFile};

/// Number of bytes of a long array that are converted at a time.
const BLOCK_BYTES: usize = 64 * 1024;

pub(super) type Source<R> = ModelFile<R, LoadError>;

impl FileFault for LoadError {
    fn unreadable(name: String, offset: u64, source: std::io::Error) -> Self {
        Self::Read { name, offset, source }
    }

    fn malformed(name: String, offset: u64, what: String) -> Self {
        Self::Malformed { name, offset, what }
    }
}

impl<R: Read> Source<R> {
    /// Refuses a count of things that cannot fit in what is left of the file.
    pub(super) fn expect_room(
        &self,
        count: u64,
        each_bytes: u64,
        what: &str,
    ) -> Result<usize, LoadError> {
        self.room(u128::from(count) * u128::from(each_bytes), what)?;
        usize::try_from(count).map_err(|_| self.malformed(format!("`{count}` {what}")))
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
