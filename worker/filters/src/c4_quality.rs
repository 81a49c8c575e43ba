//! C4's rules (arXiv:1910.10683): line rules edit the text, page rules drop it.
//!
//! The order within a line is datatrove's: long word, citations, end mark, word count, page
//! rules, JavaScript, policy, sentences. So a page rule sees only lines that got that far. The
//! rule "one language", the line dedup over all pages and the URL rules of C4 belong to other
//! stages. Case is ignored for ASCII letters only.
//!
//! **Invariant:** the remaining text is the kept lines, in order, joined by single newlines.

use std::path::PathBuf;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use super::bad_words::BadWords;
use super::line_text::LineText;
use super::measured::Measured;
use super::text::{break_lines, trim};
use super::words::{Word, count_sentences};
use super::workspace::LineBuffers;
use super::{
    Document, DocumentView, Filter, FilterError, FilterSettings, Reason, Removal, Verdict,
    Workspace, verdict,
};

/// C4's line and page rules. The line rules edit the text, the page rules drop it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct C4QualitySpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_page_chars: Option<u64>,
    max_word_chars: u64,
    remove_citations: bool,
    require_end_mark: bool,
    end_marks: String,
    min_words_per_line: u64,
    drop_lorem_ipsum_pages: bool,
    remove_javascript_lines: bool,
    drop_curly_bracket_pages: bool,
    remove_policy_lines: bool,
    policy_phrases: Vec<String>,
    min_sentences: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bad_words_file: Option<PathBuf>,
}

impl FilterSettings for C4QualitySpec {
    const NAME: &'static str = "c4_quality";
    const DEFAULTS: &'static str = r##"
# C4 (arXiv:1910.10683). Line rules remove lines, counted by name; page rules drop the document.
# Values here: datatrove's and FineWeb's, without the end mark rule. C4's published code has
# require_end_mark = true, end_marks = ".?!\"", min_words_per_line = 5, min_sentences = 3 and
# max_page_chars = 190_000; datatrove's own default has require_end_mark = true.
[filters.c4_quality]
enabled = true
# Longer pages are dropped. Absent: there is no bound.
# max_page_chars = 190_000
# A line with a longer word is removed. Here and below, words are what is between white space; in
# lines with a script that is written without spaces they are the words of a dictionary.
max_word_chars = 1000
# Deletes `[1]`, `[]`, `[edit]` and `[citation needed]` inside lines.
remove_citations = true
# Lines must end with one of these characters, and not with `...`.
require_end_mark = false
end_marks = ".?!\"'"
# A line with fewer words is removed.
min_words_per_line = 3
# A page is dropped if a remaining line has `lorem ipsum`, or `{`.
drop_lorem_ipsum_pages = true
# Lines with `javascript`, or with a policy phrase, are removed. All of these ignore ASCII case.
remove_javascript_lines = true
drop_curly_bracket_pages = true
remove_policy_lines = true
policy_phrases = [
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
]
# A page with fewer sentences in the remaining lines is dropped. A sentence ends with a
# `.`, `?` or `!` token (or another script's full stop) followed by a word; common English
# abbreviations and initials do not end one. In Thai and Lao, which have no full stop, white space
# behind a phrase of five or more words ends one.
min_sentences = 5
# A file with one entry on each line. A page is dropped if the lowercased text has an entry between
# non-word characters, or, if the entry is of a script without spaces, anywhere. Absent: the rule is
# off. The user must supply the list.
# bad_words_file = "lists/en.txt"
"##;
    const OPTIONAL: &'static [&'static str] = &["max_page_chars", "bad_words_file"];
    const FILES: &'static [&'static str] = &["bad_words_file"];

    fn build(self) -> Result<Box<dyn Filter>, FilterError> {
        let bad_words = self.bad_words_file.as_deref().map(BadWords::read).transpose()?;
        Ok(Box::new(C4Quality::new(&self, bad_words)))
    }
}

/// Removes lines that are not text, and drops pages that are not prose.
#[derive(Debug)]
pub(crate) struct C4Quality {
    spec: C4QualitySpec,
    lorem_ipsum: Finder<'static>,
    javascript: Finder<'static>,
    policy: Vec<Finder<'static>>,
    bad_words: Option<BadWords>,
}

/// The phrases that occur anywhere in a page, so that most lines need no search.
struct Phrases {
    lorem_ipsum: bool,
    javascript: bool,
    curly_bracket: bool,
    policy: bool,
}

