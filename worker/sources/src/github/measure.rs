//! Measures a file of code as RedPajama did: its lines and the kinds of its characters.
//!
//! Lines, letters and digits are those of Python, whose `splitlines` also breaks lines at form
//! feeds and Unicode's separators.

use thresher_text::python::{breaks_line, is_alphanumeric, is_letter};

/// The counts of one text.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Measured {
    /// Number of characters (code points).
    pub(crate) chars: u64,
    /// Number of lines.
    pub(crate) lines: u64,
    /// Number of characters of the longest line, without its line break.
    pub(crate) max_line_chars: u64,
    /// Number of letters and digits.
    pub(crate) alphanumeric: u64,
}

impl Measured {
    /// Measures a text.
    pub(crate) fn of(text: &str) -> Self {
        let mut measured = Self::default();
        let (mut line, mut open) = (0, false);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            measured.chars += 1;
            measured.alphanumeric += u64::from(is_alphanumeric(c));
            if c == '\r' && chars.peek() == Some(&'\n') {
                // `\r\n` is one line break, which the second character ends.
                continue;
            }
            if breaks_line(c) {
                measured.end_line(line);
                (line, open) = (0, false);
            } else {
                (line, open) = (line + 1, true);
            }
        }
        if open {
            measured.end_line(line);
        }
        measured
    }

    fn end_line(&mut self, chars: u64) {
        self.lines += 1;
        self.max_line_chars = self.max_line_chars.max(chars);
    }

    /// Returns the number of characters per line, including those that break lines.
    pub(crate) fn mean_line_chars(&self) -> f64 {
        ratio(self.chars, self.lines)
    }

    /// Returns the share of letters and digits, from 0 to 1.
    pub(crate) fn alphanumeric_share(&self) -> f64 {
        ratio(self.alphanumeric, self.chars)
    }
}

/// Returns the number of characters that are letters by Python's `isalpha`.
pub(super) fn letters(text: &str) -> u64 {
    text.chars().filter(|c| is_letter(*c)).count() as u64
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_characters_are_counted_as_in_python() {
        // The expected values are those of splitlines and isalnum in CPython 3.11.
        let cases = [
            ("", (0, 0, 0, 0)),
            ("a", (1, 1, 1, 1)),
            ("a\n", (2, 1, 1, 1)),
            ("ab\r\nc\r\n", (7, 2, 2, 3)),
            ("a\rb\u{b}c\u{c}d\u{85}e\u{2028}f", (11, 6, 1, 6)),
            ("\n\n", (2, 2, 0, 0)),
            ("é²Ⅷ1_\u{301}", (6, 1, 6, 4)),
        ];
        for (text, (chars, lines, max_line_chars, alphanumeric)) in cases {
            let expected = Measured { chars, lines, max_line_chars, alphanumeric };
            assert_eq!(Measured::of(text), expected, "{text:?}");
        }
    }
}
