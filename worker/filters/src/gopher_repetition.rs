//! Gopher's repetition rules (arXiv:2112.11446, table A1), counted as datatrove counts them.
//!
//! A duplicate is a second or later copy, so the first is never counted. One difference: here
//! two n-grams are equal if their words are; datatrove joins the words first, so `ab c` and
//! `a bc` are equal to it where it looks for duplicates. Another: here a blank line or paragraph
//! is never a duplicate, whatever white space it has.
//!
//! **Invariant:** a share equal to its bound passes.

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::measured::Beyond;
use super::text::{ratio, trim};
use super::{
    DocumentView, Filter, FilterError, FilterSettings, Reason, Verdict, Workspace, verdict,
};

/// Gopher's repetition rules; every bound is a share of the text's code points or of its parts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GopherRepetitionSpec {
    max_duplicate_paragraphs: f64,
    max_duplicate_paragraph_chars: f64,
    max_duplicate_lines: f64,
    max_duplicate_line_chars: f64,
    max_top_2_gram_chars: f64,
    max_top_3_gram_chars: f64,
    max_top_4_gram_chars: f64,
    max_duplicate_5_gram_chars: f64,
    max_duplicate_6_gram_chars: f64,
    max_duplicate_7_gram_chars: f64,
    max_duplicate_8_gram_chars: f64,
    max_duplicate_9_gram_chars: f64,
    max_duplicate_10_gram_chars: f64,
}

impl FilterSettings for GopherRepetitionSpec {
    const NAME: &'static str = "gopher_repetition";
    const DEFAULTS: &'static str = r##"
# Gopher (arXiv:2112.11446, table A1), repetition. The first copy of a part does not count as a
# duplicate.
[filters.gopher_repetition]
enabled = true
# Paragraphs are separated by two or more newlines: repeated ones / all, and their share of the
# text's code points. Here and below, what is only white space repeats nothing.
max_duplicate_paragraphs = 0.30
max_duplicate_paragraph_chars = 0.20
# Lines, separated by one or more newlines.
max_duplicate_lines = 0.30
max_duplicate_line_chars = 0.20
# The most frequent n-gram of words: its length with single spaces (without them if the script has
# none) × its count / code points.
max_top_2_gram_chars = 0.20
max_top_3_gram_chars = 0.18
max_top_4_gram_chars = 0.16
# Repeated n-grams of words, found from left to right without overlap: their length without
# spaces / code points.
max_duplicate_5_gram_chars = 0.15
max_duplicate_6_gram_chars = 0.14
max_duplicate_7_gram_chars = 0.13
max_duplicate_8_gram_chars = 0.12
max_duplicate_9_gram_chars = 0.11
max_duplicate_10_gram_chars = 0.10
# In scripts without spaces, n words have fewer characters and repeat more often. The values are
# those of FineWeb-2, where they are above Gopher's.
[filters.gopher_repetition.scripts.chinese]
max_duplicate_5_gram_chars = 0.198
max_duplicate_6_gram_chars = 0.182
max_duplicate_7_gram_chars = 0.167
max_duplicate_8_gram_chars = 0.154
max_duplicate_9_gram_chars = 0.140
max_duplicate_10_gram_chars = 0.127
[filters.gopher_repetition.scripts.japanese]
max_duplicate_5_gram_chars = 0.307
max_duplicate_6_gram_chars = 0.283
max_duplicate_7_gram_chars = 0.264
max_duplicate_8_gram_chars = 0.248
max_duplicate_9_gram_chars = 0.234
max_duplicate_10_gram_chars = 0.223
[filters.gopher_repetition.scripts.thai]
max_duplicate_5_gram_chars = 0.185
max_duplicate_6_gram_chars = 0.168
max_duplicate_7_gram_chars = 0.152
max_duplicate_8_gram_chars = 0.137
max_duplicate_9_gram_chars = 0.124
max_duplicate_10_gram_chars = 0.111
[filters.gopher_repetition.scripts.lao]
max_duplicate_5_gram_chars = 0.187
max_duplicate_6_gram_chars = 0.175
max_duplicate_7_gram_chars = 0.163
max_duplicate_8_gram_chars = 0.149
max_duplicate_9_gram_chars = 0.135
max_duplicate_10_gram_chars = 0.123
[filters.gopher_repetition.scripts.khmer]
max_duplicate_5_gram_chars = 0.197
max_duplicate_6_gram_chars = 0.168
max_duplicate_7_gram_chars = 0.148
max_duplicate_8_gram_chars = 0.126
[filters.gopher_repetition.scripts.tibetan]
max_duplicate_5_gram_chars = 0.174
max_duplicate_6_gram_chars = 0.153
max_duplicate_7_gram_chars = 0.140
max_duplicate_8_gram_chars = 0.129
max_duplicate_9_gram_chars = 0.115
max_duplicate_10_gram_chars = 0.102
"##;

