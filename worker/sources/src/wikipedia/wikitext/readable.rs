//! The readable form of a page: closes the gaps that removed markup leaves, and drops headings
//! without text.
//!
//! **Invariant:** a pair of parentheses or a blank is only removed where markup was, so that `f()`
//! in the text stays.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{MAGIC_WORD, SECTION, collapsed};

/// Marks a place where markup was removed.
pub(super) const GAP: &str = "\u{1}";
/// Marks the edge of a block, such as a `<div>`, at which a line ends.
pub(super) const LINE: &str = "\u{8}";
/// Marks the edge of a block that is separated by a blank line, such as a `<p>`.
pub(super) const PARAGRAPH: &str = "\u{e}";
/// Marks the level of a heading: level 1 is the first character, level 6 the last.
const LEVELS: [&str; 6] = ["\u{2}", "\u{3}", "\u{4}", "\u{5}", "\u{6}", "\u{7}"];

/// Returns whether a character is used as a mark.
pub(super) fn is_mark(c: char) -> bool {
    matches!(c, '\u{1}'..='\u{8}' | '\u{e}')
}

/// Returns the text of a heading, in which blocks start no lines.
pub(super) fn on_one_line(text: &str) -> String {
    text.replace(LINE, " ").replace(PARAGRAPH, " ")
}

/// Returns the mark of a heading's level, which is from 1 to 6.
pub(super) fn level_mark(level: usize) -> &'static str {
    LEVELS[level.clamp(1, LEVELS.len()) - 1]
}

/// Returns the sections that have text, joined by blank lines. A heading without text stays if a
/// lower one with text follows.
pub(super) fn joined<'s>(sections: impl Iterator<Item = &'s str>) -> String {
    let mut kept = Vec::new();
    let all: Vec<(usize, String)> = sections.map(section).collect();
    let mut below = 0;
    for (number, (level, text)) in all.iter().enumerate().rev() {
        let has_text = match number {
            0 => !text.is_empty(),
            _ => text.contains('\n') || (below > *level && !text.is_empty()),
        };
        if has_text {
            below = *level;
            kept.push(text.as_str());
        }
    }
    kept.reverse();
    kept.join("\n\n")
}

/// Returns the level and the cleaned text of a section, the first line of which is its heading.
fn section(text: &str) -> (usize, String) {
    let level = LEVELS.iter().position(|mark| text.starts_with(mark)).map_or(0, |at| at + 1);
    let text = MAGIC_WORD.replace_all(text, GAP);
    let text = without_gaps(&text);
    (level, collapsed(&text).trim().to_owned())
}

