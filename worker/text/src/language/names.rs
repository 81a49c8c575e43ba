//! Names of languages, for people who write `english` where a model has `en` or `eng_Latn`.
//!
//! Only messages use them: a label that the model lacks is refused, whatever it may mean.

/// The ISO 639-1 code, the ISO 639-3 code and the English name of common languages.
const LANGUAGES: [(&str, &str, &str); 75] = [
    ("af", "afr", "afrikaans"),
    ("am", "amh", "amharic"),
    ("ar", "ara", "arabic"),
    ("az", "aze", "azerbaijani"),
    ("be", "bel", "belarusian"),
    ("bg", "bul", "bulgarian"),
    ("bn", "ben", "bengali"),
    ("bs", "bos", "bosnian"),
    ("ca", "cat", "catalan"),
    ("cs", "ces", "czech"),
    ("cy", "cym", "welsh"),
    ("da", "dan", "danish"),
    ("de", "deu", "german"),
    ("el", "ell", "greek"),
    ("en", "eng", "english"),
    ("eo", "epo", "esperanto"),
    ("es", "spa", "spanish"),
    ("et", "est", "estonian"),
    ("eu", "eus", "basque"),
    ("fa", "fas", "persian"),
    ("fi", "fin", "finnish"),
    ("fr", "fra", "french"),
    ("ga", "gle", "irish"),
    ("gl", "glg", "galician"),
    ("gu", "guj", "gujarati"),
    ("he", "heb", "hebrew"),
    ("hi", "hin", "hindi"),
    ("hr", "hrv", "croatian"),
    ("hu", "hun", "hungarian"),
    ("hy", "hye", "armenian"),
    ("id", "ind", "indonesian"),
    ("is", "isl", "icelandic"),
    ("it", "ita", "italian"),
    ("ja", "jpn", "japanese"),
    ("ka", "kat", "georgian"),
    ("kk", "kaz", "kazakh"),
    ("km", "khm", "khmer"),
    ("kn", "kan", "kannada"),
    ("ko", "kor", "korean"),
    ("ku", "kur", "kurdish"),
    ("ky", "kir", "kyrgyz"),
    ("la", "lat", "latin"),
    ("lb", "ltz", "luxembourgish"),
    ("lo", "lao", "lao"),
    ("lt", "lit", "lithuanian"),
    ("lv", "lav", "latvian"),
    ("mk", "mkd", "macedonian"),
    ("ml", "mal", "malayalam"),
    ("mn", "mon", "mongolian"),
    ("mr", "mar", "marathi"),
    ("ms", "msa", "malay"),
    ("my", "mya", "burmese"),
    ("ne", "nep", "nepali"),
    ("nl", "nld", "dutch"),
    ("no", "nor", "norwegian"),
    ("pa", "pan", "punjabi"),
    ("pl", "pol", "polish"),
    ("pt", "por", "portuguese"),
    ("ro", "ron", "romanian"),
    ("ru", "rus", "russian"),
    ("sk", "slk", "slovak"),
    ("sl", "slv", "slovenian"),
    ("sq", "sqi", "albanian"),
    ("sr", "srp", "serbian"),
    ("sv", "swe", "swedish"),
    ("sw", "swa", "swahili"),
    ("ta", "tam", "tamil"),
    ("te", "tel", "telugu"),
    ("th", "tha", "thai"),
    ("tl", "tgl", "tagalog"),
    ("tr", "tur", "turkish"),
    ("uk", "ukr", "ukrainian"),
    ("ur", "urd", "urdu"),
    ("vi", "vie", "vietnamese"),
    ("zh", "zho", "chinese"),
];

/// Returns the label of a model that `word` most likely means: the same language under another
/// name, or the most similar label.
pub(super) fn nearest<'l>(word: &str, labels: &[&'l str]) -> Option<&'l str> {
    let lower = word.to_lowercase();
    // `en-US` and `eng_Latn` start with the language.
    let start = lower.split(['-', '_']).next().unwrap_or_default();
    let is_named =
        |&&(short, long, name): &&(&str, &str, &str)| [short, long, name].contains(&start);
    let same = LANGUAGES.iter().find(is_named).and_then(|(short, long, _)| {
        let is_of = |label: &str| {
            let start = label.split(['-', '_']).next().unwrap_or_default().to_lowercase();
            start == *short || start == *long
        };
        labels.iter().copied().find(|label| is_of(label))
    });
    same.or_else(|| {
        let near = labels.iter().map(|label| (strsim::damerau_levenshtein(label, &lower), *label));
        // Codes of two letters are all similar to each other.
        near.min().filter(|(distance, label)| *distance * 3 <= label.len()).map(|(_, label)| label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_to_the_label_of_the_model() {
        let short = ["ceb", "de", "en", "zh"];
        for (word, label) in [
            ("english", Some("en")),
            ("English", Some("en")),
            ("eng", Some("en")),
            ("en-US", Some("en")),
            ("eng_Latn", Some("en")),
            ("German", Some("de")),
            ("chinese", Some("zh")),
            ("cebu", Some("ceb")),
            ("klingon", None),
            ("zu", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &short), label, "{word}");
        }
        let long = ["deu_Latn", "eng_Latn"];
        assert_eq!(nearest("en", &long), Some("eng_Latn"));
        assert_eq!(nearest("german", &long), Some("deu_Latn"));
    }

    #[test]
    fn languages_are_sorted_and_named_once() {
        assert!(LANGUAGES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
