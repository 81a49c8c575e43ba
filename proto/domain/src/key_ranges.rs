//! How many key ranges the resolve stages need.
//!
//! ```text
//! ranges = ceil(keys × bytes per key in memory ÷ memory budget of one gang), at least 1
//! ```
//! `keys` is the sum over the units of their distinct keys.

/// Memory for each line key in an exchange, over all ranks. The worker derives this number, with
/// its slack for uneven ranks, in `dedup/budget.rs`, where a test keeps both equal.
pub const LINE_KEY_BYTES: u64 = 93;
/// Memory for each document key in an exchange, over all ranks.
pub const DOCUMENT_KEY_BYTES: u64 = 133;

/// Returns the number of key ranges that bring the keys of each below the memory budget.
pub fn key_ranges(keys: u64, bytes_per_key: u64, budget_bytes: u64) -> u64 {
    let needed = u128::from(keys) * u128::from(bytes_per_key);
    let ranges = needed.div_ceil(u128::from(budget_bytes.max(1))).max(1);
    u64::try_from(ranges).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_fit_into_the_budget_and_there_is_at_least_one() {
        assert_eq!(key_ranges(0, LINE_KEY_BYTES, 0), 1);
        assert_eq!(key_ranges(22, 10, 100), 3);
        assert_eq!(key_ranges(20, 10, 100), 2);
        assert_eq!(key_ranges(u64::MAX, DOCUMENT_KEY_BYTES, 1), u64::MAX);
    }
}
