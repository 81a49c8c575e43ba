//! The document filters' switches and thresholds, as the job file spells them.
//!
//! Only types, defaults and bounds checks live here; what a threshold means for a text is the
//! worker's business (`worker/text/src/filters`). `filters.default.toml` beside this file explains
//! every key to people, and a test holds the two together.
//!
//! **Invariant:** an unknown key is an error, and no accepted threshold is NaN or negative, so a
//! comparison with it gives the same answer on every machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thresher_settings::JobError;

/// The `[filters]` table: one section a filter, run in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FiltersSpec {
    pub length: LengthSpec,
    pub gopher_repetition: GopherRepetitionSpec,
    pub gopher_quality: GopherQualitySpec,
    pub c4_quality: C4QualitySpec,
    pub fineweb_quality: FinewebQualitySpec,
}

/// Bounds on the text's code points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LengthSpec {
    pub enabled: bool,
    pub min_chars: u64,
    pub max_chars: u64,
}

/// Gopher's repetition rules; every bound is a share of the text's code points or of its parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GopherRepetitionSpec {
    pub enabled: bool,
    pub max_duplicate_paragraphs: f64,
    pub max_duplicate_paragraph_chars: f64,
    pub max_duplicate_lines: f64,
    pub max_duplicate_line_chars: f64,
    pub max_top_2_gram_chars: f64,
    pub max_top_3_gram_chars: f64,
    pub max_top_4_gram_chars: f64,
    pub max_duplicate_5_gram_chars: f64,
    pub max_duplicate_6_gram_chars: f64,
    pub max_duplicate_7_gram_chars: f64,
    pub max_duplicate_8_gram_chars: f64,
    pub max_duplicate_9_gram_chars: f64,
    pub max_duplicate_10_gram_chars: f64,
}

/// Gopher's quality rules over words and lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GopherQualitySpec {
    pub enabled: bool,
    pub min_words: u64,
    pub max_words: u64,
    pub min_mean_word_chars: f64,
    pub max_mean_word_chars: f64,
    pub max_hashes_per_word: f64,
    pub max_ellipses_per_word: f64,
    pub max_bullet_lines: f64,
    pub max_ellipsis_lines: f64,
    pub min_alphabetic_words: f64,
    pub min_stop_words: u64,
    pub stop_words: Vec<String>,
}

/// C4's line and page rules. The line rules edit the text, the page rules drop it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct C4QualitySpec {
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_page_chars: Option<u64>,
    pub max_word_chars: u64,
    pub remove_citations: bool,
    pub require_end_mark: bool,
    pub end_marks: String,
    pub min_words_per_line: u64,
    pub drop_lorem_ipsum_pages: bool,
    pub remove_javascript_lines: bool,
    pub drop_curly_bracket_pages: bool,
    pub remove_policy_lines: bool,
    pub policy_phrases: Vec<String>,
    pub min_sentences: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_words_file: Option<PathBuf>,
}

/// FineWeb's own rules, over lines that are not blank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FinewebQualitySpec {
    pub enabled: bool,
    pub min_terminal_lines: f64,
    pub keep_without_terminal_lines: bool,
    pub short_line_chars: u64,
    pub max_short_lines: f64,
    pub max_duplicate_line_chars: f64,
    pub max_newlines_per_word: f64,
}

