//! The neighbours of the documents that a rank owns: pairs of a document and a neighbour, sorted,
//! each once, in memory or in a file.
//!
//! A round reads the neighbours of documents that have news. Where these are few, the parts of the
//! file between them are not read.

use std::fs;
use std::path::PathBuf;

use thresher_formats::blocks::{BlocksError, Kind};

use super::ConnectError;
use crate::pairs::{PAIR_BYTES, PairFile, PairReader};

/// The kind of block file that spilled neighbours are in.
pub(super) const NEIGHBOURS: Kind = Kind(*b"NBRS");
/// A cursor reads over this many blocks rather than to start again after them.
const NEAR_BLOCKS: usize = 8;

/// All pairs of a rank.
pub(super) struct Neighbours {
    pairs: Pairs,
    /// Number of different documents that the pairs start with.
    pub(super) documents: u64,
    /// Number of pairs with a smaller neighbour: as every edge is in both directions, this is the
    /// number of edges whose larger document the rank owns.
    pub(super) edges: u64,
}

enum Pairs {
    InMemory(Vec<u128>),
    InFile { file: PairFile, ahead_bytes: usize, _removed_at_the_end: Spilled },
}

/// Counts over pairs in their order.
#[derive(Default)]
struct Counted {
    last: Option<u64>,
    documents: u64,
    edges: u64,
}

impl Counted {
    fn add(&mut self, (document, neighbour): (u64, u64)) {
        self.documents += u64::from(self.last.replace(document) != Some(document));
        self.edges += u64::from(neighbour < document);
    }
}

impl Neighbours {
    pub(super) fn in_memory(pairs: Vec<u128>) -> Self {
        let mut counted = Counted::default();
        pairs.iter().for_each(|pair| counted.add(split(*pair)));
        let Counted { documents, edges, .. } = counted;
        Self { pairs: Pairs::InMemory(pairs), documents, edges }
    }

    pub(super) fn in_file(spilled: Spilled, ahead_bytes: usize) -> Result<Self, ConnectError> {
        let file = spilled.open()?;
        let mut counted = Counted::default();
        let mut reader = file.read_all(ahead_bytes);
        loop {
            let pairs = reader.pairs().map_err(ConnectError::ScratchRead)?;
            if pairs.is_empty() {
                break;
            }
            pairs.iter().for_each(|pair| counted.add(*pair));
            let read = pairs.len();
            reader.skip(read);
        }
        let Counted { documents, edges, .. } = counted;
        let pairs = Pairs::InFile { file, ahead_bytes, _removed_at_the_end: spilled };
        Ok(Self { pairs, documents, edges })
    }

    /// Returns the memory that the pairs take.
    pub(super) fn bytes_in_memory(&self) -> u64 {
        match &self.pairs {
            Pairs::InMemory(pairs) => (pairs.len() * PAIR_BYTES) as u64,
            Pairs::InFile { ahead_bytes, .. } => *ahead_bytes as u64,
        }
    }

    /// Returns the pairs that are in memory.
    pub(super) fn into_pairs(self) -> Vec<u128> {
        match self.pairs {
            Pairs::InMemory(pairs) => pairs,
            Pairs::InFile { .. } => Vec::new(),
        }
    }

    /// Returns the different documents that the pairs start with, ascending.
    pub(super) fn documents(&self) -> Result<Vec<u64>, ConnectError> {
        let mut documents = Vec::with_capacity(usize::try_from(self.documents).unwrap_or(0));
        let mut cursor = self.cursor();
        while let Some((document, _)) = cursor.peek()? {
            documents.push(document);
            cursor.seek(document.saturating_add(1));
            if document == u64::MAX {
                break;
            }
        }
        Ok(documents)
    }

    /// Starts to read from the first pair.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        match &self.pairs {
            Pairs::InMemory(pairs) => Cursor::InMemory { pairs },
            Pairs::InFile { file, ahead_bytes, .. } => Cursor::InFile(FileCursor {
                file,
                ahead_bytes: *ahead_bytes,
                reader: file.read_all(*ahead_bytes),
                wanted: 0,
            }),
        }
    }
}

/// A place among the pairs of a rank, which only moves forward.
pub(super) enum Cursor<'a> {
    InMemory { pairs: &'a [u128] },
    InFile(FileCursor<'a>),
}

pub(super) struct FileCursor<'a> {
    file: &'a PairFile,
    ahead_bytes: usize,
    reader: PairReader<'a>,
    /// Pairs of smaller documents are skipped.
    wanted: u64,
}

impl Cursor<'_> {
    /// Moves to the first pair of this document or a larger one, unless it is already there.
    pub(super) fn seek(&mut self, document: u64) {
        match self {
            Self::InMemory { pairs } => {
                let first = u128::from(document) << 64;
                // Near pairs are found by looking ahead in doubled steps.
                let mut end = 1;
                while end < pairs.len() && pairs[end - 1] < first {
                    end *= 2;
                }
                let end = end.min(pairs.len());
                let begin = pairs[..end].partition_point(|pair| *pair < first);
                *pairs = &pairs[begin..];
            }
            Self::InFile(cursor) => cursor.wanted = cursor.wanted.max(document),
        }
    }

    /// Returns the pair at this place, and none at the end.
    pub(super) fn peek(&mut self) -> Result<Option<(u64, u64)>, ConnectError> {
        match self {
            Self::InMemory { pairs } => Ok(pairs.first().map(|pair| split(*pair))),
            Self::InFile(cursor) => cursor.peek().map_err(ConnectError::ScratchRead),
        }
    }

    /// Moves to the next pair.
    pub(super) fn skip(&mut self) {
        match self {
            Self::InMemory { pairs } => *pairs = pairs.get(1..).unwrap_or_default(),
            Self::InFile(cursor) => cursor.reader.skip(1),
        }
    }
}

impl FileCursor<'_> {
    fn peek(&mut self) -> Result<Option<(u64, u64)>, BlocksError> {
        loop {
            let pairs = self.reader.pairs()?;
            let Some(first) = pairs.first() else { return Ok(None) };
            if first.0 >= self.wanted {
                return Ok(Some(*first));
            }
            let smaller = pairs.partition_point(|pair| pair.0 < self.wanted);
            let all = smaller == pairs.len();
            self.reader.skip(smaller);
            if all {
                self.jump();
            }
        }
    }

    /// Starts again at the block in which the wanted document may start, if that is far away.
    fn jump(&mut self) {
        let entries = self.file.entries();
        let wanted = u128::from(self.wanted);
        let block = entries.partition_point(|entry| entry.label < wanted).saturating_sub(1);
        if block > self.reader.next_block() + NEAR_BLOCKS {
            self.reader = self.file.read(block..entries.len(), self.ahead_bytes);
        }
    }
}

/// A file of sorted pairs, which is removed with its owner.
#[derive(Debug)]
pub(super) struct Spilled(PathBuf);

impl Spilled {
    /// Takes over a file that exists.
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn open(&self) -> Result<PairFile, ConnectError> {
        PairFile::open(&self.0, NEIGHBOURS).map_err(ConnectError::ScratchRead)
    }
}

impl Drop for Spilled {
    fn drop(&mut self) {
        // It does no harm if it stays, because the folder belongs to the attempt.
        let _ = fs::remove_file(&self.0);
    }
}

/// Returns the document and the neighbour of a pair.
#[inline]
pub(super) fn split(pair: u128) -> (u64, u64) {
    ((pair >> 64) as u64, pair as u64)
}
