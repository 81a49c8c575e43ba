//! Splits the body of a WET record: its first line is the title, the others are the text.
//!
//! A line ends at a line feed, a carriage return or both, as in Python's text files, through which
//! CCNet reads. The text has only line feeds.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use thresher_text::lines::strip;

/// The line that CCNet treats as the start of the next record, also inside a page.
const WARC_LINE: &str = "WARC/1.0";

/// What a page is taken to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Whether a page ends at a line `WARC/1.0`.
    pub(super) cut_at_warc_line: bool,
    /// Whether blank lines at the end belong to the text, as far as CCNet kept them.
    pub(super) trailing_lines: bool,
}

/// Returns title and text.
pub(super) fn split(text: &str, rules: Rules) -> (String, Cow<'_, str>) {
    let text = with_line_feeds(text);
    let cut = if rules.cut_at_warc_line { warc_line(&text) } else { None };
    let length = cut.unwrap_or(text.len());
    let title = text[..length].split('\n').next().unwrap_or_default();
    let start = (title.len() + 1).min(length);
    let title = strip(title).to_owned();
    let of = |range: std::ops::Range<usize>| match &text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
    };
    if !rules.trailing_lines {
        let end = text[start..length].trim_end_matches('\n').len();
        return (title, of(start..start + end));
    }
    if start == length && !text[..length].ends_with('\n') {
        return (title, Cow::Borrowed(""));
    }
    (title, as_ccnet_read_it(of(start..length), cut.is_some()))
}

/// Returns the text with a line feed at each end of a line.
fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if memchr(b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Returns the lines below the title as CCNet joins them.
///
/// It reads on to the next record, so that the two line feeds between records are lines of the
/// page, and removes the last two lines if both are blank. A page that does not end with a line
/// feed thus gets a blank line at its end.
fn as_ccnet_read_it(text: Cow<'_, str>, is_cut: bool) -> Cow<'_, str> {
    let (before, last) = text.rsplit_once('\n').unwrap_or(("", &text));
    if !is_cut {
        if strip(last).is_empty() {
            let length = before.len();
            return cut_to(text, length);
        }
        return Cow::Owned(format!("{text}\n"));
    }
    // The line feed before the line `WARC/1.0` ends the last line.
    let length = before.len();
    let (earlier, last) = before.rsplit_once('\n').unwrap_or(("", before));
    let last_but_one = earlier.rsplit('\n').next().unwrap_or_default();
    let both_blank = strip(last).is_empty() && strip(last_but_one).is_empty();
    let without = earlier.rsplit_once('\n').map_or(0, |(kept, _)| kept.len());
    cut_to(text, if both_blank { without } else { length })
}

fn cut_to(text: Cow<'_, str>, length: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..length]),
        Cow::Owned(mut text) => {
            text.truncate(length);
            Cow::Owned(text)
        }
    }
}

/// Returns the position of the first line `WARC/1.0`.
fn warc_line(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memmem::find(&text.as_bytes()[from..], WARC_LINE.as_bytes()) {
        let start = text[..from + at].rfind('\n').map_or(0, |feed| feed + 1);
        let end = text[start..].find('\n').map_or(text.len(), |feed| start + feed);
        if strip(&text[start..end]) == WARC_LINE {
            return Some(start);
        }
        from += at + WARC_LINE.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Rules = Rules { cut_at_warc_line: false, trailing_lines: false };
    const CCNET: Rules = Rules { cut_at_warc_line: true, trailing_lines: true };

    fn of(body: &str, rules: Rules) -> (String, String) {
        let (title, text) = split(body, rules);
        (title, text.into_owned())
    }

    fn pair(title: &str, text: &str) -> (String, String) {
        (title.to_owned(), text.to_owned())
    }

    #[test]
    fn the_first_line_is_the_title_and_not_part_of_the_text() {
        assert_eq!(of("Title \nline 1\nline 2\n\n", PLAIN), pair("Title", "line 1\nline 2"));
        assert_eq!(of("only", PLAIN), pair("only", ""));
        assert_eq!(of("", PLAIN), pair("", ""));
    }

    #[test]
    fn a_line_ends_at_a_line_feed_a_carriage_return_or_both() {
        for rules in [PLAIN, CCNET] {
            let found = of("T\ra\r\nb\nc\r\rd\u{85}e\u{2028}f\n", rules);
            assert_eq!(found, pair("T", "a\nb\nc\n\nd\u{85}e\u{2028}f"));
        }
    }

    /// Each text is what cc_net 1.0.0 reads from a file with the page, followed by another one.
    #[test]
    fn blank_lines_at_the_end_belong_to_the_text_as_far_as_ccnet_keeps_them() {
        let cases = [
            ("T\na\n", "a"),
            ("T\na", "a\n"),
            ("T\na\n\n\n", "a\n\n"),
            ("T\na\n \t\n  ", "a\n \t"),
            ("T\na\r\n\r\n", "a\n"),
            ("T\na\r\r", "a\n"),
            ("T\n\n\n", "\n"),
            ("T\n", ""),
            ("T", ""),
            ("", ""),
        ];
        for (body, text) in cases {
            assert_eq!(of(body, CCNET).1, text, "{body:?}");
        }
    }

    #[test]
    fn the_published_recipe_cuts_a_page_at_a_warc_header() {
        let body = "T\nabout WARC/1.0 files\n WARC/1.0 \nWARC-Type: x\n";
        assert_eq!(of(body, CCNET), pair("T", "about WARC/1.0 files"));
        assert_eq!(of(body, PLAIN).1.lines().count(), 3);
        let cases = [
            ("T\na\n\nWARC/1.0\n", "a\n"),
            ("T\na\n\n\nWARC/1.0\n", "a"),
            ("T\nWARC/1.0\n", ""),
            ("WARC/1.0\nb", ""),
        ];
        for (body, text) in cases {
            assert_eq!(of(body, CCNET).1, text, "{body:?}");
        }
    }
}
