//! The container of every intermediate file: checksummed blocks behind an index.
//!
//! ```text
//! file header   magic · kind · checksum
//! block …       stored length · raw length · count · label · checksum · payload (zstd if smaller)
//! footer        number of blocks · caller's metadata · the block headers again, as an index
//! trailer       footer length · checksum · magic
//! ```
//! A block's *label* (a first key, an ordinal) and *count* are chosen by the caller, so that a
//! reader can select blocks from the index alone. This module does not know what payloads mean, and
//! does not name or publish files.
//!
//! Invariant: a byte that changed since it was written is never returned. A read returns what was
//! written or [`BlocksError::Damaged`], which names the file, offset and cause, so that the unit
//! that made the file can run again. No allocation is larger than the file or [`MAX_BLOCK_BYTES`].

mod layout;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::io;
use std::path::PathBuf;

pub use layout::{BlockEntry, MAX_BLOCK_BYTES};
pub use reader::{Block, BlockCursor, BlockFile};
pub use writer::{BlockWriter, Compression};

/// What a file holds, as four ASCII letters in its header, so that a file of one kind is never read
/// as another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub [u8; 4]);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({self})")
    }
}

/// Why a block file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BlocksError {
    /// The bytes differ from those that were written; the unit that made the file has to run again.
    #[error(
        "`{}` is damaged at byte {offset}: {what}\n\nhint: the unit that wrote it runs again by itself while the job runs",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Offset in the file at which the damaged part starts.
        offset: u64,
        /// What is wrong there.
        what: Damage,
    },
    /// The file system returned an error.
    #[error("failed to read `{}`: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
}

/// What is wrong with a damaged file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file does not start like a block file, or it has another version.
    #[error("not a block file of this version")]
    Magic,
    /// The file is a block file of another kind.
    #[error("the file is of kind `{found}`, expected `{expected}`")]
    Kind {
        /// The kind that the reader expects.
        expected: Kind,
        /// The kind in the header of the file.
        found: Kind,
    },
    /// The file ends before its index or trailer says that it does.
    #[error("the file is cut short")]
    Truncated,
    /// A checksum does not match its bytes.
    #[error("wrong checksum")]
    Checksum,
    /// The checksum matches, but lengths or fields contradict each other.
    #[error("{0}")]
    Layout(&'static str),
    /// The payload does not decompress to the length in its header.
    #[error("payload does not decompress to its length")]
    Compression,
}
