//! Maps words to numbers. KenLM stores 64-bit hashes of the words, not the words themselves.

use std::collections::HashMap;

use super::WordId;
use super::bits::Section;

pub(super) enum Vocabulary {
    /// A hash table with open addressing, whose buckets hold a hash and a number.
    Probing(Buckets),
    /// Hashes in ascending order; the first is word 1.
    Sorted { hashes: Section, count: usize },
    /// The words of an ARPA file.
    Mapped(HashMap<u64, WordId>),
}

impl Vocabulary {
    /// Returns the number of a word, or 0 if it is unknown.
    pub(super) fn word(&self, word: &[u8]) -> WordId {
        let hash = word_hash(word);
        match self {
            Self::Probing(buckets) => buckets.find(hash).map_or(0, |at| buckets.value_u32(at)),
            Self::Sorted { hashes, count } => find_sorted(hashes, *count, hash),
            Self::Mapped(words) => words.get(&hash).copied().unwrap_or(0),
        }
    }
}

fn find_sorted(hashes: &Section, count: usize, hash: u64) -> WordId {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match hashes.u64_at(middle * 8).cmp(&hash) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return middle as WordId + 1,
        }
    }
    0
}

/// KenLM's hash table of fixed size: a key of 64 bits (0 is an empty bucket), then a value.
pub(super) struct Buckets {
    section: Section,
    count: u64,
    stride: usize,
}

impl Buckets {
    pub(super) fn new(section: Section, count: u64, stride: usize) -> Self {
        Self { section, count, stride }
    }

    /// Returns how many buckets KenLM makes for this many entries; it multiplies in single
    /// precision.
    pub(super) fn count_for(entries: u64, multiplier: f32) -> u64 {
        ((multiplier * entries as f32) as u64).max(entries.saturating_add(1))
    }

    /// Returns the position of the value of a key.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<usize> {
        let mut bucket = key % self.count;
        // A damaged table may have no empty bucket.
        for _ in 0..self.count {
            let at = bucket as usize * self.stride;
            match self.section.u64_at(at) {
                found if found == key => return Some(at + 8),
                0 => return None,
                _ => bucket = if bucket + 1 == self.count { 0 } else { bucket + 1 },
            }
        }
        None
    }

    pub(super) fn value_u32(&self, at: usize) -> u32 {
        self.section.u32_at(at)
    }

    #[inline]
    pub(super) fn value_f32(&self, at: usize) -> f32 {
        self.section.f32_at(at)
    }
}

/// Computes MurmurHash64A of the word's bytes, with seed 0.
pub(super) fn word_hash(word: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0xC6A4_A793_5BD1_E995;
    const SHIFT: u32 = 47;
    let mut hash = (word.len() as u64).wrapping_mul(MULTIPLIER);
    let (blocks, tail) = word.as_chunks::<8>();
    for block in blocks {
        let mut k = u64::from_le_bytes(*block).wrapping_mul(MULTIPLIER);
        k = (k ^ (k >> SHIFT)).wrapping_mul(MULTIPLIER);
        hash = (hash ^ k).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> SHIFT)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> SHIFT)
}
