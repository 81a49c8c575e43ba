//! Reads bytes that are UTF-8 except for a few damaged places, as a lenient reader does: each
//! damaged sequence becomes one U+FFFD, and is counted.
//!
//! Text in another charset is not UTF-8 with damage. It has a damaged sequence every few
//! characters, so that more than one of them needs much valid text beside it. Surrogates in three
//! bytes each are not a sign of that: programs with strings of UTF-16 write them, in CESU-8. A pair
//! is read as its character, and half of one becomes U+FFFD.
//!
//! **Invariant:** valid UTF-8 is returned as it is, without a copy.

use std::borrow::Cow;

/// Number of valid characters of any kind for each further damaged sequence that is accepted.
const CHARS_PER_DAMAGED: usize = 200;
/// Number of valid continuation bytes for each damaged sequence that is accepted. Only UTF-8 has
/// many of them.
const CONTINUATIONS_PER_DAMAGED: usize = 20;

/// A text, and how much of it had to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utf8Text<'a> {
    /// The text, with U+FFFD in place of damaged sequences.
    pub text: Cow<'a, str>,
    /// Number of damaged sequences.
    pub damaged: u64,
}

/// Counts what speaks for UTF-8 with damage, and against it.
#[derive(Debug, Clone, Copy, Default)]
struct Evidence {
    chars: usize,
    continuations: usize,
    damaged: usize,
}

impl Evidence {
    /// Adds a part that is valid.
    fn add_valid(&mut self, text: &str) {
        let continuations = text.bytes().filter(|byte| byte & 0xc0 == 0x80).count();
        self.continuations += continuations;
        self.chars += text.len() - continuations;
    }

    /// Returns whether the whole is UTF-8 all the same.
    fn is_utf8(&self) -> bool {
        let by_chars = self.damaged <= 1 + self.chars / CHARS_PER_DAMAGED;
        let by_kind = self.damaged * CONTINUATIONS_PER_DAMAGED <= self.continuations;
        let has_text = self.damaged == 0 || self.chars > 0;
        has_text && (by_chars || by_kind)
    }
}

/// Returns the text of bytes in UTF-8, or the position of the first damaged byte if there are too
/// many for that.
pub fn read(bytes: &[u8]) -> Result<Utf8Text<'_>, usize> {
    let first = match simdutf8::compat::from_utf8(bytes) {
        Ok(text) => return Ok(Utf8Text { text: Cow::Borrowed(text), damaged: 0 }),
        Err(error) => error.valid_up_to(),
    };
    let mut evidence = Evidence::default();
    let mut text = String::with_capacity(bytes.len() + 16);
    let (mut at, mut halves, mut refused) = (0, 0, None);
    loop {
        let chunk = bytes[at..].utf8_chunks().next();
        let Some(chunk) = chunk else { break };
        evidence.add_valid(chunk.valid());
        text.push_str(chunk.valid());
        at += chunk.valid().len();
        if chunk.invalid().is_empty() {
            break;
        }
        let (found, length) = match surrogates(&bytes[at..]) {
            Some((found, length)) => {
                halves += u64::from(found.is_none());
                (found, length)
            }
            None => {
                evidence.damaged += 1;
                refused.get_or_insert(at);
                (None, chunk.invalid().len())
            }
        };
        text.push(found.unwrap_or(char::REPLACEMENT_CHARACTER));
        at += length;
    }
    if !evidence.is_utf8() {
        return Err(refused.unwrap_or(first));
    }
    Ok(Utf8Text { text: Cow::Owned(text), damaged: evidence.damaged as u64 + halves })
}

/// Returns the character of two surrogates at the start of `bytes`, or `None` for half of a pair,
/// and the number of bytes.
fn surrogates(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let high = surrogate(bytes)?;
    let low = surrogate(&bytes[3..]).filter(|low| (0xdc00..=0xdfff).contains(low));
    Some(match low {
        Some(low) if high < 0xdc00 => (char::decode_utf16([high, low]).next()?.ok(), 6),
        _ => (None, 3),
    })
}

/// Returns the surrogate that the first three bytes encode.
fn surrogate(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            Some(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f))
        }
        _ => None,
    }
}

/// Returns whether there is a valid character that is not ASCII: text in UTF-8 has it, and text in
/// another charset only by chance.
pub fn has_long(bytes: &[u8]) -> bool {
    bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_damaged_bytes_are_replaced_and_counted() {
        let long = "A sentence of plain English. ".repeat(20);
        let russian = "Съешь же ещё этих мягких французских булок.";
        for (bytes, expected, damaged) in [
            (b"plain".to_vec(), "plain".to_owned(), 0),
            (Vec::new(), String::new(), 0),
            (b"caf\xff here".to_vec(), "caf\u{fffd} here".to_owned(), 1),
            (b"cut \xe3\x81".to_vec(), "cut \u{fffd}".to_owned(), 1),
            (b"a\xed\xa0\xbd\xed\xb8\x80b".to_vec(), "a\u{1f600}b".to_owned(), 0),
            (b"\xed\xa0\xbd".to_vec(), "\u{fffd}".to_owned(), 1),
            (b"\xed\xb8\x80\xed\xa0\xbdx".to_vec(), "\u{fffd}\u{fffd}x".to_owned(), 2),
            (b"a\xffb\xed\xa0\xbd\xed\xb8\x80".to_vec(), "a\u{fffd}b\u{1f600}".to_owned(), 1),
            (b"ab\xed".to_vec(), "ab\u{fffd}".to_owned(), 1),
            (
                [long.as_bytes(), b"\x92 \x93", long.as_bytes()].concat(),
                format!("{long}\u{fffd} \u{fffd}{long}"),
                2,
            ),
            (
                [russian.as_bytes(), russian.as_bytes(), b"\xff\xff"].concat(),
                format!("{russian}{russian}\u{fffd}\u{fffd}"),
                2,
            ),
        ] {
            let found = read(&bytes).unwrap();
            assert_eq!((found.text.as_ref(), found.damaged), (expected.as_str(), damaged));
        }
        assert!(matches!(read(b"plain").unwrap().text, Cow::Borrowed(_)));
    }

    #[test]
    fn text_in_another_charset_is_refused_with_its_first_byte() {
        use encoding_rs::{BIG5, GBK, KOI8_R, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};
        let french = "Dès Noël, où un zéphyr haï me vêt de glaçons, je dîne de rôtis au kir.";
        let german =
            "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg, auf daß er es läßt.";
        let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю.";
        let japanese = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";
        for (encoding, text) in [
            (WINDOWS_1252, french),
            (WINDOWS_1252, german),
            (WINDOWS_1251, russian),
            (KOI8_R, russian),
            (SHIFT_JIS, japanese),
            (GBK, "中文网页内容测试，没有声明编码。我们的祖国是花园，花园的花朵真鲜艳。"),
            (BIG5, "繁體中文網頁的內容，沒有宣告編碼。天下大勢，分久必合，合久必分。"),
        ] {
            let (bytes, ..) = encoding.encode(text);
            let first = text.find(|c: char| !c.is_ascii()).unwrap();
            for times in [1, 50] {
                assert_eq!(read(&bytes.repeat(times)), Err(first), "{}", encoding.name());
            }
        }
        assert_eq!(read(b"\xff"), Err(0));
        assert_eq!(read(b"\xed\xa0\xbdx\xff\xff"), Err(4));
        assert_eq!(read(b"ab\xff\xff"), Err(2));
    }
}
