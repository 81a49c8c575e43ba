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
//! output; a retry needs a new world.
//!
//! Invariant: the set of drops is a function of the key files and the policy alone. Every key sent
//! is decided once and every drop decided arrives, or the result is an error.

mod round;
mod source;

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use self::round::{Outbox, Round};
use self::source::{KeySource, open_own};
use super::budget::{VERDICT_SHARE, ahead_bytes_per_key, round_bytes_per_key, with_slack};
use super::key::HashKey;
use super::position::{KeyRange, Policy, Span};
use super::verdict_file::VerdictFileWriter;
use super::verdicts::VerdictFileName;
use crate::comm::local::{RankFailure, WorldFailure, run_local};
use crate::comm::{CommError, Communicator};
use thresher_formats::blocks::BlocksError;

/// Smallest budget; with less, a round would hold only a few dozen keys.
const MIN_BUDGET_BYTES: u64 = 4 << 10;

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

/// Why a range was not resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A unit's key file cannot be read; the unit has to run again.
    #[error("failed to read the keys of unit `{unit}`: {source}")]
    KeyFile {
        /// The unit.
        unit: u32,
        /// What is wrong with its file.
        source: BlocksError,
    },
    /// The keys of a group cannot be read; they have to be gathered again.
    #[error("failed to read the keys of group `{group}`: {source}")]
    GroupFile {
        /// The group.
        group: u32,
        /// What is wrong with its file.
        source: BlocksError,
    },
    /// A key file belongs to another unit.
    #[error("`{}` holds the keys of unit `{found}`, expected `{expected}`", file.display())]
    WrongUnit {
        /// The key file.
        file: PathBuf,
        /// The unit that the task names.
        expected: u32,
        /// The unit in the file.
        found: u32,
    },
    /// The task names two key files for one unit.
    #[error("unit `{unit}` has two key files")]
    UnitTwice {
        /// The unit.
        unit: u32,
    },
    /// The ranks were given different tasks.
    #[error(
        "the ranks do not have the same task\n\nhint: the launcher mixed two gang units or versions"
    )]
    TasksDiffer,
    /// The verdict file could not be written.
    #[error("failed to write the verdict file: {0}")]
    Output(#[source] io::Error),
    /// Another rank failed; its own error says why.
    #[error("rank `{rank}` failed\n\nhint: see that rank's error")]
    OtherRank {
        /// The highest rank that failed.
        rank: usize,
    },
    /// A rank received bytes that are not a message of this exchange.
    #[error("rank `{from}` sent an invalid message")]
    Message {
        /// The sender.
        from: usize,
    },
    /// Keys or verdicts were lost on the way.
    #[error("`{sent}` {what} were sent and `{received}` arrived")]
    Lost {
        /// What was counted: keys or verdicts.
        what: &'static str,
        /// Number counted by the senders.
        sent: u64,
        /// Number counted by the receivers.
        received: u64,
    },
    /// A rank on a thread panicked, which is a defect of this program.
    #[error("rank `{rank}` panicked: {message}")]
    Panicked {
        /// The rank.
        rank: usize,
        /// The message of the panic.
        message: String,
    },
    /// The ranks can no longer communicate.
    #[error(transparent)]
    Comm(#[from] CommError),
}

/// Resolves one key range together with the other ranks of the world, writes the drops of this
/// rank's units to `out`, and returns it with the tally. The file must get the name that
/// [`verdict_file_name`] returns.
pub fn resolve<K: HashKey, C: Communicator + ?Sized, W: Write>(
    comm: &mut C,
    task: &ResolveTask<'_>,
    out: W,
) -> Result<(W, ResolveTally), ResolveError> {
    check_same_task::<K>(comm, task)?;
    let opened = open_own::<K>((comm.rank(), comm.size()), task.key_files, task.range);
    let files = agree(comm, opened)?;
    let rounds = count_rounds(comm, &files, task)?;

    let name = verdict_file_name(comm, task.range);
    let units = files.iter().flat_map(KeySource::units).collect();
    let pending_bytes = task.budget_bytes / VERDICT_SHARE;
    let about = (task.range, task.policy);
    let opened = VerdictFileWriter::new(out, about, (name.rank, name.world), units, pending_bytes);
    let mut verdicts = agree(comm, opened.map_err(ResolveError::Output))?;

    let spans: Vec<Span> =
        (0..rounds).filter_map(|index| task.range.span().slice(index, rounds)).collect();
    let owners = Owners { group_units: task.key_files.group_units(), ranks: comm.size() };
    let mut round = Round::new(owners);
    let mut outbox = Outbox::new(comm.size());
    let mut filled = match spans.first() {
        Some(first) => outbox.fill(&files, *first),
        None => Ok(()),
    };
    for (index, span) in spans.iter().enumerate() {
        agree(comm, filled)?;
        round.take(&mut outbox);
        let (files, outbox) = (&files, &mut outbox);
        filled = thread::scope(|scope| {
            let next = spans.get(index + 1).copied();
            let ahead = next.map(|next| scope.spawn(move || outbox.fill(files, next)));
            go_through::<K, C, W>(comm, &mut round, &mut verdicts, (*span, task.policy))?;
            let joined = ahead.map_or(Ok(Ok(())), ScopedJoinHandle::join);
            Ok::<_, ResolveError>(joined.unwrap_or_else(|panic| resume_unwind(panic)))
        })?;
    }
    let tally = settle(comm, &round, verdicts.dropped())?;
    let out = agree(comm, verdicts.finish().map_err(ResolveError::Output))?;
    Ok((out, tally))
}

/// Does the part of a round that needs the other ranks: sends keys to their owners, and verdicts
/// back.
fn go_through<K: HashKey, C: Communicator + ?Sized, W: Write>(
    comm: &mut C,
    round: &mut Round,
    verdicts: &mut VerdictFileWriter<W>,
    (span, policy): (Span, Policy),
) -> Result<(), ResolveError> {
    round.exchange(comm)?;
    let decided = round.decide::<K>(span, policy);
    agree(comm, decided)?;
    round.exchange(comm)?;
    let collected = round.collect(comm.rank(), verdicts);
    agree(comm, collected)
}

impl ResolveError {
    /// Returns whether it only says that another rank, with an error of its own, has failed.
    pub fn is_echo(&self) -> bool {
        matches!(self, Self::OtherRank { .. } | Self::Comm(CommError::RankLost { .. }))
    }
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
    let resolved = run_local(threads, |comm| {
        let name = verdict_file_name(comm, task.range);
        let out = agree(comm, create(name).map_err(ResolveError::Output))?;
        let (out, tally) = resolve::<K, _, _>(comm, &task, out)?;
        Ok(((name, out), tally))
    });
    match resolved {
        Ok(ranks) => {
            let tally = ranks.first().map(|(_, tally)| *tally).unwrap_or_default();
            Ok((ranks.into_iter().map(|(file, _)| file).collect(), tally))
        }
        Err(WorldFailure { ranks }) => Err(first_cause(ranks)),
    }
}

/// Returns the name under which readers look for the file that this rank writes.
pub fn verdict_file_name<C: Communicator + ?Sized>(comm: &C, range: KeyRange) -> VerdictFileName {
    VerdictFileName { range, rank: comm.rank() as u32, world: comm.size() as u32 }
}

/// Returns the first of all ranks' errors that does not only repeat another's.
fn first_cause(ranks: Vec<(usize, RankFailure<ResolveError>)>) -> ResolveError {
    let mut errors: Vec<ResolveError> = ranks
        .into_iter()
        .map(|(rank, failure)| match failure {
            RankFailure::Error(error) => error,
            RankFailure::Panic(message) => ResolveError::Panicked { rank, message },
        })
        .collect();
    let cause = errors.iter().position(|error| !error.is_echo()).unwrap_or(0);
    errors.swap_remove(cause)
}

/// Ends the exchange on every rank if one of them has an error.
fn agree<T, C: Communicator + ?Sized>(
    comm: &mut C,
    result: Result<T, ResolveError>,
) -> Result<T, ResolveError> {
    let failed = if result.is_err() { comm.rank() as u64 + 1 } else { 0 };
    let worst = comm.all_reduce_max(failed);
    let value = result?;
    match worst? {
        0 => Ok(value),
        rank => Err(ResolveError::OtherRank { rank: rank as usize - 1 }),
    }
}

fn check_same_task<K: HashKey>(
    comm: &mut (impl Communicator + ?Sized),
    task: &ResolveTask<'_>,
) -> Result<(), ResolveError> {
    let mut units: Vec<u32> = task.key_files.files().iter().map(|file| file.unit).collect();
    units.sort_unstable();
    let mut hasher = Xxh3::new();
    let group_units = task.key_files.group_units();
    let (index, of) = (task.range.index(), task.range.of());
    for number in [K::BYTES as u32, index, of, task.policy as u32, group_units] {
        hasher.update(&number.to_le_bytes());
    }
    for unit in &units {
        hasher.update(&unit.to_le_bytes());
    }
    let digest = hasher.digest();
    let largest = comm.all_reduce_max(digest)?;
    let smallest = !comm.all_reduce_max(!digest)?;
    if largest != smallest {
        return Err(ResolveError::TasksDiffer);
    }
    match units.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ResolveError::UnitTwice { unit: pair[0] }),
        None => Ok(()),
    }
}

