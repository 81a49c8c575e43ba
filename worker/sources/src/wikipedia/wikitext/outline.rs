//! Finds the brackets of a page that belong together, before anything is stripped.
//!
//! Braces are paired like in MediaWiki's preprocessor, innermost first. Brackets in comments and
//! verbatim tags are ignored. A bracket without a partner is text, so that an unclosed template or
//! tag affects nothing but itself.
//!
//! **Invariant:** there is one pass. Two spans are nested or disjoint, and the time is linear in
//! the size of the page for any nesting.

use std::collections::BTreeSet;

use memchr::{memmem, memrchr2};

use super::Form;
use super::tags::{OpenTag, closing_tag, is_empty, is_verbatim, may_be_unclosed, open_tag};

/// Number of open tags among which the partner of a closing tag is searched.
const MAX_OPEN_TAGS: usize = 100;

/// Number of bytes before a table that are searched for the start of its line.
const MAX_INDENT: usize = 256;

/// A part of the page that is processed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: SpanKind,
}

/// The kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanKind {
    /// A comment, or a tag without contents, which leaves no text.
    Nothing,
    /// A verbatim tag, with the start and end of its contents.
    Verbatim(usize, usize),
    /// A template, `{{…}}`.
    Template,
    /// An argument, `{{{…}}}`.
    Argument,
    /// A table, `{|…|}`.
    Table,
    /// A text in variants of a language, `-{…}-`. The span starts at its brace.
    Variants,
}

/// An open tag with its closing tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TagPair {
    /// The start of the open tag.
    pub(super) start: usize,
    /// The end of the open tag.
    pub(super) contents: usize,
    /// The end of the closing tag.
    pub(super) end: usize,
}

/// All pairs of a page. Each list is sorted by the starts of its pairs.
#[derive(Debug, Default)]
pub(super) struct Outline {
    spans: Vec<Span>,
    links: Vec<(usize, usize)>,
    tags: Vec<TagPair>,
}

impl Outline {
    /// Finds the pairs of a page.
    pub(super) fn of(text: &str, form: Form, has_variants: bool) -> Self {
        let mut scan = Scan::new(text, form, has_variants && form == Form::Readable);
        scan.run();
        let mut found = scan.found;
        found.spans.sort_unstable_by_key(|span| (span.start, usize::MAX - span.end));
        // Of two spans with the same start the larger is kept, as in `{{{{{a}}}}}`.
        found.spans.dedup_by_key(|span| span.start);
        found.links.sort_unstable();
        found.tags.sort_unstable_by_key(|tag| tag.start);
        found
    }

    /// Returns the span that starts at `at`.
    pub(super) fn span(&self, at: usize) -> Option<Span> {
        let found = self.spans.binary_search_by_key(&at, |span| span.start).ok()?;
        Some(self.spans[found])
    }

    /// Returns the position of the `]]` of the link at `at`.
    pub(super) fn link(&self, at: usize) -> Option<usize> {
        let found = self.links.binary_search_by_key(&at, |link| link.0).ok()?;
        Some(self.links[found].1)
    }

    /// Returns the pair of tags that starts at `at`.
    pub(super) fn tag(&self, at: usize) -> Option<TagPair> {
        let found = self.tags.binary_search_by_key(&at, |tag| tag.start).ok()?;
        Some(self.tags[found])
    }

    /// Returns the end of the element at `at`: a span, a link, an open tag, or a byte.
    pub(super) fn end_of_element(&self, page: &str, at: usize) -> usize {
        match page.as_bytes()[at] {
            b'{' => self.span(at).map_or(at + 1, |span| span.end),
            b'[' => self.link(at).map_or(at + 1, |close| close + 2),
            b'<' => match self.span(at) {
                Some(span) => span.end,
                None => self.tag(at).map_or(at + 1, |tag| tag.contents),
            },
            _ => at + 1,
        }
    }
}

