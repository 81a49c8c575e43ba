//! A reader of JSON lines files, plain or packed, in bounded memory, that continues after damage.
//!
//! ```text
//! bytes → unpacked, UTF-16 as UTF-8 → lines (bounded) → Line | Quarantined
//! ```
//! A line is bytes: the caller parses what it holds. A line that is too long, and lines near
//! damaged data, are reported by their location only; reading continues after the next line feed
//! that is certain. Bytes between two undamaged members cost no line. Neither does a byte order
//! mark at the start of a line, which files have that were joined, nor a line of NULs after others,
//! which padded files have. Plain input can be read from its middle.
//!
//! **Invariant:** a line belongs to the piece in which it starts; offsets count the bytes of the
//! text, after decompression.

use std::io::{self, Read};

use super::gzip::{Damage, Event, GzipLimits, InputDigest};
use super::hashed::HashedReader;
use super::piece::Piece;
use super::unpack::Unpacker;

/// Reason of a line that is longer than the limit.
pub const REASON_TOO_LONG: &str = "line_too_long";
/// Reason of an input of zero bytes.
pub const REASON_EMPTY: &str = "empty_input";

/// Size of a read of plain input.
const PLAIN_BYTES: usize = 256 << 10;

/// A line, or the reason why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A line.
    Line(Line<'a>),
    /// A part of the input that yields no line.
    Quarantined(BadLine),
}

/// One line without its line feed. Blank lines are skipped.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Offset in the text.
    pub offset: u64,
    /// Number of the line within the piece; quarantined lines are counted.
    pub number: u64,
    /// The bytes of the line.
    pub bytes: &'a [u8],
}

/// A part of the input that yields no line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Offset in the text; for damaged compressed data, in the input.
    pub offset: u64,
    /// Number of the line within the piece.
    pub number: u64,
    /// The reason under which it is counted.
    pub reason: &'static str,
    /// What is wrong, for people.
    pub detail: String,
}

enum Bytes<R> {
    Unpacked(Box<Unpacker<R>>),
    Plain { input: Box<HashedReader<R>>, buffer: Vec<u8>, filled: usize },
}

/// Reads the lines of an input or a piece.
pub struct LineReader<R> {
    bytes: Bytes<R>,
    line_max_bytes: usize,
    /// A line that starts here or later belongs to the next piece.
    end: u64,
    /// Offset in the text of the current bytes.
    offset: u64,
    /// Position of the reader in the current bytes.
    at: usize,
    /// The start of a line that extends over several reads.
    carry: Vec<u8>,
    /// The line that was returned last, if it was carried.
    carried: Vec<u8>,
    /// Length of the line so far, including bytes that were not kept.
    line_bytes: u64,
    /// Whether these bytes are NULs only.
    is_padding: bool,
    /// Whether bytes up to the next line feed cannot be used.
    lost: bool,
    number: u64,
    /// Damage after the current line, which ended before it.
    waiting: Option<BadLine>,
    ended: bool,
    any: bool,
}

/// What the next bytes are.
enum More {
    Some,
    Damage(Damage),
    End,
}

impl<R: Read> LineReader<R> {
    /// Reads a whole input, plain or packed.
    pub fn whole(input: R, line_max_bytes: usize, gzip: GzipLimits) -> Self {
        Self::unpacked(Unpacker::new(input, gzip).as_text(), line_max_bytes)
    }

    /// Reads a whole input whose forms the caller has restricted.
    pub fn unpacked(input: Unpacker<R>, line_max_bytes: usize) -> Self {
        let bytes = Bytes::Unpacked(Box::new(input));
        Self::new(bytes, line_max_bytes, 0, u64::MAX, false)
    }

    /// Reads a piece of a plain input; `input` starts where the piece does. `inside_line`: whether
    /// the byte before it is not a line feed.
    pub fn piece(input: R, line_max_bytes: usize, piece: Piece, inside_line: InsideLine) -> Self {
        let input = HashedReader::up_to(input, piece.length);
        let bytes =
            Bytes::Plain { input: Box::new(input), buffer: vec![0; PLAIN_BYTES], filled: 0 };
        let lost = inside_line == InsideLine::Yes;
        Self::new(bytes, line_max_bytes, piece.offset, piece.range().end, lost)
    }

    fn new(bytes: Bytes<R>, line_max_bytes: usize, offset: u64, end: u64, lost: bool) -> Self {
        Self {
            bytes,
            line_max_bytes,
            end,
            offset,
            at: 0,
            carry: Vec::new(),
            carried: Vec::new(),
            line_bytes: 0,
            is_padding: true,
            lost,
            number: 0,
            waiting: None,
            ended: false,
            any: false,
        }
    }

