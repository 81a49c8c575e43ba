//! FineWeb's own rules (arXiv:2406.17557), over lines that are not blank.
//!
//! **Invariant:** a ratio equal to its bound passes.

use serde::{Deserialize, Serialize};

use super::punctuation::{is_end_mark, is_space};
use super::text::{count_chars, ratio};
use super::{DocumentView, Filter, FilterError, FilterSettings, Reason, Verdict, Workspace};

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

impl FinewebQuality {
    pub(crate) fn new(spec: &FinewebQualitySpec) -> Self {
        Self { spec: spec.clone() }
    }

    fn reason(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Option<Reason> {
        let (mut lines, mut terminal, mut short) = (0, 0, 0);
        for line in full_lines(view.text) {
            lines += 1;
            terminal += u64::from(line.ends_with(is_end_mark));
            short += u64::from(self.is_short(line));
        }
        if lines == 0 {
            return Some("fineweb_quality/empty");
        }
        let terminal_share = ratio(terminal, lines);
        if terminal_share < self.spec.min_terminal_lines
            && !(terminal == 0 && self.spec.keep_without_terminal_lines)
        {
            return Some("fineweb_quality/too_few_terminal_lines");
        }
        if ratio(short, lines) > self.spec.max_short_lines {
            return Some("fineweb_quality/too_many_short_lines");
        }
        let newlines = memchr::memchr_iter(b'\n', view.text.as_bytes()).count() as u64;
        let repeated = work.grams.duplicates(view.text, full_lines(view.text));
        let share = ratio(repeated.duplicate_chars, view.chars - newlines);
        if share > self.spec.max_duplicate_line_chars {
            return Some("fineweb_quality/duplicate_line_chars");
        }
        if ratio(newlines, view.words.len() as u64) > self.spec.max_newlines_per_word {
            return Some("fineweb_quality/too_many_newlines");
        }
        None
    }

    fn is_short(&self, line: &str) -> bool {
        let bound = self.spec.short_line_chars;
        // A code point has at most four bytes, so most lines need not be counted.
        line.len() as u64 <= bound.saturating_mul(4) && count_chars(line) <= bound
    }
}

impl Filter for FinewebQuality {
    fn check(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Verdict {
        self.reason(view, work).map_or(Verdict::Keep, Verdict::Drop)
    }
}

fn full_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').filter(|line| !line.chars().all(is_space))
}

#[cfg(test)]
mod tests {
    use super::*;
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
