//! One round of the exchange: the messages, and their processing between the collectives.
//!
//! A message of keys is runs of `unit · count · (key · marked ordinal)…`, a message of verdicts is
//! packed positions. Bytes from other ranks are checked before they are used: a unit must be one of
//! the sender's, a position one of this rank's. The parent module decides which collectives are
//! called, and when. Invariant: the buffers of one round are reused by the next.

use std::io::Write;

use super::super::budget::{message_bytes_per_key, with_slack};
use super::super::group_file::UnitKeys;
use super::super::key::HashKey;
use super::super::key_file::unmark;
use super::super::position::{Position, Span};
use super::super::sort::sort_tagged;
use super::super::verdict_file::VerdictFileWriter;
use super::source::KeySource;
use super::{Owners, ResolveError};
use crate::comm::{CommError, Communicator};

const RUN_HEADER_BYTES: usize = 8;
/// Size of the largest entry of the key types.
const MAX_ENTRY_BYTES: usize = message_bytes_per_key::<u128>();

/// The buffers of all rounds, and the counts over them.
pub(super) struct Round {
    owners: Owners,
    sends: Vec<Vec<u8>>,
    receives: Vec<Vec<u8>>,
    pub(super) counts: Counts,
}

/// Numbers of keys over all rounds.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl Round {
    pub(super) fn new(owners: Owners) -> Self {
        let buffers = || vec![Vec::new(); owners.ranks];
        Self { owners, sends: buffers(), receives: buffers(), counts: Counts::default() }
    }

    pub(super) fn exchange(
        &mut self,
        comm: &mut (impl Communicator + ?Sized),
    ) -> Result<(), CommError> {
        comm.all_to_all(&mut self.sends, &mut self.receives)
    }

    /// Takes the messages of keys that were filled in the meantime, and returns buffers to fill.
    pub(super) fn take(&mut self, outbox: &mut Outbox) {
        std::mem::swap(&mut self.sends, &mut outbox.messages);
        self.counts.sent += std::mem::take(&mut outbox.sent);
    }

    /// Returns the keys that have arrived, sorted by key and then position, whose ordinals are
    /// marked.
    pub(super) fn sorted<K: HashKey>(
        &mut self,
        span: Span,
    ) -> Result<Vec<K::Tagged>, ResolveError> {
        let mut runs = Vec::new();
        for (from, message) in self.receives.iter().enumerate() {
            split_runs::<K>(message, from, self.owners, &mut runs)
                .ok_or(ResolveError::Message { from })?;
        }
        let count = runs.iter().map(|run| run.entries.len()).sum::<usize>();
        let count = count / message_bytes_per_key::<K>();
        let sorted = sort_tagged::<K, _>(span, count, || runs.iter().flat_map(Run::positions));
        self.counts.received += sorted.len() as u64;
        Ok(sorted)
    }

    /// Puts a position to drop into the message to the rank of its unit.
    pub(super) fn answer(&mut self, position: Position) {
        let send = &mut self.sends[self.owners.rank_of(position.unit)];
        send.extend_from_slice(&position.pack().to_le_bytes());
    }

    /// Records the verdicts that have arrived about this rank's units.
    pub(super) fn collect<W: Write>(
        &mut self,
        rank: usize,
        verdicts: &mut VerdictFileWriter<W>,
    ) -> Result<(), ResolveError> {
        for (from, message) in self.receives.iter().enumerate() {
            let (positions, odd) = message.as_chunks::<8>();
            if !odd.is_empty() {
                return Err(ResolveError::Message { from });
            }
            for bytes in positions {
                let packed = u64::from_le_bytes(*bytes);
                if self.owners.rank_of(Position::unpack(packed).unit) != rank {
                    return Err(ResolveError::Message { from });
                }
                verdicts.push(packed).map_err(ResolveError::Output)?;
            }
        }
        Ok(())
    }
}

/// Returns the position of a tag, whose ordinal is marked.
pub(super) fn position_of(tag: u64) -> Position {
    Position { unit: (tag >> 32) as u32, ordinal: unmark(tag as u32).0 }
}

/// The messages of keys of one round while they are filled, which may be while the previous round
/// is still exchanged and decided.
pub(super) struct Outbox {
    messages: Vec<Vec<u8>>,
    runs: OpenRuns,
    sent: u64,
}

/// The runs of the unit whose keys are put into messages now.
struct OpenRuns {
    unit: u32,
    /// Where the unit's run begins in each message; `None` if it has no key there yet.
    begins: Vec<Option<usize>>,
    /// The messages in which it has one.
    ranks: Vec<usize>,
}

