//! Finds the connected components of all edges, over all ranks.
//!
//! ```text
//! edge files ── each edge to the owners of both ends ──→ neighbours: sorted, each once
//!            ── rounds: offers, hooks, parents of parents ──→ label of each document
//!            ── number of documents of each component ──→ file of labels
//! ```
//! A document belongs to the rank of its group of units, which holds its state in memory and its
//! neighbours in memory or in a file. A component is named by its smallest document. These are
//! candidates: nothing is compared here. The caller names and publishes the output.
//!
//! Memory: [`Forest::VERTEX_BYTES`] for each document that a rank owns, and the rest of the budget
//! for messages and neighbours. If the documents do not fit, that is an error before anything is
//! allocated for them.
//!
//! Invariant: the labels and the tally are a function of the set of edges alone. They depend
//! neither on the number of ranks, nor on the order of files and edges, nor on the budget.

mod collector;
mod error;
mod neighbours;
mod post;
mod rounds;
mod scatter;
mod sizes;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thresher_dedup::comm::Communicator;
use thresher_dedup::comm::agreement::{agree, is_same, run_on_threads};
use thresher_near::components::Forest;

use self::collector::{Collector, Room};
pub use self::error::ConnectError;
use self::neighbours::Neighbours;
use self::post::{Owners, Post};
use self::scatter::{OwnFiles, Scatter};
use crate::labels::{LabelSummary, LabelWriter};

/// Smallest budget; with less, a batch would hold only a few edges.
const MIN_BUDGET_BYTES: u64 = 16 << 10;
/// The largest read of a file.
const MAX_AHEAD_BYTES: u64 = 1 << 20;

/// The search for components; the same on every rank except for the budget.
#[derive(Debug, Clone, Copy)]
pub struct ConnectTask<'a> {
    /// The files of edges of all key ranges, in the same order on every rank.
    pub edge_files: &'a [PathBuf],
    /// Number of neighbouring units whose documents one rank owns: unit u belongs to rank
    /// u / `group_units` mod the number of ranks.
    pub group_units: u32,
    /// The memory that this rank may use.
    pub budget_bytes: u64,
    /// An existing folder for what does not fit into memory, which no other world uses.
    pub scratch: &'a Path,
}

/// The counts over all ranks; the same on each rank, and in every world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectTally {
    /// Number of documents with an edge.
    pub documents: u64,
    /// Number of different edges.
    pub edges: u64,
    /// Number of components, which have at least two documents.
    pub components: u64,
    /// Number of documents of the largest component.
    pub largest_component: u64,
    /// Number of rounds until every document had its label.
    pub rounds: u32,
}

/// The identity of a file of labels: its rank and the size of the world that made it. Its `Display`
/// is the name of the file, `labels-rank-00000-of-00004`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelFileName {
    /// The rank that wrote the file.
    pub rank: u32,
    /// Number of ranks.
    pub world: u32,
}

impl LabelFileName {
    /// Returns the name of the file that this rank writes.
    pub fn of<C: Communicator + ?Sized>(comm: &C) -> Self {
        Self { rank: comm.rank() as u32, world: comm.size() as u32 }
    }
}

impl fmt::Display for LabelFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "labels-rank-{:05}-of-{:05}", self.rank, self.world)
    }
}

/// Finds the components together with the other ranks of the world, writes the labels of the
/// documents that this rank owns to `out`, and returns it with the tally.
pub fn connect<C: Communicator + ?Sized, W: Write>(
    comm: &mut C,
    task: &ConnectTask<'_>,
    out: W,
) -> Result<(W, ConnectTally), ConnectError> {
    check_same_task(comm, task)?;
    let group_units = task.group_units.max(1);
    let owners = Owners { group_units, ranks: comm.size() };
    // Messages have the same limit on all ranks, that of the rank with the least memory.
    let least_bytes = !comm.all_reduce_max(!task.budget_bytes)?;
    let shares = Shares::of(task.budget_bytes);
    let mut post = Post::new(comm.size(), Shares::of(least_bytes).post_bytes);

    let neighbours = collect(comm, &mut post, owners, (task, shares))?;
    let mut forest = agree(comm, plant(&neighbours, shares))?;
    let rounds = rounds::settle(comm, &mut post, owners, (&mut forest, &neighbours))?;
    let (documents, edges) = (neighbours.documents, neighbours.edges);
    drop(neighbours);

    let (vertices, labels) = forest.into_labels();
    let LabelFileName { rank, world } = LabelFileName::of(comm);
    let summary = LabelSummary { rank, world, group_units, documents: 0 };
    let opened = LabelWriter::new(out, summary).map_err(ConnectError::Output);
    let mut writer = agree(comm, opened)?;
    let sizes = sizes::write_labels(comm, &mut post, owners, (&vertices, &labels), &mut writer)?;
    post.check(comm)?;
    let tally = ConnectTally {
        documents: comm.all_reduce_sum(documents)?,
        edges: comm.all_reduce_sum(edges)?,
        components: comm.all_reduce_sum(sizes.components)?,
        largest_component: comm.all_reduce_max(sizes.largest)?,
        rounds,
    };
    let out = agree(comm, writer.finish().map_err(ConnectError::Output))?;
    Ok((out, tally))
}

