//! Charsets of text files: those of the Encoding Standard, and the code pages of DOS.
//!
//! Code pages are decoded by the crate `yore`, because the Encoding Standard has only IBM866. A
//! file whose charset nothing names is in a code page only if that is certain, since a wrong guess
//! damages every letter with an accent.

use encoding_rs::{Encoding, WINDOWS_1252};
use yore::code_pages::{
    CP437, CP737, CP850, CP852, CP855, CP857, CP860, CP861, CP862, CP863, CP864, CP865, CP866,
    CP869, CP874,
};

use crate::undeclared;

/// A charset of a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// One of the Encoding Standard.
    Web(&'static Encoding),
    /// A code page of DOS.
    Dos(CodePage),
}

/// A code page of DOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePage(&'static (u16, &'static str));

const PAGES: [(u16, &str); 16] = [
    (437, "IBM437"),
    (737, "IBM737"),
    (850, "IBM850"),
    (852, "IBM852"),
    (855, "IBM855"),
    (857, "IBM857"),
    (858, "IBM858"),
    (860, "IBM860"),
    (861, "IBM861"),
    (862, "IBM862"),
    (863, "IBM863"),
    (864, "IBM864"),
    (865, "IBM865"),
    (866, "IBM866"),
    (869, "IBM869"),
    (874, "IBM874"),
];

/// Number of characters above ASCII for each malformed sequence that is taken for damage.
const CHARS_PER_DAMAGED: u64 = 20;
/// Number of bytes above ASCII from which a text can be judged.
const MIN_HIGH: usize = 16;
/// Number of them from which one of the less frequent charsets of Latin letters is assumed.
const MIN_HIGH_OF_LATIN: usize = 64;

impl Charset {
    /// Returns the charset of a label as documents write it: `ISO-8859-1`, `IBM-850`, `CP 437`.
    pub fn for_label(label: &str) -> Option<Self> {
        let web = Encoding::for_label_no_replacement(label.trim().as_bytes()).map(Self::Web);
        web.or_else(|| CodePage::in_text(label).map(Self::Dos))
    }

    /// Returns the name of the charset.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web(encoding) => encoding.name(),
            Self::Dos(CodePage((_, name))) => name,
        }
    }

    /// Decodes a text, and returns also the number of U+FFFD in place of malformed sequences, or
    /// `None` if there are too many for damage.
    pub fn decode(self, bytes: &[u8]) -> Option<(String, u64)> {
        let text = match self {
            Self::Web(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Self::Dos(page) => page.decode(bytes),
        };
        let above = text.chars().filter(|c| !c.is_ascii()).count() as u64;
        let damaged = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count() as u64;
        let is_credible = damaged == 0 || damaged * CHARS_PER_DAMAGED <= above;
        is_credible.then_some((text, damaged))
    }

    /// Returns the charset of a text that is not UTF-8 and whose charset nothing names, if its
    /// bytes show it: a code page, or a charset of another script than Latin.
    pub fn undeclared(bytes: &[u8]) -> Option<Self> {
        if let Some(page) = CodePage::certain(bytes) {
            return Some(Self::Dos(page));
        }
        let guess = undeclared::is_dense(bytes).then(|| undeclared::guess(bytes, None))?;
        undeclared::is_of_other_script(guess).then_some(Self::Web(guess))
    }

    /// Returns the most probable charset of such a text, or `None` if its bytes are too few or not
    /// those of text.
    pub fn guess(bytes: &[u8]) -> Option<Self> {
        let high = bytes.iter().filter(|byte| **byte >= 0x80).count();
        let is_control = |byte: &&u8| matches!(byte, 0..=8 | 0x0e..=0x19 | 0x1c..=0x1f | 0x7f);
        let is_text = bytes.iter().filter(is_control).count() <= bytes.len() / 1000;
        if high < MIN_HIGH || !is_text {
            return None;
        }
        if let Some(found) = Self::undeclared(bytes) {
            return Some(found);
        }
        // A few names with accents are in the same letters in most charsets of Latin letters.
        let found = (high >= MIN_HIGH_OF_LATIN).then(|| undeclared::guess(bytes, None));
        let found = found.filter(|it| !undeclared::is_of_other_script(it));
        Some(found.map_or_else(Self::default, Self::Web))
    }
}