/// Returns the number of rounds that the rank with the least room needs, for its own keys and for
/// its even share of all keys. If there are several rounds, one is read while another is exchanged.
fn count_rounds<K: HashKey>(
    comm: &mut (impl Communicator + ?Sized),
    files: &[KeySource<K>],
    task: &ResolveTask<'_>,
) -> Result<u64, ResolveError> {
    let own: u64 = files.iter().map(|file| file.about(task.range.span())).sum();
    let share = comm.all_reduce_sum(own)?.div_ceil(comm.size() as u64);
    let budget = task.budget_bytes.max(MIN_BUDGET_BYTES);
    let round_budget = budget - budget / VERDICT_SHARE;
    let keys = own.max(share);
    let needed = |bytes_per_key| with_slack(keys.saturating_mul(bytes_per_key));
    let rounds = match needed(round_bytes_per_key::<K>()).div_ceil(round_budget) {
        0 | 1 => 1,
        _ => needed(ahead_bytes_per_key::<K>()).div_ceil(round_budget),
    };
    Ok(comm.all_reduce_max(rounds)?)
}

/// Adds up the ranks' counts and checks that nothing was lost between them.
fn settle(
    comm: &mut (impl Communicator + ?Sized),
    round: &Round,
    collected: u64,
) -> Result<ResolveTally, ResolveError> {
    let sent = comm.all_reduce_sum(round.counts.sent)?;
    let keys = comm.all_reduce_sum(round.counts.received)?;
    let distinct = comm.all_reduce_sum(round.counts.distinct)?;
    let decided = comm.all_reduce_sum(round.counts.decided)?;
    let dropped = comm.all_reduce_sum(collected)?;
    for (what, sent, received) in [("keys", sent, keys), ("verdicts", decided, dropped)] {
        if sent != received {
            return Err(ResolveError::Lost { what, sent, received });
        }
    }
    Ok(ResolveTally { keys, distinct, dropped })
}

#[cfg(test)]
mod tests;
