//! Reads a model file whose length is known, remembering where it is.
//!
//! What the bytes mean, and which error a bad file gives, is for the formats to say.
//!
//! **Invariant:** a size is compared with the bytes that are left before anything is allocated, so
//! a file never makes a loader take more memory than a small multiple of its own length.

use std::io::Read;
use std::marker::PhantomData;

/// The error of a format, as far as reading a file needs it.
pub(crate) trait FileFault {
    /// The file cannot be read at an offset.
    fn unreadable(name: String, offset: u64, source: std::io::Error) -> Self;
    /// What the file says before an offset contradicts the format or the rest of the file.
    fn malformed(name: String, offset: u64, what: String) -> Self;
}

/// A model file that is being read.
pub(crate) struct ModelFile<R, E> {
    reader: R,
    name: String,
    offset: u64,
    length: u64,
    fault: PhantomData<fn() -> E>,
}

impl<R: Read, E: FileFault> ModelFile<R, E> {
    /// A file of `length` bytes; `name` is for messages.
    pub(crate) fn new(reader: R, name: String, length: u64) -> Self {
        Self { reader, name, offset: 0, length, fault: PhantomData }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.length - self.offset
    }

    /// The stream itself, for formats that are not read by sizes.
    pub(crate) fn reader(&mut self) -> &mut R {
        &mut self.reader
    }

    /// An error at the present offset.
    pub(crate) fn malformed(&self, what: impl Into<String>) -> E {
        E::malformed(self.name.clone(), self.offset, what.into())
    }

    /// Refuses what cannot fit in the rest of the file. Sizes are computed from numbers of the
    /// file, hence so wide.
    pub(crate) fn room(&self, bytes: u128, what: &str) -> Result<usize, E> {
        let left = self.remaining();
        let fits = usize::try_from(bytes).ok().filter(|_| bytes <= u128::from(left));
        fits.ok_or_else(|| {
            self.malformed(format!("{what} would take `{bytes}` bytes, but {left} are left"))
        })
    }

    /// Fills `bytes` with the next bytes.
    pub(crate) fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<(), E> {
        self.room(bytes.len() as u128, what)?;
        let read = self.reader.read_exact(bytes);
        read.map_err(|source| E::unreadable(self.name.clone(), self.offset, source))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Returns the next bytes.
    pub(crate) fn bytes(&mut self, count: u128, what: &str) -> Result<Vec<u8>, E> {
        let mut bytes = vec![0; self.room(count, what)?];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }
}