    fn build(self) -> Result<Box<dyn Filter>, FilterError> {
        Ok(Box::new(GopherRepetition::new(&self)))
    }
}

/// Drops documents that repeat themselves.
#[derive(Debug)]
pub(crate) struct GopherRepetition {
    spec: GopherRepetitionSpec,
    /// Bounds for n = 2, 3, 4.
    top: [(f64, Reason); 3],
    /// Bounds for n = 5 to 10.
    duplicate: [(f64, Reason); 6],
}

impl GopherRepetition {
    pub(crate) fn new(spec: &GopherRepetitionSpec) -> Self {
        let top = [
            (spec.max_top_2_gram_chars, "gopher_repetition/top_2_gram"),
            (spec.max_top_3_gram_chars, "gopher_repetition/top_3_gram"),
            (spec.max_top_4_gram_chars, "gopher_repetition/top_4_gram"),
        ];
        let duplicate = [
            (spec.max_duplicate_5_gram_chars, "gopher_repetition/duplicate_5_grams"),
            (spec.max_duplicate_6_gram_chars, "gopher_repetition/duplicate_6_grams"),
            (spec.max_duplicate_7_gram_chars, "gopher_repetition/duplicate_7_grams"),
            (spec.max_duplicate_8_gram_chars, "gopher_repetition/duplicate_8_grams"),
            (spec.max_duplicate_9_gram_chars, "gopher_repetition/duplicate_9_grams"),
            (spec.max_duplicate_10_gram_chars, "gopher_repetition/duplicate_10_grams"),
        ];
        Self { spec: spec.clone(), top, duplicate }
    }

