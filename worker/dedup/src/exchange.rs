//! Resolves one key range: all ranks exchange the keys of their units and learn which to drop.
//!
//! ```text
//! rank (units or groups u with u mod size = rank)        owner (keys that spread to it)
//!   key files ── slice of the range ──→ key + position ──→ sort, group, decide
//!   verdict file ←── ordinals by unit ←── positions to drop ──┘
//! ```
//! The exchange runs in rounds over slices of the hash space; their number follows from the budget
//! and is the same on all ranks. The keys of the next round are read while this one is exchanged
//! and decided. Before each collective the ranks agree that none has failed, so that a damaged file
//! ends the gang unit on every rank, with its own error on one. The caller names and publishes the
//! output; a retry needs a new world. [`groups`] goes the first half of the way: it leaves the keys
//! at their owners.
//!
//! Invariant: the set of drops is a function of the key files and the policy alone. Every key sent
//! is decided once and every drop decided arrives, or the result is an error.

mod error;
pub mod groups;
mod round;
mod rounds;
mod source;

use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::error::ResolveError;
use self::round::{Round, position_of};
use self::rounds::{RangeOfKeys, Rounds, all_arrived};
use super::budget::RESULT_SHARE;
use super::key::HashKey;
use super::key_file::unmark;
use super::position::{KeyRange, Policy, Span};
use super::verdict_file::VerdictFileWriter;
use super::verdicts::VerdictFileName;
use crate::comm::Communicator;
use crate::comm::agreement::{agree, run_on_threads};

/// The key file of one unit, or the file with the keys of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFileRef {
    /// The canonical number of the unit or group.
    pub unit: u32,
    /// Path of its key file.
    pub path: PathBuf,
}

/// The files with the keys of all units of a stage, in any order.
#[derive(Debug, Clone, Copy)]
pub enum KeyFiles<'a> {
    /// A key file of each unit.
    OfUnits(&'a [KeyFileRef]),
    /// A file of each group, for the number of ranges of the task.
    OfGroups {
        /// The files.
        files: &'a [KeyFileRef],
        /// Number of units in a group: unit u is in group u / `group_units`.
        group_units: u32,
    },
}

impl KeyFiles<'_> {
    fn files(&self) -> &[KeyFileRef] {
        match self {
            Self::OfUnits(files) | Self::OfGroups { files, .. } => files,
        }
    }

    fn group_units(&self) -> u32 {
        match self {
            Self::OfUnits(_) => 1,
            Self::OfGroups { group_units, .. } => (*group_units).max(1),
        }
    }
}

/// Which rank has the keys of a unit, and gets the verdicts on it.
#[derive(Debug, Clone, Copy)]
struct Owners {
    group_units: u32,
    ranks: usize,
}

impl Owners {
    fn rank_of(self, unit: u32) -> usize {
        (unit / self.group_units) as usize % self.ranks
    }
}

/// The work of one gang unit; the same on every rank except for the budget.
#[derive(Debug, Clone, Copy)]
pub struct ResolveTask<'a> {
    /// The keys of all units of the stage.
    pub key_files: KeyFiles<'a>,
    /// The part of the key space to resolve.
    pub range: KeyRange,
    /// Which occurrences are dropped.
    pub policy: Policy,
    /// The memory that this rank may use.
    pub budget_bytes: u64,
}

/// The counts of a range over all ranks; the same on each rank, and in every world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResolveTally {
    /// Number of entries in key files: keys that are distinct within their unit.
    pub keys: u64,
    /// Number of keys that are distinct over all units.
    pub distinct: u64,
    /// Number of entries to drop, without the repeats within a unit.
    pub dropped: u64,
}

