//! Chooses the documents of a source that is sampled.
//!
//! ```text
//! rate        PREPARE drops each document whose hash is not below the rate
//! documents   PREPARE notes the hashes, LAYOUT finds the largest that is chosen, PUBLISH compares
//! ```
//! The hash is of the seed and the text, so the choice does not depend on where a document is, and
//! a smaller sample is contained in a larger one. Documents with equal texts are chosen in their
//! order.
//!
//! **Invariant:** memory does not grow with the number of documents.

use serde::{Deserialize, Serialize};
use thresher_job::SampleSpec;
use thresher_proto::pb::{Stage, UnitRef};

use super::{JobContext, Task};
use thresher_unit::UnitError;
use thresher_unit::staging::{leave, recall};

/// The reason of a document that is not in the sample.
pub(super) const NOT_CHOSEN: &str = "sample/not_chosen";

/// Suffix of LAYOUT's file.
const SUFFIX: &str = "sample";
/// Separates these hashes from all others.
const CONTEXT: &str = "thresher 2026-11-30 sample of documents";
/// Number of bits of a hash that one pass over the documents decides.
const BITS_PER_PASS: u32 = 16;
const BUCKETS: usize = 1 << BITS_PER_PASS;

/// Returns the hash by which a text is chosen.
pub(super) fn choice(seed: u64, text: &str) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&seed.to_le_bytes());
    hasher.update(blake3::hash(text.as_bytes()).as_bytes());
    let hash = hasher.finalize();
    let first = hash.as_bytes().first_chunk().expect("a hash has more than eight bytes");
    u64::from_le_bytes(*first)
}

/// Returns whether a text is in a sample of this rate; always if the sample has no rate.
pub(super) fn is_in_rate(sample: &SampleSpec, text: &str) -> bool {
    // 2^64 times the rate; a conversion of a float saturates.
    let below = |rate: f64| (rate * 18_446_744_073_709_551_616.0) as u128;
    sample.rate.is_none_or(|rate| u128::from(choice(sample.seed, text)) < below(rate))
}

/// The end of a sample: the last document that is chosen, by its hash and then by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct LastChosen {
    hash: u64,
    unit: u32,
    place: u32,
}

impl LastChosen {
    /// Returns whether the document at a place is in the sample.
    pub(super) fn includes(&self, hash: u64, unit: u32, place: u32) -> bool {
        Self { hash, unit, place } <= *self
    }
}

/// The end of the sample of one source, as LAYOUT leaves it for PUBLISH.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sampled {
    /// `None` if no document is chosen.
    last: Option<LastChosen>,
}

impl Sampled {
    pub(super) fn includes(&self, hash: u64, unit: u32, place: u32) -> bool {
        self.last.is_some_and(|last| last.includes(hash, unit, place))
    }

    /// Writes the end of the sample, and returns the hash of the file.
    pub(super) fn leave(
        &self,
        context: &JobContext,
        task: &Task,
        source: u32,
    ) -> Result<blake3::Hash, UnitError> {
        leave(&context.work.unit_file(Stage::Layout, source, SUFFIX), &task.tag, self)
    }

    /// Reads what LAYOUT wrote.
    pub(super) fn read(context: &JobContext, source: u32) -> Result<Self, UnitError> {
        let path = context.work.unit_file(Stage::Layout, source, SUFFIX);
        let producer = UnitRef { stage: Stage::Layout.into(), ordinal: source, attempt: 0 };
        recall(&path, producer)
    }
}

/// The function that passes the hash of each document from which a sample is chosen, with its unit
/// and its place there, to the function that it is given, in order.
pub(super) type EachChoice<'e> =
    dyn Fn(&mut dyn FnMut(u64, u32, u32)) -> Result<(), UnitError> + 'e;

/// Finds the end of a sample of a number of documents.
pub(super) fn decide(documents: u64, each: &EachChoice<'_>) -> Result<Sampled, UnitError> {
    let last = if documents == 0 { None } else { Candidates { each }.last_of(documents)? };
    Ok(Sampled { last })
}

/// The documents from which a sample is chosen.
struct Candidates<'a> {
    each: &'a EachChoice<'a>,
}

