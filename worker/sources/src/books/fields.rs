//! The fields of Project Gutenberg's headers, as headers of every decade write them, and the
//! encodings that they name.

use encoding_rs::{Encoding, WINDOWS_1252};
use thresher_formats::utf8::{self, Utf8Text};

/// Number of first bytes in which the header must end.
pub(super) const HEADER_BYTES: usize = 24 << 10;

/// Decodes a file as UTF-8, or as UTF-16 with a byte order mark, or else with the encoding that its
/// header names. If that fails, reads it as UTF-8 with a few damaged bytes, or returns the position
/// of the first byte that is not valid UTF-8.
pub(super) fn decode(raw: &[u8]) -> Result<Utf8Text<'_>, usize> {
    let whole = |text| Utf8Text { text, damaged: 0 };
    if let Some((encoding, _)) = Encoding::for_bom(raw).filter(|(it, _)| *it != encoding_rs::UTF_8)
    {
        return Ok(whole(encoding.decode(raw).0));
    }
    let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    let found = utf8::read(raw);
    // One byte that is damaged in UTF-8 can be the only letter with an accent in another encoding.
    if found.as_ref().is_ok_and(|it| it.damaged == 0 || utf8::has_long(raw)) {
        return found;
    }
    let head = String::from_utf8_lossy(&raw[..raw.len().min(HEADER_BYTES)]);
    let named = encoding(&head).map(|encoding| encoding.decode(raw));
    match named {
        Some((text, _, false)) => Ok(whole(text)),
        Some(_) | None => found,
    }
}

/// Returns the encoding that a header names. A text of Project Gutenberg whose header names none
/// is from the time before Unicode.
fn encoding(head: &str) -> Option<&'static Encoding> {
    const NAMES: [&str; 5] =
        ["Character set encoding:", "Character set:", "Text encoding:", "Charset:", "Encoding:"];
    let Some(label) = value(head, &NAMES) else {
        let lines = head.lines().take(20);
        return lines.into_iter().any(|line| line.contains("Gutenberg")).then_some(WINDOWS_1252);
    };
    if let Some(encoding) = Encoding::for_label(label.as_bytes()) {
        return Some(encoding);
    }
    // Headers are written by people: `ISO Latin-1`, `ASCII, with some ISO-8859-1`.
    let plain: String =
        label.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    const PARTS: [(&str, &str); 28] = [
        ("utf8", "utf-8"),
        ("885915", "iso-8859-15"),
        ("885910", "iso-8859-10"),
        ("885913", "iso-8859-13"),
        ("885914", "iso-8859-14"),
        ("885916", "iso-8859-16"),
        ("88591", "iso-8859-1"),
        ("88592", "iso-8859-2"),
        ("88593", "iso-8859-3"),
        ("88594", "iso-8859-4"),
        ("88595", "iso-8859-5"),
        ("88597", "iso-8859-7"),
        ("88599", "iso-8859-9"),
        ("latin1", "iso-8859-1"),
        ("latin2", "iso-8859-2"),
        ("latin3", "iso-8859-3"),
        ("1250", "windows-1250"),
        ("1251", "windows-1251"),
        ("1252", "windows-1252"),
        ("1253", "windows-1253"),
        ("koi8", "koi8-r"),
        ("macroman", "macintosh"),
        ("macintosh", "macintosh"),
        ("big5", "big5"),
        ("jis", "shift_jis"),
        ("gb2312", "gbk"),
        ("tis620", "tis-620"),
        ("ascii", "windows-1252"),
    ];
    let (_, found) = PARTS.iter().find(|(part, _)| plain.contains(part))?;
    Encoding::for_label(found.as_bytes())
}

/// Returns whether a text starts with this one, in any letter case.
pub(super) fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start))
}

/// Returns the value of the first line that starts with one of the names.
pub(super) fn value<'a>(head: &'a str, names: &[&str]) -> Option<&'a str> {
    let value = names.iter().find_map(|name| {
        let mut lines = head.lines();
        lines.find_map(|line| starts_with(line, name).then(|| line[name.len()..].trim()))
    })?;
    (!value.is_empty()).then_some(value)
}

/// Returns the date of release: that of its field, or in older headers the date before the number.
pub(super) fn released(head: &str) -> Option<&str> {
    let date = value(head, &["Release Date:", "Posting Date:"]).or_else(|| {
        let line = head.lines().find(|line| number_in(line).is_some())?;
        Some(line.trim_start_matches(['*', ' ']))
    })?;
    let date = date.split('[').next().unwrap_or(date).trim();
    (!date.is_empty()).then_some(date)
}

/// Returns the year in which the printed book was published, if newer headers name it: `Original
/// publication: London: Macmillan, 1897`.
pub(super) fn published(head: &str) -> Option<u64> {
    let value = value(head, &["Original publication:"])?;
    let words = value.split(|c: char| !c.is_ascii_digit());
    let mut years = words.filter(|word| word.len() == 4).filter_map(|word| word.parse().ok());
    years.rfind(|year| (1400..2100).contains(year))
}

/// Returns the number of the book: `[EBook #4242]` on any line.
pub(super) fn number(head: &str) -> Option<&str> {
    head.lines().find_map(number_in)
}

