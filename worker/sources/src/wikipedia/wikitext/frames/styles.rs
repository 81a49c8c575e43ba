//! Handles bold and italics: runs of ticks, which are removed in pairs.

use std::collections::BTreeMap;

use super::super::outline::{SpanKind, TagPair};
use super::ticks::{Action, pair};
use super::{Kind, MAX_OPEN, SECTION, Stripper, collapsed};

/// The actions of the runs of ticks of the elements that were searched for them.
#[derive(Debug)]
pub(super) struct Styles {
    /// The actions of a run by its position.
    actions: BTreeMap<usize, Vec<Action>>,
    /// Bytes that may still be searched; runs that are not searched are text.
    bytes_left: usize,
    /// Steps that may still be taken to pair runs.
    steps_left: usize,
    /// The position of the last two ticks of the page.
    last: Option<usize>,
}

/// How often each byte of a page may be searched, and how many steps may be taken for it.
const SEARCHES: usize = 8;

impl Styles {
    pub(super) fn new(page: &str) -> Self {
        let bytes_left = page.len().saturating_mul(SEARCHES);
        Self {
            actions: BTreeMap::new(),
            bytes_left,
            steps_left: bytes_left,
            last: page.rfind("''"),
        }
    }
}

impl Stripper<'_> {
    /// Consumes a run of ticks. Ticks without a partner are kept as text.
    pub(super) fn style(&mut self) {
        let run = self.ticks_at(self.at);
        if !self.styles.actions.contains_key(&self.at) {
            self.pair_ticks();
        }
        let actions = self.styles.actions.get(&self.at).cloned();
        self.at += run;
        for action in actions.unwrap_or_else(|| vec![Action::Text(run)]) {
            match action {
                Action::Text(ticks) => self.push(&"'".repeat(ticks)),
                Action::Open if self.frames.len() < MAX_OPEN => self.open(Kind::Style, ""),
                Action::Open => {}
                Action::Close => self.close_style(),
            }
        }
    }

    fn ticks_at(&self, at: usize) -> usize {
        self.page.as_bytes()[at..].iter().take_while(|byte| **byte == b'\'').count()
    }

    /// Pairs the runs of ticks from here to the end of the innermost element.
    fn pair_ticks(&mut self) {
        let end = self.end_of_innermost();
        let Some(left) = self.styles.bytes_left.checked_sub(end - self.at) else { return };
        self.styles.bytes_left = left;
        let bytes = self.page.as_bytes();
        let (mut places, mut runs) = (Vec::new(), Vec::new());
        let mut at = self.at;
        while at < end {
            if bytes[at] == b'\'' {
                let run = self.ticks_at(at);
                if run > 1 {
                    places.push(at);
                    runs.push(run);
                }
                at += run;
            } else {
                at = self.end_of_whole_element(at);
            }
        }
        let actions = pair(&runs, &mut self.styles.steps_left);
        for (place, actions) in places.into_iter().zip(actions) {
            self.styles.actions.entry(place).or_insert(actions);
        }
    }

    /// Returns whether ticks in a tag have their partner behind it, so that mwparserfromhell takes
    /// the tag for text.
    pub(super) fn is_torn(&mut self, tag: TagPair) -> bool {
        let length = tag.end - tag.contents;
        let Some(left) = self.styles.bytes_left.checked_sub(length) else { return false };
        self.styles.bytes_left = left;
        if self.is_readable() || self.styles.last.is_none_or(|last| last < tag.end) {
            return false;
        }
        let (mut at, mut runs) = (tag.contents, Vec::new());
        while at < tag.end {
            let run = self.ticks_at(at);
            if run > 1 {
                runs.push(run);
            }
            at = match self.page.as_bytes()[at] {
                b'\'' => at + run,
                b'<' => self.outline.tag(at).map_or(at + 1, |inner| inner.end),
                _ => self.outline.end_of_element(self.page, at),
            };
        }
        let actions = pair(&runs, &mut self.styles.steps_left);
        let is_open = |action: &Action| matches!(action, Action::Text(2 | 3));
        actions.iter().flatten().any(is_open)
    }

    /// Returns the end of the innermost element whose end is known.
    fn end_of_innermost(&mut self) -> usize {
        let (page, at, ends) = (self.page, self.at, &mut self.ends);
        let mut end = |kind: &Kind| match kind {
            Kind::Link { end, .. } | Kind::Tag { end, .. } | Kind::Until { end, .. } => Some(*end),
            Kind::External => ends.line_or_square(page, at),
            Kind::Page | Kind::Style => None,
        };
        let ends = self.frames.iter().rev().find_map(|frame| end(&frame.kind));
        ends.unwrap_or(self.page.len()).clamp(self.at, self.page.len())
    }

    /// Returns the end of the element at `at`, including the contents and the closing tag of a tag,
    /// or the position after one byte.
    fn end_of_whole_element(&mut self, at: usize) -> usize {
        match self.page.as_bytes()[at] {
            b'<' if self.outline.span(at).is_none() => match self.outline.tag(at) {
                Some(tag) if self.is_torn(tag) => tag.contents,
                Some(tag) => tag.end,
                None => at + 1,
            },
            b'{' if self.outline.span(at).is_some_and(|span| span.kind == SpanKind::Template) => {
                let span = self.outline.span(at).filter(|span| self.names_a_template(*span));
                span.map_or(at + 1, |span| span.end)
            }
            b'[' if self.outline.link(at).is_none() => self.end_of_external(at).unwrap_or(at + 1),
            _ => self.outline.end_of_element(self.page, at),
        }
    }

    /// Returns the end of the link to another site at `at`, which is on one line.
    fn end_of_external(&mut self, at: usize) -> Option<usize> {
        let after = self.url_end(at + 1)?;
        let end = self.ends.line_or_square(self.page, after)?;
        (self.page.as_bytes()[end] == b']').then_some(end + 1)
    }

    fn close_style(&mut self) {
        let Some(at) = self.nearest(|kind| matches!(kind, Kind::Style)) else { return };
        self.turn_into_text_above(at);
        if let Some(frame) = self.frames.pop() {
            // A heading inside a style starts no section.
            self.push(&collapsed(&frame.text).replace(SECTION, ""));
        }
    }
}
