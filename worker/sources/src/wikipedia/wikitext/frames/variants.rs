//! Keeps one of the texts of `-{sr-ec:реч;sr-el:reč}-`, which a wiki converts for its readers.

use super::super::outline::Span;
use super::{Kind, MAX_OPEN, Stripper};

impl Stripper<'_> {
    /// Consumes a text in variants: keeps the first one, or the text if it is the same for all.
    pub(super) fn variants(&mut self, span: Span) {
        if let Some(top) = self.frames.last_mut()
            && top.text.ends_with('-')
        {
            top.text.pop();
        }
        let inner = span.end - 2;
        let mut from = span.start + 1;
        let bar = self.top_level(from, inner, b'|').next();
        if let Some(bar) = bar {
            let flags = &self.page[from..bar];
            // Rules for the page, and its title, are not shown.
            if flags.split(';').any(|flag| matches!(flag.trim(), "H" | "T" | "-")) {
                self.push_gap();
                self.at = span.end;
                return;
            }
            from = bar + 1;
        }
        let mut to = inner;
        if let Some(colon) = variant(&self.page[from..inner]) {
            let ends = |at: &usize| at + 1 >= inner || variant(&self.page[at + 1..inner]).is_some();
            to = self.top_level(from, inner, b';').find(ends).unwrap_or(inner);
            from += colon + 1;
        }
        if self.frames.len() >= MAX_OPEN {
            self.at = span.end;
            return;
        }
        self.open(Kind::until(to, span.end), "");
        self.at = from;
    }
}

/// Returns the position of the colon behind a code such as `zh-hans` at the start of a text.
fn variant(text: &str) -> Option<usize> {
    let (code, _) =
        text.split_at_checked(text.bytes().take(MAX_CODE).position(|it| it == b':')?)?;
    let is_code = |c: char| c.is_ascii_lowercase() || c == '-';
    let name = code.trim();
    (name.len() >= 2 && name.chars().all(is_code)).then_some(code.len())
}

/// Length in bytes of the longest code of a variant, with the blanks around it.
const MAX_CODE: usize = 24;
