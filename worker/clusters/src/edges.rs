//! Finds the edges of one key range: which documents have the key of a band in common.
//!
//! ```text
//! rank (units or groups u with u mod size = rank)        owner (keys that spread to it)
//!   band keys ── slice of the range ──→ key + place · bands + band ──→ sort, group ──→ edges
//! ```
//! The documents of a key are a *group*. Each member but the smallest gets an edge to the smallest,
//! which connects them all; equal edges of several bands are written once where they meet. Nothing
//! is compared here. Groups above a limit are reported, because they are boilerplate more often
//! than copies, and their edges are written like all others.
//!
//! Invariant: the set of edges over all ranks, and the tally, are a function of the key files and
//! the task alone, whatever the number of ranks and the budget.

mod file;
mod tally;

use std::fmt;
use std::io::{self, Write};

use thresher_dedup::comm::Communicator;
use thresher_dedup::comm::agreement::{agree, run_on_threads};
use thresher_dedup::exchange::KeyFiles;
use thresher_dedup::exchange::groups::{GroupTask, find_groups};
use thresher_dedup::{KeyRange, Position, ResolveError};

use crate::document::Document;
use file::EdgeWriter;
pub use file::{EDGE_FILE, EdgeFile, EdgeReader};
pub use tally::{EdgeTally, LargeGroup, MAX_LARGE_GROUPS};

/// Divisor of the budget that gives the part for edges until they are written, which the search for
/// groups leaves.
const RESULT_SHARE: u64 = 4;

/// The work of one key range; the same on every rank except for the budget.
#[derive(Debug, Clone, Copy)]
pub struct EdgeTask<'a> {
    /// The band keys of all units, with every occurrence. The ordinal of a key is the place of its
    /// document in the unit, times the number of bands, plus the band.
    pub key_files: KeyFiles<'a>,
    /// The part of the key space to search.
    pub range: KeyRange,
    /// Number of bands.
    pub bands: u32,
    /// The memory that this rank may use.
    pub budget_bytes: u64,
    /// Groups with more documents than this are listed in the tally.
    pub largest_group: u64,
}

/// The identity of a file of edges: its range, its rank and the size of the world that made it. Its
/// `Display` is the name of the file, `edges-00002-of-00009-rank-00000-of-00004`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeFileName {
    /// The key range.
    pub range: KeyRange,
    /// The rank that wrote the file.
    pub rank: u32,
    /// Number of ranks.
    pub world: u32,
}

impl EdgeFileName {
    /// Returns the name of the file that this rank writes.
    pub fn of<C: Communicator + ?Sized>(comm: &C, range: KeyRange) -> Self {
        Self { range, rank: comm.rank() as u32, world: comm.size() as u32 }
    }
}

impl fmt::Display for EdgeFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (range, rank, world) = (self.range, self.rank, self.world);
        write!(f, "edges-{:05}-of-{:05}", range.index(), range.of())?;
        write!(f, "-rank-{rank:05}-of-{world:05}")
    }
}

/// Finds the edges of one key range together with the other ranks of the world, writes those whose
/// keys this rank owns to `out`, and returns it with the tally of all ranks.
pub fn find_edges<C: Communicator + ?Sized, W: Write>(
    comm: &mut C,
    task: &EdgeTask<'_>,
    out: W,
) -> Result<(W, EdgeTally), ResolveError> {
    let EdgeTask { key_files, range, bands, budget_bytes, largest_group } = *task;
    let bands = bands.max(1);
    let opened = EdgeWriter::new(out, budget_bytes / RESULT_SHARE);
    let mut writer = agree(comm, opened.map_err(ResolveError::Output))?;
    let mut tally = EdgeTally::default();
    let mut members: Vec<Document> = Vec::new();
    let rule = &[u64::from(bands), largest_group];
    let task = GroupTask { key_files, range, rule, budget_bytes };
    let keys = find_groups::<u64, C>(comm, &task, |key, positions| {
        members.clear();
        members.extend(positions.map(|position| document_of(position, bands)));
        members.dedup();
        let [smallest, others @ ..] = &members[..] else { return Ok(()) };
        tally.add_group(key, members.len() as u64, *smallest, largest_group);
        others.iter().try_for_each(|member| writer.push(*member, *smallest))
    })?;
    tally.add_up(comm, keys)?;
    let out = agree(comm, writer.finish().map_err(ResolveError::Output))?;
    Ok((out, tally))
}

/// Finds the edges of one key range in a world of threads of this process. The budget is for all of
/// them together; `create` makes the sink for each file. Returns the files by rank.
pub fn find_edges_on_threads<W: Write + Send>(
    threads: usize,
    task: &EdgeTask<'_>,
    create: impl Fn(EdgeFileName) -> io::Result<W> + Sync,
) -> Result<(Vec<(EdgeFileName, W)>, EdgeTally), ResolveError> {
    let budget_bytes = task.budget_bytes / threads as u64;
    let task = EdgeTask { budget_bytes, ..*task };
    let ranks = run_on_threads(threads, |comm| {
        let name = EdgeFileName::of(comm, task.range);
        let out = agree(comm, create(name).map_err(ResolveError::Output))?;
        let (out, tally) = find_edges(comm, &task, out)?;
        Ok::<_, ResolveError>(((name, out), tally))
    })?;
    let (files, mut tallies): (Vec<_>, Vec<_>) = ranks.into_iter().unzip();
    Ok((files, tallies.pop().unwrap_or_default()))
}

fn document_of(position: Position, bands: u32) -> Document {
    Document { unit: position.unit, place: position.ordinal / bands }
}

#[cfg(test)]
mod tests;
