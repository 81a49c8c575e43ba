//! The exact similarity of two documents, from the sorted sets of their hashed n-grams.
//!
//! A threshold is an exact decimal, and the verdict compares whole numbers, so no rounding decides.
//! What is recorded is 16-bit fixed point, rounded down.

/// Measured similarity in units of 1/65,535, rounded down: only equal sets have the largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Similarity(pub u16);

impl Similarity {
    /// Equal sets.
    pub const EQUAL: Self = Self(u16::MAX);

    /// Returns the similarity as a share, at most the true one.
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(u16::MAX)
    }

    fn of(common: usize, union: usize) -> Self {
        if union == 0 {
            return Self::EQUAL;
        }
        let share = common as u128 * u128::from(u16::MAX) / union as u128;
        Self(u16::try_from(share).unwrap_or(u16::MAX))
    }
}

/// A similarity that a pair must have, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold {
    millionths: u32,
}

const WHOLE: u32 = 1_000_000;

impl Threshold {
    /// Makes a threshold of `millionths`; more than a million of them is a million.
    pub const fn from_millionths(millionths: u32) -> Self {
        Self { millionths: if millionths > WHOLE { WHOLE } else { millionths } }
    }

    /// Returns the threshold in millionths.
    pub fn millionths(self) -> u32 {
        self.millionths
    }

    /// Returns whether `common` of `union` is at least the threshold.
    fn is_reached(self, common: usize, union: usize) -> bool {
        common as u128 * u128::from(WHOLE) >= union as u128 * u128::from(self.millionths)
    }

    /// Returns the smallest number of common members with which two sets of `left` and `right`
    /// members reach the threshold: the smallest c with c ≥ t·(left + right − c).
    fn least_common(self, left: usize, right: usize) -> usize {
        let both = (left as u128 + right as u128) * u128::from(self.millionths);
        let common = both.div_ceil(u128::from(WHOLE + self.millionths));
        usize::try_from(common).unwrap_or(usize::MAX)
    }
}

/// Returns the exact Jaccard similarity of two sorted sets without repeated members. Two empty sets
/// are equal.
pub fn jaccard<T: Ord>(left: &[T], right: &[T]) -> Similarity {
    let common = common_members(left, right, 0).unwrap_or_default();
    Similarity::of(common, left.len() + right.len() - common)
}

/// Returns the exact Jaccard similarity if it reaches `threshold`. It stops as soon as it cannot.
pub fn jaccard_at_least<T: Ord>(
    left: &[T],
    right: &[T],
    threshold: Threshold,
) -> Option<Similarity> {
    let least = threshold.least_common(left.len(), right.len());
    let common = common_members(left, right, least)?;
    let union = left.len() + right.len() - common;
    threshold.is_reached(common, union).then(|| Similarity::of(common, union))
}

/// Counts common members; none if there are fewer than `least`.
fn common_members<T: Ord>(mut left: &[T], mut right: &[T], least: usize) -> Option<usize> {
    let mut common = 0;
    while common + left.len().min(right.len()) >= least {
        let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) else {
            return Some(common);
        };
        let order = first.cmp(second);
        common += usize::from(order.is_eq());
        if order.is_le() {
            left = left_rest;
        }
        if order.is_ge() {
            right = right_rest;
        }
    }
    None
}

/// A document as the rule of containment reads it.
#[derive(Debug, Clone, Copy)]
pub struct ContainedText<'a> {
    /// Characters of the text.
    pub characters: u64,
    /// The hashed tokens, letters in one case, in their order.
    pub tokens: &'a [u32],
    /// The sorted set of hashed runs of three tokens.
    pub trigrams: &'a [u64],
    /// The sorted set of hashed runs of five characters.
    pub character_grams: &'a [u64],
}

/// Runs of tokens that the trigrams of a text are made of.
const TRIGRAM: usize = 3;
/// Below this share of distinct trigrams, a text repeats itself so much that sets say little.
const REPETITIVE_BELOW: Threshold = Threshold::from_millionths(900_000);
/// Above this many characters per token, tokens are not words.
const LONG_TOKEN_CHARACTERS: u64 = 10;
const LONG_TOKEN_SIMILARITY: Threshold = Threshold::from_millionths(900_000);

/// Returns whether `member` says nothing that `kept` does not say: it is not longer, and all of its
/// trigrams are in the other. A text that repeats itself must be in the other as one run of tokens,
/// and one without words (long tokens) must have nearly the same runs of characters. This is the
/// rule of the fourth version of Marin's deduplication.
pub fn is_contained(member: &ContainedText<'_>, kept: &ContainedText<'_>) -> bool {
    if member.characters > kept.characters || member.tokens.is_empty() {
        return false;
    }
    if member.characters > LONG_TOKEN_CHARACTERS.saturating_mul(member.tokens.len() as u64) {
        let grams = (member.character_grams, kept.character_grams);
        return jaccard_at_least(grams.0, grams.1, LONG_TOKEN_SIMILARITY).is_some();
    }
    let positions = (member.tokens.len() + 1).saturating_sub(TRIGRAM);
    if positions == 0 || !REPETITIVE_BELOW.is_reached(member.trigrams.len(), positions) {
        return has_run(kept.tokens, member.tokens);
    }
    let all = member.trigrams.len();
    common_members(member.trigrams, kept.trigrams, all) == Some(all)
}