impl OpenRuns {
    fn none(size: usize) -> Self {
        Self { unit: 0, begins: vec![None; size], ranks: Vec::new() }
    }
}

impl Outbox {
    pub(super) fn new(size: usize) -> Self {
        Self { messages: vec![Vec::new(); size], runs: OpenRuns::none(size), sent: 0 }
    }

    /// Puts the files' keys of the span into the messages to their owners.
    pub(super) fn fill<K: HashKey>(
        &mut self,
        files: &[KeySource<K>],
        span: Span,
    ) -> Result<(), ResolveError> {
        self.reserve(files, span);
        for file in files {
            file.scan(span, self)?;
            self.end_unit::<K>();
        }
        Ok(())
    }

    /// Reserves an even share and a quarter more, which the budget has room for; growing would
    /// double it.
    fn reserve<K: HashKey>(&mut self, files: &[KeySource<K>], span: Span) {
        let keys: u64 = files.iter().map(|file| file.about(span)).sum();
        let share = with_slack(keys / self.messages.len() as u64);
        let share = usize::try_from(share).unwrap_or(usize::MAX);
        let headers = files.iter().map(|file| file.units().len()).sum::<usize>() * RUN_HEADER_BYTES;
        for send in &mut self.messages {
            send.clear();
            send.reserve_exact(share.saturating_mul(message_bytes_per_key::<K>()) + headers);
        }
    }
}

impl Outbox {
    /// Completes the runs of the present unit with their numbers of keys.
    fn end_unit<K: HashKey>(&mut self) {
        for rank in self.runs.ranks.drain(..) {
            let Some(begin) = self.runs.begins[rank].take() else { continue };
            let send = &mut self.messages[rank];
            let bytes = send.len() - begin - RUN_HEADER_BYTES;
            let count = bytes / message_bytes_per_key::<K>();
            let count_bytes = (count as u32).to_le_bytes();
            send[begin + 4..begin + RUN_HEADER_BYTES].copy_from_slice(&count_bytes);
            self.sent += count as u64;
        }
    }
}

impl<K: HashKey> UnitKeys<K> for Outbox {
    fn start_unit(&mut self, unit: u32) {
        if self.runs.unit != unit {
            self.end_unit::<K>();
        }
        self.runs.unit = unit;
    }

    #[inline]
    fn entry(&mut self, key: K, marked: u32) {
        let rank = key.owner(self.messages.len());
        let send = &mut self.messages[rank];
        if self.runs.begins[rank].is_none() {
            self.runs.begins[rank] = Some(send.len());
            self.runs.ranks.push(rank);
            send.extend_from_slice(&self.runs.unit.to_le_bytes());
            send.extend_from_slice(&[0; 4]);
        }
        let mut entry = [0; MAX_ENTRY_BYTES];
        let entry = &mut entry[..message_bytes_per_key::<K>()];
        let (key_bytes, ordinal) = entry.split_at_mut(K::BYTES);
        key.put(key_bytes);
        ordinal.copy_from_slice(&marked.to_le_bytes());
        send.extend_from_slice(entry);
    }
}

/// The keys of one unit in a message.
struct Run<'a> {
    unit: u32,
    entries: &'a [u8],
}

/// Adds the runs of one message; returns `None` if it is not valid, or names units of another rank.
fn split_runs<'a, K: HashKey>(
    mut message: &'a [u8],
    from: usize,
    owners: Owners,
    runs: &mut Vec<Run<'a>>,
) -> Option<()> {
    while !message.is_empty() {
        let (unit, rest) = message.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let unit = u32::from_le_bytes(*unit);
        let bytes = (u32::from_le_bytes(*count) as usize)
            .checked_mul(message_bytes_per_key::<K>())
            .filter(|_| owners.rank_of(unit) == from)?;
        let (entries, rest) = rest.split_at_checked(bytes)?;
        runs.push(Run { unit, entries });
        message = rest;
    }
    Some(())
}

impl Run<'_> {
    /// Returns the keys with their positions, whose ordinals are marked.
    fn positions<K: HashKey>(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        let unit = u64::from(self.unit) << 32;
        self.entries.chunks_exact(message_bytes_per_key::<K>()).map(move |entry| {
            let (key, ordinal) = entry.split_at(K::BYTES);
            let mut marked = [0; 4];
            marked.copy_from_slice(ordinal);
            (K::get(key), unit | u64::from(u32::from_le_bytes(marked)))
        })
    }
}
