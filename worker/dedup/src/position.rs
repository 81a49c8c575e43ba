//! The order of occurrences and the parts of the key space: small values without behaviour.
//! Invariant: the spans of all ranges, and the slices of a span, cover it once, without a gap.

use serde::{Deserialize, Serialize};

/// Where a key occurs. The derived order, unit before ordinal, is the one by which dedup decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The canonical number of the unit.
    pub unit: u32,
    /// The number of the line or document in its unit, at most [`super::MAX_ORDINAL`].
    pub ordinal: u32,
}

impl Position {
    /// Returns the position as one number with the same order.
    #[inline]
    pub fn pack(self) -> u64 {
        u64::from(self.unit) << 32 | u64::from(self.ordinal)
    }

    /// Returns the position that [`Position::pack`] packed.
    #[inline]
    pub fn unpack(packed: u64) -> Self {
        Self { unit: (packed >> 32) as u32, ordinal: packed as u32 }
    }
}

/// Which occurrences of a repeated key are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// All but the one with the smallest position are dropped.
    KeepFirst,
    /// All of them are dropped if more than one record has the key, as in CCNet. Within one record
    /// the first is kept.
    DropAll,
}

/// One of `of` even parts of the key space, which one gang unit resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "[u32; 2]", try_from = "[u32; 2]")]
pub struct KeyRange {
    index: u32,
    of: u32,
}

impl KeyRange {
    /// The whole key space.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Returns part `index` of `of`, or `None` if there is no such part.
    pub fn new(index: u32, of: u32) -> Option<Self> {
        (index < of).then_some(Self { index, of })
    }

    /// Returns the number of this part.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Returns how many parts there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Returns the keys of this part, by their top 64 bits.
    pub fn span(self) -> Span {
        Span::WHOLE
            .slice(u64::from(self.index), u64::from(self.of))
            .expect("fewer than 2^32 parts of 2^64 values leave none empty")
    }
}

impl From<KeyRange> for [u32; 2] {
    fn from(range: KeyRange) -> Self {
        [range.index, range.of]
    }
}

impl TryFrom<[u32; 2]> for KeyRange {
    type Error = String;

    fn try_from([index, of]: [u32; 2]) -> Result<Self, String> {
        Self::new(index, of).ok_or_else(|| format!("there is no key range `{index}` of `{of}`"))
    }
}

/// An interval of the key space by the keys' top 64 bits, including both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The smallest value in it.
    pub first: u64,
    /// The largest value in it.
    pub last: u64,
}

impl Span {
    /// The span of all keys.
    pub const WHOLE: Self = Self { first: 0, last: u64::MAX };

    /// Returns whether a key with these top bits is inside.
    #[inline]
    pub fn contains(self, top: u64) -> bool {
        self.first <= top && top <= self.last
    }

    /// Returns part `index` of `of` even ones, of which there must be fewer than 2^63; `None` if
    /// that part is empty because the span has fewer values than there are parts.
    pub fn slice(self, index: u64, of: u64) -> Option<Self> {
        assert!(index < of && of < 1 << 63, "part `{index}` of `{of}` is not a part");
        let width = self.width();
        let (index, of) = (u128::from(index), u128::from(of));
        let begin = width * index / of;
        let end = width * (index + 1) / of;
        let at = |distance: u128| (u128::from(self.first) + distance) as u64;
        (begin < end).then(|| Self { first: at(begin), last: at(end - 1) })
    }

    /// Returns how many values it has, up to 2^64.
    pub fn width(self) -> u128 {
        u128::from(self.last - self.first) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_key_space_once() {
        for of in [1, 2, 3, 7, 64, 1000, 65_537] {
            let mut next = 0u128;
            for index in 0..of {
                let span = KeyRange::new(index, of).unwrap().span();
                assert_eq!(u128::from(span.first), next, "range {index} of {of}");
                next = u128::from(span.last) + 1;
            }
            assert_eq!(next, 1 << 64, "of {of}");
        }
        assert_eq!(KeyRange::new(3, 3), None);
        assert!(serde_json::from_str::<KeyRange>("[3, 3]").is_err());
        assert_eq!(KeyRange::new(u32::MAX - 1, u32::MAX).unwrap().span().last, u64::MAX);
    }

    #[test]
    fn slices_of_a_narrow_span_cover_it_once_and_may_be_empty() {
        let span = Span { first: 10, last: 14 };
        let parts: Vec<Span> = (0..8).filter_map(|i| span.slice(i, 8)).collect();
        let values: Vec<u64> = parts.iter().flat_map(|s| s.first..=s.last).collect();
        assert_eq!(values, [10, 11, 12, 13, 14]);
    }

    #[test]
    fn positions_keep_their_order_when_packed() {
        let a = Position { unit: 1, ordinal: u32::MAX };
        let b = Position { unit: 2, ordinal: 0 };
        assert!(a < b && a.pack() < b.pack());
        assert_eq!(Position::unpack(a.pack()), a);
    }
}
