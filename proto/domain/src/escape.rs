//! Makes text from outside harmless where it is shown: ids, URLs, host names, errors of programs.
//!
//! A terminal obeys control characters, and reorders text for some characters of Unicode. A page of
//! Markdown or HTML obeys markup. Everything that is shown to people goes through these functions.
//!
//! | shown | function |
//! |---|---|
//! | text that may have several lines | [`block`] |
//! | a name or value in a line or a table | [`line`](fn@line) |
//! | JSON on a terminal | [`json`] |
//! | words in a page of Markdown or HTML | [`page`] |
//! | a name in such a page, set as code | [`code`] |
//! | several lines in such a page, as they are | [`fenced`] |
//!
//! **Invariant:** what they return has no control character but line feeds and tabs, no character
//! that changes the direction of text, and, for pages, no markup. Text without any is not changed.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns text that is safe on a terminal; it keeps its lines.
pub fn block(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_obeyed(c) && !matches!(c, '\n' | '\t'), escape)
}

/// Returns text that is safe on a terminal and has one line.
pub fn line(text: &str) -> Cow<'_, str> {
    replaced(text, is_obeyed, escape)
}

/// Returns the same JSON text, safe on a terminal.
pub fn json(text: &str) -> Cow<'_, str> {
    let is_raw = |c| is_obeyed(c) && !matches!(c, '\n' | '\t');
    replaced(text, is_raw, |c, into| {
        // Outside of strings JSON has only ASCII, and in strings no raw control character.
        c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
            let _ = write!(into, "\\u{unit:04x}");
        });
    })
}

/// Returns text for a page of Markdown or HTML, also in a cell of a table, as one line of words.
pub fn page(text: &str) -> Cow<'_, str> {
    replaced(
        text,
        |c| is_obeyed(c) || is_markup(c),
        |c, into| match is_markup(c) {
            true => {
                let _ = write!(into, "&#{};", c as u32);
            }
            false => {
                // The backslash would be markup.
                let _ = write!(into, "&#92;u{{{:x}}}", c as u32);
            }
        },
    )
}

/// Returns a name as code for a page of Markdown, also in a cell of a table.
pub fn code(text: &str) -> String {
    // An underscore is no markup inside of backquotes, and the most frequent character here.
    let is_special = |c| is_obeyed(c) || (is_markup(c) && c != '_');
    match text.trim().is_empty() || text.contains(is_special) {
        true => format!("<code>{}</code>", page(text)),
        false => format!("`{text}`"),
    }
}

/// Returns text with its lines as a fenced block of a page of Markdown, indented by `indent`.
pub fn fenced(text: &str, indent: &str) -> String {
    let text = block(text);
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    let mut shown = format!("{indent}{fence}text\n");
    for line in text.lines() {
        let _ = writeln!(shown, "{indent}{line}");
    }
    shown + indent + &fence + "\n"
}

/// Returns whether a terminal or a reader of plain text obeys the character instead of showing it:
/// control characters, separators of lines, and marks that reorder or hide text.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn is_markup(c: char) -> bool {
    matches!(
        c,
        '<' | '>' | '&' | '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '#' | '!' | '"' | '\''
    )
}

fn escape(c: char, into: &mut String) {
    into.extend(c.escape_unicode());
}

