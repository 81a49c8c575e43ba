//! The signature of a document: for each permutation of a family, the smallest value that any of
//! its shingles has. The share of equal minima estimates the Jaccard similarity of the shingles.

use crate::family::{ItemHash, Items, Permutations, ShingleHasher};
use crate::rules::TextRule;
use crate::shingles::{Shingles, ShortDocuments, Units, character_starts, token_bytes};
use crate::vector::{Parameters, Width};
use crate::words::Words;

/// The way to find words in a text that its rule has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WordSplitter {
    /// At white space alone.
    Spaces,
    /// As spaCy's blank English tokeniser; only for texts of `TextRule::FineWeb`.
    English,
}

/// All that decides a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignatureRule {
    /// The rule that a text goes through first.
    pub text: TextRule,
    /// The way to find words, if the shingles are words.
    pub words: WordSplitter,
    /// The shape of a shingle.
    pub shingles: Shingles,
    /// The treatment of a document with fewer units than a shingle has.
    pub short: ShortDocuments,
    /// The hash that makes a number of a shingle.
    pub item: ItemHash,
    /// The rule that makes one value per minimum of that number.
    pub permutations: Permutations,
    /// Number of minima.
    pub minima: usize,
}

/// A rule of tokens was given a text, or a rule of texts was given tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A rule of tokens was given a text.
    #[error("the rule's shingles are tokens, and it was given a text")]
    NeedsTokens,
    /// A rule of texts was given tokens.
    #[error("the rule's shingles are of text, and it was given tokens")]
    NeedsText,
}

/// Computes signatures. It keeps its buffers from document to document, so one thread has one.
#[derive(Debug)]
pub struct Signer {
    rule: SignatureRule,
    parameters: Parameters,
    width: Width,
    hasher: ShingleHasher,
    text: String,
    words: Words,
    bytes: Vec<u8>,
    starts: Vec<usize>,
    items: Items,
}

impl Signer {
    /// Prepares for documents of `rule`, with the widest vectors that this processor has.
    pub fn new(rule: SignatureRule) -> Self {
        Self::with_width(rule, Width::best())
    }

    /// Prepares for documents of `rule`, without instructions that only some processors have. The
    /// signatures are the same.
    pub fn portable(rule: SignatureRule) -> Self {
        Self::with_width(rule, Width::PORTABLE)
    }

    fn with_width(rule: SignatureRule, width: Width) -> Self {
        Self {
            rule,
            parameters: rule.permutations.parameters(rule.minima),
            width,
            hasher: ShingleHasher::new(rule.item, width),
            text: String::new(),
            words: Words::default(),
            bytes: Vec::new(),
            starts: Vec::new(),
            items: Items::default(),
        }
    }

    /// Returns the name of this signer's vectors in reports.
    pub fn width_name(&self) -> &'static str {
        self.width.name()
    }

    /// Computes the signature of `text`, or none if it has no shingles.
    pub fn sign(&mut self, text: &str) -> Result<Option<Vec<u64>>, SignatureError> {
        self.hash_text(text)?;
        Ok(self.minima())
    }

    /// Computes the signature of a document's tokens, or none if it has no shingles. The caller
    /// cuts the text that `rule.text` makes into tokens.
    pub fn sign_tokens(&mut self, tokens: &[u32]) -> Result<Option<Vec<u64>>, SignatureError> {
        self.hash_tokens(tokens)?;
        Ok(self.minima())
    }

    fn hash_tokens(&mut self, tokens: &[u32]) -> Result<(), SignatureError> {
        let Shingles::Tokens(size) = self.rule.shingles else {
            return Err(SignatureError::NeedsText);
        };
        token_bytes(tokens, &mut self.bytes, &mut self.starts);
        let units = Units::adjacent(&self.bytes, &self.starts);
        self.hasher.hash(units, size, self.rule.short, &mut self.items);
        Ok(())
    }

    /// Returns the hashes of the shingles of `text`, sorted and each once.
    pub fn shingles(&mut self, text: &str) -> Result<Vec<u64>, SignatureError> {
        self.hash_text(text)?;
        Ok(self.distinct_items())
    }

    /// Returns the hashes of the shingles of a document's tokens, sorted and each once.
    pub fn shingles_of_tokens(&mut self, tokens: &[u32]) -> Result<Vec<u64>, SignatureError> {
        self.hash_tokens(tokens)?;
        Ok(self.distinct_items())
    }

    fn distinct_items(&self) -> Vec<u64> {
        // Of 128 bits, 64 are enough to tell shingles apart.
        let mut items = self.items.low.clone();
        items.sort_unstable();
        items.dedup();
        items
    }

    /// Replaces the items by the hashes of the shingles of `text`; returns how many there are.
    /// This is `sign` without its last step, for measuring.
    pub fn hash_text(&mut self, text: &str) -> Result<usize, SignatureError> {
        self.rule.text.apply_with(self.width, text, &mut self.text);
        let units = match self.rule.shingles {
            Shingles::Words(_) => {
                match self.rule.words {
                    WordSplitter::Spaces => self.words.split_at_spaces(&self.text),
                    WordSplitter::English => self.words.split_english(&self.text),
                }
                Units::words(&self.words)
            }
            Shingles::Characters(_) => {
                character_starts(&self.text, &mut self.starts);
                Units::adjacent(self.text.as_bytes(), &self.starts)
            }
            Shingles::Tokens(_) => return Err(SignatureError::NeedsTokens),
        };
        let (Shingles::Words(size) | Shingles::Characters(size) | Shingles::Tokens(size)) =
            self.rule.shingles;
        self.hasher.hash(units, size, self.rule.short, &mut self.items);
        Ok(self.items.low.len())
    }

    fn minima(&self) -> Option<Vec<u64>> {
        if self.items.low.is_empty() {
            return None;
        }
        let mut signature = vec![0; self.rule.minima];
        self.width.minima(&self.parameters, &self.items.low, &self.items.high, &mut signature);
        Some(signature)
    }
}