/// The state of the pass over a page.
struct Scan<'a> {
    text: &'a str,
    form: Form,
    has_variants: bool,
    at: usize,
    found: Outline,
    /// Runs of opening braces: the start, and the number of braces without a partner.
    braces: Vec<(usize, usize)>,
    tables: Vec<usize>,
    variants: Vec<usize>,
    links: Vec<usize>,
    tags: Vec<(String, usize, usize)>,
    /// Closing marks that do not occur in the rest of the page, so that none is searched twice.
    absent: BTreeSet<String>,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, form: Form, has_variants: bool) -> Self {
        Self {
            text,
            form,
            has_variants,
            at: 0,
            found: Outline::default(),
            braces: Vec::new(),
            tables: Vec::new(),
            variants: Vec::new(),
            links: Vec::new(),
            tags: Vec::new(),
            absent: BTreeSet::new(),
        }
    }

    fn run(&mut self) {
        while let Some(next) = self.next_sign() {
            self.at = next;
            match self.text.as_bytes()[next] {
                b'<' => self.angle(),
                b'{' => self.opening(),
                b'}' => self.closing(),
                sign => self.square(sign),
            }
        }
        self.close_tags(0);
    }

    fn next_sign(&self) -> Option<usize> {
        let sign = |byte: &u8| matches!(byte, b'<' | b'{' | b'}' | b'[' | b']');
        self.text.as_bytes()[self.at..].iter().position(sign).map(|more| self.at + more)
    }

    fn run_of(&self, sign: u8) -> usize {
        self.text.as_bytes()[self.at..].iter().take_while(|byte| **byte == sign).count()
    }

    fn push(&mut self, start: usize, end: usize, kind: SpanKind) {
        self.found.spans.push(Span { start, end, kind });
    }

    fn angle(&mut self) {
        let start = self.at;
        let rest = &self.text[start..];
        self.at += 1;
        if rest.starts_with("<!--") {
            if let Some(end) = self.find("-->", start + 4) {
                self.at = end + 3;
                self.push(start, self.at, SpanKind::Nothing);
            }
        } else if rest.starts_with("</") {
            self.closing_tag(start);
        } else if let Some(tag) = open_tag(self.text, start, self.form) {
            self.open_tag(start, tag);
        }
    }

    /// Finds the next `sign` from `from` on. A sign that was not found is not searched again.
    fn find(&mut self, sign: &str, from: usize) -> Option<usize> {
        if self.absent.contains(sign) {
            return None;
        }
        let found = memmem::find(&self.text.as_bytes()[from..], sign.as_bytes());
        if found.is_none() {
            self.absent.insert(sign.to_owned());
        }
        found.map(|more| from + more)
    }

    fn open_tag(&mut self, start: usize, tag: OpenTag) {
        if tag.self_closing || is_empty(&tag.name) {
            self.at = tag.end;
            return self.push(start, tag.end, SpanKind::Nothing);
        }
        if is_verbatim(&tag.name) {
            if let Some((close, end)) = self.verbatim_end(&tag) {
                self.at = end;
                self.push(start, end, SpanKind::Verbatim(tag.end, close));
            }
            return;
        }
        self.at = tag.end;
        self.tags.push((tag.name, start, tag.end));
    }

    /// Finds the closing tag of a verbatim tag. It contains no space, and can differ in case.
    fn verbatim_end(&mut self, tag: &OpenTag) -> Option<(usize, usize)> {
        let sign = format!("</{}>", tag.name);
        if self.absent.contains(&sign) {
            return None;
        }
        let bytes = self.text.as_bytes();
        let mut from = tag.end;
        for close in memmem::find_iter(&bytes[tag.end..], b"</") {
            let close = tag.end + close;
            if close < from {
                continue;
            }
            from = close + 2;
            let end = close + sign.len();
            if bytes.get(close..end).is_some_and(|it| it.eq_ignore_ascii_case(sign.as_bytes())) {
                return Some((close, end));
            }
        }
        self.absent.insert(sign);
        None
    }

    fn closing_tag(&mut self, start: usize) {
        let Some((name, end)) = closing_tag(self.text, start) else { return };
        self.at = end;
        if is_empty(&name) {
            return self.push(start, end, SpanKind::Nothing);
        }
        let from = self.tags.len().saturating_sub(MAX_OPEN_TAGS);
        let partner = self.tags[from..].iter().rposition(|(open, ..)| *open == name);
        let Some(partner) = partner.map(|at| from + at) else { return };
        let (_, open, contents) = self.tags[partner];
        self.close_tags(partner + 1);
        self.tags.pop();
        self.found.tags.push(TagPair { start: open, contents, end });
    }

    /// Removes the open tags above `keep`, which have no partner. Some tags need none.
    fn close_tags(&mut self, keep: usize) {
        for (name, start, contents) in self.tags.drain(keep..) {
            if may_be_unclosed(&name) {
                let kind = SpanKind::Nothing;
                self.found.spans.push(Span { start, end: contents, kind });
            }
        }
    }

    fn opening(&mut self) {
        let run = self.run_of(b'{');
        let start = self.at;
        self.at += run;
        if run >= 2 {
            self.braces.push((start, run));
        } else if self.text.as_bytes().get(self.at) == Some(&b'|')
            && (at_line_start(self.text, start)
                || (self.form == Form::Readable && is_indented(self.text, start)))
        {
            self.tables.push(start);
        } else if self.has_variants && self.text[..start].ends_with('-') {
            self.variants.push(start);
        }
    }

    fn closing(&mut self) {
        let mut run = self.run_of(b'}');
        run -= self.table_end(run);
        while run >= 2 {
            let Some(&(start, left)) = self.braces.last() else { break };
            let taken = run.min(left).min(3);
            let kind = if taken == 3 { SpanKind::Argument } else { SpanKind::Template };
            let open = start + left - taken;
            self.at += taken;
            run -= taken;
            self.push(open, self.at, kind);
            self.forget_inside(open);
            self.braces.pop();
            if left - taken >= 2 {
                self.braces.push((start, left - taken));
            }
        }
        self.at += run;
        self.variants_end(run);
    }

    /// Consumes the `-` of a `}-` if it ends a text in variants.
    fn variants_end(&mut self, run: usize) {
        if run != 1 || self.text.as_bytes().get(self.at) != Some(&b'-') {
            return;
        }
        let Some(open) = self.variants.pop() else { return };
        self.braces.truncate(self.braces.partition_point(|(start, _)| *start < open));
        self.at += 1;
        self.push(open, self.at, SpanKind::Variants);
        self.forget_inside(open);
    }

    /// Consumes the `}` of a `|}` if a table is open that is not inside a template, and returns the
    /// number of consumed braces.
    fn table_end(&mut self, run: usize) -> usize {
        let Some(&open) = self.tables.last() else { return 0 };
        let bar = self.at.checked_sub(1).filter(|at| self.text.as_bytes()[*at] == b'|');
        if !bar.is_some_and(|bar| at_line_start(self.text, bar)) {
            return 0;
        }
        let in_template = self.braces.last().is_some_and(|(start, _)| *start > open);
        if in_template && run > 1 {
            return 0;
        }
        // They are in the order of their starts.
        self.braces.truncate(self.braces.partition_point(|(start, _)| *start < open));
        self.tables.pop();
        self.at += 1;
        self.push(open, self.at, SpanKind::Table);
        self.forget_inside(open);
        1
    }

    /// Forgets brackets that were opened inside a span and not closed there.
    fn forget_inside(&mut self, open: usize) {
        let below = |list: &[usize]| list.partition_point(|start| *start < open);
        self.links.truncate(below(&self.links));
        self.tables.truncate(below(&self.tables));
        self.variants.truncate(below(&self.variants));
        let keep = self.tags.partition_point(|(_, start, _)| *start < open);
        self.close_tags(keep);
    }

    fn square(&mut self, sign: u8) {
        if self.text.as_bytes().get(self.at + 1) != Some(&sign) {
            self.at += 1;
            return;
        }
        if sign == b'[' {
            self.links.push(self.at);
        } else if let Some(open) = self.links.pop() {
            self.found.links.push((open, self.at));
        }
        self.at += 2;
    }
}

