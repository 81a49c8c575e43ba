//! The sections of a KenLM model file, and why a file is refused.

use std::io::{Cursor, Read};

use super::bits::Section;
use crate::model_file::{FileFault, ModelFile};

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
    /// How far the present offset is from the next multiple of eight.
    pub(super) fn misalignment(&self) -> u64 {
        self.offset().next_multiple_of(8) - self.offset()
    }

    /// Reads the first bytes of the file, fewer if it is shorter.
    pub(super) fn start(&mut self) -> Result<Vec<u8>, LoadError> {
        let length = self.length().min(START_BYTES);
        self.bytes(length.into(), "its start")
    }

    /// Returns the whole file as a stream, including the bytes that [`Self::start`] read.
    pub(super) fn rest(&mut self, start: &[u8]) -> impl Read + '_ {
        Cursor::new(start.to_vec()).chain(self.reader())
    }

    /// The next `bytes` bytes as a section.
    pub(super) fn section(&mut self, bytes: u128, what: &str) -> Result<Section, LoadError> {
        self.bytes(bytes, what).map(Section::new)
    }
}