    fn by_pieces(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Option<Beyond> {
        let (text, spec) = (view.text, &self.spec);
        let paragraphs = work.grams.duplicates(text, pieces(trim(text), 2));
        let share = ratio(paragraphs.duplicates, paragraphs.pieces);
        let chars = ratio(paragraphs.duplicate_chars, view.chars);
        let (most, most_chars) =
            (spec.max_duplicate_paragraphs, spec.max_duplicate_paragraph_chars);
        work.measurements
            .above(share, most, "gopher_repetition/duplicate_paragraphs")
            .or_else(|| {
                work.measurements.above(
                    chars,
                    most_chars,
                    "gopher_repetition/duplicate_paragraph_chars",
                )
            })
            .or_else(|| {
                let lines = work.grams.duplicates(text, pieces(text, 1));
                let share = ratio(lines.duplicates, lines.pieces);
                let chars = ratio(lines.duplicate_chars, view.chars);
                let (most, most_chars) = (spec.max_duplicate_lines, spec.max_duplicate_line_chars);
                work.measurements.above(share, most, "gopher_repetition/duplicate_lines").or_else(
                    || {
                        work.measurements.above(
                            chars,
                            most_chars,
                            "gopher_repetition/duplicate_line_chars",
                        )
                    },
                )
            })
    }

    fn by_grams(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Option<Beyond> {
        let grams = &mut work.grams;
        grams.start(view.text, view.words);
        for (most, reason) in self.top {
            grams.extend();
            let top_chars = grams.top_chars(view.script)?;
            let beyond = work.measurements.above(ratio(top_chars, view.chars), most, reason);
            if beyond.is_some() {
                return beyond;
            }
        }
        for (most, reason) in self.duplicate {
            grams.extend();
            let beyond =
                work.measurements.above(ratio(grams.duplicate_chars(), view.chars), most, reason);
            if beyond.is_some() {
                return beyond;
            }
        }
        None
    }
}

impl Filter for GopherRepetition {
    fn check(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Verdict {
        if view.text.is_empty() {
            return Verdict::Drop("gopher_repetition/empty");
        }
        let beyond = self.by_pieces(view, work).or_else(|| self.by_grams(view, work));
        verdict(beyond, work)
    }
}

/// Returns the pieces of a text between runs of at least `newlines` newlines. As with a regular
/// expression's split, a run at either end leaves an empty piece there.
fn pieces(text: &str, newlines: usize) -> impl Iterator<Item = &str> {
    let separator = if newlines == 1 { "\n" } else { "\n\n" };
    let finder = memmem::Finder::new(separator);
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = finder.find(text.as_bytes()) else { return rest.take() };
        rest = Some(text[at..].trim_start_matches('\n'));
        Some(&text[..at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use crate::tests::verdict;

    #[test]
    fn pieces_are_those_of_a_regular_expression_split() {
        let of = |text, newlines| pieces(text, newlines).collect::<Vec<_>>();
        assert_eq!(of("\na\n\n\nb\nc\n", 1), ["", "a", "b", "c", ""]);
        assert_eq!(of("a\n\n\nb\nc\n\nd", 2), ["a", "b\nc", "d"]);
        assert_eq!(of("", 1), [""]);
    }

    fn only(change: impl FnOnce(&mut GopherRepetitionSpec)) -> GopherRepetition {
        let mut spec = GopherRepetitionSpec {
            max_duplicate_paragraphs: f64::INFINITY,
            max_duplicate_paragraph_chars: f64::INFINITY,
            max_duplicate_lines: f64::INFINITY,
            max_duplicate_line_chars: f64::INFINITY,
            max_top_2_gram_chars: f64::INFINITY,
            max_top_3_gram_chars: f64::INFINITY,
            max_top_4_gram_chars: f64::INFINITY,
            max_duplicate_5_gram_chars: f64::INFINITY,
            max_duplicate_6_gram_chars: f64::INFINITY,
            max_duplicate_7_gram_chars: f64::INFINITY,
            max_duplicate_8_gram_chars: f64::INFINITY,
            max_duplicate_9_gram_chars: f64::INFINITY,
            max_duplicate_10_gram_chars: f64::INFINITY,
        };
        change(&mut spec);
        GopherRepetition::new(&spec)
    }

    /// The bound passes at `value` and drops just below it.
    fn assert_boundary(
        set: impl Fn(&mut GopherRepetitionSpec, f64),
        text: &str,
        value: f64,
        reason: Reason,
    ) {
        assert_eq!(verdict(&only(|spec| set(spec, value)), text), Verdict::Keep, "{reason}");
        let below = value - 1e-9;
        assert_eq!(verdict(&only(|spec| set(spec, below)), text), Verdict::Drop(reason));
    }

    #[test]
    fn each_rule_passes_at_its_bound_and_drops_above_it() {
        assert_boundary(
            |spec, bound| spec.max_duplicate_paragraphs = bound,
            "a\nb\n\nc\n\n\na\nb\n\nd\n\n",
            1.0 / 4.0,
            "gopher_repetition/duplicate_paragraphs",
        );
        assert_boundary(
            |spec, bound| spec.max_duplicate_paragraph_chars = bound,
            "a\né\n\na\né",
            3.0 / 8.0,
            "gopher_repetition/duplicate_paragraph_chars",
        );
        assert_boundary(
            |spec, bound| spec.max_duplicate_lines = bound,
            "a\nb\n\na\nc",
            1.0 / 4.0,
            "gopher_repetition/duplicate_lines",
        );
        assert_boundary(
            |spec, bound| spec.max_duplicate_line_chars = bound,
            "aé\nb\naé",
            2.0 / 7.0,
            "gopher_repetition/duplicate_line_chars",
        );
        assert_boundary(
            |spec, bound| spec.max_top_2_gram_chars = bound,
            "aa bb cc aa bb",
            10.0 / 14.0,
            "gopher_repetition/top_2_gram",
        );
        assert_boundary(
            |spec, bound| spec.max_top_3_gram_chars = bound,
            "a b c d a b c",
            10.0 / 13.0,
            "gopher_repetition/top_3_gram",
        );
        assert_boundary(
            |spec, bound| spec.max_top_4_gram_chars = bound,
            "a b c d a b c d",
            14.0 / 15.0,
            "gopher_repetition/top_4_gram",
        );
    }

    #[test]
    fn a_text_that_repeats_nothing_is_measured_by_its_first_gram() {
        assert_boundary(
            |spec, bound| spec.max_top_2_gram_chars = bound,
            "aaa bb c",
            6.0 / 8.0,
            "gopher_repetition/top_2_gram",
        );
        let strict = only(|spec| spec.max_top_2_gram_chars = 0.0);
        assert_eq!(verdict(&strict, "one"), Verdict::Keep, "one word has no 2-gram");
    }

    #[test]
    fn duplicate_grams_of_every_length_are_counted_without_overlap() {
        type Set = fn(&mut GopherRepetitionSpec, f64);
        let rules: [(usize, Set, Reason); 6] = [
            (5, |s, b| s.max_duplicate_5_gram_chars = b, "gopher_repetition/duplicate_5_grams"),
            (6, |s, b| s.max_duplicate_6_gram_chars = b, "gopher_repetition/duplicate_6_grams"),
            (7, |s, b| s.max_duplicate_7_gram_chars = b, "gopher_repetition/duplicate_7_grams"),
            (8, |s, b| s.max_duplicate_8_gram_chars = b, "gopher_repetition/duplicate_8_grams"),
            (9, |s, b| s.max_duplicate_9_gram_chars = b, "gopher_repetition/duplicate_9_grams"),
            (10, |s, b| s.max_duplicate_10_gram_chars = b, "gopher_repetition/duplicate_10_grams"),
        ];
        for (n, set, reason) in rules {
            let gram = (0..n).map(|i| format!("w{i}")).collect::<Vec<_>>().join(" ");
            let text = format!("{gram} x {gram} {gram} y");
            let counted = 2 * 2 * n;
            assert_boundary(set, &text, counted as f64 / text.len() as f64, reason);
        }
    }

    /// The rules as written down, on joined strings.
    fn naive_duplicate_chars(words: &[&str], n: usize) -> u64 {
        let mut met = std::collections::BTreeSet::new();
        let (mut at, mut chars) = (0, 0);
        while at + n <= words.len() {
            if met.insert(words[at..at + n].to_vec()) {
                at += 1;
            } else {
                chars += words[at..at + n].concat().len() as u64;
                at += n;
            }
        }
        chars
    }

    #[test]
    fn pruned_grams_count_what_a_plain_walk_counts() {
        let mut scratch = crate::Scratch::default();
        let mut state = 7_u64;
        for round in 0..300 {
            let letters = 2 + round % 7;
            let words: Vec<&str> = (0..120)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    ["a", "bb", "ccc", "d", "ee", "longer_than_8", "g", "hh"]
                        [(state >> 33) as usize % letters]
                })
                .collect();
            let text = words.join(" ").replace("longer_than_8", "longerthan8");
            let view = scratch.view.view(Document::of_text(&text));
            let words: Vec<&str> = view.words.iter().map(|word| word.of(&text)).collect();
            let grams = &mut scratch.work.grams;
            grams.start(&text, view.words);
            for n in 2..=10 {
                grams.extend();
                assert_eq!(
                    grams.duplicate_chars(),
                    naive_duplicate_chars(&words, n),
                    "round {round}, n = {n}: {text}"
                );
            }
        }
    }
}
