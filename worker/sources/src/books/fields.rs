//! The fields of Project Gutenberg's headers, as headers of every decade write them, and the
//! encodings that they name.

use encoding_rs::Encoding;
use thresher_formats::utf8::{self, Utf8Text};
use thresher_text::charset::Charset;

/// Number of first bytes in which the header must end.
pub(super) const HEADER_BYTES: usize = 24 << 10;

/// Decodes a file as UTF-8, or as UTF-16, or else with the encoding that its header names, or with
/// that of its bytes. If that fails, reads it as UTF-8 with a few damaged bytes, or returns what is
/// wrong.
pub(super) fn decode(raw: &[u8]) -> Result<Utf8Text<'_>, String> {
    let whole = |text| Utf8Text { text, damaged: 0 };
    let marked = Encoding::for_bom(raw).map(|(encoding, _)| encoding);
    if let Some(encoding) = marked.filter(|it| *it != encoding_rs::UTF_8).or_else(|| utf16_of(raw))
    {
        return Ok(whole(encoding.decode(raw).0));
    }
    let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    let found = utf8::read(raw);
    // One byte that is damaged in UTF-8 can be the only letter with an accent in another encoding.
    if found.as_ref().is_ok_and(|it| it.damaged == 0 || utf8::has_long(raw)) {
        return found.map_err(|_| String::new());
    }
    let head = String::from_utf8_lossy(&raw[..raw.len().min(HEADER_BYTES)]);
    let declared = Declared::of(&head);
    let charset = declared.charset.filter(|_| !declared.is_plain);
    let named = charset.and_then(|charset| charset.decode(raw));
    let guessed = || match declared.is_plain {
        true => Charset::undeclared(raw).or(declared.charset)?.decode(raw),
        false => Charset::guess(raw)?.decode(raw),
    };
    match named.or_else(|| western(raw).map(|text| (text, 0))).or_else(guessed) {
        Some((text, damaged)) => Ok(Utf8Text { text: text.into(), damaged }),
        None => found.map_err(|at| {
            let what = match (declared.label, charset) {
                (None, _) => "the header names no encoding".to_owned(),
                (Some(label), None) => format!("the encoding `{label}` of the header is not known"),
                (Some(label), Some(_)) => {
                    format!("the text is not in the encoding of its header, `{label}`")
                }
            };
            format!("byte {at} is not valid UTF-8, and {what}")
        }),
    }
}

/// Returns the byte order of UTF-16 without a mark: every other byte of the start is zero, as of
/// text in Latin letters.
fn utf16_of(raw: &[u8]) -> Option<&'static Encoding> {
    let start = &raw[..raw.len().min(256) & !1];
    let zeros = |from: usize| start.iter().skip(from).step_by(2).filter(|it| **it == 0).count();
    match (zeros(0) * 2, zeros(1) * 2, start.len()) {
        (_, _, length) if length < 16 => None,
        (0, high, length) if high * 10 >= length * 9 => Some(encoding_rs::UTF_16LE),
        (high, 0, length) if high * 10 >= length * 9 => Some(encoding_rs::UTF_16BE),
        _ => None,
    }
}

/// Number of bytes above ASCII up to which a book in Latin letters is too short for the detector.
const FEW: usize = 15;

/// Returns a text whose few bytes above ASCII are all frequent signs of Windows-1252, or frequent
/// letters of it beside letters of ASCII. Other damage has other values, and is at other places.
fn western(raw: &[u8]) -> Option<String> {
    let is_high = |byte: &u8| *byte >= 0x80;
    let places: Vec<usize> =
        raw.iter().enumerate().filter(|(_, byte)| is_high(byte)).map(|(at, _)| at).collect();
    if places.is_empty() || places.len() > FEW {
        return None;
    }
    let neighbour = |at: Option<usize>| at.and_then(|at| raw.get(at)).copied().unwrap_or(b' ');
    let fits = |at: usize| {
        let (before, after) = (neighbour(at.checked_sub(1)), neighbour(at.checked_add(1)));
        match raw[at] {
            // Quotation marks, dashes, an ellipsis.
            0x85 | 0x91..=0x94 | 0x96 | 0x97 | 0xab | 0xbb => true,
            // Signs before or after numbers and names.
            0x80 | 0xa3 | 0xa7 | 0xa9 | 0xb0 | 0xb7 | 0xbd => true,
            // All letters but those of Icelandic, and a y with two dots.
            0xc0..=0xcf | 0xd1..=0xd6 | 0xd8..=0xdc | 0xdf..=0xef | 0xf1..=0xf6 | 0xf8..=0xfc => {
                before.is_ascii_alphabetic() || after.is_ascii_alphabetic()
            }
            _ => false,
        }
    };
    let all_fit = places.iter().all(|at| fits(*at));
    all_fit.then(|| encoding_rs::WINDOWS_1252.decode_without_bom_handling(raw).0.into_owned())
}

/// What a header says about the encoding.
struct Declared<'h> {
    label: Option<&'h str>,
    charset: Option<Charset>,
    /// Whether the header names none, or ASCII, so that the bytes can show another one.
    is_plain: bool,
}