/// A pattern and what replaces a match.
struct Rule {
    pattern: Regex,
    replacement: fn(&Captures<'_>) -> String,
}

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles them")]
fn rule(pattern: &str, replacement: fn(&Captures<'_>) -> String) -> Rule {
    Rule { pattern: Regex::new(pattern).expect("the pattern is well-formed"), replacement }
}

/// The rules, in the order in which they are applied.
static RULES: LazyLock<[Rule; 10]> = LazyLock::new(|| {
    let first = |found: &Captures<'_>| found[1].to_owned();
    [
        // Parentheses that nothing but gaps and punctuation are in.
        rule(r"[(（\[][\s,;:/–—·-]*\x01[\x01\s,;:/–—·-]*[)）\]]", |_| GAP.to_owned()),
        rule(r"([(（])[\s,;:]*\x01[\x01\s,;:]*", first),
        rule(r"[\s,;:]*\x01[\x01\s,;:]*([)）])", first),
        // Two marks of punctuation around a gap become the second.
        rule(r"[,;:]?[ \t\u{a0}]*\x01[\x01 \t\u{a0}]*([,;:.!?])", first),
        rule(r"[ \t\u{a0}]*\x01[\x01 \t\u{a0}]*", |found| {
            let blank = found[0].contains([' ', '\t', '\u{a0}']);
            if blank { " ".to_owned() } else { String::new() }
        }),
        rule(r"[\s\x01]*[\x08\x0e][\s\x01\x08\x0e]*", |found| {
            let is_paragraph = found[0].contains(PARAGRAPH) || found[0].contains("\n\n");
            if is_paragraph { "\n\n".to_owned() } else { "\n".to_owned() }
        }),
        rule(r"[\x02-\x07]", |_| String::new()),
        rule(r"(\S)[ \t]{2,}", |found| format!("{} ", &found[1])),
        rule(r"[ \t]+(\n|$)", first),
        rule(r"\n{3,}", |_| "\n\n".to_owned()),
    ]
});

/// Returns the text without marks, and without what they leave behind.
fn without_gaps(text: &str) -> String {
    let mut text = text.to_owned();
    for (number, Rule { pattern, replacement }) in RULES.iter().enumerate() {
        // Parentheses can contain emptied parentheses.
        for _ in 0..if number == 0 { 3 } else { 1 } {
            if !pattern.is_match(&text) {
                break;
            }
            text = pattern.replace_all(&text, replacement).into_owned();
        }
    }
    text
}

/// Returns a superscript or subscript in Unicode's characters if it has only digits and signs.
/// Another number is kept apart from the number before it: `10^1.5`.
pub(super) fn raised(name: &str, text: &str) -> String {
    const PLAIN: &str = "0123456789+-−n";
    let (sign, to) = match name {
        "sup" => ("^", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ⁿ"),
        _ => ("_", "₀₁₂₃₄₅₆₇₈₉₊₋₋ₙ"),
    };
    let mapped: Option<String> = text
        .chars()
        .map(|c| PLAIN.chars().position(|plain| plain == c).and_then(|at| to.chars().nth(at)))
        .collect();
    let is_number = |c: char| c.is_ascii_digit() || "+-−.,/⁄".contains(c);
    match mapped {
        Some(mapped) => mapped,
        None if text.contains(['.', ',', '/', '⁄'])
            && text.ends_with(|c: char| c.is_ascii_digit())
            && text.chars().all(is_number) =>
        {
            format!("{sign}{text}")
        }
        None => text.to_owned(),
    }
}

/// Returns the source of a formula on one line.
pub(super) fn formula(tex: &str) -> String {
    let words = tex.split_whitespace().filter(|word| *word != r"\displaystyle");
    words.collect::<Vec<_>>().join(" ").replace(SECTION, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_closed_where_markup_was() {
        let cases = [
            ("a \u{1} b", "a b"),
            ("a\u{1}b", "ab"),
            ("a \u{1}, b \u{1}.", "a, b."),
            ("a (\u{1}) b", "a b"),
            ("a (\u{1}; \u{1}, ) b", "a b"),
            ("a (\u{1}; born 1900) b", "a (born 1900) b"),
            ("a (born 1900; \u{1}) b", "a (born 1900) b"),
            ("a ((\u{1})) b", "a b"),
            ("f() and g( ) stay", "f() and g( ) stay"),
            ("a,\u{1}, b", "a, b"),
            ("a.  Two blanks", "a. Two blanks"),
            ("  int x;", "  int x;"),
            ("\u{1}\n\n\u{1}\n\nb \u{1}\nc", "\n\nb\nc"),
            ("word\u{1} (next)", "word (next)"),
            ("a\u{8}b \u{8}\u{8} c", "a\nb\nc"),
            ("a\u{8}\u{e}b\n\u{8}\nc", "a\n\nb\nc"),
            ("a\u{1}\u{8} \u{1} \u{8}b", "a\nb"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_gaps(text), expected, "{text:?}");
        }
    }

    #[test]
    fn headings_without_text_are_dropped_unless_a_lower_one_has_text() {
        let cases = [
            ("Lead", "Lead"),
            ("Lead\0\u{3}A\nText\0\u{3}B\0\u{3}C\n\u{1}", "Lead\n\nA\nText"),
            ("\0\u{3}A\0\u{4}B\nText\0\u{4}C", "A\n\nB\nText"),
            ("Lead\0\u{3}A\0\u{4}B\0\u{5}C\nText", "Lead\n\nA\n\nB\n\nC\nText"),
            ("Lead\0\u{4}A\0\u{3}B\nText", "Lead\n\nB\nText"),
        ];
        for (text, expected) in cases {
            assert_eq!(joined(text.split('\0')), expected, "{text:?}");
        }
    }

    #[test]
    fn digits_are_raised_and_lowered_and_words_are_not() {
        for (name, text, expected) in [
            ("sup", "2", "²"),
            ("sup", "-12", "⁻¹²"),
            ("sup", "2n", "²ⁿ"),
            ("sub", "2", "₂"),
            ("sup", "th", "th"),
            ("sup", "1.5", "^1.5"),
            ("sup", "1/2", "^1/2"),
            ("sup", "-0.5", "^-0.5"),
            ("sub", "1,2", "_1,2"),
            ("sup", "[1]", "[1]"),
        ] {
            assert_eq!(raised(name, text), expected);
        }
    }
}
