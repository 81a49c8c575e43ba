//! Sends every edge to the owners of its ends: the only pass over the files of edges.

use std::path::PathBuf;
use std::slice;

use super::ConnectError;
use super::collector::Collector;
use super::post::{Outgoing, Owners, Step};
use crate::edges::{EdgeFile, EdgeReader};
use crate::pairs::{PAIR_BYTES, decode, encode};

/// The files of edges that a rank reads, with their places in the task.
pub(super) struct OwnFiles(Vec<(usize, EdgeFile)>);

impl OwnFiles {
    /// Opens the files of a rank, and closes them until they are read.
    pub(super) fn open(
        files: &[PathBuf],
        (rank, size): (usize, usize),
    ) -> Result<Self, ConnectError> {
        let own = files.iter().enumerate().filter(|(file, _)| file % size == rank);
        let open = |(file, path): (usize, &PathBuf)| {
            let mut opened =
                EdgeFile::open(path).map_err(|source| ConnectError::EdgeFile { file, source })?;
            opened.release();
            Ok((file, opened))
        };
        own.map(open).collect::<Result<_, _>>().map(Self)
    }
}

/// Sends the edges of the own files, and collects the neighbours of the own documents.
pub(super) struct Scatter<'a> {
    files: slice::Iter<'a, (usize, EdgeFile)>,
    reading: Option<(usize, EdgeReader<'a>)>,
    ahead_bytes: usize,
    rank: usize,
    owners: Owners,
    neighbours: Collector<'a>,
}

impl<'a> Scatter<'a> {
    pub(super) fn new(
        files: &'a OwnFiles,
        ahead_bytes: usize,
        (rank, owners): (usize, Owners),
        neighbours: Collector<'a>,
    ) -> Self {
        Self { files: files.0.iter(), reading: None, ahead_bytes, rank, owners, neighbours }
    }

    /// Returns the neighbours that were collected.
    pub(super) fn into_neighbours(self) -> Collector<'a> {
        self.neighbours
    }

    /// Returns the next edge that is not sent, and none at the end of the last file.
    fn peek(&mut self) -> Result<Option<(u64, u64)>, ConnectError> {
        loop {
            if let Some((file, reader)) = &mut self.reading {
                let failed = |source| ConnectError::EdgeFile { file: *file, source };
                if let Some(edge) = reader.peek().map_err(failed)? {
                    return Ok(Some(edge));
                }
            }
            let Some((file, edges)) = self.files.next() else { return Ok(None) };
            self.reading = Some((*file, edges.read(self.ahead_bytes)));
        }
    }

    fn skip(&mut self) {
        if let Some((_, reader)) = &mut self.reading {
            reader.skip();
        }
    }
}

impl Step for Scatter<'_> {
    fn fill(&mut self, post: &mut Outgoing) -> Result<bool, ConnectError> {
        while let Some((member, smallest)) = self.peek()? {
            let ends = [(member, smallest), (smallest, member)];
            let owners = ends.map(|(document, _)| self.owners.rank_of(document));
            // One rank may own both ends.
            if owners.iter().any(|owner| !post.has_room(*owner, 2 * PAIR_BYTES)) {
                return Ok(true);
            }
            for (owner, pair) in owners.into_iter().zip(ends) {
                if owner == self.rank {
                    self.neighbours.push(pair)?;
                } else {
                    post.put(owner, &encode(pair));
                }
            }
            self.skip();
        }
        Ok(false)
    }

    fn take(&mut self, message: &[u8]) -> Result<Option<()>, ConnectError> {
        if !message.len().is_multiple_of(PAIR_BYTES) {
            return Ok(None);
        }
        for pair in decode(message) {
            if self.owners.rank_of(pair.0) != self.rank {
                return Ok(None);
            }
            self.neighbours.push(pair)?;
        }
        Ok(Some(()))
    }
}
