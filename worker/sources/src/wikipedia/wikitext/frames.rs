//! Walks over a page with a stack of frames, one for each open element. When an element is closed,
//! its text is added to the frame below.

mod arguments;
mod ends;
mod french;
mod html;
mod links;
mod numbers;
mod styles;
mod templates;
mod ticks;
mod units;
mod variants;
mod words;

use super::entities::entity;
use super::outline::{Outline, Span, SpanKind};
use super::tags::{is_visible, open_tag};
use super::{Form, LinkPrefixes, SECTION, collapsed, readable};
use ends::Ends;
use styles::Styles;

/// Depth of open elements; markup that is nested deeper is text.
const MAX_OPEN: usize = 100;

/// Number of blanks and elements behind a heading that are searched for text.
const MAX_BEHIND: usize = 200;

/// The kind of element of a frame.
#[derive(Debug)]
enum Kind {
    Page,
    /// A link, `[[…|…]]`. `words` is the position in the frame's text at which the words of the
    /// link start.
    Link {
        words: Option<usize>,
        category: Option<usize>,
        end: usize,
    },
    /// An external link, `[http://… …]`.
    External,
    Tag {
        name: String,
        end: usize,
    },
    /// Italics or bold.
    Style,
    /// An element whose end is known: a heading, or the default of an argument.
    Until {
        end: usize,
        next: usize,
        tail: String,
        /// Whether the text is one line.
        is_line: bool,
    },
}

impl Kind {
    /// Returns the kind of an element that ends at `end`, behind which the walk goes to `next`.
    fn until(end: usize, next: usize) -> Self {
        Self::Until { end, next, tail: String::new(), is_line: false }
    }
}

/// An open element.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    /// The opening markup, which is text if the element is never closed.
    opener: String,
    text: String,
}

/// The state of the walk over a page.
pub(super) struct Stripper<'a> {
    page: &'a str,
    prefixes: &'a LinkPrefixes,
    form: Form,
    outline: Outline,
    ends: Ends,
    styles: Styles,
    frames: Vec<Frame>,
    at: usize,
    /// Whether the current line starts with `;`, so that a `:` in it is markup too.
    in_term: bool,
}

impl<'a> Stripper<'a> {
    /// Returns the state at the start of a page.
    pub(super) fn new(page: &'a str, prefixes: &'a LinkPrefixes, form: Form) -> Self {
        let bottom = Frame { kind: Kind::Page, opener: String::new(), text: String::new() };
        let outline = Outline::of(page, form, prefixes.has_variants);
        let styles = Styles::new(page);
        let (ends, frames) = (Ends::default(), vec![bottom]);
        Self { page, prefixes, form, outline, ends, styles, frames, at: 0, in_term: false }
    }

    /// Returns the text of the page, with [`SECTION`] at the start of each section.
    pub(super) fn run(mut self) -> String {
        while self.at < self.page.len() {
            if !self.close_until() {
                self.step();
            }
        }
        while self.close_until() {}
        self.turn_into_text_above(0);
        self.frames.pop().map(|page| page.text).unwrap_or_default()
    }

    fn step(&mut self) {
        let bytes = self.page.as_bytes();
        let sign = bytes[self.at];
        if self.line_start() && self.take_line_start(sign) {
            return;
        }
        match sign {
            b'{' | b'<' => self.bracket(sign),
            b'[' => self.open_square(),
            b']' => self.close_square(),
            b'|' => self.bar(),
            b'&' => self.entity(),
            b'\'' if bytes.get(self.at + 1) == Some(&b'\'') => self.style(),
            b'\n' => self.newline(),
            b':' if self.in_term => {
                self.in_term = false;
                self.at += 1;
            }
            _ => self.plain(),
        }
    }

    fn is_readable(&self) -> bool {
        self.form == Form::Readable
    }

    /// Leaves a mark where something was removed, so that what it leaves empty can be removed too.
    fn push_gap(&mut self) {
        if self.is_readable() {
            self.push(readable::GAP);
        }
    }

    fn line_start(&self) -> bool {
        self.at == 0 || self.page.as_bytes()[self.at - 1] == b'\n'
    }

    /// Consumes markup that is only valid at the start of a line; returns whether there was any.
    fn take_line_start(&mut self, sign: u8) -> bool {
        let rest = &self.page.as_bytes()[self.at..];
        match sign {
            b'=' => self.heading(),
            b'#' | b'*' | b';' | b':' => {
                let signs = rest.iter().take_while(|b| matches!(b, b'#' | b'*' | b';' | b':'));
                self.in_term = false;
                let length = signs.inspect(|sign| self.in_term |= **sign == b';').count();
                self.at += length;
                true
            }
            b'-' if rest.starts_with(b"----") => {
                self.at += rest.iter().take_while(|byte| **byte == b'-').count();
                true
            }
            _ => false,
        }
    }

