//! Finds the keys that occur more than once in one key range, and keeps them at their owners.
//!
//! It is the exchange of duplicates without the way back: nothing is decided, so the owner of a key
//! gives every group with all of its positions to the caller.

use std::io;

use super::super::key::HashKey;
use super::super::position::{KeyRange, Position};
use super::round::position_of;
use super::rounds::{RangeOfKeys, Rounds, all_arrived};
use super::{KeyFiles, ResolveError};
use crate::comm::Communicator;
use crate::comm::agreement::agree;

/// The search for groups in one key range; the same on every rank except for the budget.
#[derive(Debug, Clone, Copy)]
pub struct GroupTask<'a> {
    /// The keys of all units of the stage, with every occurrence.
    pub key_files: KeyFiles<'a>,
    /// The part of the key space.
    pub range: KeyRange,
    /// Other numbers that must be the same on every rank.
    pub rule: &'a [u64],
    /// The memory that this rank may use. A quarter of it is left to the caller.
    pub budget_bytes: u64,
}

/// Gives every key of this rank with more than one position to `visit`, keys and positions
/// ascending within a round. Returns the number of entries of all key files in the range, which is
/// the same on each rank.
pub fn find_groups<K: HashKey, C: Communicator + ?Sized>(
    comm: &mut C,
    task: &GroupTask<'_>,
    mut visit: impl FnMut(K, &mut dyn ExactSizeIterator<Item = Position>) -> io::Result<()>,
) -> Result<u64, ResolveError> {
    let GroupTask { key_files, range, rule, budget_bytes } = *task;
    let rounds = Rounds::<K>::open(comm, &RangeOfKeys { key_files, range, budget_bytes, rule })?;
    let counts = rounds.exchange(comm, |comm, round, span| {
        let sorted = round.sorted::<K>(span);
        let visited = sorted.and_then(|sorted| {
            let groups = sorted.chunk_by(|a, b| K::untag(*a).0 == K::untag(*b).0);
            for group in groups.filter(|group| group.len() > 1) {
                let positions = &mut group.iter().map(|tagged| position_of(K::untag(*tagged).1));
                visit(K::untag(group[0]).0, positions).map_err(ResolveError::Output)?;
            }
            Ok(())
        });
        agree(comm, visited)
    })?;
    all_arrived(comm, "keys", (counts.sent, counts.received))
}
