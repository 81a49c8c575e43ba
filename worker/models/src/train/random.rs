//! Random numbers of training, the same everywhere for a seed.

use thresher_domain::SplitMix64;

/// Returns a number from -1 to 1, without 1.
pub(super) fn symmetric(random: &mut SplitMix64) -> f32 {
    // 24 bits are exact in single precision.
    (random.next_u64() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
}
