//! What the filters share about one document: its text, words and counts, found once.
//!
//! It judges nothing. `Scratch` owns every buffer, so that in the long run no document costs an
//! allocation; the filters get the view to read and `Workspace` to write.
//!
//! **Invariant:** a view's words and counts always belong to the view's text.

use std::collections::BTreeMap;

use super::c4_quality::LineBuffers;
use super::grams::GramTables;
use super::punctuation::{is_line_break, is_space};
use super::words::{Segmenter, Word};
use super::{Reason, Removal};

/// A document as the filters see it.
#[derive(Debug, Clone, Copy)]
pub struct DocumentView<'a> {
    pub text: &'a str,
    /// Code points of the text.
    pub chars: u64,
    pub words: &'a [Word],
}

/// The buffers behind a view, kept from document to document.
#[derive(Debug, Default)]
pub(crate) struct ViewBuffers {
    segmenter: Segmenter,
    words: Vec<Word>,
}

impl ViewBuffers {
    pub(crate) fn view<'a>(&'a mut self, text: &'a str) -> DocumentView<'a> {
        self.segmenter.segment(text, &mut self.words);
        DocumentView { text, chars: count_chars(text), words: &self.words }
    }
}

/// What a filter may write to: the edited text, tables to fill, and the tally of removed lines.
#[derive(Debug, Default)]
pub struct Workspace {
    /// The text that a filter answering `Verdict::Rewrite` leaves.
    pub(crate) rewritten: String,
    pub(crate) line: LineBuffers,
    pub(crate) grams: GramTables,
    pub(crate) tally: Tally,
}

/// Everything a worker's thread keeps between documents.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) view: ViewBuffers,
    pub(crate) current: String,
    pub(crate) work: Workspace,
}

impl Scratch {
    /// What was dropped and removed since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.work.tally)
    }
}

/// Counts by name, in the order of the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Documents dropped, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// Lines and parts of lines removed from documents, by rule; dropped documents included.
    pub removed: BTreeMap<Removal, u64>,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        for (&reason, count) in &other.dropped {
            *self.dropped.entry(reason).or_default() += count;
        }
        for (&rule, count) in &other.removed {
            *self.removed.entry(rule).or_default() += count;
        }
    }

    pub(crate) fn count_removed(&mut self, rule: Removal, count: u64) {
        if count > 0 {
            *self.removed.entry(rule).or_default() += count;
        }
    }
}

/// Code points.
pub(crate) fn count_chars(text: &str) -> u64 {
    text.chars().count() as u64
}

/// A ratio of counts; 0 where there is nothing to count.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Without white space at both ends, in Python's sense.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// The chunks between white space, in Python's sense.
pub(crate) fn chunks(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|chunk| !chunk.is_empty())
}

/// Lines in the sense of Python's `splitlines`: CR LF is one break and a last break starts no
/// line.
pub(crate) fn break_lines(text: &str) -> BreakLines<'_> {
    BreakLines { rest: text }
}

pub(crate) struct BreakLines<'a> {
    rest: &'a str,
}

impl<'a> Iterator for BreakLines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(at) = find_break(self.rest) else {
            return Some(std::mem::take(&mut self.rest));
        };
        let (line, after) = self.rest.split_at(at);
        let break_bytes = if after.starts_with("\r\n") {
            2
        } else {
            after.chars().next().map_or(0, char::len_utf8)
        };
        self.rest = &after[break_bytes..];
        Some(line)
    }
}

fn find_break(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let found = bytes[at..]
            .iter()
            .position(|&byte| matches!(byte, b'\n'..=b'\r' | 0x1c..=0x1e | 0xc2 | 0xe2))?;
        at += found;
        let c = text[at..].chars().next()?;
        if is_line_break(c) {
            return Some(at);
        }
        at += c.len_utf8();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_python_breaks_them() {
        let lines = |text| break_lines(text).collect::<Vec<_>>();
        assert_eq!(lines(""), Vec::<&str>::new());
        assert_eq!(lines("a\r\nb\rc\n\nd\n"), ["a", "b", "c", "", "d"]);
        assert_eq!(
            lines("a\u{b}b\u{1c}c\u{85}d\u{2028}e…é\u{1f}f"),
            ["a", "b", "c", "d", "e…é\u{1f}f"]
        );
        assert_eq!(lines("\n"), [""]);
    }
}
