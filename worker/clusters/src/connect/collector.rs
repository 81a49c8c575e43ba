//! Collects the neighbours of the documents that a rank owns, sorts them and drops what repeats.
//!
//! ```text
//! push … push │ buffer full: sort, spill a run │ push … finish
//! finish: everything fits: stays in memory      else: merge the runs into one file
//! ```
//! Files are in a folder of the caller and are removed with their owner. Runs are merged when there
//! are too many to hold a block of each in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use thresher_formats::blocks::BlocksError;

use super::ConnectError;
use super::neighbours::{NEIGHBOURS, Neighbours, Spilled, split};
use crate::pairs::{PAIR_BYTES, PAIRS_PER_BLOCK, PairFile, PairReader, PairWriter};

const BLOCK_BYTES: usize = PAIRS_PER_BLOCK * PAIR_BYTES;
/// With fewer pairs than this in memory, a run would not fill a block.
const MIN_PENDING: usize = PAIRS_PER_BLOCK;
/// The fewest runs that are merged at a time.
const MIN_MERGED: usize = 8;
/// The largest read of a file.
const MAX_AHEAD_BYTES: usize = 1 << 20;

/// Memory for the neighbours, and the folder for what does not fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) budget_bytes: u64,
    pub(super) scratch: &'a Path,
    pub(super) rank: usize,
}

/// Collects pairs that come in any order and repeat.
pub(super) struct Collector<'a> {
    room: Room<'a>,
    /// Document and neighbour, in one number, which is sorted faster than a pair.
    pending: Vec<u128>,
    pending_limit: usize,
    /// Runs by how often they were merged.
    levels: Vec<Vec<Spilled>>,
    spilled: usize,
}

impl<'a> Collector<'a> {
    pub(super) fn new(room: Room<'a>) -> Self {
        // A vector may have twice the capacity that it needs.
        let limit = usize::try_from(room.budget_bytes / (2 * PAIR_BYTES as u64));
        Self {
            room,
            pending: Vec::new(),
            pending_limit: limit.unwrap_or(usize::MAX).max(MIN_PENDING),
            levels: Vec::new(),
            spilled: 0,
        }
    }

    pub(super) fn push(&mut self, (document, neighbour): (u64, u64)) -> Result<(), ConnectError> {
        self.pending.push(u128::from(document) << 64 | u128::from(neighbour));
        if self.pending.len() < self.pending_limit {
            return Ok(());
        }
        self.sort();
        // What repeats may be most of it.
        if self.pending.len() > self.pending_limit / 2 { self.spill() } else { Ok(()) }
    }

    /// Returns the neighbours. They stay in memory if all are there and `fits` agrees.
    pub(super) fn finish(
        mut self,
        fits: impl FnOnce(&Neighbours) -> bool,
    ) -> Result<Neighbours, ConnectError> {
        self.sort();
        if self.levels.is_empty() {
            let mut pairs = std::mem::take(&mut self.pending);
            pairs.shrink_to_fit();
            let neighbours = Neighbours::in_memory(pairs);
            if fits(&neighbours) {
                return Ok(neighbours);
            }
            self.pending = neighbours.into_pairs();
        }
        if !self.pending.is_empty() {
            self.spill()?;
        }
        self.pending = Vec::new();
        let runs = self.levels.drain(..).flatten().collect();
        let merged = self.merge(runs)?;
        Neighbours::in_file(merged, self.ahead_bytes(1))
    }

    fn sort(&mut self) {
        self.pending.sort_unstable();
        self.pending.dedup();
    }

    /// Writes what is pending, which is sorted, as a run.
    fn spill(&mut self) -> Result<(), ConnectError> {
        let pending = std::mem::take(&mut self.pending);
        let run =
            self.write(|writer| pending.iter().try_for_each(|pair| writer.push(split(*pair))));
        self.pending = pending;
        self.pending.clear();
        self.add_run(run?, 0)
    }

