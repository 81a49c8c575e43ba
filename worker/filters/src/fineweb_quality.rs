//! FineWeb's own rules (arXiv:2406.17557), over lines that are not blank.
//!
//! **Invariant:** a ratio equal to its bound passes.

use serde::{Deserialize, Serialize};

use super::measured::Beyond;
use super::punctuation::{is_end_mark, is_space};
use super::text::{count_chars, ratio};
use super::{DocumentView, Filter, FilterError, FilterSettings, Verdict, Workspace, verdict};

/// FineWeb's own rules, over lines that are not blank.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FinewebQualitySpec {
    min_terminal_lines: f64,
    keep_without_terminal_lines: bool,
    short_line_chars: u64,
    max_short_lines: f64,
    max_duplicate_line_chars: f64,
    max_newlines_per_word: f64,
}

impl FilterSettings for FinewebQualitySpec {
    const NAME: &'static str = "fineweb_quality";
    const DEFAULTS: &'static str = r##"
# FineWeb (arXiv:2406.17557), over lines that are not blank.
[filters.fineweb_quality]
enabled = true
# Lines that end with a full stop, question or exclamation mark of any script. With the switch,
# a text without any such line passes.
min_terminal_lines = 0.12
keep_without_terminal_lines = false
# Lines of at most this many code points.
short_line_chars = 30
max_short_lines = 0.67
# Code points in second and later copies of a line / code points without newlines.
max_duplicate_line_chars = 0.01
# Newlines per word (punctuation tokens included).
max_newlines_per_word = 0.3
# Lines of Thai, Lao, Burmese and Tibetan end without a mark. Chinese and Japanese say in 10 and 12
# characters what English says in 30, Tibetan in 40. The bounds on duplicates and marks are those of
# FineWeb-2.
[filters.fineweb_quality.scripts]
chinese = { min_terminal_lines = 0.106, short_line_chars = 10, max_duplicate_line_chars = 0.1 }
japanese = { short_line_chars = 12, max_duplicate_line_chars = 0.1 }
thai = { min_terminal_lines = 0.0, short_line_chars = 25, max_duplicate_line_chars = 0.1 }
lao = { min_terminal_lines = 0.0, short_line_chars = 25, max_duplicate_line_chars = 0.1 }
khmer = { min_terminal_lines = 0.077, max_duplicate_line_chars = 0.1 }
burmese = { min_terminal_lines = 0.0, max_duplicate_line_chars = 0.1 }
tibetan = { min_terminal_lines = 0.0, short_line_chars = 40, max_duplicate_line_chars = 0.1 }
"##;

    fn build(self) -> Result<Box<dyn Filter>, FilterError> {
        Ok(Box::new(FinewebQuality::new(&self)))
    }
}

/// Drops lists, menus and other texts whose lines are not sentences.
#[derive(Debug)]
pub(crate) struct FinewebQuality {
    spec: FinewebQualitySpec,
}

/// Numbers of lines that are not blank.
#[derive(Debug, Clone, Copy, Default)]
struct Lines {
    lines: u64,
    /// Those that end a sentence.
    terminal: u64,
    short: u64,
}

impl FinewebQuality {
    pub(crate) fn new(spec: &FinewebQualitySpec) -> Self {
        Self { spec: spec.clone() }
    }

    fn beyond(
        &self,
        view: &DocumentView<'_>,
        lines: Lines,
        work: &mut Workspace,
    ) -> Option<Beyond> {
        let spec = &self.spec;
        let Lines { lines, terminal, short } = lines;
        let is_unmarked = terminal == 0 && spec.keep_without_terminal_lines;
        let share = ratio(terminal, lines);
        let by_ends = || {
            work.measurements.below(
                share,
                spec.min_terminal_lines,
                "fineweb_quality/too_few_terminal_lines",
            )
        };
        if is_unmarked { None } else { by_ends() }
            .or_else(|| {
                let (share, most) = (ratio(short, lines), spec.max_short_lines);
                work.measurements.above(share, most, "fineweb_quality/too_many_short_lines")
            })
            .or_else(|| {
                let newlines = memchr::memchr_iter(b'\n', view.text.as_bytes()).count() as u64;
                let repeated = work.grams.duplicates(view.text, full_lines(view.text));
                let share = ratio(repeated.duplicate_chars, view.chars - newlines);
                let per_word = ratio(newlines, view.words.len() as u64);
                let (most, most_newlines) =
                    (spec.max_duplicate_line_chars, spec.max_newlines_per_word);
                work.measurements
                    .above(share, most, "fineweb_quality/duplicate_line_chars")
                    .or_else(|| {
                        work.measurements.above(
                            per_word,
                            most_newlines,
                            "fineweb_quality/too_many_newlines",
                        )
                    })
            })
    }

