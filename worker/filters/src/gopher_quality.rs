//! Gopher's quality rules (arXiv:2112.11446), counted as datatrove counts them.
//!
//! "Words" of the first four rules are tokens that are more than punctuation; the ratios per
//! word and the share with a letter are over all tokens.
//!
//! **Invariant:** a count or ratio equal to its bound passes.

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::measured::{Beyond, Measurements};
use super::punctuation::is_space;
use super::text::{break_lines, ratio};
use super::{
    BadSetting, DocumentView, Filter, FilterError, FilterSettings, Verdict, Workspace, verdict,
};

/// Gopher's quality rules over words and lines.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GopherQualitySpec {
    min_words: u64,
    max_words: u64,
    min_mean_word_chars: f64,
    max_mean_word_chars: f64,
    max_hashes_per_word: f64,
    max_ellipses_per_word: f64,
    max_bullet_lines: f64,
    max_ellipsis_lines: f64,
    min_alphabetic_words: f64,
    min_stop_words: u64,
    stop_words: Vec<String>,
}

impl FilterSettings for GopherQualitySpec {
    const NAME: &'static str = "gopher_quality";
    const DEFAULTS: &'static str = r##"
# Gopher, quality. The stop words make it a filter for English.
[filters.gopher_quality]
enabled = true
# Words that are more than punctuation.
min_words = 50
max_words = 100_000
# Their mean length in code points.
min_mean_word_chars = 3.0
max_mean_word_chars = 10.0
# `#`, and `...` or `…`, per word (punctuation tokens included).
max_hashes_per_word = 0.1
max_ellipses_per_word = 0.1
# Lines that start with `•` or `-`; lines that end with `...` or `…`.
max_bullet_lines = 0.9
max_ellipsis_lines = 0.3
# Words with a letter / words (punctuation tokens included).
min_alphabetic_words = 0.8
# Distinct words of the list that must be present, spelt exactly like this. At most 64 entries.
min_stop_words = 2
stop_words = ["the", "be", "to", "of", "and", "that", "have", "with"]
# Words of scripts without spaces are shorter. The values are those of FineWeb-2.
[filters.gopher_quality.scripts]
chinese = { min_mean_word_chars = 1.0, min_alphabetic_words = 0.735 }
japanese = { min_mean_word_chars = 1.0, min_alphabetic_words = 0.759 }
thai = { min_mean_word_chars = 2.0 }
lao = { min_mean_word_chars = 2.0 }
khmer = { min_mean_word_chars = 2.0 }
burmese = { min_mean_word_chars = 2.0, min_alphabetic_words = 0.75 }
tibetan = { min_mean_word_chars = 1.0 }
"##;

    /// `has_stop_words` counts with one bit for each stop word.
    fn check(&self) -> Result<(), BadSetting> {
        let found = self.stop_words.len();
        if found <= 64 {
            return Ok(());
        }
        Err(BadSetting {
            key: "stop_words".to_owned(),
            problem: format!("has `{found}` entries"),
            hint: "give at most 64".to_owned(),
        })
    }

    fn build(self) -> Result<Box<dyn Filter>, FilterError> {
        Ok(Box::new(GopherQuality::new(&self)))
    }
}

/// Drops documents whose words and lines are not those of running text.
#[derive(Debug)]
pub(crate) struct GopherQuality {
    spec: GopherQualitySpec,
}

impl GopherQuality {
    pub(crate) fn new(spec: &GopherQualitySpec) -> Self {
        Self { spec: spec.clone() }
    }

    fn beyond(&self, view: &DocumentView<'_>, measurements: &Measurements) -> Option<Beyond> {
        self.by_words(view, measurements)
            .or_else(|| self.by_symbols(view, measurements))
            .or_else(|| self.by_lines(view.text, measurements))
            .or_else(|| self.by_vocabulary(view, measurements))
    }

    fn by_words(&self, view: &DocumentView<'_>, measurements: &Measurements) -> Option<Beyond> {
        let (mut words, mut chars) = (0, 0);
        for word in view.words {
            if word.is_more_than_symbols() {
                words += 1;
                chars += u64::from(word.chars);
            }
        }
        let spec = &self.spec;
        let mean = ratio(chars, words);
        let by_mean = || {
            measurements
                .below(mean, spec.min_mean_word_chars, "gopher_quality/short_mean_word")
                .or_else(|| {
                    measurements.above(
                        mean,
                        spec.max_mean_word_chars,
                        "gopher_quality/long_mean_word",
                    )
                })
        };
        measurements
            .below(words as f64, spec.min_words as f64, "gopher_quality/too_few_words")
            .or_else(|| {
                measurements.above(
                    words as f64,
                    spec.max_words as f64,
                    "gopher_quality/too_many_words",
                )
            })
            .or_else(|| if words > 0 { by_mean() } else { None })
    }

    fn by_symbols(&self, view: &DocumentView<'_>, measurements: &Measurements) -> Option<Beyond> {
        let text = view.text.as_bytes();
        let words = view.words.len() as u64;
        let hashes = memchr::memchr_iter(b'#', text).count() as u64;
        let most = self.spec.max_hashes_per_word;
        measurements.above(ratio(hashes, words), most, "gopher_quality/too_many_hashes").or_else(
            || {
                let dots = memmem::find_iter(text, "...").count();
                let ellipses = (dots + memmem::find_iter(text, "…").count()) as u64;
                let most = self.spec.max_ellipses_per_word;
                measurements.above(ratio(ellipses, words), most, "gopher_quality/too_many_ellipses")
            },
        )
    }

