//! Guesses the charset of text whose charset is not declared, or is declared wrongly.
//!
//! The guess is that of `chardetng`, the detector of Firefox. It rules an encoding out at its first
//! malformed sequence, so that it takes a text with one damaged byte for one in another charset. A
//! text in which an encoding has only a few malformed sequences is therefore judged by its longest
//! part without one.

use std::ops::Range;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    BIG5, DecoderResult, EUC_JP, EUC_KR, Encoding, GBK, ISO_2022_JP, ISO_8859_2, SHIFT_JIS,
    WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254,
    WINDOWS_1255, WINDOWS_1257,
};

/// Encodings that a damaged byte can rule out. The others have a character for nearly every byte.
const RULED_OUT: [&Encoding; 14] = [
    GBK,
    BIG5,
    SHIFT_JIS,
    EUC_JP,
    EUC_KR,
    WINDOWS_1250,
    WINDOWS_1251,
    WINDOWS_1252,
    WINDOWS_1253,
    WINDOWS_1254,
    WINDOWS_1255,
    WINDOWS_1257,
    WINDOWS_874,
    ISO_8859_2,
];

/// Number of bytes by which a text is judged, from the first one that is not plain ASCII.
const MAX_BYTES: usize = 256 << 10;
/// Number of characters above ASCII for each further malformed sequence that is taken for damage.
const CHARS_PER_DAMAGED: usize = 50;
/// Number of characters above ASCII that a text with a malformed sequence needs to be judged.
const MIN_CHARS: usize = 8;

/// Returns the most probable encoding of a text. `domain` is the top-level domain of its address,
/// in lower-case ASCII.
pub fn guess(bytes: &[u8], domain: Option<&str>) -> &'static Encoding {
    // ISO-2022-JP has escapes in place of bytes above ASCII.
    let start = bytes.iter().position(|byte| *byte >= 0x80 || *byte == 0x1b);
    let bytes = &bytes[start.unwrap_or(0)..];
    let whole = ask(bytes, domain);
    // Other bytes are hardly ever valid in these.
    if [EUC_JP, EUC_KR, ISO_2022_JP].contains(&whole) {
        return whole;
    }
    let part = &bytes[..bytes.len().min(MAX_BYTES)];
    // Bytes are valid in two encodings of several bytes by chance, but hardly ever in these.
    let others = if whole.is_single_byte() { &RULED_OUT[..] } else { &[EUC_JP, EUC_KR] };
    let damaged = others.iter().copied().filter_map(|encoding| {
        let reading = Reading::of(part, encoding).filter(Reading::is_damaged)?;
        let found = ask(&part[reading.longest], domain);
        let malformed = match found == encoding {
            true => reading.malformed,
            false => Reading::of(part, found).filter(Reading::is_damaged)?.malformed,
        };
        Some((malformed, found))
    });
    damaged.min_by_key(|(malformed, _)| *malformed).map_or(whole, |(_, found)| found)
}

/// Returns whether an encoding has letters of another script than Latin, or ideographs.
pub fn is_of_other_script(encoding: &'static Encoding) -> bool {
    const SCRIPTS: [&str; 13] = [
        "windows-1251",
        "windows-1253",
        "windows-1255",
        "windows-1256",
        "windows-874",
        "KOI8-R",
        "KOI8-U",
        "IBM866",
        "ISO-8859-5",
        "ISO-8859-6",
        "ISO-8859-7",
        "ISO-8859-8",
        "x-mac-cyrillic",
    ];
    !encoding.is_single_byte() || SCRIPTS.contains(&encoding.name())
}

/// Number of bytes above ASCII from which they show the script, and how many different ones.
const MIN_HIGH: usize = 16;
const MIN_KINDS: usize = 6;

/// Returns whether words consist of bytes above ASCII, as in all text that is not in Latin letters.
/// Letters with accents have letters of ASCII beside them.
pub fn is_dense(bytes: &[u8]) -> bool {
    const NO_BREAK_SPACE: u8 = 0xa0;
    let is_high = |byte: &u8| *byte >= 0x80 && *byte != NO_BREAK_SPACE;
    let is_of_word = |byte: &u8| byte.is_ascii_alphabetic() || is_high(byte);
    let (mut all, mut high) = (0, 0);
    for word in bytes.split(|byte| !is_of_word(byte)) {
        let high_of_word = word.iter().filter(|byte| is_high(byte)).count();
        if high_of_word > 0 && word.len() > 1 {
            all += word.len();
            high += high_of_word;
        }
    }
    high >= MIN_HIGH && high * 3 >= all * 2 && is_varied(bytes)
}

