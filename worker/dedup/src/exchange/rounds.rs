//! The rounds of an exchange: each sends the keys of one slice of the range to their owners.
//!
//! What an owner does with the keys of a round is up to the caller: it decides which are duplicates
//! and answers, or finds groups and keeps them. It is done while the keys of the next round are
//! read. Invariant: the number of rounds is the same on all ranks, and every key of the range is in
//! one of them.

use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

use xxhash_rust::xxh3::Xxh3;

use super::super::budget::{RESULT_SHARE, ahead_bytes_per_key, round_bytes_per_key, with_slack};
use super::super::key::HashKey;
use super::super::position::{KeyRange, Span};
use super::round::{Counts, Outbox, Round};
use super::source::{KeySource, open_own};
use super::{KeyFiles, Owners, ResolveError};
use crate::comm::Communicator;
use crate::comm::agreement::{agree, is_same};

/// Smallest budget; with less, a round would hold only a few dozen keys.
const MIN_BUDGET_BYTES: u64 = 4 << 10;

/// What a rank needs to know to exchange the keys of a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct RangeOfKeys<'a> {
    pub(super) key_files: KeyFiles<'a>,
    pub(super) range: KeyRange,
    pub(super) budget_bytes: u64,
    /// What the ranks must agree on beside the files and the range.
    pub(super) rule: &'a [u64],
}

/// The files of this rank, and the slices in which they are exchanged.
pub(super) struct Rounds<K> {
    sources: Vec<KeySource<K>>,
    spans: Vec<Span>,
    owners: Owners,
}

impl<K: HashKey> Rounds<K> {
    /// Opens the files of this rank, and agrees with the others on the task and the slices.
    pub(super) fn open(
        comm: &mut (impl Communicator + ?Sized),
        keys: &RangeOfKeys<'_>,
    ) -> Result<Self, ResolveError> {
        check_same_task::<K>(comm, keys)?;
        let opened = open_own::<K>((comm.rank(), comm.size()), keys.key_files, keys.range);
        let sources = agree(comm, opened)?;
        let rounds = count_rounds(comm, &sources, keys)?;
        let spans =
            (0..rounds).filter_map(|index| keys.range.span().slice(index, rounds)).collect();
        let owners = Owners { group_units: keys.key_files.group_units(), ranks: comm.size() };
        Ok(Self { sources, spans, owners })
    }

    /// Returns the units whose keys this rank has.
    pub(super) fn units(&self) -> Vec<u32> {
        self.sources.iter().flat_map(KeySource::units).collect()
    }

    /// Sends all keys to their owners, and calls `at_owner` after each round with what has arrived.
    /// All ranks make the same collective calls in it.
    pub(super) fn exchange<C: Communicator + ?Sized>(
        &self,
        comm: &mut C,
        mut at_owner: impl FnMut(&mut C, &mut Round, Span) -> Result<(), ResolveError>,
    ) -> Result<Counts, ResolveError> {
        let mut round = Round::new(self.owners);
        let mut outbox = Outbox::new(comm.size());
        let mut filled = match self.spans.first() {
            Some(first) => outbox.fill(&self.sources, *first),
            None => Ok(()),
        };
        for (index, span) in self.spans.iter().enumerate() {
            agree(comm, filled)?;
            round.take(&mut outbox);
            let (sources, outbox) = (&self.sources, &mut outbox);
            filled = thread::scope(|scope| {
                let next = self.spans.get(index + 1).copied();
                let ahead = next.map(|next| scope.spawn(move || outbox.fill(sources, next)));
                round.exchange(comm)?;
                at_owner(comm, &mut round, *span)?;
                let joined = ahead.map_or(Ok(Ok(())), ScopedJoinHandle::join);
                Ok::<_, ResolveError>(joined.unwrap_or_else(|panic| resume_unwind(panic)))
            })?;
        }
        Ok(round.counts)
    }
}

/// Adds up what all ranks sent and received, and returns the sum if nothing was lost between them.
pub(super) fn all_arrived(
    comm: &mut (impl Communicator + ?Sized),
    what: &'static str,
    (sent, received): (u64, u64),
) -> Result<u64, ResolveError> {
    let sent = comm.all_reduce_sum(sent)?;
    let received = comm.all_reduce_sum(received)?;
    if sent == received { Ok(sent) } else { Err(ResolveError::Lost { what, sent, received }) }
}

fn check_same_task<K: HashKey>(
    comm: &mut (impl Communicator + ?Sized),
    keys: &RangeOfKeys<'_>,
) -> Result<(), ResolveError> {
    let mut units: Vec<u32> = keys.key_files.files().iter().map(|file| file.unit).collect();
    units.sort_unstable();
    let mut hasher = Xxh3::new();
    let group_units = keys.key_files.group_units();
    for number in [K::BYTES as u32, keys.range.index(), keys.range.of(), group_units] {
        hasher.update(&number.to_le_bytes());
    }
    for number in keys.rule {
        hasher.update(&number.to_le_bytes());
    }
    for unit in &units {
        hasher.update(&unit.to_le_bytes());
    }
    if !is_same(comm, hasher.digest())? {
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
    sources: &[KeySource<K>],
    keys: &RangeOfKeys<'_>,
) -> Result<u64, ResolveError> {
    let own: u64 = sources.iter().map(|source| source.about(keys.range.span())).sum();
    let share = comm.all_reduce_sum(own)?.div_ceil(comm.size() as u64);
    let budget = keys.budget_bytes.max(MIN_BUDGET_BYTES);
    let round_budget = budget - budget / RESULT_SHARE;
    let most = own.max(share);
    let needed = |bytes_per_key| with_slack(most.saturating_mul(bytes_per_key));
    let rounds = match needed(round_bytes_per_key::<K>()).div_ceil(round_budget) {
        0 | 1 => 1,
        _ => needed(ahead_bytes_per_key::<K>()).div_ceil(round_budget),
    };
    Ok(comm.all_reduce_max(rounds)?)
}
