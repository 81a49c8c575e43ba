//! SimHash of whole texts, as RedPajama compared books: texts whose signatures differ in few bits
//! share most of their words.
//!
//! ```text
//! text → lowercase, word characters only → 6-grams → MD5, last 8 bytes → majority of each bit
//! ```
//! This follows 1e0ng/simhash with RedPajama's features. Which pairs are compared follows from the
//! bits alone: at distance 5 or less, one of six blocks is equal, so no pair is missed.
//!
//! **Invariant:** the result is a function of the signatures and their order.

use md5::{Digest, Md5};

use super::python::is_word;

const GRAM_CHARS: usize = 6;
/// Largest distance between the signatures of near-duplicates.
const MAX_DISTANCE: u32 = 5;
/// First bit and width of each block.
const BLOCKS: [(u32, u32); 6] = [(0, 10), (10, 10), (20, 10), (30, 10), (40, 10), (50, 14)];

/// Returns the signature of a text.
pub fn signature(text: &str) -> u64 {
    let lower = text.to_lowercase();
    let words: String = lower.chars().filter(|c| is_word(*c)).collect();
    let starts: Vec<usize> = words.char_indices().map(|(at, _)| at).collect();
    let grams = starts.len().saturating_sub(GRAM_CHARS - 1).max(1);
    let mut set = [0_u64; 64];
    for gram in 0..grams {
        let from = starts.get(gram).copied().unwrap_or(0);
        let to = starts.get(gram + GRAM_CHARS).copied().unwrap_or(words.len());
        let digest = Md5::digest(&words.as_bytes()[from..to]);
        let (_, last) = digest.split_at(8);
        let hash = last.iter().fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        for (bit, count) in set.iter_mut().enumerate() {
            *count += hash >> bit & 1;
        }
    }
    let majority = |count: u64| u64::from(count * 2 > grams as u64);
    set.iter().enumerate().fold(0, |all, (bit, count)| all | majority(*count) << bit)
}

/// Returns for each signature whether an earlier one is near, even if that one is a near-duplicate
/// itself.
pub fn near_duplicates(signatures: &[u64]) -> Vec<bool> {
    let mut near = vec![false; signatures.len()];
    let mut order: Vec<u32> = (0..signatures.len() as u32).collect();
    for (first, width) in BLOCKS {
        let block = |index: u32| signatures[index as usize] >> first & ((1 << width) - 1);
        order.sort_unstable_by_key(|index| (block(*index), *index));
        for equal in order.chunk_by(|a, b| block(*a) == block(*b)) {
            for (place, later) in equal.iter().enumerate() {
                let ours = signatures[*later as usize];
                let is_near = |earlier: &u32| {
                    (signatures[*earlier as usize] ^ ours).count_ones() <= MAX_DISTANCE
                };
                if !near[*later as usize] && equal[..place].iter().any(is_near) {
                    near[*later as usize] = true;
                }
            }
        }
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn one_feature_gives_its_own_hash() {
        // MD5 of `abc` is 900150983cd24fb0d6963f7d28e17f72, and of an empty input
        // d41d8cd98f00b204e9800998ecf8427e.
        assert_eq!(signature("a B-c!"), 0xd696_3f7d_28e1_7f72);
        assert_eq!(signature("..."), 0xe980_0998_ecf8_427e);
        assert_eq!(signature("AbCdEf"), signature("abcdef"));
    }

    #[test]
    fn two_features_set_the_bits_that_both_have() {
        let (first, second) = (signature("abcdef"), signature("bcdefg"));
        assert_eq!(signature("abcdefg"), first & second);
    }

    #[test]
    fn near_texts_are_near_and_others_are_not() {
        let words: Vec<String> =
            (0..4000_u32).map(|n| format!("w{}", n.wrapping_mul(2_654_435_761))).collect();
        let text = words.join(" ");
        let edited = text.replacen("w0", "changed", 1);
        let distance = |a: &str, b: &str| (signature(a) ^ signature(b)).count_ones();
        assert!(distance(&text, &edited) <= MAX_DISTANCE);
        let other: Vec<String> =
            (0..4000_u32).map(|n| format!("v{}", n.wrapping_mul(40_503))).collect();
        assert!(distance(&text, &other.join(" ")) > MAX_DISTANCE);
    }

    #[test]
    fn every_pair_at_distance_five_is_found_and_none_at_six() {
        let seed = 7;
        println!("seed {seed}");
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let flipped = |value: u64, bits: u32, random: &mut ChaCha8Rng| {
            let mut changed = value;
            while (changed ^ value).count_ones() < bits {
                changed ^= 1 << random.random_range(0..64);
            }
            changed
        };
        let mut signatures: Vec<u64> = (0..300).map(|_| random.random()).collect();
        for index in 0..300 {
            let bits = random.random_range(0..9);
            signatures.push(flipped(signatures[index], bits, &mut random));
        }
        let expected: Vec<bool> = (0..signatures.len())
            .map(|i| signatures[..i].iter().any(|e| (e ^ signatures[i]).count_ones() <= 5))
            .collect();
        assert!(expected.iter().filter(|near| **near).count() > 100);
        assert_eq!(near_duplicates(&signatures), expected);
        // This is a chain: the second is near the first, the third only near the second, which is
        // dropped.
        let chain = [0, 0b11111, 0b11_1111_1111];
        assert_eq!(near_duplicates(&chain), [false, true, true]);
    }
}