fn number_in(line: &str) -> Option<&str> {
    line.match_indices('[').find_map(|(at, _)| {
        let inner = line[at + 1..].split(']').next()?;
        const KINDS: [&str; 3] = ["ebook", "etext", "e-text"];
        let kind = KINDS.into_iter().find(|kind| starts_with(inner, kind))?;
        let number = inner[kind.len()..].trim_start_matches([' ', '#']).trim_end();
        let digits = number.len() - number.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        (digits > 0).then(|| &number[..digits])
    })
}

/// Returns the ISO 639-1 code for an English name of a language.
pub(super) fn language_code(name: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 26] = [
        ("Bulgarian", "bg"),
        ("Catalan", "ca"),
        ("Chinese", "zh"),
        ("Czech", "cs"),
        ("Danish", "da"),
        ("Dutch", "nl"),
        ("English", "en"),
        ("Esperanto", "eo"),
        ("Finnish", "fi"),
        ("French", "fr"),
        ("German", "de"),
        ("Greek", "el"),
        ("Hebrew", "he"),
        ("Hungarian", "hu"),
        ("Icelandic", "is"),
        ("Italian", "it"),
        ("Japanese", "ja"),
        ("Latin", "la"),
        ("Norwegian", "no"),
        ("Polish", "pl"),
        ("Portuguese", "pt"),
        ("Russian", "ru"),
        ("Spanish", "es"),
        ("Swedish", "sv"),
        ("Tagalog", "tl"),
        ("Welsh", "cy"),
    ];
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_read_from_headers_of_every_decade() {
        let cases = [
            ("Release Date: May 1, 2005 [EBook #4242]", Some("4242"), Some("May 1, 2005")),
            (
                "Release date: June 1, 2010 [eBook #7]\n [Most recently updated: x]",
                Some("7"),
                Some("June 1, 2010"),
            ),
            (
                "Posting Date: May 3, 2009 [EBook #2641]\nRelease Date: May, 2001",
                Some("2641"),
                Some("May, 2001"),
            ),
            ("Posting Date: May 3, 2009 [EBook #2641]", Some("2641"), Some("May 3, 2009")),
            ("May, 1994  [Etext #132]\n", Some("132"), Some("May, 1994")),
            (
                "**This is the Etext**\nJanuary, 1991   [Etext 11]",
                Some("11"),
                Some("January, 1991"),
            ),
            ("Release Date: [E-text #9]", Some("9"), None),
            ("Title: [EBook of Hours]", None, None),
            ("", None, None),
        ];
        for (head, expected_number, date) in cases {
            assert_eq!((number(head), released(head)), (expected_number, date), "{head}");
        }
    }

    #[test]
    fn the_year_of_the_printed_book_is_read_from_newer_headers() {
        for (head, year) in [
            ("Original publication: London: Macmillan and Co, 1897", Some(1897)),
            ("Original Publication: New York: Harper, 1901, pubdate 1911.", Some(1911)),
            ("Original publication: 12345, n.d.", None),
            ("Release Date: May 1, 2005 [EBook #4242]", None),
        ] {
            assert_eq!(published(head), year, "{head}");
        }
    }

    #[test]
    fn encodings_are_found_by_the_names_that_headers_use() {
        let cases = [
            ("Character set encoding: ISO-8859-1", Some("windows-1252")),
            ("Character Set Encoding: ISO Latin-1", Some("windows-1252")),
            (
                "Character set encoding: ASCII, with some ISO-8859-1 characters",
                Some("windows-1252"),
            ),
            ("Character set encoding: ISO-646-US (US-ASCII)", Some("windows-1252")),
            ("Character set encoding: Windows Code-Page 1252", Some("windows-1252")),
            ("Character set encoding: ISO 8859-2 (Latin-2)", Some("ISO-8859-2")),
            ("Character set encoding: ISO-8859-15", Some("ISO-8859-15")),
            ("Character set encoding: Unicode UTF-8", Some("UTF-8")),
            ("Character set encoding: Big-5", Some("Big5")),
            ("Character set encoding: Shift-JIS", Some("Shift_JIS")),
            ("Character set encoding: MIDI", None),
            ("The Project Gutenberg Etext of X", Some("windows-1252")),
            ("no header", None),
        ];
        for (head, name) in cases {
            assert_eq!(encoding(head).map(Encoding::name), name, "{head}");
        }
        let russian = "Съешь же ещё этих мягких булок.";
        let gutenberg = "The Project Gutenberg EBook of X\n";
        for (raw, text, damaged) in [
            (b"\xff\xfea\0\xe9\0".to_vec(), "a\u{e9}".to_owned(), 0),
            (b"\xef\xbb\xbfa".to_vec(), "a".to_owned(), 0),
            (b"abc\xff".to_vec(), "abc\u{fffd}".to_owned(), 1),
            ([gutenberg.as_bytes(), b"caf\xe9"].concat(), format!("{gutenberg}caf\u{e9}"), 0),
            (
                [gutenberg.as_bytes(), russian.as_bytes(), b"\xff"].concat(),
                format!("{gutenberg}{russian}\u{fffd}"),
                1,
            ),
        ] {
            let found = decode(&raw).unwrap();
            assert_eq!((found.text.as_ref(), found.damaged), (text.as_str(), damaged));
        }
        assert_eq!(decode(b"abc\xff\xff"), Err(3));
    }
}
