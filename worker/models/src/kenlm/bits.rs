//! A section of a model file, with access to numbers at any byte or bit of it, little-endian.
//!
//! **Invariant:** reading past the end gives zero, never a panic. The loader checks sizes, so only
//! pointers inside a damaged file ever read there.

pub(super) struct Section(Vec<u8>);

impl Section {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    #[inline]
    pub(super) fn u32_at(&self, offset: usize) -> u32 {
        let bytes = self.0.get(offset..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    #[inline]
    pub(super) fn u64_at(&self, offset: usize) -> u64 {
        let bytes = self.0.get(offset..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(super) fn f32_at(&self, offset: usize) -> f32 {
        f32::from_bits(self.u32_at(offset))
    }

    /// Returns `width` bits, at most 57, from bit `offset` on.
    #[inline]
    pub(super) fn bits_at(&self, offset: u64, width: u32) -> u64 {
        let word = self.u64_at((offset >> 3) as usize);
        (word >> (offset & 7)) & mask(width)
    }
}

#[inline]
fn mask(width: u32) -> u64 {
    1_u64.unbounded_shl(width).wrapping_sub(1)
}

/// Returns the number of bits that numbers up to `max` need.
pub(super) fn bits_for(max: u64) -> u32 {
    u64::BITS - max.leading_zeros()
}
