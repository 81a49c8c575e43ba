//! What the keys of an exchange take in memory: plain arithmetic.
//!
//! How many key ranges follow from it is `thresher_domain`'s formula. A range of that size is
//! resolved in about one round; the exchange keeps its budget whatever the number of ranges, by more
//! rounds.

use thresher_domain::{DOCUMENT_KEY, LINE_KEY};

use super::key::HashKey;

// Planners do not link this crate, so they have the sizes as numbers.
const _: () = assert!(memory_bytes_per_key::<u64>() == LINE_KEY.memory_bytes);
const _: () = assert!(memory_bytes_per_key::<u128>() == DOCUMENT_KEY.memory_bytes);

/// The share of a rank's budget that holds verdicts until they are written: one in this many.
pub(super) const VERDICT_SHARE: u64 = 4;

/// What one key takes at a rank while a round is under way: its message at the sender and at the
/// owner, the owner's table, and a verdict going out and coming in.
pub(super) const fn round_bytes_per_key<K: HashKey>() -> u64 {
    (2 * message_bytes_per_key::<K>() + size_of::<K::Tagged>() + 2 * size_of::<u64>()) as u64
}

/// The same while the messages of the next round are filled.
pub(super) const fn ahead_bytes_per_key<K: HashKey>() -> u64 {
    round_bytes_per_key::<K>() + message_bytes_per_key::<K>() as u64
}

/// A key in a message: itself and its marked ordinal.
pub(super) const fn message_bytes_per_key<K: HashKey>() -> usize {
    K::BYTES + size_of::<u32>()
}

/// A quarter more than even, for ranks that own more keys than others.
pub(super) const fn with_slack(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 4)
}

const fn memory_bytes_per_key<K: HashKey>() -> u64 {
    with_slack(round_bytes_per_key::<K>()) * VERDICT_SHARE / (VERDICT_SHARE - 1)
}
