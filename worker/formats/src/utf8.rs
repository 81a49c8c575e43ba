//! Reads bytes that are UTF-8 except for a few damaged places, as a lenient reader does: each
//! damaged sequence becomes one U+FFFD, and is counted.
//!
//! Text in another charset is not UTF-8 with damage. It has a damaged sequence every few
//! characters, so that more than one of them needs much valid text beside it.
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
pub struct Evidence {
    chars: usize,
    continuations: usize,
    damaged: usize,
}

impl Evidence {
    /// Adds a part that is valid.
    pub fn add_valid(&mut self, text: &str) {
        let continuations = text.bytes().filter(|byte| byte & 0xc0 == 0x80).count();
        self.continuations += continuations;
        self.chars += text.len() - continuations;
    }

    /// Adds a damaged sequence.
    pub fn add_damaged(&mut self) {
        self.damaged += 1;
    }

    /// Returns the number of damaged sequences if the whole is UTF-8 all the same.
    pub fn damaged(&self) -> Option<u64> {
        let by_chars = self.damaged <= 1 + self.chars / CHARS_PER_DAMAGED;
        let by_kind = self.damaged * CONTINUATIONS_PER_DAMAGED <= self.continuations;
        let has_text = self.damaged == 0 || self.chars > 0;
        (has_text && (by_chars || by_kind)).then_some(self.damaged as u64)
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
    for chunk in bytes.utf8_chunks() {
        evidence.add_valid(chunk.valid());
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            evidence.add_damaged();
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    let damaged = evidence.damaged().ok_or(first)?;
    Ok(Utf8Text { text: Cow::Owned(text), damaged })
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
            (
                [long.as_bytes(), b"\x92 \x93", long.as_bytes()].concat(),
                format!("{long}\u{fffd} \u{fffd}{long}"),
                2,
            ),
            ([russian.as_bytes(), b"\xff\xff"].concat(), format!("{russian}\u{fffd}\u{fffd}"), 2),
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
        assert_eq!(read(b"ab\xff\xff"), Err(2));
    }
}
