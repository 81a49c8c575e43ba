//! Parses what Project Gutenberg adds to a text: a header with fields, marks, and its licence.
//!
//! Marks are whole lines that start with `*** START OF` or `*** END OF` and name Project Gutenberg.
//! Older texts end their header with `*END*THE SMALL PRINT`. A text without marks is not changed.

use std::borrow::Cow;

/// Number of first bytes in which the header must end.
const HEADER_BYTES: usize = 24 << 10;

/// A book with the fields of its header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Book<'a> {
    /// The text, without header and licence if they are removed.
    pub(super) text: &'a str,
    /// The title in the header.
    pub(super) title: Option<&'a str>,
    /// The release date in the header, as it is written there.
    pub(super) released: Option<&'a str>,
    /// The number that Project Gutenberg gave the book.
    pub(super) number: Option<&'a str>,
    /// The ISO 639-1 code of the language, if it is one of the common ones.
    pub(super) language: Option<&'static str>,
}

/// Decodes a file as UTF-8, or else with the encoding that its header names. If that fails, returns
/// the position of the first byte that is not valid UTF-8.
pub(super) fn decode(raw: &[u8]) -> Result<Cow<'_, str>, usize> {
    let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    let error = match simdutf8::compat::from_utf8(raw) {
        Ok(text) => return Ok(Cow::Borrowed(text)),
        Err(error) => error.valid_up_to(),
    };
    let head = String::from_utf8_lossy(&raw[..raw.len().min(HEADER_BYTES)]);
    let label = field(&head, "Character set encoding:").ok_or(error)?;
    let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).ok_or(error)?;
    let (text, _, damaged) = encoding.decode(raw);
    if damaged { Err(error) } else { Ok(text) }
}

/// Reads the header. If `cut` is set, the returned text is only the part between the marks.
pub(super) fn read(text: &str, cut: bool) -> Book<'_> {
    let marks = marks(text);
    let head = match marks.start {
        Some((start, _)) => &text[..start],
        None => "",
    };
    let released = field(head, "Release Date:");
    let number = released.and_then(|date| date.split_once('#')).map(|(_, number)| number);
    let number = number.map(|number| number.trim_end_matches(']').trim());
    let body = if cut { marks.between(text) } else { text };
    Book {
        text: body,
        title: field(head, "Title:"),
        released: released.map(|date| date.split('[').next().unwrap_or(date).trim()),
        number,
        language: field(head, "Language:").and_then(language_code),
    }
}

/// The positions of the marks: start and end of the first one, and the start of the last one.
#[derive(Default)]
struct Marks {
    start: Option<(usize, usize)>,
    end: Option<usize>,
}

impl Marks {
    fn between<'a>(&self, text: &'a str) -> &'a str {
        let from = self.start.map_or(0, |(_, end)| end);
        let to = self.end.unwrap_or(text.len()).max(from);
        text[from..to].trim_matches(['\n', '\r'])
    }
}

/// Finds the marks in a text.
fn marks(text: &str) -> Marks {
    let mut marks = Marks::default();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        if !line.starts_with('*') {
            continue;
        }
        let upper = line.to_ascii_uppercase();
        let upper = upper.trim_start_matches(['*', ' ']);
        let named = upper.contains("GUTENBERG");
        if marks.start.is_none()
            && start < HEADER_BYTES
            && (named && upper.starts_with("START OF") || upper.starts_with("END*THE SMALL PRINT"))
        {
            marks.start = Some((start, end));
        } else if named && upper.starts_with("END OF") {
            marks.end = Some(start);
            break;
        }
    }
    marks
}

/// Returns the value of the first line that starts with `name`.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let value = head.lines().find_map(|line| line.strip_prefix(name))?.trim();
    (!value.is_empty()).then_some(value)
}

/// Returns the ISO 639-1 code for an English name of a language.
fn language_code(name: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 12] = [
        ("Chinese", "zh"),
        ("Danish", "da"),
        ("Dutch", "nl"),
        ("English", "en"),
        ("Finnish", "fi"),
        ("French", "fr"),
        ("German", "de"),
        ("Italian", "it"),
        ("Latin", "la"),
        ("Portuguese", "pt"),
        ("Spanish", "es"),
        ("Swedish", "sv"),
    ];
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_cut_and_their_absence_changes_nothing() {
        let cases = [
            ("just text\n", "just text"),
            ("h\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nt\n", "t"),
            (
                "***START OF THE PROJECT GUTENBERG EBOOK X***\nt\n***END OF THE PROJECT GUTENBERG\nl",
                "t",
            ),
            ("t\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\nl\n", "t"),
            ("small\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN*Ver.04*END*\nt", "t"),
            // Stars in the text of a book are not marks.
            (
                "a\n*** START OF CHAPTER TWO ***\nb\n* * *\nc",
                "a\n*** START OF CHAPTER TWO ***\nb\n* * *\nc",
            ),
            ("", ""),
        ];
        for (text, left) in cases {
            assert_eq!(read(text, true).text, left, "{text:?}");
            assert_eq!(read(text, false).text, text);
        }
    }

    #[test]
    fn a_field_is_read_from_the_header_alone() {
        let text = "Title: A\nLanguage: German\n*** START OF PROJECT GUTENBERG ***\nTitle: B\n";
        let book = read(text, true);
        assert_eq!((book.title, book.language, book.number), (Some("A"), Some("de"), None));
        assert_eq!(read("Title: B\n", true).title, None);
    }
}
