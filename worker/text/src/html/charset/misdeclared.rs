//! Recognises that a declared charset is not that of the bytes, and finds a better one.
//!
//! Damage is a few malformed sequences. A page with many of them is in another charset, and so is
//! one in Latin letters by its declaration whose letters above ASCII stand beside one another. What
//! is found instead is used only if nearly nothing is malformed in it, because U+FFFD is better
//! than wrong letters.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::{Decoded, decode_as, utf8};
use crate::undeclared;

/// Number of malformed sequences that are damage in every page.
const MAX_DAMAGED: u64 = 3;
/// Number of characters above ASCII for each malformed sequence that is taken for damage.
const CHARS_PER_DAMAGED: u64 = 20;

/// Returns whether so few sequences of a decoded text are malformed that they can be damage.
pub(super) fn is_credible(text: &str, malformed: u64) -> bool {
    malformed == 0 || malformed * CHARS_PER_DAMAGED <= above_ascii(text)
}

fn above_ascii(text: &str) -> u64 {
    let replaced = char::REPLACEMENT_CHARACTER;
    text.chars().filter(|c| !c.is_ascii() && *c != replaced).count() as u64
}

/// Returns the encoding to read a page in, and what it decodes to, if the declared encoding is not
/// that of its bytes. `found` is the page as it is declared.
pub(super) fn replacement(
    declared: &'static Encoding,
    found: &Decoded,
    bytes: &[u8],
    domain: Option<&str>,
) -> Option<(&'static Encoding, String, u64)> {
    let malformed = found.malformed_sequences;
    let is_malformed = malformed > MAX_DAMAGED
        && !is_credible(&found.text, malformed)
        && !(declared == UTF_8 && utf8::is_mixed(bytes));
    let is_of_other_script = declared == WINDOWS_1252 && undeclared::is_dense(bytes);
    if !is_malformed && !is_of_other_script {
        return None;
    }
    let guess = undeclared::guess(bytes, domain);
    let is_other = undeclared::is_of_other_script(guess);
    if guess == declared
        || (is_other && !undeclared::is_varied(bytes))
        || (!is_malformed && !is_other)
    {
        return None;
    }
    let (text, left) = decode_as(guess, bytes);
    let is_better = !is_malformed || left < malformed;
    (is_better && (left <= 1 || is_credible(&text, left))).then_some((guess, text, left))
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::super::{CharsetSource, decode};
    use super::*;

    /// Returns the text of a page, without its markup.
    fn read(encoding: &'static Encoding, body: &[u8], header: Option<&str>, url: &str) -> Decoded {
        let page = [b"<html><head><title>x</title></head><p>", body, b"</p></html>"].concat();
        let found = decode(&page, header, url);
        let (expected, _) = decode_as(encoding, &page);
        assert_eq!(found.text, expected, "{} as {header:?} {url}", encoding.name());
        found
    }

    #[test]
    fn a_page_without_its_charset_or_with_utf_8_is_read_in_that_of_its_bytes() {
        for (encoding, text, domain) in CHARSETS {
            let url = format!("http://www.example.{domain}/");
            let (short, _, _) = encoding.encode(text);
            let spaced = format!("{text} ").repeat(12);
            let (long, _, _) = encoding.encode(&spaced);
            let middle = text.char_indices().nth(text.chars().count() / 2).unwrap().0;
            let (before, after) = text.split_at(middle);
            let parts = [before, after].map(|part| encoding.encode(part).0);
            let damaged = [&parts[0], &b"\xff"[..], &parts[1], b" ", &long].concat();
            for header in [None, Some("utf-8")] {
                for body in [&short[..], &long, &damaged] {
                    let found = read(encoding, body, header, &url);
                    assert_eq!(found.source, CharsetSource::Detector, "{}", encoding.name());
                }
            }
            let head = [b"<meta charset=utf-8>", &long[..]].concat();
            assert_eq!(read(encoding, &head, None, &url).source, CharsetSource::Detector);
        }
    }

    #[test]
    fn a_default_of_latin_letters_gives_way_to_other_scripts_only() {
        for (encoding, text, domain) in CHARSETS {
            let url = format!("http://www.example.{domain}/");
            let long = encoding.encode(text).0.repeat(4);
            let is_other = undeclared::is_of_other_script(encoding);
            let expected = if is_other { encoding } else { WINDOWS_1252 };
            let found = read(expected, &long, Some("iso-8859-1"), &url);
            assert_eq!(found.source == CharsetSource::Detector, is_other, "{}", encoding.name());
        }
    }

    #[test]
    fn another_wrong_charset_gives_way_if_it_does_not_fit() {
        for (encoding, text, declared) in [
            (encoding_rs::BIG5, TAIWANESE, "euc-kr"),
            (encoding_rs::SHIFT_JIS, JAPANESE, "euc-jp"),
            (encoding_rs::WINDOWS_1251, RUSSIAN, "euc-jp"),
        ] {
            let long = encoding.encode(text).0.repeat(4);
            read(encoding, &long, Some(declared), "http://example.com/");
        }
    }

    #[test]
    fn a_declaration_that_is_contradicted_a_little_or_by_nonsense_is_kept() {
        let mixed = [FRENCH.as_bytes(), b" caf\xe9 th\xe9 \xe0 \xe7a \xeatre"].concat();
        for body in [&b"caf\xe9, d\xff, \xfe"[..], &mixed, &[0xff; 99], &[0xf8, 0x80].repeat(50)] {
            let found = read(UTF_8, body, Some("utf-8"), "http://example.com/");
            assert_eq!(found.source, CharsetSource::HttpHeader);
        }
    }
}