/// Returns whether `run` is somewhere in `tokens`, in time that grows with the sum of their lengths
/// (Knuth, Morris and Pratt).
fn has_run(tokens: &[u32], run: &[u32]) -> bool {
    let mut fallback = vec![0; run.len()];
    let mut matched = 0;
    for at in 1..run.len() {
        while matched > 0 && run[at] != run[matched] {
            matched = fallback[matched - 1];
        }
        matched += usize::from(run[at] == run[matched]);
        fallback[at] = matched;
    }
    matched = 0;
    for token in tokens {
        if matched == run.len() {
            break;
        }
        while matched > 0 && *token != run[matched] {
            matched = fallback[matched - 1];
        }
        matched += usize::from(*token == run[matched]);
    }
    matched == run.len()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn sets() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
        let set = || prop::collection::btree_set(0_u32..60, 0..40);
        (set(), set()).prop_map(|(a, b)| (a.into_iter().collect(), b.into_iter().collect()))
    }

    fn counted(left: &[u32], right: &[u32]) -> (usize, usize) {
        let (left, right): (BTreeSet<_>, BTreeSet<_>) =
            (left.iter().collect(), right.iter().collect());
        (left.intersection(&right).count(), left.union(&right).count())
    }

    proptest! {
        #[test]
        fn similarity_is_that_of_sets((left, right) in sets(), millionths in 0..=WHOLE) {
            let (common, union) = counted(&left, &right);
            let found = jaccard(&left, &right);
            let exact = if union == 0 { 1.0 } else { common as f64 / union as f64 };
            prop_assert!(found.share() <= exact && exact < found.share() + 1.0 / 65_535.0);
            let threshold = Threshold::from_millionths(millionths);
            let reached = common as u64 * 1_000_000 >= union as u64 * u64::from(millionths);
            prop_assert_eq!(
                jaccard_at_least(&left, &right, threshold), reached.then_some(found)
            );
        }

        #[test]
        fn a_run_is_found_where_it_is(
            tokens in prop::collection::vec(0_u32..3, 0..60),
            run in prop::collection::vec(0_u32..3, 1..6),
        ) {
            let expected = tokens.windows(run.len()).any(|window| window == run);
            prop_assert_eq!(has_run(&tokens, &run), expected);
        }
    }

    #[test]
    fn a_pair_at_the_threshold_reaches_it_and_one_below_does_not() {
        let left: Vec<u32> = (0..10).collect();
        let right: Vec<u32> = (0..7).collect();
        let threshold = Threshold::from_millionths(700_000);
        assert_eq!(jaccard_at_least(&left, &right, threshold), Some(Similarity(45_874)));
        let above = Threshold::from_millionths(700_001);
        assert_eq!(jaccard_at_least(&left, &right, above), None);
    }

    #[test]
    fn rounding_never_makes_unequal_sets_equal() {
        let left: Vec<u32> = (0..200_000).collect();
        let right: Vec<u32> = (1..200_000).collect();
        assert_eq!(jaccard(&left, &right), Similarity(65_534));
        assert_eq!(jaccard(&left, &left), Similarity::EQUAL);
        assert_eq!(jaccard_at_least(&left, &right, Threshold::from_millionths(WHOLE)), None);
        assert_eq!(jaccard::<u32>(&[], &[]), Similarity::EQUAL);
        assert_eq!(jaccard(&left[..5], &[]), Similarity(0));
    }

    /// A text of `tokens`, with sets that are hashed by position in an alphabet.
    fn contained(member: &[u32], kept: &[u32], token_characters: u64) -> bool {
        let trigrams = |tokens: &[u32]| -> Vec<u64> {
            let hash =
                |gram: &[u32]| gram.iter().fold(0, |sum, &token| sum * 1000 + u64::from(token));
            tokens.windows(3).map(hash).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let (member_grams, kept_grams) = (trigrams(member), trigrams(kept));
        let text = |tokens, trigrams| ContainedText {
            characters: <[u32]>::len(tokens) as u64 * token_characters,
            tokens,
            trigrams,
            character_grams: trigrams,
        };
        is_contained(&text(member, &member_grams), &text(kept, &kept_grams))
    }

    #[test]
    fn a_member_is_contained_if_all_of_its_trigrams_are_in_the_other() {
        let kept: Vec<u32> = (0..30).collect();
        assert!(contained(&kept[4..20], &kept, 5));
        // Two passages of the other, but not the seam between them.
        assert!(!contained(&[&kept[..10], &kept[20..]].concat(), &kept, 5));
        // Everything is in it, and it is longer.
        assert!(!contained(&[&kept[..], &kept[..]].concat(), &kept, 5));
        assert!(!contained(&[], &kept, 5));
        assert!(contained(&[3, 4], &kept, 5) && !contained(&[4, 3], &kept, 5));
    }

    #[test]
    fn a_repetitive_member_must_be_one_run_of_the_other() {
        let period = [1, 2, 3, 4];
        let kept = [&period.repeat(3)[..], &[9], &period.repeat(3)].concat();
        let member = period.repeat(4);
        assert!(!contained(&member, &kept, 5), "its trigrams are there, and its run is not");
        assert!(contained(&period.repeat(3), &kept, 5));
    }

    #[test]
    fn long_tokens_are_compared_by_characters() {
        let kept: Vec<u32> = (0..100).collect();
        assert!(contained(&kept[..95], &kept, 11));
        assert!(!contained(&kept[..80], &kept, 11));
        assert!(contained(&kept[..80], &kept, 10));
    }
}