/// Returns whether at most one blank is between the start of the line and `at`.
pub(super) fn at_line_start(text: &str, at: usize) -> bool {
    let before = &text[..at];
    let before = before.strip_suffix([' ', '\t']).unwrap_or(before);
    before.is_empty() || before.ends_with('\n')
}

/// Returns whether only colons, blanks and tags are between the start of the line and `at`.
fn is_indented(text: &str, at: usize) -> bool {
    let mut before = &text.as_bytes()[at.saturating_sub(MAX_INDENT)..at];
    while let Some((last, rest)) = before.split_last() {
        before = match last {
            b'\n' => return true,
            b':' | b'*' | b'#' | b';' | b' ' | b'\t' => rest,
            b'>' => match memrchr2(b'<', b'\n', rest).filter(|open| rest[*open] == b'<') {
                Some(open) => &rest[..open],
                None => return false,
            },
            _ => return false,
        };
    }
    at <= MAX_INDENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(usize, usize, SpanKind)> {
        Outline::of(text, Form::Published, false)
            .spans
            .iter()
            .map(|span| (span.start, span.end, span.kind))
            .collect()
    }

    #[test]
    fn braces_pair_innermost_first() {
        use SpanKind::{Argument, Template};
        assert_eq!(spans("{{a|{{b}}}}"), [(0, 11, Template), (4, 9, Template)]);
        assert_eq!(spans("{{{a|b}}}"), [(0, 9, Argument)]);
        assert_eq!(spans("{{a"), []);
        assert_eq!(spans("{{a {{b}}"), [(4, 9, Template)]);
        assert_eq!(spans("{{<!-- }} -->}}")[0], (0, 15, Template));
    }

    #[test]
    fn a_table_ends_at_its_own_line() {
        assert_eq!(
            spans("{|\n|a {{b|}}\n|}"),
            [(0, 15, SpanKind::Table), (6, 12, SpanKind::Template)]
        );
        assert_eq!(spans("x {|\n|}"), []);
        assert_eq!(spans("{|\n|a"), []);
    }

    #[test]
    fn brackets_in_verbatim_tags_are_ignored() {
        let text = "<nowiki>{{a}}</NOWIKI>{{b}}";
        assert_eq!(spans(text)[0], (0, 22, SpanKind::Verbatim(8, 13)));
        assert_eq!(spans("<nowiki>{{a}}"), [(8, 13, SpanKind::Template)]);
    }

    #[test]
    fn brackets_without_partners_are_searched_once_each() {
        for sign in ["{{", "[[", "<a>", "<nowiki>", "<!--", "{|\n", "]]}}", "</b>", "<a></b>"] {
            let page = sign.repeat(1 << 17);
            let outline = Outline::of(&page, Form::Published, false);
            assert!(outline.spans.is_empty() && outline.links.is_empty(), "{sign}");
        }
    }
}
