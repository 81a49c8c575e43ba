//! Decides which documents are for validation.
//!
//! A document's rank is a hash of its text's hash, so that the decision depends on the text alone:
//! the same whatever the other documents, workers and order, and equal texts are always on the same
//! side. A smaller share is a part of a larger one.

use std::collections::BinaryHeap;

use thresher_job::Validation;

/// The names of the sides, as they appear in paths and in the card.
pub(crate) const TRAIN: &str = "train";
/// See [`TRAIN`].
pub(crate) const VALIDATION: &str = "validation";

/// Separates ranks from all other hashes of a text. Another context is another split.
const CONTEXT: &str = "thresher 2026-11-30 split of documents for validation";

/// Returns the rank of a document by the hash of its text.
pub(crate) fn rank_of(content_hash: &blake3::Hash) -> u64 {
    let hash = blake3::derive_key(CONTEXT, content_hash.as_bytes());
    let (first, _) = hash.split_at(size_of::<u64>());
    u64::from_be_bytes(first.try_into().expect("eight bytes were split off"))
}

/// Returns the name of the side of a document, or `None` without splits. Documents with a
/// rank below `validation_below` are for validation.
pub(crate) fn side_of(has_splits: bool, rank: u64, validation_below: u64) -> Option<&'static str> {
    has_splits.then_some(if rank < validation_below { VALIDATION } else { TRAIN })
}

/// Finds the rank below which the documents of a source are for validation.
pub(crate) enum Threshold {
    /// It does not depend on the documents.
    Fixed(u64),
    /// It is after the given number of smallest ranks.
    Smallest {
        /// The number of documents for validation.
        wanted: u64,
        /// The smallest ranks, the largest of them first.
        ranks: BinaryHeap<u64>,
        /// Number of documents.
        documents: u64,
    },
}

impl Threshold {
    /// Starts with no document.
    pub(crate) fn new(validation: Validation) -> Self {
        match validation {
            Validation::None => Self::Fixed(0),
            // 2⁶⁴ is exact in a `f64`, and the conversion saturates.
            Validation::Share(share) => Self::Fixed((share * 2.0_f64.powi(64)) as u64),
            Validation::Documents(wanted) => {
                Self::Smallest { wanted, ranks: BinaryHeap::new(), documents: 0 }
            }
        }
    }

    /// Returns whether [`Self::add`] must see every document.
    pub(crate) fn needs_documents(&self) -> bool {
        matches!(self, Self::Smallest { .. })
    }

    /// Considers a document.
    pub(crate) fn add(&mut self, rank: u64) {
        let Self::Smallest { wanted, ranks, documents } = self else { return };
        *documents += 1;
        if (ranks.len() as u64) < *wanted {
            ranks.push(rank);
        } else if let Some(mut largest) = ranks.peek_mut()
            && rank < *largest
        {
            *largest = rank;
        }
    }

    /// Returns the rank below which documents are for validation. A source with few documents keeps
    /// at least half of them for training.
    pub(crate) fn find(self) -> u64 {
        match self {
            Self::Fixed(below) => below,
            Self::Smallest { mut ranks, documents, .. } => {
                while ranks.len() as u64 > documents / 2 {
                    ranks.pop();
                }
                ranks.peek().map_or(0, |largest| largest.saturating_add(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(validation: Validation, ranks: &[u64]) -> u64 {
        let mut threshold = Threshold::new(validation);
        ranks.iter().for_each(|rank| threshold.add(*rank));
        threshold.find()
    }

    #[test]
    fn the_smallest_ranks_are_for_validation_and_half_stays_for_training() {
        let ranks = [50, 10, 40, 20, 30, 60];
        for (wanted, expected) in [(1, 11), (2, 21), (3, 31), (4, 31), (100, 31)] {
            assert_eq!(below(Validation::Documents(wanted), &ranks), expected, "{wanted}");
        }
        assert_eq!(below(Validation::Documents(5), &[7]), 0);
        assert_eq!(below(Validation::Documents(5), &[]), 0);
    }

    #[test]
    fn a_share_is_met_and_a_smaller_one_is_a_part_of_it() {
        let ranks: Vec<u64> =
            (0..20_000_u32).map(|n| rank_of(&blake3::hash(&n.to_le_bytes()))).collect();
        let (small, large) =
            (below(Validation::Share(0.01), &ranks), below(Validation::Share(0.1), &ranks));
        let count = |below: u64| ranks.iter().filter(|rank| **rank < below).count();
        assert!((150..250).contains(&count(small)), "{}", count(small));
        assert!((1_900..2_100).contains(&count(large)), "{}", count(large));
        assert_eq!(below(Validation::None, &ranks), 0);
    }

    #[test]
    fn a_rank_depends_on_the_text_alone() {
        assert_eq!(rank_of(&blake3::hash(b"a text")), rank_of(&blake3::hash(b"a text")));
        assert_ne!(rank_of(&blake3::hash(b"a text")), rank_of(&blake3::hash(b"a text ")));
        assert_eq!(side_of(true, 4, 5), Some(VALIDATION));
        assert_eq!(side_of(true, 5, 5), Some(TRAIN));
        assert_eq!(side_of(false, 4, 5), None);
    }
}
