//! Pseudorandom numbers that are the same on every machine for a seed.

/// 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The SplitMix64 generator (Steele, Lea and Flood 2014). It decides orders, never anything that
/// must be hard to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Returns the generator of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number, uniform over all 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Returns the number at a place, from 0, in the sequence of seed 0: small numbers spread over
    /// all 64 bits.
    pub const fn at(place: u64) -> u64 {
        mix(place.wrapping_add(1).wrapping_mul(STEP))
    }

    /// Shuffles a list in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // The high half of the product is uniform, to within 2^-64 of the length.
            let at = (u128::from(self.next_u64()) * (last as u128 + 1)) >> 64;
            items.swap(last, at as usize);
        }
    }

    /// Returns the numbers below `length` in an order that the seed decides (Fisher-Yates).
    pub fn permutation(mut self, length: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..length).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, (self.next_u64() % (last as u64 + 1)) as usize);
        }
        order
    }
}

/// Bijective over 64 bits, so different numbers stay different.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for seed 1234567 in the reference implementation.
    #[test]
    fn numbers_are_those_of_the_reference_implementation() {
        let mut random = SplitMix64::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_place_has_the_number_of_the_sequence() {
        let mut random = SplitMix64::new(0);
        for place in 0..5 {
            assert_eq!(SplitMix64::at(place), random.next_u64());
        }
    }

    #[test]
    fn a_shuffled_list_has_the_same_items() {
        let mut items: Vec<u32> = (0..100).collect();
        SplitMix64::new(7).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_permutation_has_every_number_once() {
        let mut order = SplitMix64::new(7).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
