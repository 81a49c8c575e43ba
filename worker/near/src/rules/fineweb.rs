//! FineWeb's text rule: `simplify_text` of datatrove 0.10.1 with its default configuration.
//!
//! In its order: lower case; each number becomes `0`, with one decimal separator inside it;
//! punctuation becomes a space; white space is collapsed and stripped; the text is decomposed
//! (NFD), and characters of category Mn are dropped. Here it is one pass, and a second for the
//! decomposition if any character outside ASCII is left.
//!
//! Because marks are dropped last, the result can have two spaces in a row, and the punctuation
//! that some characters decompose to (`≠` to `=`). Both are kept: the published rule has them.

use icu_normalizer::DecomposingNormalizerBorrowed;
use unicode_general_category::{GeneralCategory, get_general_category};

use super::{each_lowered, is_python_space};

/// Appends to `out`, which is empty, what the rule makes of `text`.
pub(super) fn apply(text: &str, out: &mut String) {
    out.reserve(text.len());
    let mut folder = Folder { out, number: Number::None, space_is_due: false };
    each_lowered(text, |c| folder.take(c));
    folder.finish();
    if !out.is_ascii() {
        drop_marks(out);
    }
}

/// What of a number has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    None,
    /// Digits, before any separator.
    Whole,
    /// Digits and this separator, which belongs to the number only if a digit follows.
    Separated(char),
    /// Digits behind the separator: another separator ends the number.
    Fraction,
}

struct Folder<'a> {
    out: &'a mut String,
    number: Number,
    space_is_due: bool,
}

impl Folder<'_> {
    fn take(&mut self, c: char) {
        let class = class(c);
        if self.number == Number::None && class == Class::Kept {
            self.push(c);
            return;
        }
        match (self.number, class) {
            (Number::None, Class::Digit) => {
                self.push('0');
                self.number = Number::Whole;
            }
            (Number::Whole | Number::Fraction, Class::Digit) => {}
            (Number::Separated(_), Class::Digit) => self.number = Number::Fraction,
            (Number::Whole, Class::Separator | Class::KeptSeparator) => {
                self.number = Number::Separated(c);
            }
            (
                Number::Separated(_),
                Class::Kept | Class::Separator | Class::KeptSeparator | Class::Space,
            ) => {
                self.finish();
                self.plain(c, class);
            }
            (
                Number::None | Number::Whole | Number::Fraction,
                Class::Kept | Class::Separator | Class::KeptSeparator | Class::Space,
            ) => {
                self.number = Number::None;
                self.plain(c, class);
            }
        }
    }

    /// Ends a number. A separator that no digit followed is an ordinary character again.
    fn finish(&mut self) {
        if let Number::Separated(separator) = self.number {
            self.plain(separator, class(separator));
        }
        self.number = Number::None;
    }

    fn plain(&mut self, c: char, class: Class) {
        match class {
            Class::Kept | Class::KeptSeparator | Class::Digit => self.push(c),
            Class::Separator | Class::Space => self.space_is_due = true,
        }
    }

    fn push(&mut self, c: char) {
        if self.space_is_due {
            self.space_is_due = false;
            if !self.out.is_empty() {
                self.out.push(' ');
            }
        }
        self.out.push(c);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Kept,
    Digit,
    /// A decimal separator that is punctuation.
    Separator,
    /// A decimal separator that is kept outside numbers.
    KeptSeparator,
    /// White space, or punctuation.
    Space,
}

const ASCII: [Class; 128] = ascii_classes();

const fn ascii_classes() -> [Class; 128] {
    // Controls are in the published list of punctuation.
    let mut table = [Class::Space; 128];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        if c.is_ascii_digit() {
            table[byte] = Class::Digit;
        } else if c.is_ascii_alphabetic() {
            table[byte] = Class::Kept;
        } else if c == b'.' || c == b',' {
            table[byte] = Class::Separator;
        }
        byte += 1;
    }
    table
}

fn class(c: char) -> Class {
    if let Some(&class) = ASCII.get(c as usize) {
        return class;
    }
    match c {
        '،' | '٫' | '⎖' | '⎗' | '⎘' => Class::KeptSeparator,
        '\u{80}'..='\u{9f}' => Class::Space,
        // The digits first: `％１` are both in the published list, but numbers are replaced before.
        _ if is_wide_digit(c) => Class::Digit,
        _ if is_python_space(c) || is_punctuation(c) => Class::Space,
        _ => Class::Kept,
    }
}

fn is_wide_digit(c: char) -> bool {
    // No decimal digit outside ASCII is below this one.
    c >= '\u{660}' && get_general_category(c) == GeneralCategory::DecimalNumber
}

/// The published list's characters outside ASCII, less the controls.
fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        '´' | '«'
            | '»'
            | '–'
            | '—'
            | '’'
            | '“'
            | '”'
            | '„'
            | '…'
            | '∶'
            | '━'
            | '►'
            | '、'
            | '。'
    ) || matches!(c, '〈'..='」' | '【' | '】' | '！' | '％' | '（' | '）' | '，' | '．')
        || matches!(c, '：' | '；' | '？' | '～')
}

fn drop_marks(out: &mut String) {
    let nfd = DecomposingNormalizerBorrowed::new_nfd();
    let mut kept = String::with_capacity(out.len());
    for c in nfd.normalize(out).chars() {
        let is_mark = c >= '\u{300}' && get_general_category(c) == GeneralCategory::NonspacingMark;
        if !is_mark {
            kept.push(c);
        }
    }
    let stripped = kept.trim_matches(is_python_space);
    out.clear();
    out.push_str(stripped);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str) -> String {
        let mut out = String::new();
        apply(text, &mut out);
        out
    }

    #[test]
    fn the_published_examples_are_reproduced() {
        let text = "Café  déjà—vu 12,345.6! The END\n\n'ok'";
        assert_eq!(applied(text), "cafe deja vu 0 0 the end ok");
        assert_eq!(applied("ÀÉÎ ﬁ ½ １２３ ① Ⅳ naïve"), "aei ﬁ ½ 0 ① ⅳ naive");
    }

    #[test]
    fn a_number_has_one_separator_with_digits_on_both_sides() {
        assert_eq!(applied("1.5"), "0");
        assert_eq!(applied("1.5.2"), "0 0");
        assert_eq!(applied("1.,5 1. a 3."), "0 0 0 a 0");
        assert_eq!(applied("٣٫٥x 3،a"), "0x 0،a");
        assert_eq!(applied("4x4"), "0x0");
        assert_eq!(applied("1 2"), "0 0");
    }

    #[test]
    fn marks_are_dropped_after_spaces_were_collapsed() {
        assert_eq!(applied("a \u{301} b"), "a  b");
        assert_eq!(applied("\u{301} a \u{301}"), "a");
        assert_eq!(applied("a≠b"), "a=b");
    }

    /// `GOLDEN` is what `simplify_text` made of each first text.
    #[test]
    fn the_golden_file_is_reproduced() {
        for line in include_str!("../../testdata/fineweb_words_spacy-3.8.jsonl").lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = case["text"].as_str().unwrap();
            assert_eq!(applied(text), case["rule"].as_str().unwrap(), "{text:?}");
        }
    }
}