    fn by_lines(&self, text: &str, measurements: &Measurements) -> Option<Beyond> {
        let (mut lines, mut bullets, mut ellipses) = (0, 0, 0);
        for line in break_lines(text) {
            lines += 1;
            let (start, end) = (line.trim_start_matches(is_space), line.trim_end_matches(is_space));
            bullets += u64::from(start.starts_with(['•', '-']));
            ellipses += u64::from(end.ends_with("...") || end.ends_with('…'));
        }
        let (bullets, ellipses) = (ratio(bullets, lines), ratio(ellipses, lines));
        let spec = &self.spec;
        measurements
            .above(bullets, spec.max_bullet_lines, "gopher_quality/too_many_bullet_lines")
            .or_else(|| {
                measurements.above(
                    ellipses,
                    spec.max_ellipsis_lines,
                    "gopher_quality/too_many_ellipsis_lines",
                )
            })
    }

    fn by_vocabulary(
        &self,
        view: &DocumentView<'_>,
        measurements: &Measurements,
    ) -> Option<Beyond> {
        let words = view.words.len() as u64;
        let alphabetic = view.words.iter().filter(|word| word.has_letter()).count() as u64;
        let (share, least) = (ratio(alphabetic, words), self.spec.min_alphabetic_words);
        let by_letters =
            || measurements.below(share, least, "gopher_quality/too_few_alphabetic_words");
        if words > 0 { by_letters() } else { None }.or_else(|| {
            let (found, least) = (self.stop_words(view), self.spec.min_stop_words);
            measurements.below(found as f64, least as f64, "gopher_quality/too_few_stop_words")
        })
    }

    /// Returns the number of distinct stop words. Stops at the last one needed.
    fn stop_words(&self, view: &DocumentView<'_>) -> u64 {
        let mut found = 0_u64;
        let mut words = view.words.iter();
        while u64::from(found.count_ones()) < self.spec.min_stop_words {
            let Some(word) = words.next() else { break };
            let text = word.of(view.text);
            if let Some(index) = self.spec.stop_words.iter().position(|stop| stop == text) {
                found |= 1 << index;
            }
        }
        found.count_ones().into()
    }
}

impl Filter for GopherQuality {
    fn check(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Verdict {
        verdict(self.beyond(view, &work.measurements), work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;
    use crate::tests::{defaults, verdict};

    /// Switches every rule off, so that each case tests one.
    fn open() -> GopherQualitySpec {
        GopherQualitySpec {
            min_words: 0,
            max_words: u64::MAX,
            min_mean_word_chars: 0.0,
            max_mean_word_chars: f64::INFINITY,
            max_hashes_per_word: f64::INFINITY,
            max_ellipses_per_word: f64::INFINITY,
            max_bullet_lines: f64::INFINITY,
            max_ellipsis_lines: f64::INFINITY,
            min_alphabetic_words: 0.0,
            min_stop_words: 0,
            ..defaults::<GopherQualitySpec>()
        }
    }

    fn evaluate(change: impl FnOnce(&mut GopherQualitySpec), text: &str) -> Verdict {
        let mut spec = open();
        change(&mut spec);
        verdict(&GopherQuality::new(&spec), text)
    }

    #[test]
    fn each_rule_passes_at_its_bound_and_drops_beyond_it() {
        type Change = fn(&mut GopherQualitySpec);
        let cases: &[(Change, &str, &str, Reason)] = &[
            (|s| s.min_words = 3, "a b, c!", "a b, !?", "gopher_quality/too_few_words"),
            (|s| s.max_words = 3, "a b, c!", "a b c d", "gopher_quality/too_many_words"),
            (
                |s| s.min_mean_word_chars = 3.0,
                "éé four ,,,,",
                "éé abc, four a",
                "gopher_quality/short_mean_word",
            ),
            (
                |s| s.max_mean_word_chars = 3.0,
                "éé four ,,,,",
                "éé fiver",
                "gopher_quality/long_mean_word",
            ),
            (|s| s.max_hashes_per_word = 0.5, "# a", "# a #", "gopher_quality/too_many_hashes"),
            (
                |s| s.max_ellipses_per_word = 0.5,
                "a...",
                "a... …",
                "gopher_quality/too_many_ellipses",
            ),
            (
                |s| s.max_bullet_lines = 0.5,
                " - a\nb\n\u{a0}• c\nd",
                "-a\n-b\nc",
                "gopher_quality/too_many_bullet_lines",
            ),
            (
                |s| s.max_ellipsis_lines = 0.5,
                "a... \nb\r\nc…\nd",
                "a…\nb...",
                "gopher_quality/too_many_ellipsis_lines",
            ),
            (
                |s| s.min_alphabetic_words = 0.5,
                "éa , b2 3",
                "a , 3",
                "gopher_quality/too_few_alphabetic_words",
            ),
            (
                |s| s.min_stop_words = 2,
                "the cat and the dog",
                "the cat The the To",
                "gopher_quality/too_few_stop_words",
            ),
        ];
        for (change, kept, dropped, reason) in cases {
            assert_eq!(evaluate(change, kept), Verdict::Keep, "{reason}: {kept}");
            assert_eq!(evaluate(change, dropped), Verdict::Drop(reason), "{dropped}");
        }
    }

    #[test]
    fn a_text_without_words_fails_the_word_count_without_a_division_by_zero() {
        let published = GopherQuality::new(&defaults::<GopherQualitySpec>());
        assert_eq!(verdict(&published, ""), Verdict::Drop("gopher_quality/too_few_words"));
        assert_eq!(evaluate(|_| {}, ""), Verdict::Keep);
    }
}