/// Resolves one key range together with the other ranks of the world, writes the drops of this
/// rank's units to `out`, and returns it with the tally. The file must get the name that
/// [`verdict_file_name`] returns.
pub fn resolve<K: HashKey, C: Communicator + ?Sized, W: Write>(
    comm: &mut C,
    task: &ResolveTask<'_>,
    out: W,
) -> Result<(W, ResolveTally), ResolveError> {
    let ResolveTask { key_files, range, policy, budget_bytes } = *task;
    let rule = &[policy as u64];
    let rounds = Rounds::<K>::open(comm, &RangeOfKeys { key_files, range, budget_bytes, rule })?;

    let name = verdict_file_name(comm, range);
    let pending_bytes = budget_bytes / RESULT_SHARE;
    let ranks = (name.rank, name.world);
    let opened = VerdictFileWriter::new(out, (range, policy), ranks, rounds.units(), pending_bytes);
    let mut verdicts = agree(comm, opened.map_err(ResolveError::Output))?;

    let mut decided = Decided::default();
    let counts = rounds.exchange(comm, |comm, round, span| {
        let done = decide::<K>(round, (span, policy), &mut decided);
        agree(comm, done)?;
        round.exchange(comm)?;
        let collected = round.collect(comm.rank(), &mut verdicts);
        agree(comm, collected)
    })?;
    let keys = all_arrived(comm, "keys", (counts.sent, counts.received))?;
    let distinct = comm.all_reduce_sum(decided.distinct)?;
    let dropped = all_arrived(comm, "verdicts", (decided.dropped, verdicts.dropped()))?;
    let out = agree(comm, verdicts.finish().map_err(ResolveError::Output))?;
    Ok((out, ResolveTally { keys, distinct, dropped }))
}

/// What this rank has decided as the owner of keys.
#[derive(Default)]
struct Decided {
    distinct: u64,
    dropped: u64,
}

/// Decides about the keys that have arrived, and puts the positions to drop into the messages to
/// the ranks of their units.
fn decide<K: HashKey>(
    round: &mut Round,
    (span, policy): (Span, Policy),
    decided: &mut Decided,
) -> Result<(), ResolveError> {
    let sorted = round.sorted::<K>(span)?;
    for group in sorted.chunk_by(|a, b| K::untag(*a).0 == K::untag(*b).0) {
        decided.distinct += 1;
        let repeated = |tagged: &K::Tagged| unmark(K::untag(*tagged).1 as u32).1;
        let drops = match policy {
            Policy::KeepFirst => &group[1..],
            Policy::DropAll if group.len() > 1 || repeated(&group[0]) => group,
            Policy::DropAll => continue,
        };
        decided.dropped += drops.len() as u64;
        for tagged in drops {
            round.answer(position_of(K::untag(*tagged).1));
        }
    }
    Ok(())
}

/// Resolves one key range in a world of threads of this process. The budget is for all of them
/// together; `create` makes the sink for each verdict file. Returns the files by rank.
pub fn resolve_on_threads<K: HashKey, W: Write + Send>(
    threads: usize,
    task: &ResolveTask<'_>,
    create: impl Fn(VerdictFileName) -> io::Result<W> + Sync,
) -> Result<(Vec<(VerdictFileName, W)>, ResolveTally), ResolveError> {
    let budget_bytes = task.budget_bytes / threads as u64;
    let task = ResolveTask { budget_bytes, ..*task };
    let ranks = run_on_threads(threads, |comm| {
        let name = verdict_file_name(comm, task.range);
        let out = agree(comm, create(name).map_err(ResolveError::Output))?;
        let (out, tally) = resolve::<K, _, _>(comm, &task, out)?;
        Ok::<_, ResolveError>(((name, out), tally))
    })?;
    let tally = ranks.first().map(|(_, tally)| *tally).unwrap_or_default();
    Ok((ranks.into_iter().map(|(file, _)| file).collect(), tally))
}

/// Returns the name under which readers look for the file that this rank writes.
pub fn verdict_file_name<C: Communicator + ?Sized>(comm: &C, range: KeyRange) -> VerdictFileName {
    VerdictFileName { range, rank: comm.rank() as u32, world: comm.size() as u32 }
}

#[cfg(test)]
mod tests;