/// Replaces the characters that `is_bad` names by what `escape` writes.
fn replaced(
    text: &str,
    is_bad: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    let Some(first) = text.find(&is_bad) else { return Cow::Borrowed(text) };
    let mut shown = text[..first].to_owned();
    for c in text[first..].chars() {
        match is_bad(c) {
            true => escape(c, &mut shown),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_and_reordering_marks_are_shown_as_numbers() {
        assert_eq!(line("a\x1b]0;title\x07b"), "a\\u{1b}]0;title\\u{7}b");
        assert_eq!(line("\u{9b}31m\u{202e}gpj.exe\r\n"), "\\u{9b}31m\\u{202e}gpj.exe\\u{d}\\u{a}");
        assert_eq!(block("two\n\tlines\x08"), "two\n\tlines\\u{8}");
        assert!(matches!(line("caf\u{e9} \u{5e9} \u{4e2d} `x`"), Cow::Borrowed(_)));
        let bytes = String::from_utf8_lossy(b"a\xff\x9b\x1bb").into_owned();
        assert_eq!(line(&bytes), "a\u{fffd}\u{fffd}\\u{1b}b");
    }

    #[test]
    fn markup_is_shown_as_text() {
        assert_eq!(page("<script>a|b</script>"), "&#60;script&#62;a&#124;b&#60;/script&#62;");
        assert_eq!(page("a\n# b"), "a&#92;u{a}&#35; b");
        assert_eq!(code("too_few_words"), "`too_few_words`");
        assert_eq!(code("gopher/x-1"), "`gopher/x-1`");
        assert_eq!(code("a`b"), "<code>a&#96;b</code>");
        assert_eq!(code(""), "<code></code>");
        assert_eq!(fenced("a\n```\n<b>", "  "), "  ````text\n  a\n  ```\n  <b>\n  ````\n");
    }

    /// Text in which what has to be escaped is frequent.
    fn hostile() -> impl Strategy<Value = String> {
        let bad = prop::sample::select(
            "\0\x07\x08\n\r\t\x1b\x7f\u{85}\u{9b}\u{61c}\u{200e}\u{2028}\u{202e}\u{2066}\u{feff}\
             \u{e0041}<>&|`*_[]\\~#!\"'"
                .chars()
                .collect::<Vec<_>>(),
        );
        let any_char = prop_oneof![bad, any::<char>(), prop::char::range('a', 'z')];
        let bytes = prop::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            prop::collection::vec(any_char, 0..60).prop_map(String::from_iter),
            bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        ]
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_is_obeyed(text in hostile()) {
            let is_raw = |c: char| is_obeyed(c) && c != '\n' && c != '\t';
            prop_assert!(!line(&text).contains(is_obeyed));
            prop_assert!(!block(&text).contains(is_raw));
            let lines = block(&text).split('\n').count();
            prop_assert_eq!(lines, text.split('\n').count(), "a block keeps its lines");
            prop_assert!(!page(&text).contains(is_obeyed));
            prop_assert!(!code(&text).contains(is_obeyed));
            prop_assert!(!fenced(&text, "  ").contains(is_raw));
        }

        #[test]
        fn a_page_has_no_markup_of_the_text(text in hostile()) {
            let shown = page(&text);
            prop_assert!(!shown.replace("&#", "").contains(is_markup));
            let shown = code(&text);
            let inner = shown.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            match inner {
                Some(inner) => prop_assert!(!inner.contains(|c| is_markup(c) && c != '_')),
                None => prop_assert!(shown.starts_with("<code>") && shown.ends_with("</code>")),
            }
        }

        #[test]
        fn json_means_the_same(text in hostile()) {
            let shown = serde_json::to_string_pretty(&[&text]).unwrap();
            let shown = json(&shown);
            prop_assert!(!shown.contains(|c| is_obeyed(c) && c != '\n'));
            let [back] = serde_json::from_str::<[String; 1]>(&shown).unwrap();
            prop_assert_eq!(back, text);
        }

        #[test]
        fn a_fence_is_closed_only_at_its_end(text in hostile()) {
            let shown = fenced(&text, "");
            let fence = shown.lines().next().unwrap().trim_end_matches("text").to_owned();
            let inside = shown.lines().skip(1).filter(|line| line.starts_with(&fence));
            prop_assert_eq!(inside.count(), 1);
        }

        #[test]
        fn harmless_text_is_not_changed(text in "[ -~\u{e0}-\u{17f}\u{4e00}-\u{4fff}]{0,40}") {
            prop_assert_eq!(line(&text), text.as_str());
            prop_assert_eq!(block(&text), text.as_str());
            prop_assert_eq!(json(&text), text.as_str());
        }
    }
}