/// Number of lines removed from one page, in the order of `REMOVALS`.
type Removed = [u64; REMOVALS.len()];

const REMOVALS: [Removal; 6] = [
    "c4_quality/long_word_line",
    "c4_quality/citation",
    "c4_quality/no_end_mark_line",
    "c4_quality/too_few_words_line",
    "c4_quality/javascript_line",
    "c4_quality/policy_line",
];
const LONG_WORD: usize = 0;
const CITATION: usize = 1;
const NO_END_MARK: usize = 2;
const FEW_WORDS: usize = 3;
const JAVASCRIPT: usize = 4;
const POLICY: usize = 5;

enum Line {
    Kept,
    Removed(usize),
    Page(Reason),
}

impl C4Quality {
    pub(crate) fn new(spec: &C4QualitySpec, bad_words: Option<BadWords>) -> Self {
        let finder = |phrase: &str| Finder::new(&phrase.to_ascii_lowercase()).into_owned();
        Self {
            spec: spec.clone(),
            lorem_ipsum: finder("lorem ipsum"),
            javascript: finder("javascript"),
            policy: spec.policy_phrases.iter().map(|phrase| finder(phrase)).collect(),
            bad_words,
        }
    }

    /// Writes the kept lines to `work.rewritten`.
    fn edit(
        &self,
        view: &DocumentView<'_>,
        work: &mut Workspace,
        removed: &mut Removed,
    ) -> Result<(), (Reason, Option<Measured>)> {
        let Workspace { line, rewritten, measurements, .. } = work;
        let LineBuffers { without_citations, lowercase, view: line_view } = line;
        let page = self.phrases(view.text, lowercase);
        let mut words = view.words;
        let mut sentences = 0;
        rewritten.clear();
        for whole in break_lines(view.text) {
            let line_words = take_words(&mut words, view.text, whole);
            let line = trim(whole);
            let citations = self.cut_citations(line, without_citations);
            let left = if citations > 0 { without_citations.as_str() } else { line };
            let line = LineText { whole: line, left, words: line_words, edited: citations > 0 };
            match self.check_line(line, &page, lowercase) {
                Line::Kept => {}
                Line::Removed(rule) => {
                    removed[rule] += 1;
                    continue;
                }
                Line::Page(reason) => return Err((reason, None)),
            }
            removed[CITATION] += citations;
            if self.spec.min_sentences > 0 {
                let of_line = if citations > 0 {
                    line_view.view(Document::of_text(left)).words
                } else {
                    line_words
                };
                sentences += count_sentences(of_line);
            }
            if !rewritten.is_empty() {
                rewritten.push('\n');
            }
            rewritten.push_str(left);
        }
        let least = self.spec.min_sentences as f64;
        if least > 0.0
            && let Some((reason, measured)) =
                measurements.below(sentences as f64, least, "c4_quality/too_few_sentences")
        {
            return Err((reason, Some(measured)));
        }
        trim_in_place(rewritten);
        if self.bad_words.as_ref().is_some_and(|list| list.occurs_in(rewritten, lowercase)) {
            return Err(("c4_quality/bad_word", None));
        }
        Ok(())
    }

    fn check_line(&self, line: LineText<'_>, page: &Phrases, lowercase: &mut String) -> Line {
        let spec = &self.spec;
        if line.has_longer_word(spec.max_word_chars) {
            return Line::Removed(LONG_WORD);
        }
        let left = line.left;
        let ends = left.ends_with(|c| spec.end_marks.contains(c)) && !left.ends_with("...");
        if spec.require_end_mark && !ends {
            return Line::Removed(NO_END_MARK);
        }
        if line.has_fewer_words(spec.min_words_per_line) {
            return Line::Removed(FEW_WORDS);
        }
        if line.edited || page.any() {
            return self.check_phrases(left, lowercase);
        }
        Line::Kept
    }

    fn check_phrases(&self, line: &str, lowercase: &mut String) -> Line {
        let spec = &self.spec;
        lower(line, lowercase);
        let lowered = lowercase.as_bytes();
        if spec.drop_lorem_ipsum_pages && self.lorem_ipsum.find(lowered).is_some() {
            return Line::Page("c4_quality/lorem_ipsum");
        }
        if spec.remove_javascript_lines && self.javascript.find(lowered).is_some() {
            return Line::Removed(JAVASCRIPT);
        }
        if spec.drop_curly_bracket_pages && memchr::memchr(b'{', lowered).is_some() {
            return Line::Page("c4_quality/curly_bracket");
        }
        if spec.remove_policy_lines && self.policy.iter().any(|it| it.find(lowered).is_some()) {
            return Line::Removed(POLICY);
        }
        Line::Kept
    }