impl Default for Charset {
    /// Returns the charset of most old texts.
    fn default() -> Self {
        Self::Web(WINDOWS_1252)
    }
}

impl CodePage {
    fn of(number: u16) -> Option<Self> {
        PAGES.iter().find(|(known, _)| *known == number).map(Self)
    }

    /// Returns the code page whose number is in a text, or the usual one if the text names DOS.
    fn in_text(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        let numbered = numbers.find_map(|digits| Self::of(digits.parse().ok()?));
        let lower = text.to_ascii_lowercase();
        let dos = ["dos", "ibm extended", "extended ascii", "ibm pc"];
        numbered.or_else(|| dos.iter().any(|it| lower.contains(it)).then(|| Self::of(437))?)
    }

    fn decode(self, bytes: &[u8]) -> String {
        let page: &dyn yore::CodePage = match self.0.0 {
            737 => &CP737,
            850 | 858 => &CP850,
            852 => &CP852,
            855 => &CP855,
            857 => &CP857,
            860 => &CP860,
            861 => &CP861,
            862 => &CP862,
            863 => &CP863,
            864 => &CP864,
            865 => &CP865,
            866 => &CP866,
            869 => &CP869,
            874 => &CP874,
            _ => &CP437,
        };
        let text = page.decode_lossy(bytes).into_owned();
        // Code page 858 is 850 with the euro.
        if self.0.0 == 858 { text.replace('ı', "€") } else { text }
    }

