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
use icu_normalizer::properties::{CanonicalDecompositionBorrowed, Decomposed};
use unicode_general_category::{GeneralCategory, get_general_category};

use super::is_python_space;
use super::runs::{STOP, fold_run};
use crate::vector::Width;

/// Appends to `out`, which is empty, what the rule makes of `text`.
pub(super) fn apply(width: Width, text: &str, out: &mut String) {
    out.reserve(text.len());
    // Only this letter's lower case depends on what surrounds it.
    let may_decompose = if text.contains('Σ') {
        fold(width, &text.to_lowercase(), out)
    } else {
        fold(width, text, out)
    };
    if may_decompose {
        let nfd = DecomposingNormalizerBorrowed::new_nfd();
        *out = nfd.normalize(out).into_owned();
        out.retain(|c| !is_nonspacing_mark(c));
    }
    let stripped = out.trim_matches(is_python_space);
    if stripped.len() < out.len() {
        *out = stripped.to_owned();
    }
}

/// Lowers letters, replaces numbers and punctuation, and collapses white space. Returns whether a
/// character is left that decomposition may change, move or drop.
fn fold(width: Width, text: &str, out: &mut String) -> bool {
    let decompositions = CanonicalDecompositionBorrowed::new();
    let mut may_decompose = false;
    let mut at = 0;
    // A space at the start is not kept.
    let mut after_space = true;
    loop {
        at += width.fold_letters(&text.as_bytes()[at..], &mut after_space, out);
        at += fold_run(&text.as_bytes()[at..], &ASCII, &mut after_space, out);
        let Some(c) = text[at..].chars().next() else { return may_decompose };
        if is_digit(c) {
            out.push('0');
            after_space = false;
            at += number_bytes(&text[at..]);
        } else if !c.is_ascii() {
            for lowered in c.to_lowercase() {
                let is_space = is_wide_space(lowered);
                if !is_space {
                    out.push(lowered);
                    may_decompose = may_decompose
                        || is_mark(lowered)
                        || decompositions.decompose(lowered) != Decomposed::Default;
                } else if !after_space {
                    out.push(' ');
                }
                after_space = is_space;
            }
            at += c.len_utf8();
        }
    }
}

/// Returns the length of the number at the start of `text`: digits, and once a separator with
/// digits behind it.
fn number_bytes(text: &str) -> usize {
    let whole = digits_bytes(text);
    let mut behind = text[whole..].chars();
    match behind.next() {
        Some(separator) if matches!(separator, '.' | ',' | '،' | '٫' | '⎖' | '⎗' | '⎘') => {
            let fraction = digits_bytes(behind.as_str());
            if fraction > 0 { whole + separator.len_utf8() + fraction } else { whole }
        }
        _ => whole,
    }
}

fn digits_bytes(text: &str) -> usize {
    text.find(|c| !is_digit(c)).unwrap_or(text.len())
}

/// The result for each byte; `STOP` for digits. Controls are in the published list of punctuation.
const ASCII: [u8; 256] = ascii();

const fn ascii() -> [u8; 256] {
    let mut table = [b' '; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_digit() || !c.is_ascii() {
            table[byte] = STOP;
        } else if c.is_ascii_alphabetic() {
            table[byte] = c.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
}

fn is_wide_space(c: char) -> bool {
    !c.is_ascii() && (matches!(c, '\u{80}'..='\u{9f}') || is_punctuation(c) || is_python_space(c))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || is_wide_digit(c)
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

/// Returns whether a character is dropped after the text is decomposed, or may change place.
fn is_mark(c: char) -> bool {
    is_nonspacing_mark(c)
        || (c >= '\u{300}' && get_general_category(c) == GeneralCategory::SpacingMark)
}

fn is_nonspacing_mark(c: char) -> bool {
    c >= '\u{300}' && get_general_category(c) == GeneralCategory::NonspacingMark
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str) -> String {
        let found = Width::all().into_iter().map(|width| {
            let mut out = String::new();
            apply(width, text, &mut out);
            out
        });
        let mut found: Vec<String> = found.collect();
        found.dedup();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// Stops, spaces and letters at each place of a vector.
    #[test]
    fn vectors_fold_as_portable_code_does() {
        let pieces =
            ["word", "A", " ", "  ", ", ", ".", "7", "1.5", "é", "—", "longerword", "\u{0}"];
        let mut state = 5_usize;
        for _ in 0..2_000 {
            let mut text = String::new();
            while text.len() < 200 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Stops are rare enough that whole vectors have none.
                let piece = (state >> 33) % (2 * pieces.len());
                text += pieces.get(piece).unwrap_or(&"Plain words,  and more ");
            }
            applied(&text);
        }
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

    /// Each `rule` is what `simplify_text` made of the `text`.
    #[test]
    fn the_golden_file_is_reproduced() {
        for line in include_str!("../../testdata/fineweb_words_spacy-3.8.jsonl").lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = case["text"].as_str().unwrap();
            assert_eq!(applied(text), case["rule"].as_str().unwrap(), "{text:?}");
        }
    }
}
