//! Reads the sections of a model file whose length is known, and explains why a file is refused.
//!
//! **Invariant:** a size is compared with the bytes that are left before anything is allocated, so
//! a file never makes the loader use more memory than a small multiple of its own length.

use std::io::{Cursor, Read};

use super::bits::Section;

/// Number of bytes that are read to identify the kind of a file.
const START_BYTES: u64 = 88;

/// Why a model was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot open KenLM model `{name}`")]
    Open { name: String, source: std::io::Error },
    #[error("cannot read KenLM model `{name}` at byte {offset}")]
    Read { name: String, offset: u64, source: std::io::Error },
    #[error(
        "`{name}` is not a KenLM model: it starts with `{start}`\n\
         hint: Thresher reads what `build_binary` writes, and ARPA files, plain or gzip"
    )]
    NotAModel { name: String, start: String },
    #[error("KenLM model `{name}` is unfinished: its `build_binary` did not finish")]
    Unfinished { name: String },
    #[error(
        "KenLM model `{name}` has format version `{version}`, not 5\n\
         hint: build it again from its ARPA file with a current `build_binary`"
    )]
    Version { name: String, version: String },
    #[error(
        "KenLM model `{name}` was built on a machine with another number format, not on 64-bit \
         x86 or ARM"
    )]
    OtherMachine { name: String },
    #[error(
        "KenLM model `{name}` is of type `{kind}`, which is not read here\n\
         hint: build it with `build_binary probing` or `build_binary trie`"
    )]
    Kind { name: String, kind: String },
    #[error("malformed KenLM model `{name}` at byte {offset}: {what}")]
    Malformed { name: String, offset: u64, what: String },
    #[error("malformed ARPA file `{name}` on line {line}: {what}")]
    Arpa { name: String, line: u64, what: String },
}

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

    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// Returns an error at the current offset.
    pub(super) fn malformed(&self, what: impl Into<String>) -> LoadError {
        LoadError::Malformed { name: self.name(), offset: self.offset, what: what.into() }
    }

    /// Returns the distance from the current offset to the next multiple of eight.
    pub(super) fn misalignment(&self) -> u64 {
        self.offset.next_multiple_of(8) - self.offset
    }

    /// Reads the first bytes of the file, fewer if it is shorter.
    pub(super) fn start(&mut self) -> Result<Vec<u8>, LoadError> {
        let length = self.length.min(START_BYTES);
        Ok(self.section(length.into(), "its start")?.into_bytes())
    }

    /// Returns the whole file as a stream, including the bytes that [`Self::start`] read.
    pub(super) fn rest(&mut self, start: &[u8]) -> impl Read + '_ {
        Cursor::new(start.to_vec()).chain(&mut self.reader)
    }

    /// Reads the next `bytes` bytes. The type is wide because sizes are computed from numbers of
    /// the file.
    pub(super) fn section(&mut self, bytes: u128, what: &str) -> Result<Section, LoadError> {
        let left = self.length - self.offset;
        let size = match u64::try_from(bytes) {
            Ok(size) if size <= left => size,
            Ok(_) | Err(_) => {
                let problem = format!("{what} would take `{bytes}` bytes, but {left} are left");
                return Err(self.malformed(problem));
            }
        };
        let mut read = Vec::with_capacity(size as usize);
        let result = (&mut self.reader).take(size).read_to_end(&mut read);
        let got = result.map_err(|source| LoadError::Read {
            name: self.name(),
            offset: self.offset,
            source,
        })?;
        self.offset += got as u64;
        if got as u64 != size {
            return Err(self.malformed(format!("the file ends within {what}")));
        }
        Ok(Section::new(read))
    }
}
