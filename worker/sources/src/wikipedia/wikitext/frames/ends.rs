//! Finds the ends of lines and addresses, outside of the elements in them.
//!
//! Any number of elements can start before a place and end behind it, such as links that are closed
//! many lines later. So the end of such an element is remembered with what was found behind it, and
//! the text behind it is walked once, not once for each element.
//!
//! **Invariant:** all searches on a page take time linear in its size.

use std::collections::HashMap;

use memchr::{memchr, memchr2};

use super::super::outline::Outline;

/// What was found behind the ends of elements.
#[derive(Debug, Default)]
pub(super) struct Ends {
    lines: HashMap<usize, Line>,
    addresses: HashMap<usize, Option<usize>>,
    /// The last search for the end of a line or a bracket: its start, and what it found.
    line_or_square: Option<(usize, Option<usize>)>,
}

/// The rest of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// The position of the line feed, or the end of the page.
    pub(super) end: usize,
    /// The position of the last `=` in it.
    pub(super) last_equals: Option<usize>,
}

impl Ends {
    /// Returns the rest of the line at `from`. Line feeds in elements do not end it.
    pub(super) fn line(&mut self, page: &str, outline: &Outline, from: usize) -> Line {
        let bytes = page.as_bytes();
        let (mut at, mut last_equals, mut passed) = (from, None, Vec::new());
        let rest = loop {
            if at >= bytes.len() {
                break Line { end: bytes.len(), last_equals: None };
            }
            if let Some(known) = self.lines.get(&at) {
                break *known;
            }
            let next = outline.end_of_element(page, at);
            if next == at + 1 {
                match bytes[at] {
                    b'\n' => break Line { end: at, last_equals: None },
                    b'=' => last_equals = Some(at),
                    _ => {}
                }
            } else if memchr(b'\n', &bytes[at..next]).is_some() {
                // No other line reaches the places in an element that is on one line.
                passed.push(next);
            }
            at = next;
        };
        let last_equals = rest.last_equals.or(last_equals);
        for end in passed {
            let last_equals = last_equals.filter(|at| *at >= end);
            self.lines.insert(end, Line { last_equals, ..rest });
        }
        Line { last_equals, ..rest }
    }

    /// Returns the end of the address whose scheme ends at `from`, or `None` if what ends it is not
    /// allowed in brackets.
    pub(super) fn address(&mut self, page: &str, outline: &Outline, from: usize) -> Option<usize> {
        let bytes = page.as_bytes();
        let (mut at, mut passed) = (from, Vec::new());
        let end = loop {
            if let Some(known) = self.addresses.get(&at) {
                break *known;
            }
            if let Some(span) = outline.span(at) {
                // Only a span with a bracket can contain the start of another address.
                if memchr(b'[', &bytes[at..span.end]).is_some() {
                    passed.push(span.end);
                }
                at = span.end;
                continue;
            }
            match bytes.get(at) {
                None | Some(b'\n') => break None,
                Some(b' ' | b']' | b'[' | b'<' | b'>' | b'"') => break Some(at),
                Some(b'\'') if bytes.get(at + 1) == Some(&b'\'') => break Some(at),
                Some(_) => at += 1,
            }
        };
        self.addresses.extend(passed.into_iter().map(|place| (place, end)));
        end
    }

    /// Returns the position of the first line feed or `]` from `from` on.
    pub(super) fn line_or_square(&mut self, page: &str, from: usize) -> Option<usize> {
        if let Some((start, found)) = self.line_or_square
            && start <= from
            && found.is_none_or(|found| from <= found)
        {
            return found;
        }
        let found = memchr2(b'\n', b']', &page.as_bytes()[from..]).map(|more| from + more);
        self.line_or_square = Some((from, found));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Form;
    use super::*;

    /// Returns the end of the element at `at` of a page by walking all of the rest of its line.
    fn line_by_walking(page: &str, outline: &Outline, from: usize) -> Line {
        let (mut at, mut line) = (from, Line { end: page.len(), last_equals: None });
        while at < page.len() {
            let next = outline.end_of_element(page, at);
            match page.as_bytes()[at] {
                b'\n' if next == at + 1 => return Line { end: at, ..line },
                b'=' if next == at + 1 => line.last_equals = Some(at),
                _ => {}
            }
            at = next;
        }
        line
    }

    #[test]
    fn the_rest_of_a_line_does_not_depend_on_earlier_searches() {
        for page in [
            "= a =\n= b\n",
            "= [[x\n= y ]] = z =\nq",
            "= [[\n= [[\n= [[ ]]=]]=]]\n=\n",
            "= {{a\n= b [[c\n= d]] = }} e =\n= {{f\n}} g\n",
            "= <i>a\n=</i> = [[b\n]]=",
            "= [[a]] = {{b}} =",
        ] {
            let outline = Outline::of(page, Form::Published, false);
            let mut ends = Ends::default();
            for order in [(0..page.len()).collect::<Vec<_>>(), (0..page.len()).rev().collect()] {
                for from in order {
                    let expected = line_by_walking(page, &outline, from);
                    assert_eq!(ends.line(page, &outline, from), expected, "{page:?} from {from}");
                }
            }
        }
    }

    #[test]
    fn addresses_end_at_the_same_place_whatever_was_searched_before() {
        for page in ["[a{{[b{{[c}}d}}e f [g{{[h}}\n", "[a{{[b{{[c}}d}}e", "a{{[b''c{{d}}}}''"] {
            let outline = Outline::of(page, Form::Published, false);
            let mut ends = Ends::default();
            for from in (0..page.len()).chain((0..page.len()).rev()) {
                let alone = Ends::default().address(page, &outline, from);
                assert_eq!(ends.address(page, &outline, from), alone, "{page} from {from}");
            }
        }
        let page = "http://a{{[http://b c}}d e";
        let end = Ends::default().address(page, &Outline::of(page, Form::Published, false), 7);
        assert_eq!(end.map(|end| &page[end..]), Some(" e"));
    }

    #[test]
    fn the_next_line_feed_or_bracket_is_searched_once_for_all_places_before_it() {
        let page = "ab]cd\nef";
        let mut ends = Ends::default();
        let found: Vec<_> = (0..=8).map(|from| ends.line_or_square(page, from)).collect();
        let (square, feed) = (Some(2), Some(5));
        let expected = [square, square, square, feed, feed, feed, None, None, None];
        assert_eq!(found, expected);
        assert_eq!(ends.line_or_square(page, 0), square);
    }
}
