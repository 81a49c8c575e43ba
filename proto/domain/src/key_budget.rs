//! What hash keys take in memory and on disk, and how many key ranges they need.
//!
//! ```text
//! ranges = ceil(keys × bytes per key in memory ÷ budget of all ranks together), at least 1
//! ```
//! `keys` is the sum over the units of their distinct keys. The scheduler plans gang units by this
//! formula, `thresher plan` estimates by it, and the worker's exchange compares the sizes with
//! those of its own structures when it is compiled.

/// What one hash key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySize {
    /// Memory in an exchange over all ranks, with slack for ranks that own more keys than others.
    pub memory_bytes: u64,
    /// Disk for each distinct key of a unit, in its key file.
    pub file_bytes: u64,
}

/// The key of a line.
pub const LINE_KEY: KeySize = KeySize { memory_bytes: 93, file_bytes: 13 };
/// The key of a document.
pub const DOCUMENT_KEY: KeySize = KeySize { memory_bytes: 133, file_bytes: 21 };
/// The key of a band of a document.
pub const BAND_KEY: KeySize = LINE_KEY;

/// Returns the number of key ranges, by the formula above.
pub fn key_ranges(keys: u64, bytes_per_key: u64, budget_bytes: u64) -> u64 {
    let needed = u128::from(keys) * u128::from(bytes_per_key);
    let ranges = needed.div_ceil(u128::from(budget_bytes.max(1)));
    u64::try_from(ranges.max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_with_the_keys_and_shrink_with_the_budget() {
        let bytes = LINE_KEY.memory_bytes;
        assert_eq!(key_ranges(0, bytes, 0), 1);
        assert_eq!(key_ranges(1_000_000, bytes, 64 << 20), 2);
        assert_eq!(key_ranges(1_000_000, bytes, 8 << 30), 1);
        assert_eq!(key_ranges(u64::MAX, DOCUMENT_KEY.memory_bytes, 1), u64::MAX);
        for keys in [1_u64, 1000, 123_456_789] {
            for budget in [10_u64, 100, 12_345_678] {
                let ranges = u128::from(key_ranges(keys, bytes, budget));
                let needed = u128::from(keys * bytes);
                assert!(ranges * u128::from(budget) >= needed, "{keys} {budget}");
                assert!((ranges - 1) * u128::from(budget) < needed, "{keys} {budget}");
            }
        }
    }
}