    /// Returns the code page of a text in Latin letters, if it is certain. The letters with accents
    /// that are most frequent in code pages are signs of punctuation in Windows-1252 and have no
    /// characters in ISO-8859-1; there, they are never between two letters.
    fn certain(bytes: &[u8]) -> Option<Self> {
        // ü é â ä å ç ê ë ï
        const SIGNS: [u8; 9] = [0x81, 0x82, 0x83, 0x84, 0x86, 0x87, 0x88, 0x89, 0x8b];
        // In code pages: capital letters and the florin.
        const AGAINST: [u8; 5] = [0x8e, 0x8f, 0x99, 0x9a, 0x9f];
        // ø Ø Á Â À ã Ã ð, and lines or money in code page 437.
        const ONLY_850: [u8; 8] = [0x9b, 0x9d, 0xb5, 0xb6, 0xb7, 0xc6, 0xc7, 0xd0];
        let (mut signs, mut against, mut only_850) = (0, 0, 0);
        for around in bytes.windows(3) {
            let &[before, byte, after] = around else { continue };
            if byte < 0x80 || !before.is_ascii_lowercase() || !after.is_ascii_lowercase() {
                continue;
            }
            signs += usize::from(SIGNS.contains(&byte));
            only_850 += usize::from(ONLY_850.contains(&byte));
            // ß and ã are letters above 0xc0 in code pages too.
            let is_letter_elsewhere = byte >= 0xc0 && !matches!(byte, 0xc6 | 0xe1);
            against += usize::from(AGAINST.contains(&byte) || is_letter_elsewhere);
        }
        let high = bytes.iter().filter(|byte| **byte >= 0x80).count();
        let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        // Katakana in Shift_JIS have such bytes between letters, but also for every second byte.
        let is_certain = signs >= 10 && against * 20 <= signs && high * 3 <= letters;
        is_certain.then(|| Self::of(if only_850 > 0 { 850 } else { 437 }))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRENCH: &str = "Le château était déjà fermé lorsque le général arriva, très fatigué, \
        près de la forêt. Français et étrangers espéraient la même liberté. ";
    const GERMAN: &str = "Er hätte früher für die schöne Müllerin gekämpft, während die Männer \
        größere Bäume fällten und die Vögel über den Dächern zwitscherten. ";
    const DANISH: &str = "Når børnene kører forbi søen, får de øje på de gamle både, \
        som gårdens mænd har stående ved vandet. ";

    #[test]
    fn every_name_of_a_charset_is_known() {
        for (label, name) in [
            ("IBM850", "IBM850"),
            ("IBM-850", "IBM850"),
            ("CP437", "IBM437"),
            ("cp 437 (DOS)", "IBM437"),
            ("Codepage 850", "IBM850"),
            ("MS-DOS code page 865", "IBM865"),
            ("DOS", "IBM437"),
            ("IBM extended ASCII", "IBM437"),
            ("cp858", "IBM858"),
            ("cp866", "IBM866"),
            ("ISO-8859-15", "ISO-8859-15"),
            ("latin1", "windows-1252"),
        ] {
            assert_eq!(Charset::for_label(label).map(Charset::name), Some(name), "{label}");
        }
        for label in ["", "MIDI", "ISO 8859", "8500", "1437"] {
            assert_eq!(Charset::for_label(label), None, "{label}");
        }
    }

    #[test]
    fn code_pages_are_decoded_by_their_tables() {
        for (label, bytes, text) in [
            ("cp437", &b"\x82\x8a\x81\x94\xe1\x9b\xa4"[..], "éèüöß¢ñ"),
            ("cp850", b"\x82\x8a\x81\x94\xe1\x9b\xc6\xd5", "éèüößøãı"),
            ("cp858", b"\xd5", "€"),
            ("cp852", b"\xd8\xe7", "ěš"),
            ("cp865", b"\x9b\x86", "øå"),
            ("cp862", b"\x80\x81", "אב"),
            ("cp737", b"\x80\x98", "Αα"),
        ] {
            let found = Charset::for_label(label).unwrap().decode(bytes);
            assert_eq!(found, Some((text.to_owned(), 0)), "{label}");
        }
        let missing = Charset::for_label("cp857").unwrap();
        assert_eq!(missing.decode(b"\xe7"), None);
        let long = [&[0x82; 60][..], b"\xe7"].concat();
        assert_eq!(missing.decode(&long).unwrap().1, 1);
    }

    #[test]
    fn a_code_page_that_is_not_named_is_found_only_if_it_is_certain() {
        for (text, page, name) in
            [(FRENCH, &CP437 as &dyn yore::CodePage, "IBM437"), (GERMAN, &CP437, "IBM437")]
        {
            let bytes = page.encode_lossy(text, b'?').repeat(3);
            assert_eq!(Charset::undeclared(&bytes).map(Charset::name), Some(name));
            assert_eq!(
                Charset::undeclared(&bytes).unwrap().decode(&bytes).unwrap().0,
                text.repeat(3)
            );
        }
        let bytes = CP850.encode_lossy(DANISH, b'?').repeat(3);
        assert_eq!(Charset::undeclared(&bytes).map(Charset::name), Some("IBM850"));
        let quoted = "l’été “déjà” – word—word… naïve† ‡ œuvre Šibenik žena don’t‚ ";
        for (encoding, text) in [
            (WINDOWS_1252, FRENCH),
            (WINDOWS_1252, GERMAN),
            (WINDOWS_1252, quoted),
            (encoding_rs::WINDOWS_1250, GERMAN),
            (encoding_rs::MACINTOSH, FRENCH),
            (encoding_rs::MACINTOSH, GERMAN),
            (encoding_rs::SHIFT_JIS, "アイウエオカキクケコ、テキスト"),
        ] {
            let bytes = encoding.encode(text).0.repeat(20);
            assert_eq!(Charset::undeclared(&bytes), None, "{} {text}", encoding.name());
        }
    }

    #[test]
    fn few_bytes_and_binary_data_are_not_guessed() {
        let french = WINDOWS_1252.encode(FRENCH).0.repeat(4);
        assert_eq!(Charset::guess(&french), Some(Charset::default()));
        let russian = encoding_rs::KOI8_R.encode("Съешь же ещё этих мягких булок").0;
        assert_eq!(Charset::guess(&russian).map(Charset::name), Some("KOI8-U"));
        assert_eq!(Charset::guess(b"abc\xff\xff"), None);
        let binary: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(9);
        assert_eq!(Charset::guess(&binary), None);
    }
}
