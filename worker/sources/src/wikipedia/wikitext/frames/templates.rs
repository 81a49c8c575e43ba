//! Keeps the words of templates that stand for text, in the readable form of a page.
//!
//! Templates are not expanded. Those for numbers, units and dates are written out, of those for
//! words and styles some arguments are kept, and all others are removed.

use super::super::outline::{Span, SpanKind};
use super::arguments::Argument;
use super::words::{has_words, words_of};
use super::{Kind, MAX_OPEN, Stripper, collapsed, units};

/// Length in bytes of the longest name of a template behind a heading.
const MAX_NAME_BYTES: usize = 64;

impl Stripper<'_> {
    /// Consumes a template.
    pub(super) fn template(&mut self, span: Span) {
        let inner = span.end - 2;
        let mut ends: Vec<usize> = self.top_level(span.start + 2, inner, b'|').collect();
        ends.push(inner);
        let name = self.name_of(span.start + 2, ends[0]);
        let parts: Vec<(usize, usize)> =
            ends.windows(2).map(|pair| (pair[0] + 1, pair[1])).collect();
        let arguments: Vec<Argument<'_>> =
            parts.iter().map(|(from, to)| Argument::of(&self.page[*from..*to])).collect();
        let before = self.page[..span.start].chars().next_back();
        let is_attached = before.is_some_and(char::is_alphanumeric);
        if let Some(text) = units::text_of(&name, &arguments, is_attached) {
            self.push(&text);
            self.at = span.end;
            return;
        }
        let words = words_of(&name, &arguments);
        if words.parts.is_empty() || self.frames.len() + words.parts.len() > MAX_OPEN {
            self.push_gap();
            self.at = span.end;
            return;
        }
        self.push(&words.before);
        // The last part is the lowest frame. What is behind a part is added to the next one.
        let mut next = span.end;
        let mut tail = words.after;
        for at in words.parts.into_iter().rev() {
            let (from, to) = parts[at];
            self.open(Kind::Until { end: to, next, tail: tail.to_owned(), is_line: false }, "");
            // The name of an argument is not part of its text.
            next = to - arguments[at].value.len().min(to - from);
            tail = words.between;
        }
        self.at = next;
    }

    /// Returns whether a span is a template of which words are kept.
    pub(super) fn is_words(&self, span: Span) -> bool {
        let to = span.end.min(span.start + MAX_NAME_BYTES);
        let end = self.top_level(span.start + 2, to, b'|').next();
        span.kind == SpanKind::Template
            && end.is_some_and(|end| has_words(&self.name_of(span.start + 2, end)))
    }

    /// Returns the name of a template in lower case, without comments.
    fn name_of(&self, from: usize, to: usize) -> String {
        let mut name = &self.page[from..to];
        if let Some((before, rest)) = name.split_once("<!--") {
            let after = rest.split_once("-->").map_or("", |(_, after)| after);
            name = if before.trim().is_empty() { after } else { before };
        }
        collapsed(name).trim().replace('_', " ").to_lowercase()
    }
}
