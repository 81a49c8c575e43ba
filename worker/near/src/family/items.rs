//! Item hashes: one number per shingle.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};
use xxhash_rust::xxh64::xxh64;

use super::murmur::murmur3_32;
use super::sha1_batch::Sha1Batch;
use crate::shingles::{ShortDocuments, Units};
use crate::vector::Width;

/// A hash that makes a number of a shingle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemHash {
    /// The first eight bytes of SHA-1, little endian. FineWeb.
    Sha1First8,
    /// The first four bytes of SHA-1, little endian. datasketch's default.
    Sha1First4,
    /// XXH64 with seed 0. datatrove's default since it was published with SHA-1.
    Xxh64,
    /// MurmurHash3, x86, 32 bits, at least 1. cuDF's `minhash`.
    Murmur3 {
        /// The hash's seed.
        seed: u32,
    },
    /// XXH3, 128 bits, seed 0: for permutations of 128 bits.
    Xxh3Wide,
    /// A polynomial in the XXH3 of each unit, which rolls from one shingle to the next and so costs
    /// the same for any number of units. For parameters of one's own. The value is
    /// Σ xxh3(unit i)·bⁿ⁻¹⁻ⁱ mod 2⁶⁴ with b = 0x9e3779b97f4a7c15, mixed by the finaliser of
    /// SplitMix64.
    RollingXxh3,
}

/// The items of one document, in the order in which they were computed, which is not that of its
/// shingles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Items {
    pub(crate) low: Vec<u64>,
    /// The upper halves of hashes of 128 bits; empty for others.
    pub(crate) high: Vec<u64>,
}

/// Computes item hashes. It keeps its buffers from document to document.
#[derive(Debug)]
pub(crate) struct ShingleHasher {
    hash: ItemHash,
    width: Width,
    sha1: Sha1Batch,
    unit_hashes: Vec<u64>,
}

const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

impl ShingleHasher {
    pub(crate) fn new(hash: ItemHash, width: Width) -> Self {
        Self { hash, width, sha1: Sha1Batch::default(), unit_hashes: Vec::new() }
    }

    /// Replaces `items` by the hashes of all shingles of `size` units.
    pub(crate) fn hash(
        &mut self,
        units: Units<'_>,
        size: usize,
        short: ShortDocuments,
        items: &mut Items,
    ) {
        items.low.clear();
        items.high.clear();
        let bytes = units.bytes();
        let spans = units.shingles(size, short);
        match self.hash {
            ItemHash::Sha1First8 => {
                self.sha1.hash(self.width, bytes, spans, &mut items.low);
            }
            ItemHash::Sha1First4 => {
                self.sha1.hash(self.width, bytes, spans, &mut items.low);
                items.low.iter_mut().for_each(|item| *item &= u64::from(u32::MAX));
            }
            ItemHash::Xxh64 => items.low.extend(spans.map(|span| xxh64(&bytes[span], 0))),
            ItemHash::Murmur3 { seed } => {
                let hashes = spans.map(|span| murmur3_32(&bytes[span], seed).max(1));
                items.low.extend(hashes.map(u64::from));
            }
            ItemHash::Xxh3Wide => {
                let hashes = spans.map(|span| xxh3_128(&bytes[span]));
                let halves = hashes.map(|hash| (hash as u64, (hash >> 64) as u64));
                (items.low, items.high) = halves.unzip();
            }
            ItemHash::RollingXxh3 => self.roll(units, size, short, &mut items.low),
        }
    }

    fn roll(&mut self, units: Units<'_>, size: usize, short: ShortDocuments, items: &mut Vec<u64>) {
        let (count, size) = units.count(size, short);
        if count == 0 {
            return;
        }
        self.unit_hashes.clear();
        let hashes = (0..units.len()).map(|at| xxh3_64(&units.bytes()[units.unit(at)]));
        self.unit_hashes.extend(hashes);
        let step = |sum: u64, unit: &u64| sum.wrapping_mul(BASE).wrapping_add(*unit);
        let leaving_weight = (0..size).fold(1_u64, |weight, _| weight.wrapping_mul(BASE));
        let mut sum = self.unit_hashes[..size].iter().fold(0, step);
        items.push(mixed(sum));
        for (entering, leaving) in self.unit_hashes[size..].iter().zip(&self.unit_hashes) {
            sum = step(sum, entering).wrapping_sub(leaving.wrapping_mul(leaving_weight));
            items.push(mixed(sum));
        }
    }
}

/// The finaliser of SplitMix64.
fn mixed(sum: u64) -> u64 {
    let sum = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let sum = (sum ^ (sum >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    sum ^ (sum >> 31)
}

#[cfg(test)]
mod tests {
    use sha1::{Digest, Sha1};

    use super::*;
    use crate::words::Words;

    fn items(hash: ItemHash, width: Width, text: &str, size: usize) -> Items {
        let mut words = Words::default();
        words.split_at_spaces(text);
        let mut found = Items { low: vec![3], high: vec![4] };
        let mut hasher = ShingleHasher::new(hash, width);
        hasher.hash(Units::words(&words), size, ShortDocuments::NoShingles, &mut found);
        found
    }

    const T1: &str = "the quick brown fox jumps over the lazy dog and then runs back home";

    #[test]
    fn the_first_shingle_of_fineweb_has_the_published_hash() {
        let found = items(ItemHash::Sha1First8, Width::best(), T1, 5);
        assert_eq!(found.low.len(), 10);
        assert!(found.low.contains(&12_313_522_834_835_307_089));
    }

    #[test]
    fn every_length_of_a_shingle_has_the_digest_of_sha1() {
        for width in Width::all() {
            for length in 1..300 {
                let text = format!("{} {}", "a".repeat(length), "é".repeat(40));
                let mut expected: Vec<u64> = text
                    .split(' ')
                    .map(|word| Sha1::digest(word.as_bytes())[..8].try_into().unwrap())
                    .map(u64::from_le_bytes)
                    .collect();
                let mut found = items(ItemHash::Sha1First8, width, &text, 1).low;
                expected.sort_unstable();
                found.sort_unstable();
                assert_eq!(found, expected, "{length}");
            }
        }
    }

    #[test]
    fn four_bytes_of_sha1_are_the_lower_half_of_eight() {
        let four = items(ItemHash::Sha1First4, Width::best(), T1, 3).low;
        let eight = items(ItemHash::Sha1First8, Width::best(), T1, 3).low;
        assert_eq!(four, eight.iter().map(|item| item & 0xffff_ffff).collect::<Vec<_>>());
    }

    #[test]
    fn a_rolled_hash_is_that_of_its_units_alone() {
        let whole = items(ItemHash::RollingXxh3, Width::best(), T1, 4).low;
        let words: Vec<&str> = T1.split(' ').collect();
        for (at, gram) in words.windows(4).enumerate() {
            let alone = items(ItemHash::RollingXxh3, Width::best(), &gram.join(" "), 4).low;
            assert_eq!(alone, [whole[at]]);
        }
        let distinct: std::collections::BTreeSet<_> = whole.iter().collect();
        assert_eq!(distinct.len(), words.len() - 3);
    }

    #[test]
    fn a_wide_hash_has_two_halves() {
        let found = items(ItemHash::Xxh3Wide, Width::best(), T1, 5);
        let expected = xxh3_128(b"the quick brown fox jumps");
        assert_eq!((found.low[0], found.high[0]), (expected as u64, (expected >> 64) as u64));
        assert_eq!((found.low.len(), found.high.len()), (10, 10));
    }
}