    fn phrases(&self, text: &str, lowercase: &mut String) -> Phrases {
        lower(text, lowercase);
        let text = lowercase.as_bytes();
        Phrases {
            lorem_ipsum: self.lorem_ipsum.find(text).is_some(),
            javascript: self.javascript.find(text).is_some(),
            curly_bracket: memchr::memchr(b'{', text).is_some(),
            policy: self.policy.iter().any(|phrase| phrase.find(text).is_some()),
        }
    }

    /// Writes `line` without its citations to `left`, if it has any. Returns their number.
    fn cut_citations(&self, line: &str, left: &mut String) -> u64 {
        if !self.spec.remove_citations {
            return 0;
        }
        let (mut citations, mut copied, mut from) = (0, 0, 0);
        while let Some(found) = memchr::memchr(b'[', &line.as_bytes()[from..]) {
            let at = from + found;
            let length = citation_len(&line[at..]);
            if length > 0 {
                if citations == 0 {
                    left.clear();
                }
                left.push_str(&line[copied..at]);
                citations += 1;
                copied = at + length;
            }
            from = at + length.max(1);
        }
        if citations > 0 {
            left.push_str(&line[copied..]);
        }
        citations
    }
}

impl Phrases {
    fn any(&self) -> bool {
        self.lorem_ipsum || self.javascript || self.curly_bracket || self.policy
    }
}

impl Filter for C4Quality {
    fn check(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Verdict {
        let too_long = |most| {
            let (chars, most) = (view.chars as f64, most as f64);
            work.measurements.above(chars, most, "c4_quality/page_too_long")
        };
        if let Some(beyond) = self.spec.max_page_chars.and_then(too_long) {
            return verdict(Some(beyond), work);
        }
        let mut removed = Removed::default();
        let edited = self.edit(view, work, &mut removed);
        for (rule, count) in REMOVALS.into_iter().zip(removed) {
            work.tally.count_removed(rule, count);
        }
        match edited {
            Err((reason, measured)) => {
                work.measured = measured;
                Verdict::Drop(reason)
            }
            Ok(()) if work.rewritten == view.text => Verdict::Keep,
            Ok(()) => Verdict::Rewrite,
        }
    }
}

/// Removes the words of `line` from the front of `words`, and returns them.
fn take_words<'a>(words: &mut &'a [Word], text: &str, line: &str) -> &'a [Word] {
    let end = line.as_ptr() as usize - text.as_ptr() as usize + line.len();
    let count = words.iter().take_while(|word| (word.start as usize) < end).count();
    let (taken, rest) = words.split_at(count);
    *words = rest;
    taken
}

/// Returns the length of `[12]`, `[]`, `[edit]` or `[citation needed]` at the start of `text`.
fn citation_len(text: &str) -> usize {
    for fixed in ["[edit]", "[citation needed]"] {
        if text.starts_with(fixed) {
            return fixed.len();
        }
    }
    let digits = text.bytes().skip(1).take_while(u8::is_ascii_digit).count();
    if text.as_bytes().get(1 + digits) == Some(&b']') { digits + 2 } else { 0 }
}

fn lower(text: &str, lowercase: &mut String) {
    lowercase.clear();
    lowercase.push_str(text);
    lowercase.make_ascii_lowercase();
}