    fn count_lines(&self, text: &str) -> Lines {
        let mut found = Lines::default();
        for line in full_lines(text) {
            found.lines += 1;
            found.terminal += u64::from(line.ends_with(is_end_mark));
            found.short += u64::from(self.is_short(line));
        }
        found
    }

    fn is_short(&self, line: &str) -> bool {
        let bound = self.spec.short_line_chars;
        // A code point has at most four bytes, so most lines need not be counted.
        line.len() as u64 <= bound.saturating_mul(4) && count_chars(line) <= bound
    }
}

impl Filter for FinewebQuality {
    fn check(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Verdict {
        let lines = self.count_lines(view.text);
        if lines.lines == 0 {
            return Verdict::Drop("fineweb_quality/empty");
        }
        verdict(self.beyond(view, lines, work), work)
    }
}

fn full_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').filter(|line| !line.chars().all(is_space))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;
    use crate::tests::verdict;

    fn evaluate(change: impl FnOnce(&mut FinewebQualitySpec), text: &str) -> Verdict {
        let mut spec = FinewebQualitySpec {
            min_terminal_lines: 0.0,
            keep_without_terminal_lines: false,
            short_line_chars: 3,
            max_short_lines: f64::INFINITY,
            max_duplicate_line_chars: f64::INFINITY,
            max_newlines_per_word: f64::INFINITY,
        };
        change(&mut spec);
        verdict(&FinewebQuality::new(&spec), text)
    }

    #[test]
    fn each_rule_passes_at_its_bound_and_drops_beyond_it() {
        type Change = fn(&mut FinewebQualitySpec);
        let cases: &[(Change, &str, &str, Reason)] = &[
            (
                |s| s.min_terminal_lines = 0.5,
                "Ja.\n \nnein",
                "Ja. \nnein\nja?",
                "fineweb_quality/too_few_terminal_lines",
            ),
            (
                |s| s.max_short_lines = 0.5,
                "ééé\n\nfour",
                "ééé\na\nfour",
                "fineweb_quality/too_many_short_lines",
            ),
            (
                |s| s.max_duplicate_line_chars = 0.25,
                "aé\nbbbb\naé",
                "aé\nbbb\naé",
                "fineweb_quality/duplicate_line_chars",
            ),
            (
                |s| s.max_newlines_per_word = 0.5,
                "a b\nc d\n",
                "a b\n\nc",
                "fineweb_quality/too_many_newlines",
            ),
        ];
        for (change, kept, dropped, reason) in cases {
            assert_eq!(evaluate(change, kept), Verdict::Keep, "{reason}: {kept:?}");
            assert_eq!(evaluate(change, dropped), Verdict::Drop(reason), "{dropped:?}");
        }
    }

    #[test]
    fn blank_texts_are_empty_and_unpunctuated_ones_can_be_let_through() {
        assert_eq!(evaluate(|_| {}, " \n\t\n"), Verdict::Drop("fineweb_quality/empty"));
        let lenient = |spec: &mut FinewebQualitySpec| {
            spec.min_terminal_lines = 0.5;
            spec.keep_without_terminal_lines = true;
        };
        assert_eq!(evaluate(lenient, "a\nb"), Verdict::Keep);
        let some = "a\nb\nc.";
        assert_eq!(
            evaluate(lenient, some),
            Verdict::Drop("fineweb_quality/too_few_terminal_lines")
        );
    }
}
