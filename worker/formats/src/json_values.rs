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
//! file without line feeds the rest is lost, and is reported.
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
        match (self.value, self.lost_from.filter(|_| self.ended)) {
            (Some(value), _) if self.ended => self.broken(value, self.offset + self.at as u64),
            (None, Some(from)) => {
                self.lost_from = None;
                let bytes = self.offset + self.at as u64 - from;
                let detail = format!("no value is recognised in the last {bytes} bytes");
                Found::Bad(BadLine { offset: from, number: 0, reason: REASON_REST, detail })
            }
            (Some(_) | None, _) => Found::Nothing,
        }
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
            (Place::String, b'\n') => return Some(self.broken(value, here)),
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
        let is_mark = self.number == 0 && matches!(byte, 0xef | 0xbb | 0xbf);
        let is_separator =
            matches!(byte, b',' | b'[' | b']' | b' ' | b'\t' | b'\r' | b'\n' | RECORD_SEPARATOR);
        if is_mark {
            self.at += 1;
            return;
        }
        if self.lost && !starts_like_one && !is_separator {
            self.lost_from = self.lost_from.or(Some(here));
        }
        if is_separator || (self.lost && !starts_like_one) {
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
                (self.lost, self.by_lines) = (true, true);
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
mod tests {
    use super::*;
    use crate::gzip::GzipLimits;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    const MAX: usize = 100;

    /// Gives one byte at a time, so that values extend over reads.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(input: impl Read) -> Vec<(u64, Result<String, &'static str>)> {
        let unpacker = Unpacker::new(input, GzipLimits::default()).as_text();
        let mut reader = ValueReader::new(unpacker, MAX);
        let mut found = Vec::new();
        while let Some(item) = reader.next_item().unwrap() {
            found.push(match item {
                Item::Line(line) => {
                    assert_eq!(line.number, found.len() as u64);
                    (line.offset, Ok(String::from_utf8_lossy(line.bytes).into_owned()))
                }
                Item::Quarantined(bad) => (bad.offset, Err(bad.reason)),
            });
            assert!(reader.buffer.capacity() < 4 << 20);
        }
        found
    }

    fn values(text: &str) -> Vec<Result<String, &'static str>> {
        let found = all(text.as_bytes());
        assert_eq!(all(Slow(text.as_bytes())), found, "read byte by byte");
        for (at, value) in &found {
            let at = *at as usize;
            assert!(value.as_ref().map_or(true, |value| text[at..].starts_with(value)), "{at}");
        }
        found.into_iter().map(|(_, value)| value).collect()
    }

    fn oks<const N: usize>(values: [&str; N]) -> Vec<Result<String, &'static str>> {
        values.into_iter().map(|value| Ok(value.to_owned())).collect()
    }

    #[test]
    fn values_are_found_however_they_are_laid_out() {
        let (one, two) = (r#"{"a": "}]\"{", "b": [{}, [1]]}"#, r#"{"c": 2}"#);
        for text in [
            format!("\u{1e}{one}\n\u{1e}{two}\n"),
            format!("[{one},{two}]"),
            format!("[\n  {one},\n  {two}\n]\n"),
            format!("\u{feff}{one}\n{two}\n"),
            format!("{one}{two}"),
        ] {
            assert_eq!(values(&text), oks([one, two]), "{text}");
        }
        let long = "{\n  \"a\": [\n    {\n      \"b\": 1\n    }\n  ]\n}";
        assert_eq!(values(&format!("{long}\n{long}\n")), oks([long, long]));
        // Without any indentation, an inner line looks like that of a value.
        let flat = "{\n\"a\": [\n{\n\"b\": 1\n}\n]\n}";
        assert_eq!(values(&format!("{flat}\n{flat}")), oks([flat, flat]));
        assert_eq!(values("[1, \"x, y\",null]"), oks(["1", "\"x, y\"", "null"]));
        let cut = values("[{\"a\": \"x\n\"},{\"a\": 1}]");
        assert_eq!(cut, [Ok("{\"a\": \"x".to_owned()), Err(REASON_REST)]);
        assert_eq!(values("[]"), []);
        assert_eq!(values(""), [Err(REASON_EMPTY)]);
    }

    #[test]
    fn a_value_whose_brackets_do_not_match_is_the_only_one_lost() {
        let good = r#"{"a": "x"}"#;
        for bad in [r#"{"a": ["x"}"#, r#"{"a": "x}"#, r#"{"a": {"b": "x"}"#] {
            let text = format!("[\n  {good},\n  {bad},\n  {good},\n  {good}\n]");
            let found = values(&text);
            let whole = found.iter().filter(|it| it.as_deref() == Ok(good)).count();
            assert_eq!((whole, found.len()), (3, 4), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_value_beyond_the_limit_costs_itself_and_no_memory() {
        for long in [MAX, 16 << 20] {
            let text = format!("[{{\"a\": 1}},{{\"a\": \"{}\"}},{{\"b\": 2}}]", "x".repeat(long));
            let found = all(text.as_bytes());
            let places: Vec<u64> = found.iter().map(|(at, _)| *at).collect();
            assert_eq!(places, [1, 10, 10 + 9 + long as u64 + 1]);
            assert_eq!(found[1].1, Err(REASON_TOO_LARGE));
            assert_eq!(found[2].1.as_deref(), Ok("{\"b\": 2}"));
        }
    }

    #[test]
    fn values_after_damaged_packing_are_found_by_their_lines() {
        let row = |n: u32| format!("  {{\"a\": \"{:x}\"}},\n", n.wrapping_mul(2_654_435_761));
        let text: String = (0..200).map(row).collect();
        let gzip = |text: &str| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let (first, second) = (gzip(&format!("[\n{text}")), gzip(&format!("{text}]")));
        let found = all(&[&first[..first.len() / 2], &second].concat()[..]);
        let bad: Vec<_> = found.iter().filter_map(|(_, it)| it.as_ref().err()).collect();
        assert_eq!(bad, [&"gzip_damaged"]);
        let good = found.iter().filter(|(_, it)| it.is_ok()).count();
        assert!((200..400).contains(&good), "{good}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(text in "[\\[\\]{}\",:\\\\ \n0a]{0,300}") {
            let found = all(text.as_bytes());
            prop_assert_eq!(all(Slow(text.as_bytes())), found);
        }
    }
}