fn trim_in_place(text: &mut String) {
    let trimmed = trim(text);
    let (start, length) = (trimmed.as_ptr() as usize - text.as_ptr() as usize, trimmed.len());
    text.truncate(start + length);
    text.drain(..start);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;
    use crate::tests::defaults;

    fn open() -> C4QualitySpec {
        C4QualitySpec {
            max_page_chars: None,
            max_word_chars: u64::MAX,
            remove_citations: false,
            require_end_mark: false,
            min_words_per_line: 0,
            drop_lorem_ipsum_pages: false,
            remove_javascript_lines: false,
            drop_curly_bracket_pages: false,
            remove_policy_lines: false,
            min_sentences: 0,
            ..defaults::<C4QualitySpec>()
        }
    }

    /// Returns the remaining text or the reason, and what was removed.
    fn evaluate(
        change: impl FnOnce(&mut C4QualitySpec),
        text: &str,
    ) -> (Result<String, Reason>, Vec<(Removal, u64)>) {
        let mut spec = open();
        change(&mut spec);
        let mut scratch = Scratch::default();
        let Scratch { view, work, .. } = &mut scratch;
        let verdict = C4Quality::new(&spec, None).check(&view.view(Document::of_text(text)), work);
        let left = match verdict {
            Verdict::Keep => Ok(text.to_owned()),
            Verdict::Rewrite => Ok(work.rewritten.clone()),
            Verdict::Drop(reason) => Err(reason),
        };
        (left, scratch.take_tally().removed.into_iter().collect())
    }

    #[test]
    fn each_line_rule_removes_its_lines_and_counts_them() {
        type Change = fn(&mut C4QualitySpec);
        let cases: &[(Change, &str, &str, Removal)] = &[
            (|s| s.max_word_chars = 3, "a éééé b\nééé c", "ééé c", "c4_quality/long_word_line"),
            (
                |s| s.remove_citations = true,
                "[edit]A fact[12] here[x].",
                "A fact here[x].",
                "c4_quality/citation",
            ),
            (
                |s| s.require_end_mark = true,
                "Yes.\nno\nWhy? \nwell...\n\"So\"",
                "Yes.\nWhy?\n\"So\"",
                "c4_quality/no_end_mark_line",
            ),
            (
                |s| s.min_words_per_line = 3,
                "one two, three\none two\n\u{3000}one  two ",
                "one two, three",
                "c4_quality/too_few_words_line",
            ),
            (
                |s| s.remove_javascript_lines = true,
                "Enable JavaScript!\nfine",
                "fine",
                "c4_quality/javascript_line",
            ),
            (
                |s| s.remove_policy_lines = true,
                "Our Terms of Use\nIt uses Cookies\nuse a cookie",
                "use a cookie",
                "c4_quality/policy_line",
            ),
        ];
        for (change, text, left, rule) in cases {
            let (verdict, removed) = evaluate(change, text);
            assert_eq!(verdict.as_deref(), Ok(*left), "{rule}");
            assert_eq!(removed.len(), 1, "{rule}: {removed:?}");
            assert_eq!(removed[0].0, *rule);
            assert_eq!(evaluate(|_| {}, text).1, [], "{rule} is off");
        }
    }

    #[test]
    fn each_page_rule_drops_its_page_and_keeps_the_next_best() {
        type Change = fn(&mut C4QualitySpec);
        let cases: &[(Change, &str, &str, Reason)] = &[
            (|s| s.max_page_chars = Some(3), "ééé", "éééé", "c4_quality/page_too_long"),
            (
                |s| s.drop_lorem_ipsum_pages = true,
                "lorem and ipsum",
                "a\nLorem Ipsum dolor",
                "c4_quality/lorem_ipsum",
            ),
            (|s| s.drop_curly_bracket_pages = true, "}", "a {", "c4_quality/curly_bracket"),
            (
                |s| s.min_sentences = 3,
                "One. Two!\nthree",
                "Mr. One e.g. two. So",
                "c4_quality/too_few_sentences",
            ),
        ];
        for (change, kept, dropped, reason) in cases {
            assert_eq!(evaluate(change, kept).0.as_deref(), Ok(*kept), "{reason}");
            assert_eq!(evaluate(change, dropped).0, Err(*reason), "{dropped}");
        }
    }

    #[test]
    fn a_removed_line_hides_its_bracket_and_its_sentences() {
        let rules = |spec: &mut C4QualitySpec| {
            spec.drop_curly_bracket_pages = true;
            spec.remove_javascript_lines = true;
            spec.min_sentences = 2;
        };
        let text = "javascript { x. y. z. }\nOne. Two.";
        assert_eq!(evaluate(rules, text).0.as_deref(), Ok("One. Two."));
        assert_eq!(evaluate(rules, "javascript. a.\nOne.").0, Err("c4_quality/too_few_sentences"));
    }

    #[test]
    fn sentences_of_a_line_are_counted_after_its_citations_are_cut() {
        let rules = |spec: &mut C4QualitySpec| {
            spec.remove_citations = true;
            spec.min_sentences = 2;
        };
        assert_eq!(evaluate(rules, "One.[1] Two.").0.as_deref(), Ok("One. Two."));
    }
}
