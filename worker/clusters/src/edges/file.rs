//! The file of edges of one rank: pairs of a member and the smallest document of its group.
//!
//! Edges are collected up to a limit of memory, and then written in ascending order, each once. A
//! file can have an edge again after that; readers take edges as a set.

use std::io::{self, Write};
use std::path::Path;

use thresher_formats::blocks::{BlocksError, Damage, Kind};

use crate::document::Document;
use crate::pairs::{PAIR_BYTES, PairFile, PairReader, PairWriter};

/// The kind of block file that a file of edges is.
pub const EDGE_FILE: Kind = Kind(*b"EDGE");
/// With fewer pending edges than this, most batches would repeat what others have.
const MIN_PENDING: usize = 64;

/// Collects and writes edges.
pub(super) struct EdgeWriter<W: Write> {
    pairs: PairWriter<W>,
    /// Member and smallest document, in one number, which is sorted faster than a pair.
    pending: Vec<u128>,
    pending_limit: usize,
}

impl<W: Write> EdgeWriter<W> {
    /// Starts a file; `pending_bytes` is the memory for edges until they are written.
    pub(super) fn new(out: W, pending_bytes: u64) -> io::Result<Self> {
        // A vector may have twice the capacity that it needs.
        let limit = pending_bytes / (2 * PAIR_BYTES as u64);
        Ok(Self {
            pairs: PairWriter::new(out, EDGE_FILE)?,
            pending: Vec::new(),
            pending_limit: usize::try_from(limit).unwrap_or(usize::MAX).max(MIN_PENDING),
        })
    }

    /// Adds the edge from a member to the smallest document of its group.
    pub(super) fn push(&mut self, member: Document, smallest: Document) -> io::Result<()> {
        self.pending.push(u128::from(member.to_u64()) << 64 | u128::from(smallest.to_u64()));
        if self.pending.len() >= self.pending_limit { self.write() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.write()?;
        self.pairs.finish()
    }

    fn write(&mut self) -> io::Result<()> {
        self.pending.sort_unstable();
        self.pending.dedup();
        for edge in self.pending.drain(..) {
            self.pairs.push(((edge >> 64) as u64, edge as u64))?;
        }
        Ok(())
    }
}

/// An open file of edges.
#[derive(Debug)]
pub struct EdgeFile(PairFile);

impl EdgeFile {
    /// Opens a file of edges. Its index is verified now, its blocks when they are read.
    pub fn open(path: &Path) -> Result<Self, BlocksError> {
        PairFile::open(path, EDGE_FILE).map(Self)
    }

    /// Returns the number of edges.
    pub fn edges(&self) -> u64 {
        self.0.pairs()
    }

    /// Closes the file until it is read. A file that was closed is opened for each read.
    pub(crate) fn release(&mut self) {
        self.0.release();
    }

    /// Reads the edges in their order, at most this many bytes ahead.
    pub fn read(&self, ahead_bytes: usize) -> EdgeReader<'_> {
        EdgeReader(self.0.read_all(ahead_bytes))
    }
}

/// Reads edges in the order of the file, with one block in memory.
pub struct EdgeReader<'a>(PairReader<'a>);

impl EdgeReader<'_> {
    /// Returns the next edge, a member and the smallest document of its group, and none at the end.
    pub fn next_edge(&mut self) -> Result<Option<(Document, Document)>, BlocksError> {
        let Some((member, smallest)) = self.peek()? else { return Ok(None) };
        self.skip();
        Ok(Some((Document::from_u64(member), Document::from_u64(smallest))))
    }

    /// Returns the same as [`Self::next_edge`], and stays before it.
    pub(crate) fn peek(&mut self) -> Result<Option<(u64, u64)>, BlocksError> {
        let Some(&(member, smallest)) = self.0.pairs()?.first() else { return Ok(None) };
        if member <= smallest {
            let what = Damage::Layout("an edge does not go to a smaller document");
            return Err(self.0.damaged(what));
        }
        Ok(Some((member, smallest)))
    }

    /// Continues after the edge of [`Self::peek`].
    pub(crate) fn skip(&mut self) {
        self.0.skip(1);
    }
}
