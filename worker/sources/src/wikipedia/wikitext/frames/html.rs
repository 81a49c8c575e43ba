//! Handles HTML: tags with their contents, and the lines at the edges of blocks.

use super::super::entities::entity;
use super::super::outline::Span;
use super::super::tags::{closing_tag, is_visible, open_tag};
use super::{Kind, MAX_OPEN, SECTION, Stripper, collapsed, readable};

/// Returns the mark at the edge of a block, or `None` if a tag is part of a line.
fn block(name: &str) -> Option<&'static str> {
    Some(match name {
        "blockquote" | "p" | "poem" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
            readable::PARAGRAPH
        }
        "caption" | "center" | "dd" | "div" | "dl" | "dt" | "gallery" | "li" | "ol" | "table"
        | "td" | "th" | "tr" | "ul" => readable::LINE,
        _ => return None,
    })
}

/// Tags in a line that are not text if they lack their partner.
const INLINE: [&str; 20] = [
    "b",
    "big",
    "cite",
    "code",
    "em",
    "font",
    "i",
    "includeonly",
    "noinclude",
    "nowiki",
    "onlyinclude",
    "ref",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "tt",
    "u",
];

impl Stripper<'_> {
    /// Starts a line after `<br>`, and at a tag of a block without its partner.
    pub(super) fn push_break(&mut self, span: Span) {
        if !self.is_readable() || self.page[span.start..].starts_with("<!--") {
            return;
        }
        let name = match open_tag(self.page, span.start, self.form) {
            Some(tag) => Some(tag.name),
            None => closing_tag(self.page, span.start).map(|(name, _)| name),
        };
        match name.as_deref() {
            Some("br" | "hr") => self.push("\n"),
            Some(name) if block(name).is_some() => self.push_edge(name),
            _ => self.push_gap(),
        }
    }

    /// Separates a block from the text beside it.
    fn push_edge(&mut self, name: &str) {
        if let Some(mark) = block(name).filter(|_| self.is_readable()) {
            self.push(mark);
        }
    }

    pub(super) fn verbatim(&mut self, start: usize, end: usize) {
        let mut text = String::new();
        let mut rest = &self.page[start..end];
        while let Some(at) = rest.find('&') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            match entity(rest) {
                Some((found, length)) => {
                    text.push(found);
                    rest = &rest[length..];
                }
                None => {
                    text.push('&');
                    rest = &rest[1..];
                }
            }
        }
        text.push_str(rest);
        self.push(&collapsed(&text.replace(SECTION, "")));
    }

    pub(super) fn tag(&mut self) {
        let bytes = self.page.as_bytes();
        if bytes.get(self.at + 1) == Some(&b'/') {
            return self.close_tag();
        }
        let pair = self.outline.tag(self.at).filter(|_| self.frames.len() < MAX_OPEN);
        let tag = open_tag(self.page, self.at, self.form);
        let (pair, tag) = match (pair, tag) {
            (Some(pair), Some(tag)) => (pair, tag),
            (None, Some(tag)) if self.is_stray(&tag.name) => {
                return self.drop_stray(&tag.name, tag.end);
            }
            _ => return self.keep(self.at + 1),
        };
        if self.is_torn(pair) {
            return self.keep(pair.contents);
        }
        let is_lower = tag.lower || self.is_readable();
        let is_removed = match tag.name.as_str() {
            "ref" | "table" => is_lower,
            // It is for the pages that include this one.
            "includeonly" => self.is_readable(),
            name => !is_visible(name),
        };
        if is_removed {
            self.push_gap();
            self.push_edge(&tag.name);
            self.at = pair.end;
            return;
        }
        self.push_edge(&tag.name);
        let opener = &self.page[self.at..pair.contents];
        self.open(Kind::Tag { name: tag.name, end: pair.end }, opener);
        self.at = pair.contents;
    }

    fn close_tag(&mut self) {
        let Some((name, end)) = closing_tag(self.page, self.at) else {
            return self.keep(self.at + 2);
        };
        let fits = |kind: &Kind| matches!(kind, Kind::Tag { name: open, .. } if *open == name);
        let Some(at) = self.nearest(fits) else {
            if self.is_stray(&name) {
                return self.drop_stray(&name, end);
            }
            return self.keep(end);
        };
        self.turn_into_text_above(at);
        if let Some(frame) = self.frames.pop() {
            // A heading inside a tag starts no section.
            let text = collapsed(&frame.text).replace(SECTION, "");
            match name.as_str() {
                "sup" | "sub" if self.is_readable() => self.push(&readable::raised(&name, &text)),
                _ => self.push(&text),
            }
            self.push_edge(&name);
        }
        self.at = end;
    }

    /// Returns whether a tag without a partner is not text.
    fn is_stray(&self, name: &str) -> bool {
        self.is_readable() && (block(name).is_some() || INLINE.contains(&name))
    }

    fn drop_stray(&mut self, name: &str, end: usize) {
        self.push_gap();
        self.push_edge(name);
        self.at = end;
    }
}
