//! Computes how much memory the keys of an exchange need.
//!
//! `thresher_domain` has the formula for the number of key ranges that follows from it. A range of
//! that size is resolved in about one round; the exchange keeps its budget for any number of
//! ranges, by more rounds.

use thresher_domain::{DOCUMENT_KEY, LINE_KEY};

use super::key::HashKey;

// Planners do not link this crate, so they have the sizes as constants.
const _: () = assert!(memory_bytes_per_key::<u64>() == LINE_KEY.memory_bytes);
const _: () = assert!(memory_bytes_per_key::<u128>() == DOCUMENT_KEY.memory_bytes);

/// Divisor of a rank's budget that gives the part for what was found until it is written.
pub(super) const RESULT_SHARE: u64 = 4;

/// Returns the memory of one key at a rank during a round: its message at the sender and at the
/// owner, the owner's table, and a verdict going out and coming in.
pub(super) const fn round_bytes_per_key<K: HashKey>() -> u64 {
    (2 * message_bytes_per_key::<K>() + size_of::<K::Tagged>() + 2 * size_of::<u64>()) as u64
}

/// Returns the memory of one key if the messages of the next round are filled at the same time.
pub(super) const fn ahead_bytes_per_key<K: HashKey>() -> u64 {
    round_bytes_per_key::<K>() + message_bytes_per_key::<K>() as u64
}

/// Returns the size of a key in a message: the key and its marked ordinal.
pub(super) const fn message_bytes_per_key<K: HashKey>() -> usize {
    K::BYTES + size_of::<u32>()
}

/// Adds a quarter to an even share, for ranks that own more keys than others.
pub(super) const fn with_slack(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 4)
}

const fn memory_bytes_per_key<K: HashKey>() -> u64 {
    with_slack(round_bytes_per_key::<K>()) * RESULT_SHARE / (RESULT_SHARE - 1)
}
