//! Models of type `probing`: one hash table for each length of n-grams.

use std::io::Read;

use super::WordId;
use super::bits::Section;
use super::score::{Extended, Search};
use super::source::{LoadError, Source};
use super::vocabulary::Buckets;

const UNIGRAM_BYTES: usize = 8;
const MIDDLE_BYTES: usize = 16;
const LONGEST_BYTES: usize = 12;
/// This bit is set in a stored probability if no n-gram extends this one to the left.
const SIGN: u32 = 1 << 31;

pub(super) struct Probing {
    unigrams: Section,
    words: u64,
    middles: Vec<Buckets>,
    longest: Buckets,
}

/// The hash of an n-gram, and whether any longer one ends in it.
#[derive(Clone, Copy)]
pub(super) struct Node {
    hash: u64,
    extended: bool,
}

impl Probing {
    pub(super) fn read<R: Read>(
        source: &mut Source<R>,
        counts: &[u64],
        multiplier: f32,
    ) -> Result<Self, LoadError> {
        let words = counts[0];
        let bytes = (u128::from(words) + 1) * UNIGRAM_BYTES as u128;
        let unigrams = source.section(bytes, "the unigrams")?;
        let mut table = |entries: u64, stride: usize, what: &str| {
            let count = Buckets::count_for(entries, multiplier);
            let section = source.section(u128::from(count) * stride as u128, what)?;
            Ok::<_, LoadError>(Buckets::new(section, count, stride))
        };
        let mut middles = Vec::new();
        for (index, &entries) in counts[1..counts.len() - 1].iter().enumerate() {
            middles.push(table(entries, MIDDLE_BYTES, &format!("the {}-grams", index + 2))?);
        }
        let longest = table(counts[counts.len() - 1], LONGEST_BYTES, "the longest n-grams")?;
        Ok(Self { unigrams, words, middles, longest })
    }
}

impl Search for Probing {
    type Node = Node;

    fn unigram(&self, word: WordId) -> (f32, f32, Node) {
        let word = if u64::from(word) <= self.words { word } else { 0 };
        let at = word as usize * UNIGRAM_BYTES;
        let (probability, extended) = unpack(self.unigrams.f32_at(at));
        (probability, self.unigrams.f32_at(at + 4), Node { hash: word.into(), extended })
    }

    fn middle(&self, level: usize, word: WordId, node: Node) -> Option<Extended<Node>> {
        if !node.extended {
            return None;
        }
        let hash = combine(node.hash, word);
        let at = self.middles[level].find(hash)?;
        let (probability, extended) = unpack(self.middles[level].value_f32(at));
        let backoff = self.middles[level].value_f32(at + 4);
        let node = Node { hash, extended };
        Some(Extended { probability: Some(probability), backoff, node })
    }

    fn longest(&self, word: WordId, node: Node) -> Option<f32> {
        if !node.extended {
            return None;
        }
        let at = self.longest.find(combine(node.hash, word))?;
        Some(self.longest.value_f32(at))
    }
}

fn unpack(stored: f32) -> (f32, bool) {
    let bits = stored.to_bits();
    (f32::from_bits(bits | SIGN), bits & SIGN == 0)
}

/// Returns the hash of an n-gram that is extended to the left by a word.
pub(super) fn combine(hash: u64, word: WordId) -> u64 {
    hash.wrapping_mul(8_978_948_897_894_561_157)
        ^ (u64::from(word) + 1).wrapping_mul(17_894_857_484_156_487_943)
}
