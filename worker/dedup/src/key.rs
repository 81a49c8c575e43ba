//! The properties of a key that dedup needs: bytes, an order that starts with its top bits, and a
//! cheap even spread. Keys are hashes; they are cut, spread and sorted as evenly distributed
//! numbers. If they are not, dedup is only slower and less balanced.

/// A hash that identifies content: `u64` for lines, `u128` (16 bytes of BLAKE3) for documents.
pub trait HashKey: Copy + Ord + Send + Sync + std::fmt::Debug + 'static {
    /// Size of a key in files and messages.
    const BYTES: usize;

    /// A key with a tag that orders after it: an ordinal or a position.
    type Tagged: Copy + Ord + Send + Sync;

    /// The value of an empty entry.
    const BLANK: Self::Tagged;

    /// Returns the 64 most significant bits.
    fn top(self) -> u64;

    /// Returns which of `ranks` decides about this key, independently of the order of the top bits.
    #[inline]
    fn owner(self, ranks: usize) -> usize {
        // Fibonacci hashing, so that neighbours in the key space go to different ranks.
        let mixed = self.low().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        ((mixed * ranks as u64) >> 32) as usize
    }

    /// Returns the 64 least significant bits.
    fn low(self) -> u64;

    /// Returns the key as a label of blocks, in the same order.
    fn label(self) -> u128;

    /// Returns the top bits of the key of a label.
    fn top_of_label(label: u128) -> u64;

    /// Writes the key's `BYTES` bytes.
    fn put(self, bytes: &mut [u8]);

    /// Reads what `put` wrote.
    fn get(bytes: &[u8]) -> Self;

    /// Joins a key and a tag.
    fn tag(self, tag: u64) -> Self::Tagged;

    /// Splits what `tag` joined.
    fn untag(tagged: Self::Tagged) -> (Self, u64);
}

impl HashKey for u64 {
    const BYTES: usize = 8;
    type Tagged = u128;
    const BLANK: u128 = 0;

    #[inline]
    fn top(self) -> u64 {
        self
    }

    #[inline]
    fn low(self) -> u64 {
        self
    }

    #[inline]
    fn label(self) -> u128 {
        u128::from(self)
    }

    #[inline]
    fn top_of_label(label: u128) -> u64 {
        label as u64
    }

    #[inline]
    fn put(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.to_le_bytes());
    }

    #[inline]
    fn get(bytes: &[u8]) -> Self {
        let mut array = [0; 8];
        array.copy_from_slice(bytes);
        Self::from_le_bytes(array)
    }

    #[inline]
    fn tag(self, tag: u64) -> u128 {
        u128::from(self) << 64 | u128::from(tag)
    }

    #[inline]
    fn untag(tagged: u128) -> (Self, u64) {
        ((tagged >> 64) as u64, tagged as u64)
    }
}

impl HashKey for u128 {
    const BYTES: usize = 16;
    /// A `(u128, u64)` would take 32 bytes.
    type Tagged = [u64; 3];
    const BLANK: [u64; 3] = [0; 3];

    #[inline]
    fn top(self) -> u64 {
        (self >> 64) as u64
    }

    #[inline]
    fn low(self) -> u64 {
        self as u64
    }

    #[inline]
    fn label(self) -> u128 {
        self
    }

    #[inline]
    fn top_of_label(label: u128) -> u64 {
        (label >> 64) as u64
    }

    #[inline]
    fn put(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.to_le_bytes());
    }

    #[inline]
    fn get(bytes: &[u8]) -> Self {
        let mut array = [0; 16];
        array.copy_from_slice(bytes);
        Self::from_le_bytes(array)
    }

    #[inline]
    fn tag(self, tag: u64) -> [u64; 3] {
        [(self >> 64) as u64, self as u64, tag]
    }

    #[inline]
    fn untag([top, low, tag]: [u64; 3]) -> (Self, u64) {
        (Self::from(top) << 64 | Self::from(low), tag)
    }
}
