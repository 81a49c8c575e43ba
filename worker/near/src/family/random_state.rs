//! The bounded random integers of numpy's `RandomState.randint`: MT19937, seeded by one number,
//! and masked rejection. numpy promises that this stream never changes.

use rand_mt::Mt;

/// numpy's legacy generator.
pub(super) struct RandomState(Mt);

impl RandomState {
    pub(super) fn new(seed: u32) -> Self {
        Self(Mt::new(seed))
    }

    /// Returns `randint(low, high, dtype=uint64)`, for a range of more than 32 bits.
    pub(super) fn u64_in(&mut self, low: u64, high: u64) -> u64 {
        let range = high - 1 - low;
        let mask = u64::MAX >> range.leading_zeros();
        loop {
            let upper = u64::from(self.0.next_u32()) << 32;
            let value = (upper | u64::from(self.0.next_u32())) & mask;
            if value <= range {
                return low + value;
            }
        }
    }

    /// Returns `randint(low, high, dtype=uint32)`.
    pub(super) fn u32_in(&mut self, low: u32, high: u32) -> u32 {
        let range = high - 1 - low;
        let mask = u32::MAX >> range.leading_zeros();
        loop {
            let value = self.0.next_u32() & mask;
            if value <= range {
                return low + value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that numpy 2.4.6 printed.
    #[test]
    fn bounded_integers_are_those_of_numpy() {
        let mut state = RandomState::new(1);
        assert_eq!(state.u64_in(1, (1 << 61) - 1), 775_169_054_918_279_404);
        assert_eq!(state.u64_in(1, (1 << 61) - 1), 1_758_426_461_858_698_313);
        let mut state = RandomState::new(42);
        assert_eq!(state.u32_in(1, (1 << 31) - 1), 1_608_637_543);
        assert_eq!(state.u32_in(0, (1 << 31) - 1), 1_273_642_419);
    }
}