    /// Keeps text up to the next character that can be markup.
    fn plain(&mut self) {
        let special = |byte: &u8| {
            matches!(byte, b'{' | b'<' | b'[' | b']' | b'|' | b'&' | b'\'' | b'\n' | b':')
        };
        let rest = &self.page.as_bytes()[self.at + 1..];
        let length = 1 + rest.iter().position(special).unwrap_or(rest.len());
        let end = self.next_end().map_or(self.at + length, |end| end.min(self.at + length));
        let end = end.max(self.at + 1);
        self.keep(end);
    }

    /// Keeps everything up to `end` as text.
    fn keep(&mut self, end: usize) {
        let end = (end..=self.page.len()).find(|at| self.page.is_char_boundary(*at));
        let end = end.unwrap_or(self.page.len());
        let piece = &self.page[self.at..end];
        self.push(piece);
        self.at = end;
    }

    fn push(&mut self, text: &str) {
        if let Some(top) = self.frames.last_mut() {
            top.text.push_str(text);
        }
    }

    fn newline(&mut self) {
        self.in_term = false;
        if let Some(at) = self.nearest(|kind| matches!(kind, Kind::External)) {
            // The text of an external link ends with its line.
            self.turn_into_text_above(at - 1);
        }
        self.keep(self.at + 1);
    }

    fn entity(&mut self) {
        let Some((found, length)) = entity(&self.page[self.at..]) else {
            return self.keep(self.at + 1);
        };
        if found != SECTION {
            self.push(found.encode_utf8(&mut [0; 4]));
        }
        self.at += length;
    }

    /// Handles braces and angle brackets: a span, a tag, or text.
    fn bracket(&mut self, sign: u8) {
        if let Some(span) = self.outline.span(self.at)
            && self.span(span)
        {
            return;
        }
        if sign == b'<' {
            return self.tag();
        }
        // The last two or three braces of a longer run can be a separate span.
        let bytes = self.page.as_bytes();
        let mut end = self.at + 1;
        while bytes.get(end) == Some(&b'{') && self.outline.span(end).is_none() {
            end += 1;
        }
        self.keep(end);
    }

    /// Consumes a span; returns `false` if it is not valid and must be read as text.
    fn span(&mut self, span: Span) -> bool {
        match span.kind {
            SpanKind::Nothing => {
                self.push_break(span);
                self.at = span.end;
            }
            SpanKind::Table => self.at = span.end,
            SpanKind::Variants => self.variants(span),
            SpanKind::Template if !self.names_a_template(span) => return false,
            SpanKind::Template if self.is_readable() => self.template(span),
            SpanKind::Template => self.at = span.end,
            SpanKind::Argument => return self.argument(span),
            SpanKind::Verbatim(start, end) => {
                let name = open_tag(self.page, span.start, self.form).map(|tag| tag.name);
                match name {
                    Some(name) if is_visible(&name) => self.verbatim(start, end),
                    Some(name) if name == "math" && self.is_readable() => {
                        self.push(&readable::formula(&self.page[start..end]));
                    }
                    _ => self.push_gap(),
                }
                self.at = span.end;
            }
        }
        true
    }

    /// Returns whether a span has the name of a template: on one line and without brackets.
    fn names_a_template(&self, span: Span) -> bool {
        let bytes = self.page.as_bytes();
        let end = span.end - 2;
        let (mut at, mut has_text, mut line_over) = (span.start + 2, false, false);
        while at < end {
            if let Some(inner) = self.outline.span(at)
                && inner.end <= end
                && matches!(bytes[at], b'{' | b'<')
            {
                let comment = inner.kind == SpanKind::Nothing;
                if !comment && inner.kind != SpanKind::Template && inner.kind != SpanKind::Argument
                {
                    return false;
                }
                has_text |= !comment;
                at = inner.end;
                continue;
            }
            match bytes[at] {
                b'|' => return has_text,
                b'[' | b']' | b'<' | b'>' | b'{' | b'}' => return false,
                b'\n' => line_over |= has_text,
                byte if byte.is_ascii_whitespace() => {}
                _ if line_over => return false,
                _ => has_text = true,
            }
            at += 1;
        }
        has_text
    }

    /// Consumes an argument, of which only the default is kept.
    fn argument(&mut self, span: Span) -> bool {
        let inner = span.end - 3;
        let bar = self.top_level(span.start + 3, inner, b'|').next();
        match bar {
            Some(bar) if self.frames.len() < MAX_OPEN => {
                self.open(Kind::until(inner, span.end), "");
                self.at = bar + 1;
            }
            _ => self.at = span.end,
        }
        true
    }

