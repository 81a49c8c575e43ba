//! A part of an input, for inputs that are too large for one unit.
//!
//! **Invariant:** a record belongs to the piece in which it starts, so that pieces that cover an
//! input without a gap contain each of its records once.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A range of bytes of an input. The records that start in it are read, to their ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Offset of the first byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

impl Piece {
    /// Returns nearly equal pieces of about `target_bytes` that cover `bytes`, or none if the input
    /// is small enough to stay whole.
    pub fn even(bytes: u64, target_bytes: u64) -> Vec<Self> {
        let count = bytes / target_bytes.max(1);
        if count < 2 {
            return Vec::new();
        }
        let at = |number: u64| (u128::from(bytes) * u128::from(number) / u128::from(count)) as u64;
        (0..count).map(|n| Self { offset: at(n), length: at(n + 1) - at(n) }).collect()
    }

    /// Returns the range of offsets in the piece.
    pub fn range(self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_pieces_cover_an_input_once() {
        for (bytes, target) in [(100, 30), (1 << 40, (64 << 20) + 1), (7, 1), (200, 100)] {
            let pieces = Piece::even(bytes, target);
            assert!(pieces.len() > 1);
            let mut at = 0;
            for piece in pieces {
                assert_eq!(piece.offset, at);
                assert!(piece.length >= target && piece.length < 2 * target, "{piece:?}");
                at = piece.range().end;
            }
            assert_eq!(at, bytes);
        }
        assert_eq!(Piece::even(199, 100), []);
        assert_eq!(Piece::even(0, 0), []);
    }
}
