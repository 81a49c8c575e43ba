//! One line of a page, and the rules of C4 that count its words.
//!
//! **Invariant:** a line without a script that is written without spaces is judged by white space
//! alone.

use super::text::{chunks, count_chars};
use super::words::Word;

/// One line of a page.
#[derive(Clone, Copy)]
pub(crate) struct LineText<'a> {
    /// The line without white space at its ends.
    pub(crate) whole: &'a str,
    /// The line without its citations.
    pub(crate) left: &'a str,
    /// The words of the whole line.
    pub(crate) words: &'a [Word],
    pub(crate) edited: bool,
}

impl LineText<'_> {
    /// Returns whether words are those of a dictionary, because white space separates none.
    fn is_unspaced(&self) -> bool {
        self.words.iter().any(|word| word.is_unspaced())
    }

    pub(crate) fn has_longer_word(&self, bound: u64) -> bool {
        if self.whole.len() as u64 <= bound {
            return false;
        }
        if self.is_unspaced() {
            return self.words.iter().any(|word| u64::from(word.chars) > bound);
        }
        chunks(self.whole).any(|chunk| count_chars(chunk) > bound)
    }

    pub(crate) fn has_fewer_words(&self, bound: u64) -> bool {
        let enough = usize::try_from(bound).unwrap_or(usize::MAX);
        let chunks = chunks(self.whole).take(enough).count();
        if chunks >= enough || !self.is_unspaced() {
            return chunks < enough;
        }
        self.words.iter().filter(|word| word.is_more_than_symbols()).take(enough).count() < enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use crate::view::ViewBuffers;

    fn verdicts(line: &str, longest: u64, fewest: u64) -> (bool, bool) {
        let mut buffers = ViewBuffers::default();
        let words = buffers.view(Document::of_text(line)).words;
        let line = LineText { whole: line, left: line, words, edited: false };
        (line.has_longer_word(longest), line.has_fewer_words(fewest))
    }

    #[test]
    fn words_of_a_line_are_those_of_its_script() {
        for (line, longest, fewest, expected) in [
            ("one two three", 5, 3, (false, false)),
            ("one two three", 4, 4, (true, true)),
            ("清晨的渔港里，渔民们陆续归来。", 2, 8, (false, false)),
            ("清晨的渔港里，渔民们陆续归来。", 1, 30, (true, true)),
            ("ชาวประมงกลับมาถึงบ้าน", 5, 6, (false, false)),
            ("首页", 2, 3, (false, true)),
            ("a b c 首页", 2, 4, (false, false)),
        ] {
            assert_eq!(verdicts(line, longest, fewest), expected, "{line}");
        }
    }
}
