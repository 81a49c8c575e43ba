//! Text rules: what a document's text becomes before it is cut into shingles.
//!
//! Each published set of parameters has its own rule, and two documents are compared only after
//! the same rule. A rule is a pure function from text to text, into a buffer that is reused.
//!
//! **Invariant:** the rules follow the published programs character by character, white space and
//! letter case as Python has them. They may differ for characters that Unicode added or changed
//! after the version that a given Python has.

mod fineweb;
mod punctuation;
mod runs;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use crate::vector::Width;

/// A text rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextRule {
    /// The text as it is: NeMo Curator, Nemotron-CC.
    None,
    /// Lower case; numbers become `0`; punctuation becomes a space; white space is collapsed;
    /// diacritics are removed. datatrove 0.10.1, `TextNormConfig` with its defaults.
    FineWeb,
    /// ASCII punctuation deleted; lower case; white space collapsed; NFD. RedPajama-Data v2,
    /// `core/quality_signals/utils/content.py`.
    RedPajamaV2,
    /// NFC; lower case; ASCII punctuation deleted; white space collapsed. SlimPajama,
    /// `preprocessing/normalize_text.py` and `dedup/to_hash.py`. Of the first, only the NFC is
    /// here: the repairs of `ftfy` change a document, not only what is compared.
    SlimPajama,
    /// Lower case; ASCII punctuation deleted; white space becomes one space. duplodocus, as
    /// Dolma 3 configures it. The caller then cuts the text into the tokens of a tokeniser.
    Dolma3,
}

impl TextRule {
    /// Replaces `out` by what the rule makes of `text`.
    pub fn apply(self, text: &str, out: &mut String) {
        self.apply_with(Width::best(), text, out);
    }

    /// As `apply`, with vectors of `width`. The result is the same for all.
    pub(crate) fn apply_with(self, width: Width, text: &str, out: &mut String) {
        out.clear();
        match self {
            Self::None => out.push_str(text),
            Self::FineWeb => fineweb::apply(width, text, out),
            Self::Dolma3 => punctuation::delete_and_collapse(text, out),
            Self::SlimPajama => {
                let composed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
                punctuation::delete_and_collapse(&composed, out);
            }
            Self::RedPajamaV2 => {
                punctuation::delete_and_collapse(text, out);
                if !out.is_ascii() {
                    let nfd = DecomposingNormalizerBorrowed::new_nfd();
                    *out = nfd.normalize(out).into_owned();
                }
            }
        }
    }
}

/// Returns whether Python's `str.isspace` and the `\s` of its `re` call `c` white space. Unlike
/// Rust, they count the four separators of ASCII.
pub(crate) fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(rule: TextRule, text: &str) -> String {
        let mut out = "left from the last document".to_owned();
        rule.apply(text, &mut out);
        out
    }

    #[test]
    fn each_rule_makes_its_own_text() {
        let text = "  The  “Café”,\tNo. 12,5!\n";
        assert_eq!(applied(TextRule::None, text), text);
        assert_eq!(applied(TextRule::FineWeb, text), "the cafe no 0");
        assert_eq!(applied(TextRule::RedPajamaV2, text), "the “cafe\u{301}” no 125");
        assert_eq!(applied(TextRule::SlimPajama, text), "the “café” no 125");
        assert_eq!(applied(TextRule::SlimPajama, "Cafe\u{301}"), "café");
        assert_eq!(applied(TextRule::Dolma3, text), "the “café” no 125");
    }

    #[test]
    fn final_sigma_and_dotted_capital_i_are_lowered_as_in_python() {
        assert_eq!(applied(TextRule::Dolma3, "ΟΔΟΣ ΣΑΣ İ"), "οδος σας i\u{307}");
    }

    #[test]
    fn ascii_separators_are_white_space() {
        assert_eq!(applied(TextRule::SlimPajama, "a\u{1c}\u{1f}b\u{85}c\u{a0}d"), "a b c d");
    }
}