/// A threshold that no text could be compared with.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ThresholdError {
    #[error(
        "`filters.{key}` is `{value}`\nhint: give a number of 0 or more; `inf` switches an upper \
         bound off"
    )]
    NotABound { key: &'static str, value: f64 },
    #[error("`filters.{low}` is above `filters.{high}`\nhint: every document would be dropped")]
    EmptyRange { low: &'static str, high: &'static str },
    #[error("`filters.gopher_quality.stop_words` has `{found}` entries\nhint: give at most 64")]
    TooManyStopWords { found: usize },
    #[error("`filters.{key}` has an empty entry\nhint: an empty text is found everywhere")]
    EmptyEntry { key: &'static str },
}

impl From<ThresholdError> for JobError {
    fn from(error: ThresholdError) -> Self {
        Self::Threshold(error.to_string())
    }
}

impl FiltersSpec {
    /// What the preset `thresher` runs on web text: all but the length rule.
    pub fn thresher() -> Self {
        let mut spec = Self::default();
        spec.gopher_repetition.enabled = true;
        spec.gopher_quality.enabled = true;
        spec.c4_quality.enabled = true;
        spec.fineweb_quality.enabled = true;
        spec
    }

    /// What the preset `redpajama-v1` runs: nothing; CCNet's length rule belongs to its source.
    pub fn redpajama_v1() -> Self {
        Self::default()
    }

    /// Refuses thresholds that mean nothing or drop everything.
    pub fn validate(&self) -> Result<(), ThresholdError> {
        for (key, value) in self.bounds() {
            if value.is_nan() || value < 0.0 {
                return Err(ThresholdError::NotABound { key, value });
            }
        }
        self.validate_ranges()?;
        self.validate_lists()
    }

    fn bounds(&self) -> [(&'static str, f64); 24] {
        let (rep, words, web) =
            (&self.gopher_repetition, &self.gopher_quality, &self.fineweb_quality);
        [
            ("gopher_repetition.max_duplicate_paragraphs", rep.max_duplicate_paragraphs),
            ("gopher_repetition.max_duplicate_paragraph_chars", rep.max_duplicate_paragraph_chars),
            ("gopher_repetition.max_duplicate_lines", rep.max_duplicate_lines),
            ("gopher_repetition.max_duplicate_line_chars", rep.max_duplicate_line_chars),
            ("gopher_repetition.max_top_2_gram_chars", rep.max_top_2_gram_chars),
            ("gopher_repetition.max_top_3_gram_chars", rep.max_top_3_gram_chars),
            ("gopher_repetition.max_top_4_gram_chars", rep.max_top_4_gram_chars),
            ("gopher_repetition.max_duplicate_5_gram_chars", rep.max_duplicate_5_gram_chars),
            ("gopher_repetition.max_duplicate_6_gram_chars", rep.max_duplicate_6_gram_chars),
            ("gopher_repetition.max_duplicate_7_gram_chars", rep.max_duplicate_7_gram_chars),
            ("gopher_repetition.max_duplicate_8_gram_chars", rep.max_duplicate_8_gram_chars),
            ("gopher_repetition.max_duplicate_9_gram_chars", rep.max_duplicate_9_gram_chars),
            ("gopher_repetition.max_duplicate_10_gram_chars", rep.max_duplicate_10_gram_chars),
            ("gopher_quality.min_mean_word_chars", words.min_mean_word_chars),
            ("gopher_quality.max_mean_word_chars", words.max_mean_word_chars),
            ("gopher_quality.max_hashes_per_word", words.max_hashes_per_word),
            ("gopher_quality.max_ellipses_per_word", words.max_ellipses_per_word),
            ("gopher_quality.max_bullet_lines", words.max_bullet_lines),
            ("gopher_quality.max_ellipsis_lines", words.max_ellipsis_lines),
            ("gopher_quality.min_alphabetic_words", words.min_alphabetic_words),
            ("fineweb_quality.min_terminal_lines", web.min_terminal_lines),
            ("fineweb_quality.max_short_lines", web.max_short_lines),
            ("fineweb_quality.max_duplicate_line_chars", web.max_duplicate_line_chars),
            ("fineweb_quality.max_newlines_per_word", web.max_newlines_per_word),
        ]
    }

    fn validate_ranges(&self) -> Result<(), ThresholdError> {
        let words = &self.gopher_quality;
        let empty = |low, high| Err(ThresholdError::EmptyRange { low, high });
        if self.length.min_chars > self.length.max_chars {
            return empty("length.min_chars", "length.max_chars");
        }
        if words.min_words > words.max_words {
            return empty("gopher_quality.min_words", "gopher_quality.max_words");
        }
        if words.min_mean_word_chars > words.max_mean_word_chars {
            return empty(
                "gopher_quality.min_mean_word_chars",
                "gopher_quality.max_mean_word_chars",
            );
        }
        Ok(())
    }

    fn validate_lists(&self) -> Result<(), ThresholdError> {
        let found = self.gopher_quality.stop_words.len();
        if found > 64 {
            return Err(ThresholdError::TooManyStopWords { found });
        }
        let lists = [
            ("gopher_quality.stop_words", &self.gopher_quality.stop_words),
            ("c4_quality.policy_phrases", &self.c4_quality.policy_phrases),
        ];
        for (key, list) in lists {
            if list.iter().any(String::is_empty) {
                return Err(ThresholdError::EmptyEntry { key });
            }
        }
        Ok(())
    }
}

impl Default for LengthSpec {
    fn default() -> Self {
        Self { enabled: false, min_chars: 200, max_chars: 10_000_000 }
    }
}

impl Default for GopherRepetitionSpec {
    fn default() -> Self {
        Self {
            enabled: false,
            max_duplicate_paragraphs: 0.30,
            max_duplicate_paragraph_chars: 0.20,
            max_duplicate_lines: 0.30,
            max_duplicate_line_chars: 0.20,
            max_top_2_gram_chars: 0.20,
            max_top_3_gram_chars: 0.18,
            max_top_4_gram_chars: 0.16,
            max_duplicate_5_gram_chars: 0.15,
            max_duplicate_6_gram_chars: 0.14,
            max_duplicate_7_gram_chars: 0.13,
            max_duplicate_8_gram_chars: 0.12,
            max_duplicate_9_gram_chars: 0.11,
            max_duplicate_10_gram_chars: 0.10,
        }
    }
}

impl Default for GopherQualitySpec {
    fn default() -> Self {
        Self {
            enabled: false,
            min_words: 50,
            max_words: 100_000,
            min_mean_word_chars: 3.0,
            max_mean_word_chars: 10.0,
            max_hashes_per_word: 0.1,
            max_ellipses_per_word: 0.1,
            max_bullet_lines: 0.9,
            max_ellipsis_lines: 0.3,
            min_alphabetic_words: 0.8,
            min_stop_words: 2,
            stop_words: owned(&["the", "be", "to", "of", "and", "that", "have", "with"]),
        }
    }
}

impl Default for C4QualitySpec {
    fn default() -> Self {
        Self {
            enabled: false,
            max_page_chars: None,
            max_word_chars: 1000,
            remove_citations: true,
            require_end_mark: false,
            end_marks: String::from(".?!\"'"),
            min_words_per_line: 3,
            drop_lorem_ipsum_pages: true,
            remove_javascript_lines: true,
            drop_curly_bracket_pages: true,
            remove_policy_lines: true,
            policy_phrases: owned(&[
                "terms of use",
                "privacy policy",
                "cookie policy",
                "uses cookies",
                "use of cookies",
                "use cookies",
            ]),
            min_sentences: 5,
            bad_words_file: None,
        }
    }
}

impl Default for FinewebQualitySpec {
    fn default() -> Self {
        Self {
            enabled: false,
            min_terminal_lines: 0.12,
            keep_without_terminal_lines: false,
            short_line_chars: 30,
            max_short_lines: 0.67,
            max_duplicate_line_chars: 0.01,
            max_newlines_per_word: 0.3,
        }
    }
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|&entry| entry.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct JobFile {
        filters: FiltersSpec,
    }

    fn parse(text: &str) -> Result<FiltersSpec, toml::de::Error> {
        toml::from_str::<JobFile>(text).map(|job| job.filters)
    }

    #[test]
    fn the_commented_reference_is_the_thresher_preset_and_names_every_key() {
        let reference = include_str!("filters.default.toml");
        let spec = parse(reference).unwrap();
        assert_eq!(spec, FiltersSpec::thresher());
        let written = toml::Value::try_from(&spec).unwrap();
        for (section, keys) in written.as_table().unwrap() {
            for key in keys.as_table().unwrap().keys() {
                let documented =
                    reference.lines().any(|line| line.starts_with(&format!("{key} = ")));
                assert!(documented, "`{section}.{key}` is missing from filters.default.toml");
            }
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = parse("[filters.gopher_quality]\nmin_word = 3\n").unwrap_err().to_string();
        assert!(error.contains("min_word"), "{error}");
        assert!(parse("[filters.gopher]\nenabled = true\n").is_err());
    }

    #[test]
    fn absent_keys_keep_their_defaults_and_an_infinite_bound_switches_a_rule_off() {
        let spec = parse("[filters.fineweb_quality]\nmax_short_lines = inf\n").unwrap();
        assert_eq!(spec.fineweb_quality.max_short_lines, f64::INFINITY);
        assert_eq!(spec.fineweb_quality.min_terminal_lines, 0.12);
        assert_eq!(spec.validate(), Ok(()));
    }

    #[test]
    fn thresholds_that_mean_nothing_are_refused() {
        let mut spec = FiltersSpec::thresher();
        spec.gopher_quality.max_bullet_lines = f64::NAN;
        assert!(matches!(spec.validate(), Err(ThresholdError::NotABound { .. })));
        let mut spec = FiltersSpec::thresher();
        spec.fineweb_quality.min_terminal_lines = -0.1;
        assert!(matches!(spec.validate(), Err(ThresholdError::NotABound { .. })));
        let mut spec = FiltersSpec::thresher();
        spec.length.min_chars = spec.length.max_chars + 1;
        assert!(matches!(spec.validate(), Err(ThresholdError::EmptyRange { .. })));
        let mut spec = FiltersSpec::thresher();
        spec.c4_quality.policy_phrases.push(String::new());
        assert!(matches!(spec.validate(), Err(ThresholdError::EmptyEntry { .. })));
    }
}
