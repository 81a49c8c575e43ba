//! The container of every intermediate file: checksummed blocks behind an index.
//!
//! ```text
//! file header   magic · kind · checksum
//! block …       stored length · raw length · count · label · checksum · payload (zstd if smaller)
//! footer        number of blocks · caller's metadata · the block headers again, as an index
//! trailer       footer length · checksum · magic
//! ```
//! A block's *label* (a first key, an ordinal) and *count* are the caller's: they let a reader pick
//! blocks from the index alone. What the payloads mean, names and publishing are left to callers.
//!
//! Invariant: a byte that changed since it was written is never handed out. Reading gives what was
//! written or [`BlocksError::Damaged`], which names file, offset and cause, so that the unit that
//! made the file can run again. No allocation is larger than the file or [`MAX_BLOCK_BYTES`].

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

/// What a file holds, four ASCII letters in its header: a file of one kind is not read as another.
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
    /// The bytes are not those that were written: have the unit that made the file run again.
    #[error(
        "`{}` is damaged at byte {offset}: {what}\n\nhint: run the unit that wrote it again",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in the file the damaged part begins.
        offset: u64,
        /// What is wrong there.
        what: Damage,
    },
    /// The file system refused.
    #[error("failed to read `{}`: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// What is wrong with a damaged file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The first bytes are not a block file's, or the version is another.
    #[error("not a block file of this version")]
    Magic,
    /// A block file, of another kind.
    #[error("the file is of kind `{found}`, expected `{expected}`")]
    Kind {
        /// The kind that the reader asked for.
        expected: Kind,
        /// The kind that the file states.
        found: Kind,
    },
    /// The file ends before what its index or trailer promises.
    #[error("the file is cut short")]
    Truncated,
    /// The bytes do not have their checksum.
    #[error("wrong checksum")]
    Checksum,
    /// The checksum holds but the lengths and fields contradict each other.
    #[error("{0}")]
    Layout(&'static str),
    /// The payload does not decompress to its stated length.
    #[error("payload does not decompress to its length")]
    Compression,
}
