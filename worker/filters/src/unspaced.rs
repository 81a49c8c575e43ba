//! Words of scripts that are written without spaces, found by ICU4X with its dictionaries.
//!
//! The dictionaries are ICU's: CLDR's list of Chinese and Japanese words, and those of Thai, Lao,
//! Khmer and Burmese. ICU's LSTM models are not used: they are slower, and compute with floating
//! point numbers. Tibetan has no dictionary: there a word is a syllable with its tsheg.
//!
//! **Invariant:** the words of a piece are the piece, without a gap.

use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};

use super::script::{Census, Script};

/// Finds the words of pieces, and counts their characters by script.
#[derive(Debug)]
pub(crate) struct UnspacedWords {
    segmenter: WordSegmenterBorrowed<'static>,
    pub(crate) census: Census,
}

impl Default for UnspacedWords {
    fn default() -> Self {
        let segmenter = WordSegmenter::new_dictionary(WordBreakInvariantOptions::default());
        Self { segmenter, census: Census::default() }
    }
}

impl UnspacedWords {
    /// Calls `found` with the start and end of each word of `piece`, and the script of its first
    /// character that has one of those without spaces.
    pub(crate) fn each(
        &mut self,
        piece: &str,
        mut found: impl FnMut(usize, usize, Option<Script>),
    ) {
        let (mut start, mut end) = (0, 0);
        for boundary in self.segmenter.segment_str(piece).skip(1) {
            // A separator belongs to the word before it, or, at the start, to the one after it.
            if end > start && !piece[end..boundary].chars().all(is_separator) {
                found(start, end, self.script_of(&piece[start..end]));
                start = end;
            }
            end = boundary;
            if start == 0 && piece[..end].chars().all(is_separator) && end < piece.len() {
                end = 0;
            }
        }
        if end > start {
            found(start, end, self.script_of(&piece[start..end]));
        }
    }

    fn script_of(&mut self, word: &str) -> Option<Script> {
        let mut first = None;
        for script in word.chars().filter_map(Script::of_char) {
            self.census.count(script);
            first = first.or(Some(script));
        }
        first
    }
}

/// Returns whether a character only separates words or syllables: the tsheg of Tibetan, and the
/// invisible ones that Khmer, Thai and Burmese texts have between words.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{f0b}' | '\u{f0c}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(piece: &str) -> String {
        let mut words = Vec::new();
        UnspacedWords::default().each(piece, |start, end, _| words.push(&piece[start..end]));
        assert_eq!(words.concat(), piece);
        words.join("|")
    }

    #[test]
    fn words_are_those_of_the_dictionaries() {
        for (piece, expected) in [
            ("清晨的渔港里，渔民们陆续归来。", "清晨|的|渔|港|里|，|渔民|们|陆续|归|来|。"),
            (
                "昨年建てられた図書館には多くの学生が通う。",
                "昨年|建て|ら|れた|図書館|に|は|多く|の|学生|が|通う|。",
            ),
            ("ชาวประมงกลับมาถึงบ้าน", "ชาว|ประมง|กลับ|มา|ถึง|บ้าน"),
            ("ພາສາລາວ", "ພາສາ|ລາວ"),
            ("នៅពេលព្រឹកអ្នកនេសាទ", "នៅពេល|ព្រឹក|អ្នកនេសាទ"),
            ("မြန်မာဘာသာစကား", "မြန်မာဘာသာ|စကား"),
            ("2023年iPhone15是", "2023|年|iPhone15|是"),
            ("ー", "ー"),
        ] {
            assert_eq!(words(piece), expected);
        }
    }

    #[test]
    fn separators_are_no_words_of_their_own() {
        for (piece, expected) in [
            ("བོད་ཀྱི་སྐད།", "བོད་|ཀྱི་|སྐད|།"),
            ("ក្នុង\u{200b}\u{200b}ផ្សារ", "ក្នុង\u{200b}\u{200b}|ផ្សារ"),
            ("\u{200b}中文", "\u{200b}中文"),
            ("\u{feff}\u{200b}中文是", "\u{feff}\u{200b}中文|是"),
            ("་", "་"),
            ("་་", "་་"),
        ] {
            assert_eq!(words(piece), expected, "{piece:?}");
        }
    }
}
