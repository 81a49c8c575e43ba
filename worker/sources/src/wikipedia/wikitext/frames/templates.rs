//! Keeps the words of templates that stand for text, in the readable form of a page.
//!
//! Templates are not expanded. Those for numbers, units and dates are written out, of those for
//! words and styles one argument is kept, and all others are removed.

use super::super::outline::{Span, SpanKind};
use super::arguments::Argument;
use super::{Kind, MAX_OPEN, Stripper, collapsed, units};

/// Templates of which one argument is kept, by its number. 0 is the last one.
#[rustfmt::skip]
const WORDS: &[(&str, usize)] = &[
    ("\"", 1), ("abbr", 1), ("abbréviation", 1), ("audio", 2), ("big", 1), ("blockquote", 1),
    ("bold", 1), ("center", 1), ("citation bloc", 1), ("citation étrangère", 2), ("citation", 1),
    ("code", 1), ("color", 2), ("colour", 2), ("cquote", 1), ("em", 1), ("emphase", 1),
    ("flag", 1), ("flagcountry", 1), ("flagu", 1), ("font color", 2), ("fontcolor", 2),
    ("formatnum", 1), ("gras", 1), ("ill", 1), ("illm", 1), ("incise", 1),
    ("interlanguage link", 1), ("italic", 1), ("italique", 1), ("jumelage", 1), ("kbd", 1),
    ("keypress", 1), ("lang", 2), ("langue", 2), ("larger", 1), ("lien", 1), ("linktext", 1),
    ("mono", 1), ("mvar", 1), ("nihongo", 1), ("nobold", 1), ("nobr", 1), ("nobreak", 1),
    ("noitalic", 1), ("nowrap", 1), ("nts", 1), ("number", 1), ("petit", 1),
    ("petites capitales", 1), ("polytonic", 1), ("quote", 1), ("romanisation", 0), ("sc", 1),
    ("script", 2), ("sic", 1), ("small", 1), ("smallcaps", 1), ("smaller", 1), ("strong", 1),
    ("tooltip", 1), ("trad", 1), ("transl", 0), ("transliteration", 0), ("translitération", 0),
    ("unicode", 1), ("vanchor", 1), ("var", 1), ("verse translation", 1), ("zh", 1), ("нп3", 1),
    ("нп5", 1), ("仮リンク", 1), ("要出典", 1),
];

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
        let number = words_of(&name);
        let positional = |(at, argument): (usize, &Argument<'_>)| {
            argument.name.is_none_or(|name| name.parse::<usize>().is_ok()).then_some(at)
        };
        let mut positions = arguments.iter().enumerate().filter_map(positional);
        let chosen = match number {
            Some(0) => positions.next_back(),
            Some(number) => positions.nth(number - 1),
            None => None,
        };
        match chosen {
            Some(at) if self.frames.len() < MAX_OPEN => {
                let (from, to) = parts[at];
                // The name of an argument is not part of its text.
                let from = to - arguments[at].value.len().min(to - from);
                self.open(Kind::until(to, span.end), "");
                self.at = from;
            }
            _ => {
                self.push_gap();
                self.at = span.end;
            }
        }
    }

    /// Returns whether a span is a template of which words are kept.
    pub(super) fn is_words(&self, span: Span) -> bool {
        let to = span.end.min(span.start + MAX_NAME_BYTES);
        let end = self.top_level(span.start + 2, to, b'|').next();
        span.kind == SpanKind::Template
            && end.is_some_and(|end| words_of(&self.name_of(span.start + 2, end)).is_some())
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

/// Returns the number of the argument that is the text of a template.
fn words_of(name: &str) -> Option<usize> {
    if name.starts_with("lang-") || name.starts_with("langue-") {
        return Some(1);
    }
    WORDS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}