impl<'h> Declared<'h> {
    fn of(head: &'h str) -> Self {
        const NAMES: [&str; 5] = [
            "Character set encoding:",
            "Character set:",
            "Text encoding:",
            "Charset:",
            "Encoding:",
        ];
        let label = value(head, &NAMES);
        let is_ascii = |label: &str| {
            let lower = label.to_ascii_lowercase();
            lower.contains("ascii") && by_label(label) == Some(Charset::default())
        };
        match label {
            Some(label) => {
                Self { label: Some(label), charset: by_label(label), is_plain: is_ascii(label) }
            }
            // A text of Project Gutenberg whose header names none is from before Unicode.
            None => {
                let is_book = head.lines().take(20).any(|line| line.contains("Gutenberg"));
                Self { label, charset: is_book.then(Charset::default), is_plain: is_book }
            }
        }
    }
}

/// Returns the charset of a label in a header.
fn by_label(label: &str) -> Option<Charset> {
    if let Some(encoding) = Encoding::for_label(label.as_bytes()) {
        return Some(Charset::Web(encoding));
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
    let part = PARTS.iter().find(|(part, _)| plain.contains(part));
    // The number of a code page is a word of its own: `8859-4` is none.
    let code_page = Charset::for_label(label).filter(|found| matches!(found, Charset::Dos(_)));
    code_page.or_else(|| Some(Charset::Web(Encoding::for_label(part?.1.as_bytes())?)))
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
            ("Character set encoding: CP437", Some("IBM437")),
            ("Character set encoding: IBM850", Some("IBM850")),
            ("Character set encoding: IBM-850 (MS-DOS Latin 1)", Some("IBM850")),
            ("Character set encoding: Codepage 437", Some("IBM437")),
            ("Character set encoding: MS-DOS", Some("IBM437")),
            ("Character set encoding: ISO 8859-4", Some("ISO-8859-4")),
            ("Character set encoding: MIDI", None),
            ("The Project Gutenberg Etext of X", Some("windows-1252")),
            ("no header", None),
        ];
        for (head, name) in cases {
            assert_eq!(Declared::of(head).charset.map(Charset::name), name, "{head}");
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
    }

    #[test]
    fn a_text_with_few_accents_is_read_as_western_and_utf_16_needs_no_mark() {
        let english = "He came home late, and nobody asked him where he had been. ".repeat(20);
        for (raw, text) in [
            (&b"He said \x93no\x94 \x96 it\x92s the caf\xe9."[..], "He said “no” – it’s the café."),
            (b"Short caf\xe9, \xa35.", "Short café, £5."),
            (b"\xc9tude", "Étude"),
        ] {
            for head in ["", &english, "Character set encoding: UTF-8\n"] {
                let raw = [head.as_bytes(), raw].concat();
                let found = decode(&raw).unwrap();
                assert_eq!((&*found.text, found.damaged), (&*format!("{head}{text}"), 0));
            }
        }
        // Letters that are rare, or beside no letter, are damage.
        for raw in [&b"abc\xff"[..], b"a \xe9 b"] {
            assert_eq!(decode(raw).unwrap().damaged, 1, "{raw:?}");
        }
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let raw: Vec<u8> =
                format!("{english}caf\u{e9}").encode_utf16().flat_map(order).collect();
            assert_eq!(decode(&raw).unwrap().text, format!("{english}caf\u{e9}"));
        }
    }

    #[test]
    fn texts_of_dos_are_read_by_their_header_or_their_bytes() {
        // The letters are the same in code pages 437 and 850.
        let dos =
            b"Die kleinen K\x84fer der Gr\x94\xe1e nach. L'\x82t\x82 d\x82j\x85 fini. ".repeat(20);
        let text = "Die kleinen Käfer der Größe nach. L'été déjà fini. ".repeat(20);
        for head in [
            "Character set encoding: CP437\n",
            "The Project Gutenberg Etext of X\nCharacter set encoding: IBM850\n",
            "The Project Gutenberg Etext of X\nCharacter set encoding: ASCII\n",
            "The Project Gutenberg Etext of X\n",
            "no header\n",
        ] {
            let raw = [head.as_bytes(), &dos].concat();
            let found = decode(&raw).unwrap();
            assert_eq!((found.text.as_ref(), found.damaged), (&*format!("{head}{text}"), 0));
        }
    }

    #[test]
    fn a_long_text_without_an_encoding_is_read_by_its_bytes() {
        let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю. ".repeat(4);
        let french = "Un été déjà très chaud, où la forêt brûla. ".repeat(4);
        for (encoding, text) in [
            (encoding_rs::KOI8_R, &russian),
            (encoding_rs::WINDOWS_1251, &russian),
            (encoding_rs::WINDOWS_1252, &french),
        ] {
            for head in ["", "The Project Gutenberg Etext of X\n", "Encoding: UTF-8\n"] {
                let raw = [head.as_bytes(), &encoding.encode(text).0].concat();
                assert_eq!(decode(&raw).unwrap().text, format!("{head}{text}"), "{head}");
            }
        }
    }

    #[test]
    fn a_text_that_cannot_be_read_says_what_its_header_names() {
        for (head, what) in [
            ("", "the header names no encoding"),
            ("Encoding: MIDI\n", "the encoding `MIDI` of the header is not known"),
            ("Encoding: UTF-8\n", "the text is not in the encoding of its header, `UTF-8`"),
        ] {
            let raw = [head.as_bytes(), b"abc\xff\xff"].concat();
            let at = raw.len() - 2;
            let expected = format!("byte {at} is not valid UTF-8, and {what}");
            assert_eq!(decode(&raw), Err(expected));
        }
    }
}
