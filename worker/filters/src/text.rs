//! Measures of plain text that the filters share: code points, ratios, white space and lines as
//! Python sees them.

use super::punctuation::{is_line_break, is_space};

/// Returns the number of code points.
pub(crate) fn count_chars(text: &str) -> u64 {
    text.chars().count() as u64
}

/// Returns a ratio of counts; 0 if there is nothing to count.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Removes white space at both ends, in Python's sense.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Returns the chunks between white space, in Python's sense.
pub(crate) fn chunks(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|chunk| !chunk.is_empty())
}

/// Returns the lines in the sense of Python's `splitlines`: CR LF is one break and a last break
/// starts no line.
pub(crate) fn break_lines(text: &str) -> BreakLines<'_> {
    BreakLines { rest: text }
}

pub(crate) struct BreakLines<'a> {
    rest: &'a str,
}

impl<'a> Iterator for BreakLines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(at) = find_break(self.rest) else {
            return Some(std::mem::take(&mut self.rest));
        };
        let (line, after) = self.rest.split_at(at);
        let break_bytes = if after.starts_with("\r\n") {
            2
        } else {
            after.chars().next().map_or(0, char::len_utf8)
        };
        self.rest = &after[break_bytes..];
        Some(line)
    }
}

fn find_break(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let found = bytes[at..]
            .iter()
            .position(|&byte| matches!(byte, b'\n'..=b'\r' | 0x1c..=0x1e | 0xc2 | 0xe2))?;
        at += found;
        let c = text[at..].chars().next()?;
        if is_line_break(c) {
            return Some(at);
        }
        at += c.len_utf8();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_python_breaks_them() {
        let lines = |text| break_lines(text).collect::<Vec<_>>();
        assert_eq!(lines(""), Vec::<&str>::new());
        assert_eq!(lines("a\r\nb\rc\n\nd\n"), ["a", "b", "c", "", "d"]);
        assert_eq!(
            lines("a\u{b}b\u{1c}c\u{85}d\u{2028}e…é\u{1f}f"),
            ["a", "b", "c", "d", "e…é\u{1f}f"]
        );
        assert_eq!(lines("\n"), [""]);
    }
}