/// Returns whether there are several different bytes above ASCII, as in text.
pub fn is_varied(bytes: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in bytes.iter().filter(|byte| **byte >= 0x80) {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|it| **it).count() >= MIN_KINDS
}

fn ask(bytes: &[u8], domain: Option<&str>) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    let shown = &bytes[..bytes.len().min(MAX_BYTES)];
    detector.feed(shown, shown.len() == bytes.len());
    detector.guess(domain.map(str::as_bytes), Utf8Detection::Allow)
}

/// A text as it is read in one encoding.
struct Reading {
    /// The longest part without a malformed sequence.
    longest: Range<usize>,
    malformed: usize,
    /// Number of characters above ASCII.
    chars: usize,
}

impl Reading {
    /// Reads a text, or returns `None` as soon as more is malformed than its bytes can excuse.
    fn of(bytes: &[u8], encoding: &'static Encoding) -> Option<Self> {
        let most = 1 + bytes.len() / CHARS_PER_DAMAGED;
        let mut decoder = encoding.new_decoder_without_bom_handling();
        // A longer text is cut, possibly inside a character.
        let is_whole = bytes.len() < MAX_BYTES;
        let mut text = String::with_capacity(4096);
        let mut found = Self { longest: 0..0, malformed: 0, chars: 0 };
        let (mut at, mut start) = (0, 0);
        while found.malformed <= most {
            text.clear();
            let (result, read) =
                decoder.decode_to_string_without_replacement(&bytes[at..], &mut text, is_whole);
            at += read;
            found.chars += text.chars().filter(|c| !c.is_ascii()).count();
            let (end, next) = match result {
                DecoderResult::OutputFull => continue,
                DecoderResult::InputEmpty => (at, at),
                DecoderResult::Malformed(length, after) => {
                    found.malformed += 1;
                    let end = at - usize::from(after);
                    (end - usize::from(length), end)
                }
            };
            if end.saturating_sub(start) > found.longest.len() {
                found.longest = start..end;
            }
            start = next;
            if result == DecoderResult::InputEmpty {
                return Some(found);
            }
        }
        None
    }

    /// Returns whether something is malformed, but so little that it can be damage.
    fn is_damaged(&self) -> bool {
        self.malformed > 0
            && self.chars >= MIN_CHARS
            && (self.malformed - 1) * CHARS_PER_DAMAGED <= self.chars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_above_ascii_unless_the_script_is_latin() {
        let russian = encoding_rs::KOI8_R.encode("Съешь же ещё этих мягких булок").0.into_owned();
        let taiwanese = BIG5.encode("繁體中文網頁的內容，沒有宣告編碼。").0.into_owned();
        let french =
            WINDOWS_1252.encode(&"déjà vu à l’été, «Noël» – œuf ".repeat(9)).0.into_owned();
        let spaced = [&b"\xa0\xa0\xa0\xa0"[..], b"caf\xe9 "].concat().repeat(20);
        for (bytes, dense) in [
            (russian, true),
            (taiwanese, true),
            (french, false),
            (spaced, false),
            (b"\xe4\xf6".to_vec(), false),
        ] {
            assert_eq!(is_dense(&bytes), dense, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn hostile_text_is_judged_in_proportion_to_its_length() {
        for piece in [&b"\xff"[..], b"\x80", b"\x8f\xa1", b"\xe3\x81", b"a\xe9", b"\x1b$B!"] {
            let bytes = piece.repeat((1 << 20) / piece.len());
            assert_ne!(guess(&bytes, Some("jp")).name(), "");
        }
        assert_eq!(guess(b"", None).name(), "UTF-8");
        let long = encoding_rs::SHIFT_JIS.encode("吾輩は猫である。").0.repeat(40_000);
        for start in 0..2 {
            let plain = vec![b'a'; start];
            assert_eq!(guess(&[&plain, &long[..]].concat(), None).name(), "Shift_JIS");
        }
    }
}