    /// Returns the next line or quarantined part. An `Err` comes from the input only.
    pub fn next_item(&mut self) -> io::Result<Option<Item<'_>>> {
        loop {
            if let Some(bad) = self.waiting.take() {
                return Ok(Some(Item::Quarantined(self.numbered(bad))));
            }
            let starts_later = self.lost && self.offset >= self.end;
            if self.ended || self.start() >= self.end || starts_later {
                return Ok(None);
            }
            let rest = &self.bytes.view()[self.at..];
            let Some(feed) = memchr::memchr(b'\n', rest) else {
                let bad = self.carry_on()?;
                if let Some(bad) = bad {
                    return Ok(Some(Item::Quarantined(self.numbered(bad))));
                }
                let ends = (self.ended || self.waiting.is_some()) && self.line_bytes > 0;
                if ends && !self.lost && (self.start() == 0 || !self.is_padding) {
                    return Ok(self.last_line());
                }
                if ends && self.is_padding {
                    self.carry.clear();
                    self.line_bytes = 0;
                }
                continue;
            };
            let start = self.start();
            let (from, length) = (self.at, self.line_bytes + feed as u64);
            let is_padding = self.is_padding && start > 0 && is_nul(&rest[..feed]);
            if self.keeps(feed) && !self.carry.is_empty() {
                self.carry.extend_from_slice(&self.bytes.view()[from..from + feed]);
            }
            std::mem::swap(&mut self.carry, &mut self.carried);
            self.carry.clear();
            self.at += feed + 1;
            self.offset += feed as u64 + 1;
            (self.line_bytes, self.is_padding) = (0, true);
            if std::mem::take(&mut self.lost) || length == 0 || is_padding {
                continue;
            }
            self.number += 1;
            let number = self.number - 1;
            if length > self.line_max_bytes as u64 {
                return Ok(Some(Item::Quarantined(too_long(start, number, length))));
            }
            let bytes = match self.carried.is_empty() {
                true => &self.bytes.view()[from..from + feed],
                false => self.carried.as_slice(),
            };
            let bytes = without_mark(bytes);
            return Ok(Some(Item::Line(Line { offset: start, number, bytes })));
        }
    }

    /// Reads the rest of the piece, and returns the length and hash of what was read.
    pub fn finish(self) -> io::Result<InputDigest> {
        match self.bytes {
            Bytes::Unpacked(mut input) => {
                while !matches!(input.next_event()?, Event::End) {}
                Ok(input.input_digest())
            }
            Bytes::Plain { input, .. } => input.finish(),
        }
    }

    /// Returns the offset at which the current line starts.
    fn start(&self) -> u64 {
        self.offset - self.line_bytes
    }

    fn keeps(&self, more: usize) -> bool {
        self.line_bytes + more as u64 <= self.line_max_bytes as u64 && !self.lost
    }

    /// Gives a part that yields no line the next number. An input of zero bytes has none.
    fn numbered(&mut self, bad: BadLine) -> BadLine {
        let number = self.number;
        self.number += u64::from(bad.reason != REASON_EMPTY);
        BadLine { number, ..bad }
    }

    /// Returns the line that ends without a line feed.
    fn last_line(&mut self) -> Option<Item<'_>> {
        let (start, length) = (self.start(), self.line_bytes);
        (self.line_bytes, self.is_padding) = (0, true);
        std::mem::swap(&mut self.carry, &mut self.carried);
        self.carry.clear();
        self.number += 1;
        let number = self.number - 1;
        if length > self.line_max_bytes as u64 {
            return Some(Item::Quarantined(too_long(start, number, length)));
        }
        Some(Item::Line(Line { offset: start, number, bytes: without_mark(&self.carried) }))
    }

    /// Adds the rest of the current bytes to the line and reads the next ones.
    fn carry_on(&mut self) -> io::Result<Option<BadLine>> {
        let rest = self.bytes.view().len() - self.at;
        self.is_padding = self.is_padding && is_nul(&self.bytes.view()[self.at..]);
        if self.keeps(rest) {
            self.carry.extend_from_slice(&self.bytes.view()[self.at..]);
        } else {
            self.carry = Vec::new();
        }
        self.line_bytes += rest as u64;
        self.offset += rest as u64;
        self.at += rest;
        let more = self.bytes.advance()?;
        self.at = 0;
        match more {
            More::Some => {
                self.any = true;
                Ok(None)
            }
            More::End => {
                self.ended = true;
                if self.any || self.offset > 0 {
                    return Ok(None);
                }
                let (reason, detail) = (REASON_EMPTY, String::new());
                Ok(Some(BadLine { offset: 0, number: 0, reason, detail }))
            }
            More::Damage(damage) => {
                self.any = true;
                let detail = format!("{}; at byte {} of the text", damage.detail, self.offset);
                let (offset, reason) = (damage.offset, damage.reason);
                let bad = BadLine { offset, number: 0, reason, detail };
                if damage.is_after_content() && !self.lost {
                    self.waiting = Some(bad);
                    return Ok(None);
                }
                self.carry.clear();
                (self.line_bytes, self.is_padding) = (0, true);
                self.lost = true;
                Ok(Some(bad))
            }
        }
    }
}

impl<R: Read> Bytes<R> {
    fn view(&self) -> &[u8] {
        match self {
            Self::Unpacked(input) => input.piece(),
            Self::Plain { buffer, filled, .. } => &buffer[..*filled],
        }
    }

    fn advance(&mut self) -> io::Result<More> {
        match self {
            Self::Unpacked(input) => Ok(match input.next_event()? {
                Event::Piece { .. } => More::Some,
                Event::Damage(damage) => More::Damage(damage),
                Event::End => More::End,
            }),
            Self::Plain { input, buffer, filled } => {
                // What was returned is gone before an error can end this.
                *filled = 0;
                *filled = retry(|| input.read(buffer))?;
                Ok(if *filled > 0 { More::Some } else { More::End })
            }
        }
    }
}

fn retry(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Whether a piece starts inside a line of the piece before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsideLine {
    /// The byte before the piece belongs to a line that started earlier.
    Yes,
    /// The piece starts at the start of a line.
    No,
}

/// Removes the byte order mark with which a text may start. After other lines, a text starts if
/// files were joined.
fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

fn is_nul(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn too_long(offset: u64, number: u64, length: u64) -> BadLine {
    let detail = format!("a line of {length} bytes");
    BadLine { offset, number, reason: REASON_TOO_LONG, detail }
}

#[cfg(test)]
mod tests;