/// Finds the components in a world of threads of this process. The budget is for all of them
/// together; `create` makes the sink for each file of labels. Returns the files by rank.
pub fn connect_on_threads<W: Write + Send>(
    threads: usize,
    task: &ConnectTask<'_>,
    create: impl Fn(LabelFileName) -> io::Result<W> + Sync,
) -> Result<(Vec<(LabelFileName, W)>, ConnectTally), ConnectError> {
    let budget_bytes = task.budget_bytes / threads as u64;
    let task = ConnectTask { budget_bytes, ..*task };
    let ranks = run_on_threads(threads, |comm| {
        let name = LabelFileName::of(comm);
        let out = agree(comm, create(name).map_err(ConnectError::Output))?;
        let (out, tally) = connect(comm, &task, out)?;
        Ok::<_, ConnectError>(((name, out), tally))
    })?;
    let tally = ranks.first().map(|(_, tally)| *tally).unwrap_or_default();
    Ok((ranks.into_iter().map(|(file, _)| file).collect(), tally))
}

/// How the budget of a rank is divided.
#[derive(Debug, Clone, Copy)]
struct Shares {
    budget_bytes: u64,
    /// For messages.
    post_bytes: u64,
    /// For neighbours until they are sorted.
    collector_bytes: u64,
    /// For documents, and for neighbours in so far as they stay in memory.
    forest_bytes: u64,
    /// For reading a file.
    ahead_bytes: usize,
}

impl Shares {
    fn of(budget_bytes: u64) -> Self {
        let budget_bytes = budget_bytes.max(MIN_BUDGET_BYTES);
        Self {
            budget_bytes,
            post_bytes: budget_bytes / 4,
            collector_bytes: budget_bytes / 2,
            forest_bytes: budget_bytes / 8 * 5,
            ahead_bytes: (budget_bytes / 16).min(MAX_AHEAD_BYTES) as usize,
        }
    }

    /// Returns the budget whose share for documents is this large.
    fn budget_for(forest_bytes: u64) -> u64 {
        forest_bytes.div_ceil(5).saturating_mul(8)
    }
}

/// Sends all edges to the owners of their ends, and returns those of this rank.
fn collect<C: Communicator + ?Sized>(
    comm: &mut C,
    post: &mut Post,
    owners: Owners,
    (task, shares): (&ConnectTask<'_>, Shares),
) -> Result<Neighbours, ConnectError> {
    let rank = comm.rank();
    let opened = OwnFiles::open(task.edge_files, (rank, comm.size()));
    let files = agree(comm, opened)?;
    let room = Room { budget_bytes: shares.collector_bytes, scratch: task.scratch, rank };
    let mut scatter =
        Scatter::new(&files, shares.ahead_bytes, (rank, owners), Collector::new(room));
    post.run(comm, &mut scatter)?;
    let neighbours = scatter.into_neighbours().finish(|neighbours| {
        forest_bytes(neighbours) + neighbours.bytes_in_memory() <= shares.forest_bytes
    });
    agree(comm, neighbours)
}

/// Makes a vertex of each document, if they fit into memory.
fn plant(neighbours: &Neighbours, shares: Shares) -> Result<Forest, ConnectError> {
    let needed = forest_bytes(neighbours);
    if needed > shares.forest_bytes {
        return Err(ConnectError::Memory {
            documents: neighbours.documents,
            needed: Shares::budget_for(needed),
            budget: shares.budget_bytes,
        });
    }
    Ok(Forest::new(neighbours.documents()?))
}

fn forest_bytes(neighbours: &Neighbours) -> u64 {
    neighbours.documents.saturating_mul(Forest::VERTEX_BYTES)
}

fn check_same_task(
    comm: &mut (impl Communicator + ?Sized),
    task: &ConnectTask<'_>,
) -> Result<(), ConnectError> {
    let number = (task.edge_files.len() as u64) << 32 | u64::from(task.group_units);
    if is_same(comm, number)? { Ok(()) } else { Err(ConnectError::TasksDiffer) }
}

#[cfg(test)]
mod tests;
