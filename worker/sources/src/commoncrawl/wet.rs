//! Splits the body of a WET record: its first line is the title, the others are the text.

use memchr::memmem;

use thresher_text::lines::strip;

/// The line that CCNet treats as the start of the next record, also inside a page.
const WARC_LINE: &str = "WARC/1.0";

/// Returns title and text, or the position of the first byte that is not valid UTF-8.
pub(super) fn split(body: &[u8], cut_at_warc_line: bool) -> Result<(&str, &str), usize> {
    let text = simdutf8::compat::from_utf8(body).map_err(|error| error.valid_up_to())?;
    let text = if cut_at_warc_line { before_warc_line(text) } else { text };
    let (title, text) = text.split_once('\n').unwrap_or((text, ""));
    Ok((strip(title), text.trim_end_matches(['\n', '\r'])))
}

/// Returns the text before the first line `WARC/1.0`.
fn before_warc_line(text: &str) -> &str {
    let mut from = 0;
    while let Some(at) = memmem::find(&text.as_bytes()[from..], WARC_LINE.as_bytes()) {
        let start = text[..from + at].rfind('\n').map_or(0, |feed| feed + 1);
        let end = text[start..].find('\n').map_or(text.len(), |feed| start + feed);
        if strip(&text[start..end]) == WARC_LINE {
            return &text[..start];
        }
        from += at + WARC_LINE.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_title_and_not_part_of_the_text() {
        assert_eq!(split(b"Title \nline 1\nline 2\n\n", false), Ok(("Title", "line 1\nline 2")));
        assert_eq!(split(b"only", false), Ok(("only", "")));
        assert_eq!(split(b"", false), Ok(("", "")));
        assert_eq!(split(b"ab\xff", false), Err(2));
    }

    #[test]
    fn the_published_recipe_cuts_a_page_at_a_warc_header() {
        let body = b"T\nabout WARC/1.0 files\n WARC/1.0 \nWARC-Type: x\n";
        assert_eq!(split(body, true), Ok(("T", "about WARC/1.0 files")));
        assert_eq!(split(body, false).map(|(_, text)| text.lines().count()), Ok(3));
    }
}
