//! A sentence or two in each of the languages whose charsets are tested, and the charsets that
//! pages in it have.

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, IBM866, ISO_8859_2, KOI8_R, SHIFT_JIS,
    WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254,
    WINDOWS_1255, WINDOWS_1256,
};

pub(super) const RUSSIAN: &str = "Съешь же ещё этих мягких французских булок, да выпей чаю.";
pub(super) const FRENCH: &str = "Dès Noël, où un zéphyr haï me vêt de glaçons würmiens, je dîne \
    d’exquis rôtis de bœuf au kir, à l’aÿ d’âge mûr, &cætera. Été à Évry, près des forêts brûlées.";
pub(super) const GERMAN: &str =
    "„Falsches Üben von Xylophonmusik quält jeden größeren Zwerg“ – Öl, Äß.";
pub(super) const CZECH: &str = "Příliš žluťoučký kůň úpěl ďábelské ódy, řekl šťastný člověk.";
pub(super) const GREEK: &str = "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία του κόσμου, όπως λέει ο ποιητής.";
pub(super) const TURKISH: &str =
    "Pijamalı hasta yağız şoföre çabucak güvendi, öğleden önce İstanbul’da.";
pub(super) const HEBREW: &str = "דג סקרן שט בים מאוכזב ולפתע מצא לו חברה, ושמח מאוד על כך.";
pub(super) const ARABIC: &str = "صِف خَلقَ خَودٍ كَمِثلِ الشَمسِ إِذ بَزَغَت يحظى الضجيع بها نجلاء";
pub(super) const THAI: &str = "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน จงฝ่าฟัน";
pub(super) const CHINESE: &str =
    "中文网页内容测试，没有声明编码。我们的祖国是花园，花园的花朵真鲜艳。";
pub(super) const TAIWANESE: &str =
    "繁體中文網頁的內容，沒有宣告編碼。天下大勢，分久必合，合久必分。";
pub(super) const JAPANESE: &str =
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";
pub(super) const KOREAN: &str =
    "다람쥐 헌 쳇바퀴에 타고파. 키스의 고유조건은 입술끼리 만나야 하고.";

/// Charsets, a text in each, and the top-level domain of a country whose pages have them.
pub(super) const CHARSETS: [(&Encoding, &str, &str); 18] = [
    (WINDOWS_1252, FRENCH, "fr"),
    (WINDOWS_1252, GERMAN, "de"),
    (WINDOWS_1250, CZECH, "cz"),
    (ISO_8859_2, CZECH, "cz"),
    (WINDOWS_1251, RUSSIAN, "ru"),
    (KOI8_R, RUSSIAN, "ru"),
    (IBM866, RUSSIAN, "ru"),
    (WINDOWS_1253, GREEK, "gr"),
    (WINDOWS_1254, TURKISH, "tr"),
    (WINDOWS_1255, HEBREW, "il"),
    (WINDOWS_1256, ARABIC, "eg"),
    (WINDOWS_874, THAI, "th"),
    (GBK, CHINESE, "cn"),
    (GB18030, CHINESE, "cn"),
    (BIG5, TAIWANESE, "tw"),
    (SHIFT_JIS, JAPANESE, "jp"),
    (EUC_JP, JAPANESE, "jp"),
    (EUC_KR, KOREAN, "kr"),
];
