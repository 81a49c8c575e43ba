//! CCNet's normal form of a whole document, which its language models were trained on.
//!
//! Its steps, in this order: white space is stripped from both ends, letters are lowercased,
//! accents are removed (canonical decomposition, without the marks of zero width), every decimal
//! digit becomes `0`, a set of punctuation becomes ASCII, and control characters, including line
//! feeds, are deleted. Letters stay decomposed, so a Hangul syllable becomes its jamo. "White
//! space", "lowercase" and "digit" mean what they mean in Python, CCNet's language.
//!
//! The form depends on the text alone.

use icu_normalizer::DecomposingNormalizerBorrowed;
use unicode_general_category::{GeneralCategory, get_general_category};

/// What CCNet writes in ASCII. Its table also has `１`, which is a digit and already `0` by then.
const PUNCTUATION: [(char, &str); 33] = [
    ('，', ","),
    ('。', "."),
    ('、', ","),
    ('„', "\""),
    ('”', "\""),
    ('“', "\""),
    ('«', "\""),
    ('»', "\""),
    ('」', "\""),
    ('「', "\""),
    ('《', "\""),
    ('》', "\""),
    ('´', "'"),
    ('∶', ":"),
    ('：', ":"),
    ('？', "?"),
    ('！', "!"),
    ('（', "("),
    ('）', ")"),
    ('；', ";"),
    ('–', "-"),
    ('—', " - "),
    ('．', ". "),
    ('～', "~"),
    ('’', "'"),
    ('…', "..."),
    ('━', "-"),
    ('〈', "<"),
    ('〉', ">"),
    ('【', "["),
    ('】', "]"),
    ('％', "%"),
    ('►', "-"),
];

/// Writes the normal form of `text` into `out`, which is cleared first.
pub fn normalise_document(text: &str, out: &mut String) {
    out.clear();
    let stripped = text.trim_matches(|c: char| c.is_whitespace() || ('\x1C'..='\x1F').contains(&c));
    let lowered = stripped.to_lowercase();
    let decomposer = const { DecomposingNormalizerBorrowed::new_nfd() };
    for c in decomposer.normalize_iter(lowered.chars()) {
        push(c, out);
    }
}

fn push(c: char, out: &mut String) {
    if c.is_ascii() {
        match c {
            '0'..='9' => out.push('0'),
            _ if c.is_ascii_control() => {}
            _ => out.push(c),
        }
        return;
    }
    let category = get_general_category(c);
    if matches!(category, GeneralCategory::NonspacingMark | GeneralCategory::Control) {
        return;
    }
    if category == GeneralCategory::DecimalNumber {
        return out.push('0');
    }
    match PUNCTUATION.iter().find(|(from, _)| *from == c) {
        Some((_, to)) => out.push_str(to),
        None => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        let mut out = "left over".to_owned();
        normalise_document(text, &mut out);
        out
    }

    #[test]
    fn the_form_is_ccnets_for_every_reference_text() {
        let rows = include_str!("../../testdata/lm/reference_scores.jsonl");
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            let text = row["text"].as_str().unwrap();
            assert_eq!(normal(text), row["normalized"].as_str().unwrap(), "{text}");
        }
    }

    #[test]
    fn each_step_is_seen_on_its_own() {
        for (text, form) in [
            ("  \u{1C}Ab\n\tc \u{3000}", "abc"),
            ("ÉÀÜñ ŝ", "eaun s"),
            ("1９٣ x²", "000 x²"),
            ("«A» – b — c… １", "\"a\" - b  -  c... 0"),
            ("한", "\u{1112}\u{1161}\u{11AB}"),
            ("ΟΔΟΣ", "οδος"),
            ("a\u{85}b\u{7F}c", "abc"),
        ] {
            assert_eq!(normal(text), form, "{text:?}");
        }
    }
}
