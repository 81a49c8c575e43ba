//! Recognises UTF-8 by its bytes, also if some of them are damaged.
//!
//! A page is often cut inside its last character, and one byte of a comment or an advertisement is
//! often wrong. In another charset, bytes above ASCII form valid UTF-8 only by chance, and chance
//! does not repeat: text in a charset of one byte, and in those of Chinese, Japanese and Korean,
//! has a malformed sequence every few characters.

use encoding_rs::Encoding;

/// Number of valid continuation bytes for each malformed sequence that is accepted.
const VALID_PER_MALFORMED: usize = 20;

/// What the bytes of a page are as UTF-8.
struct Measured {
    /// Number of bytes that continue a valid character.
    continuations: usize,
    /// Number of malformed sequences, except for a character that the end cuts off.
    malformed: usize,
    /// Whether a valid character has three bytes or more.
    has_long: bool,
}

impl Measured {
    fn of(bytes: &[u8]) -> Self {
        let mut found = Self { continuations: 0, malformed: 0, has_long: false };
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            let valid = chunk.valid().as_bytes();
            found.continuations += valid.iter().filter(|byte| **byte & 0xc0 == 0x80).count();
            found.has_long |= valid.iter().any(|byte| *byte >= 0xe0);
            let invalid = chunk.invalid();
            at += valid.len() + invalid.len();
            let is_cut = at == bytes.len() && is_start_of_character(invalid);
            found.malformed += usize::from(!invalid.is_empty() && !is_cut);
        }
        found
    }

    /// Returns whether the bytes are UTF-8 with at most a few malformed sequences.
    fn is_nearly_valid(&self) -> bool {
        self.continuations > 0 && self.malformed * VALID_PER_MALFORMED <= self.continuations
    }
}

/// Returns whether bytes at the end of a text are a character that is cut off.
fn is_start_of_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// Returns whether a page without a declaration is UTF-8 that is not plain ASCII.
pub(super) fn is_undeclared(bytes: &[u8]) -> bool {
    Measured::of(bytes).is_nearly_valid()
}

/// Returns whether bytes are not UTF-8, even if a few malformed sequences are accepted.
pub(super) fn is_contradicted(bytes: &[u8]) -> bool {
    let found = Measured::of(bytes);
    found.malformed > 0 && !found.is_nearly_valid()
}

/// Returns whether bytes have more valid characters of UTF-8 than malformed sequences, as a page
/// has that is joined from parts in several charsets.
pub(super) fn is_mixed(bytes: &[u8]) -> bool {
    let found = Measured::of(bytes);
    found.continuations > found.malformed
}

/// Returns whether bytes are UTF-8 with characters that the encoding `declared` would misread.
pub(super) fn replaces(declared: &'static Encoding, bytes: &[u8]) -> bool {
    let found = Measured::of(bytes);
    if found.malformed > 0 {
        return found.is_nearly_valid();
    }
    // A few characters of two bytes can be valid UTF-8 by chance, but Chinese, Japanese and Korean
    // have three bytes there.
    if declared.is_single_byte() {
        found.continuations > 0
    } else {
        found.has_long || found.continuations >= VALID_PER_MALFORMED
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1258;

    use super::super::decode;
    use super::super::samples::*;
    use super::*;

    #[test]
    fn utf_8_with_a_bad_byte_or_a_cut_end_stays_utf_8() {
        let texts = [
            RUSSIAN, FRENCH, GERMAN, CZECH, GREEK, TURKISH, HEBREW, ARABIC, THAI, CHINESE,
            TAIWANESE, JAPANESE, KOREAN,
        ];
        for text in texts {
            let text = text.repeat(4);
            let middle = text.char_indices().nth(text.chars().count() / 2).unwrap().0;
            let (before, after) = text.split_at(middle);
            let last = text.char_indices().rev().find(|(_, c)| c.len_utf8() > 1).unwrap().0;
            let cases = [
                [before.as_bytes(), b"\xff", after.as_bytes()].concat(),
                [before.as_bytes(), b"\xe9 ", after.as_bytes()].concat(),
                [text.as_bytes(), b"<!-- \xe9t\xe9 -->"].concat(),
                text.as_bytes()[..=last].to_vec(),
            ];
            for bytes in cases {
                let malformed = String::from_utf8_lossy(&bytes);
                for declared in [
                    None,
                    Some("iso-8859-1"),
                    Some("latin1"),
                    Some("koi8-r"),
                    Some("windows-1251"),
                    Some("gbk"),
                    Some("big5"),
                    Some("euc-kr"),
                    Some("euc-jp"),
                    Some("shift_jis"),
                    Some("iso-2022-jp"),
                ] {
                    let decoded = decode(&bytes, declared, "http://example.com/");
                    assert_eq!(decoded.charset, "UTF-8", "{malformed}");
                    assert_eq!(decoded.text, malformed);
                    assert!((1..=2).contains(&decoded.malformed_sequences));
                }
            }
        }
    }

    /// What no charset has as one character.
    const BAD: [&[u8]; 3] = [b"\xff", b"\x80 ", b"\xc0\x80 "];

    #[test]
    fn a_declared_charset_is_kept_whatever_bytes_are_bad() {
        for (encoding, text, _) in CHARSETS {
            let (before, after) = (format!("{text} "), format!("<p>{text}"));
            let (start, _, _) = encoding.encode(&before);
            let (end, _, _) = encoding.encode(&after);
            for bad in BAD {
                let bytes = [&start, bad, b"<br>", &end[..]].concat();
                let name = encoding.name();
                let head = format!("<meta charset={name}>");
                let page = [head.as_bytes(), &bytes].concat();
                for (bytes, declared) in [(&bytes, Some(name)), (&page, None)] {
                    let decoded = decode(bytes, declared, "http://example.com/");
                    assert_eq!(decoded.charset, name, "{bad:?}");
                    assert!(decoded.text.contains(&before), "{name} {bad:?}");
                    assert!(decoded.text.ends_with(&after), "{name} {bad:?}");
                }
            }
        }
    }

    #[test]
    fn text_in_another_charset_is_not_taken_for_utf_8() {
        let vietnamese = (WINDOWS_1258, FRENCH, "vn");
        for (encoding, text, _) in CHARSETS.into_iter().chain([vietnamese]) {
            let (bytes, _, _) = encoding.encode(text);
            // Pages of any length: from a few words to all of it.
            for end in 8..=bytes.len() {
                let found = Measured::of(&bytes[..end]);
                assert!(!found.is_nearly_valid(), "{} {end}", encoding.name());
            }
            let decoded = decode(&bytes, Some(encoding.name()), "");
            assert_eq!(decoded.charset, encoding.name(), "{text}");
        }
        let latin = [&b"caf\xe9 cr\xe8me, d\xe9j\xe0 vu "[..], "é".as_bytes()].concat();
        assert_eq!(decode(&latin, Some("iso-8859-1"), "").charset, "windows-1252");
        assert_eq!(decode(b"plain caf\xe9", None, "http://a.fr/").text, "plain café");
    }
}
