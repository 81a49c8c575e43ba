//! A reader of JSON values that are not one on each line: an array of objects, or objects that
//! extend over several lines. It has bounded memory and continues after damage.
//!
//! ```text
//! bytes → unpacked, UTF-16 as UTF-8 → values by their brackets (bounded) → Line | Quarantined
//! ```
//! Only brackets and strings are recognised; the caller parses the bytes of a value. Values outside
//! of objects are passed on too, so that the caller reports them. Most writers put the `{` of every
//! value at the same distance from the start of its line. So if the brackets of a value do not
//! match, it ends before the next such line, and from then on each such line starts a value. In a
//! file without line feeds the rest is lost, and is reported. So is an array that does not end.
//!
//! **Invariant:** the work is linear in the size of the text; at most one value is in memory.

use std::io::{self, Read};

use super::gzip::{Event, InputDigest};
use super::json_lines::{BadLine, Item, Line, REASON_EMPTY};
use super::unpack::Unpacker;

/// Reason of a value that is longer than the limit.
pub const REASON_TOO_LARGE: &str = "record_too_large";

/// Reason of the rest of an input in which no value starts that can be recognised.
pub const REASON_REST: &str = "json_rest_unreadable";

/// Reason of an input that ends inside an array.
pub const REASON_TRUNCATED: &str = "json_truncated";

/// The byte before each value of a JSON text sequence (RFC 7464).
const RECORD_SEPARATOR: u8 = 0x1e;
/// Number of brackets that may be open; the parser of a value allows no more.
const DEPTH_MAX: u32 = 128;

/// What is found in the bytes that are in memory.
enum Found {
    /// The bytes of a value, as a range of the buffer.
    Value(usize, usize),
    Bad(BadLine),
    /// No value ends before the end of the buffer.
    Nothing,
}

/// Reads the values of a whole input.
pub struct ValueReader<R> {
    input: Unpacker<R>,
    max_bytes: usize,
    buffer: Vec<u8>,
    /// Offset in the text of the first byte of the buffer.
    offset: u64,
    /// Position in the buffer of the next byte to look at.
    at: usize,
    value: Option<Value>,
    /// Distance of the first value from the start of its line, if it is the first of its line.
    indent: Option<usize>,
    /// Number of blanks since the start of the line, if nothing else comes before `at`.
    blanks: Option<usize>,
    /// Whether a line with the indentation starts a value wherever it is.
    by_lines: bool,
    /// Whether bytes up to such a line cannot be used.
    lost: bool,
    /// Offset in the text of the first of these bytes.
    lost_from: Option<u64>,
    /// Number of open brackets of arrays around the values.
    arrays: u64,
    /// Whether damage was reported, so that the end of an array can be missing for that reason.
    is_damaged: bool,
    number: u64,
    ended: bool,
}

/// The value in which the reader is.
#[derive(Debug, Clone, Copy)]
struct Value {
    /// Offset in the text.
    start: u64,
    depth: u32,
    /// Whether each open bracket is that of an object, the innermost in the lowest bit.
    objects: u128,
    place: Place,
    /// Where in the text the first line starts that looks like that of another value.
    next: Option<u64>,
    /// Whether it is too long, so that its bytes are not kept.
    is_too_long: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    String,
    Escape,
}

impl<R: Read> ValueReader<R> {
    /// Reads an input whose forms the caller has restricted.
    pub fn new(input: Unpacker<R>, max_bytes: usize) -> Self {
        Self {
            input,
            max_bytes,
            buffer: Vec::new(),
            offset: 0,
            at: 0,
            value: None,
            indent: None,
            blanks: Some(0),
            by_lines: false,
            lost: false,
            lost_from: None,
            arrays: 0,
            is_damaged: false,
            number: 0,
            ended: false,
        }
    }

