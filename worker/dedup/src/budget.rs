//! Computes how many key ranges a job needs, and the size of its keys, for planning.
//!
//! ```text
//! ranges = ceil(keys × bytes per key in memory ÷ budget of all ranks together), at least 1
//! ```
//! `keys` is the sum over the units of their distinct keys. The bytes per key are the constants
//! below, which already contain the slack for uneven ranks. A range of this size is resolved in
//! about one round; the exchange keeps its budget for any number of ranges, by more rounds. A
//! planner that cannot link this crate uses the same formula with the same constants.

use super::key::HashKey;

/// Memory per line key in an exchange, over all ranks.
pub const LINE_KEY_BYTES: u64 = memory_bytes_per_key::<u64>();
/// Memory per document key in an exchange, over all ranks.
pub const DOCUMENT_KEY_BYTES: u64 = memory_bytes_per_key::<u128>();
/// Disk space per distinct line key of a unit, in its key file.
pub const LINE_KEY_FILE_BYTES: u64 = 13;
/// Disk space per distinct document key of a unit, in its key file.
pub const DOCUMENT_KEY_FILE_BYTES: u64 = 21;

/// Divisor of a rank's budget that gives the part for verdicts until they are written.
pub(super) const VERDICT_SHARE: u64 = 4;

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
    with_slack(round_bytes_per_key::<K>()) * VERDICT_SHARE / (VERDICT_SHARE - 1)
}

/// Returns the number of key ranges, by the formula above.
pub fn key_ranges(keys: u64, bytes_per_key: u64, budget_bytes: u64) -> u32 {
    let needed = u128::from(keys) * u128::from(bytes_per_key);
    let ranges = needed.div_ceil(u128::from(budget_bytes.max(1)));
    u32::try_from(ranges.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_that_planners_copy_are_these() {
        assert_eq!((LINE_KEY_BYTES, DOCUMENT_KEY_BYTES), (93, 133));
    }

    #[test]
    fn ranges_grow_with_the_keys_and_shrink_with_the_budget() {
        assert_eq!(key_ranges(0, LINE_KEY_BYTES, 0), 1);
        assert_eq!(key_ranges(1_000_000, LINE_KEY_BYTES, 64 << 20), 2);
        assert_eq!(key_ranges(1_000_000, LINE_KEY_BYTES, 8 << 30), 1);
        assert_eq!(key_ranges(u64::MAX, DOCUMENT_KEY_BYTES, 1), u32::MAX);
        for keys in [1u64, 1000, 123_456_789] {
            for budget in [10u64, 100, 12_345_678] {
                let ranges = u128::from(key_ranges(keys, LINE_KEY_BYTES, budget));
                let needed = u128::from(keys * LINE_KEY_BYTES);
                assert!(ranges * u128::from(budget) >= needed, "{keys} {budget}");
                assert!((ranges - 1) * u128::from(budget) < needed, "{keys} {budget}");
            }
        }
    }
}