    /// Returns the positions of `sign` between `from` and `to`, outside spans, links and open tags.
    fn top_level(&self, from: usize, to: usize, sign: u8) -> impl Iterator<Item = usize> + '_ {
        let bytes = self.page.as_bytes();
        let mut at = from;
        std::iter::from_fn(move || {
            while at < to {
                let here = at;
                at = self.outline.end_of_element(self.page, at);
                if bytes[here] == sign && at == here + 1 {
                    return Some(here);
                }
            }
            None
        })
    }

    fn heading(&mut self) -> bool {
        if self.frames.iter().any(|frame| matches!(frame.kind, Kind::Until { .. })) {
            return false;
        }
        let bytes = self.page.as_bytes();
        let signs = bytes[self.at..].iter().take_while(|byte| **byte == b'=').count();
        let from = self.at + signs;
        let line = self.ends.line(self.page, &self.outline, from);
        let Some(last) = line.last_equals else {
            self.keep(from);
            return true;
        };
        let run = bytes[from..=last].iter().rev().take_while(|byte| **byte == b'=').count();
        let level = signs.min(run).min(6);
        let mut tail = "=".repeat(run - level);
        let mut next = last + 1;
        let behind = self.first_text(next, line.end).filter(|_| self.is_readable());
        if let Some(text) = behind {
            if run == 1 || run != signs {
                self.keep(from);
                return true;
            }
            // The writer forgot the line break. The heading must not hide the prose.
            tail.push('\n');
            next = text;
        }
        let kind = Kind::Until { end: last + 1 - run, next, tail, is_line: true };
        self.push("\0");
        if self.is_readable() {
            self.push(readable::level_mark(level));
        }
        self.open(kind, "");
        self.push(&"=".repeat(signs - level));
        self.at = from;
        true
    }

    /// Returns the first place between `from` and `to` that is not blank or removed markup.
    /// Headings that are not closed can have the same rest of a line, so that the search is short.
    fn first_text(&self, from: usize, to: usize) -> Option<usize> {
        let bytes = self.page.as_bytes();
        let mut at = from;
        for _ in 0..MAX_BEHIND {
            if at >= to {
                return None;
            }
            at = match (bytes[at], self.outline.span(at)) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => at + 1,
                (_, Some(span)) if !self.is_words(span) => span.end,
                (b'<', None) => match (self.outline.tag(at), open_tag(self.page, at, self.form)) {
                    (Some(pair), Some(tag)) if tag.name == "ref" => pair.end,
                    _ => return Some(at),
                },
                _ => return Some(at),
            };
        }
        Some(at)
    }

    /// Returns the end of the innermost frame with a known end.
    fn next_end(&self) -> Option<usize> {
        self.frames.iter().rev().find_map(|frame| match frame.kind {
            Kind::Until { end, .. } => Some(end),
            Kind::Page | Kind::Link { .. } | Kind::External | Kind::Tag { .. } | Kind::Style => {
                None
            }
        })
    }

    fn close_until(&mut self) -> bool {
        if self.next_end().is_none_or(|end| self.at < end) {
            return false;
        }
        let Some(at) = self.nearest(|kind| matches!(kind, Kind::Until { .. })) else {
            return false;
        };
        self.turn_into_text_above(at);
        if let Some(Frame { kind: Kind::Until { next, tail, is_line, .. }, text, .. }) =
            self.frames.pop()
        {
            self.at = self.at.max(next);
            let text = collapsed(&text);
            if is_line {
                self.push(&readable::on_one_line(&text));
            } else {
                self.push(&text);
            }
            self.push(&tail);
        }
        true
    }

    fn open(&mut self, kind: Kind, opener: &str) {
        self.frames.push(Frame { kind, opener: opener.to_owned(), text: String::new() });
    }

    /// Returns the innermost frame of a kind. Frames below one with a known end are not considered.
    fn nearest(&self, fits: impl Fn(&Kind) -> bool) -> Option<usize> {
        for (at, frame) in self.frames.iter().enumerate().rev() {
            if fits(&frame.kind) {
                return Some(at);
            }
            if matches!(frame.kind, Kind::Until { .. }) {
                return None;
            }
        }
        None
    }

    /// Turns the frames above `keep`, which were never closed, into text.
    fn turn_into_text_above(&mut self, keep: usize) {
        while self.frames.len() > keep + 1 {
            let Some(frame) = self.frames.pop() else { return };
            self.push(&frame.opener);
            self.push(&frame.text);
        }
    }
}
