//! Joins the lines of an object that extends over several lines, in an input whose first object is
//! on one line.
//!
//! A line that is not a row and leaves brackets open may start such an object. Lines are added
//! until its brackets are closed. If a line cannot continue it, the object was a damaged line, and
//! each of its lines is read for itself. **Invariant:** each line is added at most once, and memory
//! holds one object of the greatest length of a row.

use thresher_formats::json_lines::Line;

use super::objects;

/// The lines of an object so far.
pub(super) struct Spread {
    /// The offset of the first line, with which `bytes` starts.
    offset: u64,
    /// The number of the first line.
    number: u64,
    /// The lines at their distances from the first one, with line feeds between them.
    bytes: Vec<u8>,
    max_bytes: usize,
    /// The open brackets.
    open: Vec<u8>,
    /// The last byte that is not a blank.
    last: u8,
}

/// What an object is after a line was added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is open.
    Open,
    /// It has ended.
    Whole,
    /// The line does not continue it, and was not added.
    Refused,
}

impl Spread {
    /// Returns the object that starts with a line, if one does and continues in the next line.
    pub(super) fn of(line: &Line<'_>, max_bytes: usize) -> Option<Self> {
        if !objects::trimmed(line.bytes).1.starts_with(b"{") {
            return None;
        }
        let (offset, number, bytes, open) = (line.offset, line.number, Vec::new(), Vec::new());
        let mut spread = Self { offset, number, bytes, max_bytes, open, last: b':' };
        (spread.add(line) == Added::Open).then_some(spread)
    }

    /// Adds the next line.
    pub(super) fn add(&mut self, line: &Line<'_>) -> Added {
        let from = (line.offset - self.offset) as usize;
        if from + line.bytes.len() > self.max_bytes {
            return Added::Refused;
        }
        let added = self.scan(line.bytes);
        if added != Added::Refused {
            self.bytes.resize(from, b'\n');
            self.bytes.extend_from_slice(line.bytes);
        }
        added
    }

    /// Returns all lines as one.
    pub(super) fn whole(&self) -> Line<'_> {
        Line { offset: self.offset, number: self.number, bytes: &self.bytes }
    }

    /// Returns each line for itself.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let start = self.bytes.as_ptr() as usize;
        let lines = self.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        (self.number..).zip(lines).map(move |(number, bytes)| {
            let from = bytes.as_ptr() as usize - start;
            Line { offset: self.offset + from as u64, number, bytes }
        })
    }

    /// Follows the brackets of a line.
    fn scan(&mut self, line: &[u8]) -> Added {
        let mut at = 0;
        while let Some(byte) = line.get(at) {
            match byte {
                // A string does not continue in the next line.
                b'"' => match objects::end_of_string(&line[at + 1..]) {
                    Some(length) => at += length,
                    None => return Added::Refused,
                },
                b'{' if !self.allows_object() => return Added::Refused,
                b'{' | b'[' => self.open.push(*byte),
                b'}' | b']' => {
                    if self.open.pop() != Some(if *byte == b'}' { b'{' } else { b'[' }) {
                        return Added::Refused;
                    }
                    if self.open.is_empty() {
                        let is_last = objects::trimmed(&line[at + 1..]).1.is_empty();
                        return if is_last { Added::Whole } else { Added::Refused };
                    }
                }
                _ => {}
            }
            if !byte.is_ascii_whitespace() {
                self.last = *byte;
            }
            at += 1;
        }
        Added::Open
    }

    /// Returns whether an object can follow. If not, a bracket there starts another row.
    fn allows_object(&self) -> bool {
        match self.last {
            b':' | b'[' => true,
            b',' => self.open.last() == Some(&b'['),
            _ => self.open.is_empty(),
        }
    }
}