    /// Returns the next value or quarantined part. An `Err` comes from the input only.
    pub fn next_item(&mut self) -> io::Result<Option<Item<'_>>> {
        loop {
            match self.scan() {
                Found::Value(start, end) => {
                    let (offset, number) = (self.offset + start as u64, self.count());
                    let bytes = &self.buffer[start..end];
                    return Ok(Some(Item::Line(Line { offset, number, bytes })));
                }
                Found::Bad(bad) => {
                    let number = self.count();
                    return Ok(Some(Item::Quarantined(BadLine { number, ..bad })));
                }
                Found::Nothing if self.ended => return Ok(None),
                Found::Nothing => {}
            }
            if let Some(bad) = self.refill()? {
                let number = if bad.reason == REASON_EMPTY { 0 } else { self.count() };
                return Ok(Some(Item::Quarantined(BadLine { number, ..bad })));
            }
        }
    }

    /// Reads the rest of the input, and returns the length and hash of what was read.
    pub fn finish(mut self) -> io::Result<InputDigest> {
        while !matches!(self.input.next_event()?, Event::End) {}
        Ok(self.input.input_digest())
    }

    fn count(&mut self) -> u64 {
        self.number += 1;
        self.number - 1
    }

    /// Drops the bytes that are not needed, and adds the next ones.
    fn refill(&mut self) -> io::Result<Option<BadLine>> {
        let kept = self.value.filter(|value| !value.is_too_long);
        let from = kept.map_or(self.at, |value| (value.start - self.offset) as usize);
        self.buffer.drain(..from);
        self.offset += from as u64;
        self.at -= from;
        match self.input.next_event()? {
            Event::Piece { .. } => self.buffer.extend_from_slice(self.input.piece()),
            Event::End => {
                self.ended = true;
                if self.offset == 0 && self.buffer.is_empty() && self.number == 0 {
                    let (reason, detail) = (REASON_EMPTY, String::new());
                    return Ok(Some(BadLine { offset: 0, number: 0, reason, detail }));
                }
            }
            Event::Damage(damage) => {
                let at = self.offset + self.buffer.len() as u64;
                let detail = format!("{}; at byte {at} of the text", damage.detail);
                let (offset, reason) = (damage.offset, damage.reason);
                self.is_damaged = true;
                if !(damage.is_after_content() && self.value.is_none()) {
                    self.value = None;
                    self.at = self.buffer.len();
                    (self.lost, self.by_lines, self.blanks) = (true, true, None);
                }
                return Ok(Some(BadLine { offset, number: 0, reason, detail }));
            }
        }
        Ok(None)
    }

    /// Looks for the end of the current or the next value.
    fn scan(&mut self) -> Found {
        while let Some(byte) = self.buffer.get(self.at).copied() {
            let here = self.offset + self.at as u64;
            let long = self.value.filter(|value| here - value.start > self.max_bytes as u64);
            let found = match long.filter(|value| !value.is_too_long) {
                Some(value) => self.too_long(value),
                None => self.step(byte, here),
            };
            if let Some(found) = found {
                return found;
            }
        }
        if self.ended { self.last() } else { Found::Nothing }
    }

    /// Ends the value in which the text ends, or reports what is wrong with that end.
    fn last(&mut self) -> Found {
        let end = self.offset + self.at as u64;
        if let Some(value) = self.value {
            let is_open = value.depth > 0 || value.place != Place::Outside;
            if value.is_too_long || !is_open {
                return self.end(value, end);
            }
            if value.next.is_some() || !self.misses_end() {
                return self.broken(value, end);
            }
            self.value = None;
            self.is_damaged = true;
            let bytes = end - value.start;
            // A text that ends as an array does is whole, so the string has lost its end.
            let looks_whole = self.buffer.trim_ascii_end().ends_with(b"]");
            let (reason, detail) = if value.place != Place::Outside && looks_whole {
                (REASON_REST, format!("a string does not end in the last {bytes} bytes"))
            } else {
                (REASON_TRUNCATED, format!("the last value is cut off after {bytes} bytes"))
            };
            return Found::Bad(BadLine { offset: value.start, number: 0, reason, detail });
        }
        if let Some(from) = self.lost_from.take() {
            self.is_damaged = true;
            let detail = format!("no value is recognised in the last {} bytes", end - from);
            return Found::Bad(BadLine { offset: from, number: 0, reason: REASON_REST, detail });
        }
        if self.misses_end() {
            self.is_damaged = true;
            let (reason, detail) = (REASON_TRUNCATED, "the array does not end".to_owned());
            return Found::Bad(BadLine { offset: end, number: 0, reason, detail });
        }
        Found::Nothing
    }

    /// Returns whether an array is open, and no damage explains that.
    fn misses_end(&self) -> bool {
        self.arrays > 0 && !self.is_damaged
    }

    /// Looks at one byte, or at the bytes of a string up to one that matters.
    fn step(&mut self, byte: u8, here: u64) -> Option<Found> {
        let starts_like_one = byte == b'{' && self.blanks.is_some() && self.blanks == self.indent;
        let Some(mut value) = self.value else {
            self.between(byte, here, starts_like_one);
            return None;
        };
        match (value.place, byte) {
            (Place::Escape, _) => value.place = Place::String,
            (Place::String, b'\\') => value.place = Place::Escape,
            (Place::String, b'"') => {
                value.place = Place::Outside;
                if value.depth == 0 {
                    return Some(self.end(value, here + 1));
                }
            }
            // A string has no line feed, so this one has lost its end.
            (Place::String, b'\n') => {
                // In an array on one line, the string can have swallowed other values.
                if self.arrays > 0 && self.indent.is_none() {
                    self.lost_from = Some(value.start);
                }
                return Some(self.broken(value, here));
            }
            (Place::String, _) => {
                let rest = &self.buffer[self.at..];
                let plain = memchr::memchr3(b'"', b'\\', b'\n', rest).unwrap_or(rest.len());
                // What is too long must be noticed at the same byte whatever is in the buffer.
                let allowed = (value.start + self.max_bytes as u64 + 1).saturating_sub(here);
                let allowed = if value.is_too_long { usize::MAX } else { allowed as usize };
                self.at += plain.min(allowed);
                self.blanks = None;
                return None;
            }
            (Place::Outside, b'{') if starts_like_one && (self.by_lines || value.is_too_long) => {
                self.by_lines = true;
                return Some(self.end(value, here));
            }
            (Place::Outside, b'{' | b'[') => {
                if starts_like_one {
                    value.next = value.next.or(Some(here));
                }
                value.objects = value.objects << 1 | u128::from(byte == b'{');
                value.depth += 1;
                if value.depth > DEPTH_MAX {
                    return Some(self.broken(value, here));
                }
            }
            (Place::Outside, b'}' | b']') if value.depth > 0 => {
                if (value.objects & 1 == 1) != (byte == b'}') {
                    return Some(self.broken(value, here));
                }
                (value.objects, value.depth) = (value.objects >> 1, value.depth - 1);
                if value.depth == 0 {
                    return Some(self.end(value, here + 1));
                }
            }
            (Place::Outside, b'"') => value.place = Place::String,
            (Place::Outside, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n')
                if value.depth == 0 =>
            {
                return Some(self.end(value, here));
            }
            (Place::Outside, _) => {}
        }
        self.value = Some(value);
        self.pass(byte);
        None
    }

    /// Looks at a byte that is not in a value.
    fn between(&mut self, byte: u8, here: u64, starts_like_one: bool) {
        // Files that were joined have a byte order mark each, and some end with NULs.
        let is_mark = matches!(byte, 0xef | 0xbb | 0xbf);
        let is_separator = matches!(byte, b',' | b'[' | b']' | b' ' | b'\t' | b'\r' | b'\n')
            || matches!(byte, RECORD_SEPARATOR | 0);
        if is_mark {
            self.at += 1;
            return;
        }
        if self.lost && !starts_like_one && !is_separator {
            self.lost_from = self.lost_from.or(Some(here));
        }
        if is_separator || (self.lost && !starts_like_one) {
            match byte {
                b'[' => self.arrays += 1,
                b']' => self.arrays = self.arrays.saturating_sub(1),
                _ => {}
            }
            return self.pass(byte);
        }
        (self.lost, self.lost_from) = (false, None);
        if self.number == 0 && byte == b'{' {
            self.indent = self.blanks;
        }
        let (depth, place) = match byte {
            b'{' => (1, Place::Outside),
            b'"' => (0, Place::String),
            _ => (0, Place::Outside),
        };
        let (objects, next) = (depth.into(), None);
        let is_too_long = false;
        self.value = Some(Value { start: here, depth, objects, place, next, is_too_long });
        self.pass(byte);
    }

    /// Moves behind a byte.
    fn pass(&mut self, byte: u8) {
        self.at += 1;
        self.blanks = match byte {
            b'\n' => Some(0),
            b' ' | b'\t' => self.blanks.map(|blanks| blanks + 1),
            _ => None,
        };
    }

    /// Ends the value before the byte at `end` of the text.
    fn end(&mut self, value: Value, end: u64) -> Found {
        let position = (end - self.offset) as usize;
        if position > self.at {
            self.pass(self.buffer[self.at]);
        }
        self.value = None;
        if value.is_too_long || end - value.start > self.max_bytes as u64 {
            return Found::Bad(too_large(value.start, end - value.start));
        }
        Found::Value((value.start - self.offset) as usize, position)
    }

    /// Ends a value that is not JSON: before the line that looks like the start of another one, or
    /// else at `here`. In that case the bytes up to such a line are lost.
    fn broken(&mut self, value: Value, here: u64) -> Found {
        match value.next.filter(|_| !value.is_too_long) {
            Some(next) => self.split(value, next),
            None => {
                (self.lost, self.by_lines, self.is_damaged) = (true, true, true);
                self.end(value, here)
            }
        }
    }

    /// Ends a value that is too long before the line that looks like the start of another one; if
    /// there is none, stops to keep its bytes.
    fn too_long(&mut self, value: Value) -> Option<Found> {
        if let Some(next) = value.next {
            return Some(self.split(value, next));
        }
        self.value = Some(Value { is_too_long: true, ..value });
        None
    }

    /// Ends a value at `next`, and reads on from there.
    fn split(&mut self, value: Value, next: u64) -> Found {
        self.by_lines = true;
        self.at = (next - self.offset) as usize;
        self.blanks = self.indent;
        self.end(value, next)
    }
}

fn too_large(offset: u64, length: u64) -> BadLine {
    let detail = format!("a value of {length} bytes");
    BadLine { offset, number: 0, reason: REASON_TOO_LARGE, detail }
}

#[cfg(test)]
mod tests;
