//! Scripts that are written without spaces between words, and which of them a text is in.
//!
//! Thresholds that were found on languages with spaces do not fit these scripts: a Chinese word
//! has 1.6 characters on average, and Thai has no full stop. So a filter's section can give values
//! for each of them. The script follows from the characters alone, because not every job
//! identifies languages.
//!
//! **Invariant:** a text without a character of these scripts has none of them.

/// A script, or a language by its script, that is written without spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Script {
    /// Ideographs with at most a few kana.
    Chinese,
    /// Ideographs with kana.
    Japanese,
    /// Thai.
    Thai,
    /// Lao.
    Lao,
    /// Khmer.
    Khmer,
    /// The Myanmar script, also that of Shan, Mon and Karen languages.
    Burmese,
    /// The Tibetan script, also that of Dzongkha. A word is a syllable.
    Tibetan,
}

impl Script {
    /// All scripts.
    pub const ALL: [Self; 7] = [
        Self::Chinese,
        Self::Japanese,
        Self::Thai,
        Self::Lao,
        Self::Khmer,
        Self::Burmese,
        Self::Tibetan,
    ];

    /// The name in a job file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chinese => "chinese",
            Self::Japanese => "japanese",
            Self::Thai => "thai",
            Self::Lao => "lao",
            Self::Khmer => "khmer",
            Self::Burmese => "burmese",
            Self::Tibetan => "tibetan",
        }
    }

    /// Returns the script of a character, if it is written without spaces: `Japanese` for kana, and
    /// `Chinese` for ideographs.
    pub(crate) fn of_char(c: char) -> Option<Self> {
        match u32::from(c) {
            ..0x0e00 => None,
            0x0e00..=0x0e7f => Some(Self::Thai),
            0x0e80..=0x0eff => Some(Self::Lao),
            0x0f00..=0x0fff => Some(Self::Tibetan),
            0x1000..=0x109f | 0xa9e0..=0xa9ff | 0xaa60..=0xaa7f => Some(Self::Burmese),
            0x1780..=0x17ff => Some(Self::Khmer),
            0x3040..=0x30ff | 0x31f0..=0x31ff | 0xff66..=0xff9f | 0x1b000..=0x1b16f => {
                Some(Self::Japanese)
            }
            0x3005..=0x3007
            | 0x3100..=0x312f
            | 0x3400..=0x4dbf
            | 0x4e00..=0x9fff
            | 0xf900..=0xfaff
            | 0x20000..=0x3ffff => Some(Self::Chinese),
            _ => None,
        }
    }
}

/// Number of characters of a text in each script, in the order of [`Script::ALL`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Census {
    chars: [u64; Script::ALL.len()],
}

/// A text is in a script without spaces if at least one of this many words is.
const WORDS_PER_UNSPACED: u64 = 3;
/// A text with ideographs is Japanese if at least one of this many characters is kana.
const CHARS_PER_KANA: u64 = 20;

impl Census {
    pub(crate) fn count(&mut self, script: Script) {
        self.chars[script as usize] += 1;
    }

    /// Whether no character of these scripts was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.chars.iter().all(|&chars| chars == 0)
    }

    /// Returns the script of the text that was counted. It has `all` words with a letter, and
    /// `unspaced` of them are in such a script.
    pub(crate) fn script(&self, all: u64, unspaced: u64) -> Option<Script> {
        if unspaced == 0 || unspaced * WORDS_PER_UNSPACED < all {
            return None;
        }
        let of = |script: Script| self.chars[script as usize];
        let kana = of(Script::Japanese);
        let ideographs = of(Script::Chinese) + kana;
        let east_asian = match kana * CHARS_PER_KANA >= ideographs {
            true => Script::Japanese,
            false => Script::Chinese,
        };
        let others = [Script::Thai, Script::Lao, Script::Khmer, Script::Burmese, Script::Tibetan];
        let most = others.into_iter().max_by_key(|&script| of(script))?;
        Some(if of(most) > ideographs { most } else { east_asian })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use crate::view::ViewBuffers;

    fn script(text: &str) -> Option<Script> {
        ViewBuffers::default().view(Document::of_text(text)).script
    }

    #[test]
    fn a_text_is_in_the_script_of_its_words() {
        for (text, expected) in [
            ("", None),
            ("12。、", None),
            ("The word 清晨 means early morning in Chinese.", None),
            ("아침 항구에 배가 들어온다. 漢字", None),
            ("清晨的渔港里，渔民们陆续归来。", Some(Script::Chinese)),
            ("用 Rust 写的 server 比 Python 快", Some(Script::Chinese)),
            (
                "他们喜欢カラオケ，每个星期六都去附近的店里唱歌到深夜才回家。",
                Some(Script::Japanese),
            ),
            ("朝の港では漁師たちが船を降りる。", Some(Script::Japanese)),
            ("東京都千代田区霞が関", Some(Script::Japanese)),
            ("ﾊﾝｶｸ ｶﾀｶﾅ", Some(Script::Japanese)),
            ("ตอนเช้าที่ท่าเรือ", Some(Script::Thai)),
            ("ພາສາລາວ", Some(Script::Lao)),
            ("នៅពេលព្រឹកអ្នកនេសាទ", Some(Script::Khmer)),
            ("မြန်မာဘာသာစကား", Some(Script::Burmese)),
            ("བོད་ཀྱི་སྐད་ཡིག", Some(Script::Tibetan)),
            ("ภาษาไทยกับ 漢字", Some(Script::Thai)),
        ] {
            assert_eq!(script(text), expected, "{text}");
        }
    }

    #[test]
    fn every_script_has_a_name_and_a_place_of_its_own() {
        let names: std::collections::BTreeSet<_> = Script::ALL.map(Script::name).into();
        assert_eq!(names.len(), Script::ALL.len());
        for (place, script) in Script::ALL.into_iter().enumerate() {
            assert_eq!(script as usize, place);
        }
    }
}