/// Returns the share of equal minima, an estimate of the similarity with a standard error of
/// √(J(1 − J)/k) for k minima.
pub fn estimated_similarity(left: &[u64], right: &[u64]) -> f64 {
    let minima = left.len().min(right.len());
    let equal = left.iter().zip(right).filter(|(left, right)| left == right).count();
    if minima == 0 { 0.0 } else { equal as f64 / minima as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::preset::Preset;

    const T1: &str = "the quick brown fox jumps over the lazy dog and then runs back home";
    const T2: &str = "The quick brown fox, jumps over the lazy dog; and then runs back home!";

    fn sha256(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sha256_u64(signature: &[u64]) -> String {
        sha256(&signature.iter().flat_map(|minimum| minimum.to_le_bytes()).collect::<Vec<_>>())
    }

    fn sha256_u32(signature: &[u64]) -> String {
        let words = signature.iter().map(|&minimum| u32::try_from(minimum).unwrap());
        sha256(&words.flat_map(u32::to_le_bytes).collect::<Vec<_>>())
    }

    /// Signs with every width, which must agree.
    fn sign(rule: SignatureRule, text: &str) -> Vec<u64> {
        let widths = Width::all().into_iter();
        let mut found: Vec<_> = widths
            .map(|width| Signer::with_width(rule, width).sign(text).unwrap().unwrap())
            .collect();
        found.dedup();
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    #[test]
    fn fineweb_signatures_are_those_of_datatrove() {
        let rule = Preset::FineWeb.parameters().signature_rule();
        let found = sign(rule, T1);
        let first_band = [
            60783966374992894,
            284080765670708113,
            90581456637680423,
            41510371400461393,
            42312182183823545,
            295150809832830541,
            274088881538999451,
            439255022718586444,
        ];
        assert_eq!(found[..8], first_band);
        let expected = "d9c92d5d20d3820c5b938ee5bbe83fdfb1778bd07763e789195cf67eddd32454";
        assert_eq!(sha256_u64(&found), expected);
        let found = sign(SignatureRule { item: ItemHash::Xxh64, ..rule }, T1);
        assert_eq!(found[..3], [85330943174081874, 663359892825767826, 156227728701031051]);
        let expected = "33fae4867464633c859908a3a7c806f9e0e721c7ce4ce86d9ee6258ad523399e";
        assert_eq!(sha256_u64(&found), expected);
    }

    #[test]
    fn redpajama_signatures_are_those_of_datasketch() {
        let found = sign(Preset::RedPajamaV2.parameters().signature_rule(), T1);
        let first = [3382405658, 498220882, 482327490, 2218359605, 468214403, 482417565];
        // The vector is of all 128 minima, and the preset's bands use 117 of them.
        assert_eq!(found[..6], first);
        let rule = Preset::RedPajamaV2.parameters().signature_rule();
        let found = sign(SignatureRule { minima: 128, ..rule }, T1);
        let expected = "75d31abbc10507ab92234c7d6babc7a65d4e82ef4136b56a03d5f9cc7d80ae8e";
        assert_eq!(sha256_u32(&found), expected);
    }

    #[test]
    fn slimpajama_signatures_are_those_of_datasketch() {
        let rule = Preset::SlimPajama.parameters().signature_rule();
        let rule = SignatureRule { minima: 128, ..rule };
        assert_eq!(Signer::new(rule).hash_text(T2).unwrap(), 55);
        let found = sign(rule, T2);
        let first = [16577316, 19445529, 41971003, 116918830, 96112912, 152728674];
        assert_eq!(found[..6], first);
        let expected = "d5039e271e54706aa7c71a84c2ee429b60f75524de8ba3a82f5dc7a2b9db92ff";
        assert_eq!(sha256_u32(&found), expected);
        let rule = SignatureRule { shingles: Shingles::Characters(6), ..rule };
        assert_eq!(Signer::new(rule).hash_text(T2).unwrap(), 62);
        let found = sign(rule, T2);
        let first = [166689337, 13861215, 17419805, 6013752, 36163846, 148211510];
        assert_eq!(found[..6], first);
        let expected = "9984cc379ca83126702026a8c0d3be6e69da085c5c6e408f7c11d5f3060d254d";
        assert_eq!(sha256_u32(&found), expected);
    }

    #[test]
    fn nemo_signatures_follow_its_formula() {
        let rule = Preset::Nemotron.parameters().signature_rule();
        // One 24-gram, so that each minimum is its only value.
        let found = sign(rule, "the quick brown fox jump");
        let item = 1_u32.max(mmh3("the quick brown fox jump"));
        let expected = item.wrapping_mul(1608637543).wrapping_add(1273642419);
        assert_eq!(found[0], u64::from(expected));
        // A shorter document is one shingle.
        assert_eq!(found.len(), sign(rule, "brief").len());
    }

    /// Returns what PyPI mmh3 gives for one text and the first multiplier as its seed.
    fn mmh3(text: &str) -> u32 {
        assert_eq!(text, "the quick brown fox jump");
        444893061
    }

    #[test]
    fn dolma_signatures_are_the_documented_product() {
        let rule = Preset::Dolma3.parameters().signature_rule();
        let tokens = [5, 6, 7, 8, 9];
        let found = Signer::new(rule).sign_tokens(&tokens).unwrap().unwrap();
        let bytes: Vec<u8> = tokens.iter().flat_map(|token: &u32| token.to_le_bytes()).collect();
        let item = xxhash_rust::xxh3::xxh3_128(&bytes);
        for (at, minimum) in (0_u64..).zip(&found) {
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"thresher near multiply 128").update(&at.to_le_bytes());
            let a = u128::from_le_bytes(hasher.finalize().as_bytes()[..16].try_into().unwrap()) | 1;
            assert_eq!(*minimum, (item.wrapping_mul(a) >> 64) as u64);
        }
        // A shorter document is one shingle, and an empty one has none.
        assert!(Signer::new(rule).sign_tokens(&[5]).unwrap().is_some());
        assert!(Signer::new(rule).sign_tokens(&[]).unwrap().is_none());
    }

    proptest! {
        /// Any text, with long runs of the characters that rules treat by themselves.
        #[test]
        fn all_widths_sign_any_text_alike(
            pieces in prop::collection::vec(
                prop_oneof!["\\PC{0,30}", "[a-zA-Z ]{0,90}", "[0-9.,٣ \u{301}Σ≠‘€°ç]{0,20}", ".{0,9}"],
                0..12,
            ),
        ) {
            let text = pieces.concat();
            for preset in Preset::ALL.into_iter().filter(|preset| *preset != Preset::Dolma3) {
                let rule = preset.parameters().signature_rule();
                let widths = Width::all().into_iter();
                let sign = |width| Signer::with_width(rule, width).sign(&text).unwrap();
                let mut found: Vec<_> = widths.map(sign).collect();
                found.dedup();
                prop_assert_eq!(found.len(), 1, "{}", preset.name());
            }
        }
    }

    #[test]
    fn a_document_without_shingles_has_no_signature() {
        let mut signer = Signer::new(Preset::FineWeb.parameters().signature_rule());
        assert_eq!(signer.sign("four words are few").unwrap(), None);
        assert!(signer.sign("five words are enough here").unwrap().is_some());
        assert_eq!(signer.sign("").unwrap(), None);
    }

    #[test]
    fn a_rule_refuses_what_it_cannot_read() {
        let mut signer = Signer::new(Preset::Dolma3.parameters().signature_rule());
        assert_eq!(signer.sign("text"), Err(SignatureError::NeedsTokens));
        let mut signer = Signer::new(Preset::FineWeb.parameters().signature_rule());
        assert_eq!(signer.sign_tokens(&[1]), Err(SignatureError::NeedsText));
    }

    #[test]
    fn equal_minima_estimate_the_similarity() {
        assert_eq!(estimated_similarity(&[1, 2, 3, 4], &[1, 0, 3, 4]), 0.75);
        assert_eq!(estimated_similarity(&[], &[]), 0.0);
    }
}