    /// Keeps a run, and merges those of its level if there are as many as fit into memory.
    fn add_run(&mut self, run: Spilled, level: usize) -> Result<(), ConnectError> {
        if self.levels.len() <= level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(run);
        // A run has a block as bytes and as pairs in memory.
        let fitting = self.room.budget_bytes / (4 * BLOCK_BYTES as u64);
        if self.levels[level].len() < usize::try_from(fitting).unwrap_or(0).max(MIN_MERGED) {
            return Ok(());
        }
        let runs = std::mem::take(&mut self.levels[level]);
        let merged = self.merge(runs)?;
        self.add_run(merged, level + 1)
    }

    fn merge(&mut self, runs: Vec<Spilled>) -> Result<Spilled, ConnectError> {
        if let [_] = &runs[..] {
            return Ok(runs.into_iter().next().expect("there is one run"));
        }
        let ahead = self.ahead_bytes(runs.len());
        let mut opened = runs.iter().map(Spilled::open).collect::<Result<Vec<_>, _>>()?;
        // A process may have fewer files open than there are runs.
        opened.iter_mut().for_each(PairFile::release);
        let mut readers: Vec<PairReader<'_>> =
            opened.iter().map(|file| file.read_all(ahead)).collect();
        self.write_checked(|writer| merge_into(&mut readers, writer))
    }

    /// Returns how many bytes are read ahead in each of these files.
    fn ahead_bytes(&self, files: usize) -> usize {
        let share = self.room.budget_bytes / (8 * files as u64);
        usize::try_from(share).unwrap_or(usize::MAX).clamp(BLOCK_BYTES, MAX_AHEAD_BYTES)
    }

    fn write(
        &mut self,
        fill: impl FnOnce(&mut PairWriter<BufWriter<File>>) -> io::Result<()>,
    ) -> Result<Spilled, ConnectError> {
        self.write_checked(|writer| fill(writer).map_err(Failed::Writing))
    }

    fn write_checked(
        &mut self,
        fill: impl FnOnce(&mut PairWriter<BufWriter<File>>) -> Result<(), Failed>,
    ) -> Result<Spilled, ConnectError> {
        let name = format!("neighbours-{}-{}", self.room.rank, self.spilled);
        let path = self.room.scratch.join(name);
        let failed = |source| ConnectError::Scratch { file: path.clone(), source };
        self.spilled += 1;
        let file = File::create_new(&path).map_err(failed)?;
        let run = Spilled::at(path.clone());
        let mut writer = PairWriter::new(BufWriter::new(file), NEIGHBOURS).map_err(failed)?;
        match fill(&mut writer) {
            Ok(()) => writer.finish().map(|_| run).map_err(failed),
            Err(Failed::Writing(source)) => Err(failed(source)),
            Err(Failed::Reading(source)) => Err(ConnectError::ScratchRead(source)),
        }
    }
}

/// How a merge failed: at its end or at its beginning.
enum Failed {
    Reading(BlocksError),
    Writing(io::Error),
}

/// Writes the pairs of all readers in ascending order, each once.
fn merge_into(
    readers: &mut [PairReader<'_>],
    writer: &mut PairWriter<BufWriter<File>>,
) -> Result<(), Failed> {
    let mut heads = BinaryHeap::with_capacity(readers.len());
    for (number, reader) in readers.iter_mut().enumerate() {
        let first = reader.pairs().map_err(Failed::Reading)?.first();
        heads.extend(first.map(|pair| Reverse((*pair, number))));
    }
    let mut last = None;
    while let Some(Reverse((pair, number))) = heads.pop() {
        if last.replace(pair) != Some(pair) {
            writer.push(pair).map_err(Failed::Writing)?;
        }
        readers[number].skip(1);
        let next = readers[number].pairs().map_err(Failed::Reading)?.first();
        heads.extend(next.map(|pair| Reverse((*pair, number))));
    }
    Ok(())
}
