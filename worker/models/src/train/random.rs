//! Random numbers that are the same everywhere for a seed (SplitMix64).

pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From -1 to 1, 1 left out.
    pub(super) fn symmetric(&mut self) -> f32 {
        // 24 bits are exact in single precision.
        (self.next() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // The high half of the product falls evenly, to within 2^-64 of the length.
            let at = (u128::from(self.next()) * (last as u128 + 1)) >> 64;
            items.swap(last, at as usize);
        }
    }
}
