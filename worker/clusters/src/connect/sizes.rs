//! Counts the documents of each component at the owner of its smallest document, and writes the
//! labels of a rank with these numbers.

use std::io::Write;

use thresher_dedup::comm::Communicator;

use super::ConnectError;
use super::post::{Inquiry, Outgoing, Owners, Post, Step};
use crate::labels::LabelWriter;

/// What a rank knows about its components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Number of components whose smallest document the rank owns.
    pub(super) components: u64,
    /// Number of documents of the largest of these.
    pub(super) largest: u64,
}

/// Writes the labels of this rank's vertices, and returns what it knows about its components.
pub(super) fn write_labels<C: Communicator + ?Sized, W: Write>(
    comm: &mut C,
    post: &mut Post,
    owners: Owners,
    (vertices, labels): (&[u64], &[u64]),
    out: &mut LabelWriter<W>,
) -> Result<Sizes, ConnectError> {
    let rank = comm.rank();
    let sizes = vec![0; vertices.len()];
    let mut counts = Counts { vertices, labels, sizes, owners, rank, at: 0 };
    post.run(comm, &mut counts)?;
    let sizes = counts.sizes;
    let components = sizes.iter().filter(|size| **size > 0).count() as u64;
    let largest = sizes.iter().copied().max().unwrap_or(0);
    post.ask(comm, owners, &mut Members { vertices, labels, sizes: &sizes, out })?;
    Ok(Sizes { components, largest })
}

/// Each document is counted at the owner of its label.
struct Counts<'a> {
    vertices: &'a [u64],
    labels: &'a [u64],
    /// Number of documents with this vertex as their label.
    sizes: Vec<u64>,
    owners: Owners,
    rank: usize,
    at: usize,
}

impl Counts<'_> {
    fn count(&mut self, label: u64) -> Option<()> {
        let at = self.vertices.binary_search(&label).ok()?;
        self.sizes[at] += 1;
        Some(())
    }
}

impl Step for Counts<'_> {
    fn fill(&mut self, post: &mut Outgoing) -> Result<bool, ConnectError> {
        while let Some(&label) = self.labels.get(self.at) {
            let owner = self.owners.rank_of(label);
            if owner == self.rank {
                self.count(label).ok_or(ConnectError::Message { from: owner })?;
            } else if post.has_room(owner, size_of::<u64>()) {
                post.put(owner, &label.to_le_bytes());
            } else {
                return Ok(true);
            }
            self.at += 1;
        }
        Ok(false)
    }

    fn take(&mut self, message: &[u8]) -> Result<Option<()>, ConnectError> {
        let (labels, odd) = message.as_chunks::<8>();
        let mut counted = labels.iter().map(|label| self.count(u64::from_le_bytes(*label)));
        Ok(counted.all(|counted| counted.is_some()).then_some(()).filter(|()| odd.is_empty()))
    }
}

/// Each document asks the owner of its label for the size of the component.
struct Members<'a, W: Write> {
    vertices: &'a [u64],
    labels: &'a [u64],
    sizes: &'a [u64],
    out: &'a mut LabelWriter<W>,
}

impl<W: Write> Inquiry for Members<'_, W> {
    fn questions(&self) -> usize {
        self.labels.len()
    }

    fn question(&self, at: usize) -> u64 {
        self.labels[at]
    }

    fn answer(&self, question: u64) -> Option<u64> {
        self.vertices.binary_search(&question).ok().map(|at| self.sizes[at])
    }

    fn take(&mut self, at: usize, answer: u64) -> Result<(), ConnectError> {
        self.out.push(self.vertices[at], self.labels[at], answer).map_err(ConnectError::Output)
    }
}
