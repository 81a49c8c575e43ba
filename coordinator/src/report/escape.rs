//! Makes names and errors, which come from inputs and programs, harmless inside Markdown.

use std::fmt::Write;

/// Returns a text without control characters, and without anything that a renderer of Markdown
/// takes for HTML, a link, or the end of a table cell.
pub(super) fn text_of(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '<' => plain.write_str("&lt;"),
            '>' => plain.write_str("&gt;"),
            '[' | ']' | '|' | '\\' => write!(plain, "\\{c}"),
            c if is_control(c) => write!(plain, "\\\\u{{{:x}}}", u32::from(c)),
            c => plain.write_char(c),
        };
    }
    plain
}

/// Returns a name for use between backticks, in which nothing but a backtick and a line end has a
/// meaning; a table cell ends at `|` even there.
pub(super) fn name_of(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '`' | '|' => plain.push('\''),
            c if is_control(c) => plain.push('\u{fffd}'),
            c => plain.push(c),
        }
    }
    plain
}

/// Returns whether a character moves the cursor, changes colours, or reverses the text around it.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_become_plain_text() {
        let bad = "a\u{1b}]8;;x\u{7}<script>[b](javascript:c)|\u{202e}`d`";
        let plain = text_of(bad);
        assert_eq!(
            plain,
            "a\\\\u{1b}\\]8;;x\\\\u{7}&lt;script&gt;\\[b\\](javascript:c)\\|\\\\u{202e}`d`"
        );
        assert_eq!(name_of("a`b|c\nd\u{1b}"), "a'b'c\u{fffd}d\u{fffd}");
    }
}
