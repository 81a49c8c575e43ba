//! What the rule of containment reads of a text: its words, runs of three of them, and runs of five
//! characters, all hashed.

use xxhash_rust::xxh3::xxh3_64;

use crate::similarity::ContainedText;

/// Words of a run.
const RUN_WORDS: usize = 3;
/// Characters of a run.
const RUN_CHARACTERS: usize = 5;

/// The parts of a text that the rule of containment compares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainedParts {
    /// Characters of the text.
    pub characters: u64,
    /// The hashed words in their order: runs of letters and digits, in lower case.
    pub tokens: Vec<u32>,
    /// The sorted set of hashed runs of three words.
    pub trigrams: Vec<u64>,
    /// The sorted set of hashed runs of five characters.
    pub character_grams: Vec<u64>,
}

impl ContainedParts {
    /// Reads a text.
    pub fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        // The lower half of a hash of 64 bits.
        let tokens: Vec<u32> = words.map(|word| xxh3_64(word.as_bytes()) as u32).collect();
        let mut bytes = Vec::with_capacity(RUN_WORDS * size_of::<u32>());
        let trigrams = tokens.windows(RUN_WORDS).map(|run| {
            bytes.clear();
            bytes.extend(run.iter().flat_map(|word| word.to_le_bytes()));
            xxh3_64(&bytes)
        });
        let trigrams = set(trigrams.collect());
        let starts: Vec<usize> = lower.char_indices().map(|(at, _)| at).collect();
        let ends = starts.iter().copied().chain([lower.len()]).skip(RUN_CHARACTERS);
        let runs = starts.iter().zip(ends).map(|(start, end)| &lower.as_bytes()[*start..end]);
        let character_grams = set(runs.map(xxh3_64).collect());
        Self { characters: text.chars().count() as u64, tokens, trigrams, character_grams }
    }

    /// Returns them as the rule takes them.
    pub fn text(&self) -> ContainedText<'_> {
        ContainedText {
            characters: self.characters,
            tokens: &self.tokens,
            trigrams: &self.trigrams,
            character_grams: &self.character_grams,
        }
    }
}

fn set(mut hashes: Vec<u64>) -> Vec<u64> {
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::similarity::is_contained;

    #[test]
    fn a_text_is_contained_in_one_that_says_more_whatever_its_case_and_punctuation() {
        let contains = |kept: &str, member: &str| {
            let (kept, member) = (ContainedParts::of(kept), ContainedParts::of(member));
            is_contained(&member.text(), &kept.text())
        };
        let kept = "The quick brown fox jumps over the lazy dog, and then it runs back home.";
        assert!(contains(kept, "the QUICK brown fox — jumps over the lazy dog"));
        assert!(!contains(kept, "the quick brown fox jumps over the lazy cat"));
        assert!(!contains("the quick brown fox", kept), "the longer one is not contained");
    }

    #[test]
    fn runs_are_counted_as_they_are_in_the_text() {
        let parts = ContainedParts::of("Ünï cöde, a b");
        assert_eq!((parts.characters, parts.tokens.len(), parts.trigrams.len()), (13, 4, 2));
        assert_eq!(parts.character_grams.len(), 9);
        assert_eq!(ContainedParts::of(""), ContainedParts::default());
    }
}