impl Candidates<'_> {
    /// Returns the last of the first `wanted` documents in the order of their hashes: bits of the
    /// hash are decided from the highest to the lowest, in one pass over all documents each.
    fn last_of(&self, wanted: u64) -> Result<Option<LastChosen>, UnitError> {
        let (mut known, mut left) = (0_u64, wanted);
        for pass in 0..u64::BITS / BITS_PER_PASS {
            let shift = u64::BITS - BITS_PER_PASS * (pass + 1);
            let mut counts = vec![0_u64; BUCKETS];
            (self.each)(&mut |hash, _, _| {
                let above = hash.checked_shr(shift + BITS_PER_PASS).unwrap_or(0);
                if above == known {
                    counts[(hash >> shift) as usize % BUCKETS] += 1;
                }
            })?;
            let mut before = 0;
            let found = counts.iter().position(|count| {
                let is_in = before + count >= left;
                before += if is_in { 0 } else { *count };
                is_in
            });
            let Some(bits) = found else { break };
            (known, left) = (known << BITS_PER_PASS | bits as u64, left - before);
            if shift == 0 {
                return self.equal(known, left);
            }
        }
        // There are fewer documents than are wanted.
        Ok(Some(LastChosen { hash: u64::MAX, unit: u32::MAX, place: u32::MAX }))
    }

    /// Returns the document number `number`, counted from 1, of those with this hash.
    fn equal(&self, wanted: u64, number: u64) -> Result<Option<LastChosen>, UnitError> {
        let (mut count, mut found) = (0, None);
        (self.each)(&mut |hash, unit, place| {
            count += u64::from(hash == wanted);
            if hash == wanted && count == number {
                found = Some(LastChosen { hash, unit, place });
            }
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_sample_is_contained_in_a_larger_one() {
        let texts: Vec<String> = (0..2000).map(|number| format!("text {number}")).collect();
        let chosen = |rate, seed| -> Vec<&String> {
            let sample = SampleSpec { rate: Some(rate), documents: None, seed };
            texts.iter().filter(|text| is_in_rate(&sample, text)).collect()
        };
        let (small, large) = (chosen(0.1, 1), chosen(0.3, 1));
        assert!(small.iter().all(|text| large.contains(text)));
        assert!((150..250).contains(&small.len()), "{}", small.len());
        assert!((500..700).contains(&large.len()), "{}", large.len());
        assert_ne!(chosen(0.1, 2), small);
        assert_eq!((chosen(0.0, 1).len(), chosen(1.0, 1).len()), (0, texts.len()));
        let by_number = SampleSpec { rate: None, documents: Some(1), seed: 1 };
        assert!(texts.iter().all(|text| is_in_rate(&by_number, text)));
    }

    #[test]
    fn a_choice_is_the_same_on_every_machine() {
        assert_eq!(choice(0, "text"), choice(0, "text"));
        assert_ne!(choice(0, "text"), choice(1, "text"));
        let own = blake3::hash(b"text");
        assert_ne!(choice(0, "text").to_le_bytes(), own.as_bytes()[..8]);
    }

    #[test]
    fn documents_with_equal_texts_are_chosen_in_their_order() {
        let sampled = Sampled { last: Some(LastChosen { hash: 7, unit: 2, place: 5 }) };
        for (hash, unit, place, is_in) in [
            (6, 9, 9, true),
            (7, 1, 9, true),
            (7, 2, 5, true),
            (7, 2, 6, false),
            (7, 3, 0, false),
            (8, 0, 0, false),
        ] {
            assert_eq!(sampled.includes(hash, unit, place), is_in, "{hash} {unit} {place}");
        }
        assert!(!Sampled::default().includes(0, 0, 0));
    }

    #[test]
    fn the_smallest_hashes_are_chosen_whatever_bits_they_share() {
        // Some are equal, and some differ in their highest or their lowest bits alone.
        let hashes = [7, 7, 1 << 63, (1 << 63) | 1, u64::MAX, 0x0001_0000, 7, 0xffff, 3 << 47];
        let each = |give: &mut dyn FnMut(u64, u32, u32)| {
            (0..).zip(hashes).for_each(|(place, hash)| give(hash, place / 4, place % 4));
            Ok(())
        };
        let mut sorted: Vec<(u64, u32)> = hashes.into_iter().zip(0..).collect();
        sorted.sort_unstable();
        for wanted in 0..=hashes.len() + 1 {
            let sampled = decide(wanted as u64, &each).unwrap();
            let found =
                sorted.iter().filter(|(hash, place)| sampled.includes(*hash, place / 4, place % 4));
            let expected = &sorted[..wanted.min(hashes.len())];
            assert!(found.eq(expected), "{wanted}");
        }
    }
}
