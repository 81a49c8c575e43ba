//! A reader of JSON lines files, plain or packed, in bounded memory, that continues after damage.
//!
//! ```text
//! bytes → unpacked, UTF-16 as UTF-8 → lines (bounded) → Line | Quarantined
//! ```
//! A line is bytes: the caller parses what it holds. A line that is too long, and lines near
//! damaged data, are reported by their location only; reading continues after the next line feed
//! that is certain. Bytes between two undamaged members cost no line. Plain input can be read from
//! its middle.
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
                if (self.ended || self.waiting.is_some()) && self.line_bytes > 0 && !self.lost {
                    return Ok(self.last_line());
                }
                continue;
            };
            let start = self.start();
            let (from, length) = (self.at, self.line_bytes + feed as u64);
            if self.keeps(feed) && !self.carry.is_empty() {
                self.carry.extend_from_slice(&self.bytes.view()[from..from + feed]);
            }
            std::mem::swap(&mut self.carry, &mut self.carried);
            self.carry.clear();
            self.at += feed + 1;
            self.offset += feed as u64 + 1;
            self.line_bytes = 0;
            if std::mem::take(&mut self.lost) || length == 0 {
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
            let bytes = without_mark(start, bytes);
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
        self.line_bytes = 0;
        std::mem::swap(&mut self.carry, &mut self.carried);
        self.carry.clear();
        self.number += 1;
        let number = self.number - 1;
        if length > self.line_max_bytes as u64 {
            return Some(Item::Quarantined(too_long(start, number, length)));
        }
        Some(Item::Line(Line { offset: start, number, bytes: without_mark(start, &self.carried) }))
    }

    /// Adds the rest of the current bytes to the line and reads the next ones.
    fn carry_on(&mut self) -> io::Result<Option<BadLine>> {
        let rest = self.bytes.view().len() - self.at;
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
                self.line_bytes = 0;
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

/// Removes the byte order mark with which a text may start; it is not part of the first line.
fn without_mark(offset: u64, line: &[u8]) -> &[u8] {
    let marked = if offset == 0 { line.strip_prefix(b"\xef\xbb\xbf") } else { None };
    marked.unwrap_or(line)
}

fn too_long(offset: u64, number: u64, length: u64) -> BadLine {
    let detail = format!("a line of {length} bytes");
    BadLine { offset, number, reason: REASON_TOO_LONG, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn all<R: Read>(mut reader: LineReader<R>) -> Vec<(u64, u64, Result<String, &'static str>)> {
        let mut found = Vec::new();
        while let Some(item) = reader.next_item().unwrap() {
            found.push(match item {
                Item::Line(line) => {
                    (line.offset, line.number, Ok(String::from_utf8(line.bytes.to_vec()).unwrap()))
                }
                Item::Quarantined(bad) => (bad.offset, bad.number, Err(bad.reason)),
            });
        }
        found
    }

    fn whole(input: &[u8]) -> Vec<(u64, u64, Result<String, &'static str>)> {
        all(LineReader::whole(input, 100, GzipLimits::default()))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_gzip_give_the_same_lines_with_their_places() {
        let text = b"one\n\ntwo\nthree";
        let lines = vec![
            (0, 0, Ok("one".to_owned())),
            (5, 1, Ok("two".to_owned())),
            (9, 2, Ok("three".to_owned())),
        ];
        assert_eq!(whole(text), lines);
        assert_eq!(whole(&gzip(text)), lines);
        let members = [gzip(b"one\n\ntw"), gzip(b"o\nth"), gzip(b"ree")].concat();
        assert_eq!(whole(&members), lines, "a line may extend over members");
        assert_eq!(whole(b""), [(0, 0, Err(REASON_EMPTY))]);
        assert_eq!(whole(b"\n\n"), []);
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_first_line() {
        let lines = vec![(0, 0, Ok("a".to_owned())), (5, 1, Ok("\u{feff}b".to_owned()))];
        assert_eq!(whole("\u{feff}a\n\u{feff}b".as_bytes()), lines);
        assert_eq!(whole(&gzip("\u{feff}a".as_bytes())), lines[..1]);
    }

    #[test]
    fn a_line_beyond_the_limit_costs_itself_and_no_memory() {
        for long in [101, 3 << 20] {
            let text = [b"a\n".as_slice(), &vec![b'x'; long], b"\nb\n"].concat();
            let place = 2 + long as u64 + 1;
            let expected = vec![
                (0, 0, Ok("a".to_owned())),
                (2, 1, Err(REASON_TOO_LONG)),
                (place, 2, Ok("b".to_owned())),
            ];
            assert_eq!(whole(&text), expected);
            assert_eq!(whole(&gzip(&text)), expected);
        }
        assert_eq!(whole(&[b'x'; 100]).len(), 1);
        assert_eq!(whole(&[b'x'; 101]), [(0, 0, Err(REASON_TOO_LONG))]);
        let mut reader =
            LineReader::whole(io::repeat(b'x').take(64 << 20), 100, GzipLimits::default());
        assert!(matches!(reader.next_item().unwrap(), Some(Item::Quarantined(_))));
        assert!(reader.carry.capacity() < 1 << 20);
    }

    #[test]
    fn a_wrong_checksum_costs_no_line() {
        let wrong = |mut member: Vec<u8>| {
            let at = member.len() - 6;
            member[at] ^= 0x55;
            member
        };
        let line = |at, number, text: &str| (at, number, Ok(text.to_owned()));
        let [one, two] = [wrong(gzip(b"one\ntwo")), gzip(b"three\n")];
        let found = whole(&one);
        assert_eq!(found, [line(0, 0, "one"), line(4, 1, "two"), (0, 2, Err("gzip_damaged"))]);
        let found = whole(&[wrong(gzip(b"one\n")), two].concat());
        let expected = [line(0, 0, "one"), (0, 1, Err("gzip_damaged")), line(4, 2, "three")];
        assert_eq!(found, expected);
    }

    #[test]
    fn bytes_between_members_cost_no_line() {
        let line = |at, number, text: &str| (at, number, Ok(text.to_owned()));
        let [one, two] = [gzip(b"one\ntwo"), gzip(b"three\n")];
        let at = one.len() as u64;
        let garbage = |number| (at, number, Err("gzip_garbage"));
        let found = whole(&[&one[..], b"garbage"].concat());
        assert_eq!(found, [line(0, 0, "one"), line(4, 1, "two"), garbage(2)]);
        let found = whole(&[&one[..], b"garbage", &two].concat());
        let all = [line(0, 0, "one"), line(4, 1, "two"), garbage(2), line(7, 3, "three")];
        assert_eq!(found, all);
        let found = whole(&[&gzip(b"one\n")[..], b"garbage", &two].concat());
        assert_eq!(found.iter().filter(|line| line.2.is_ok()).count(), 2, "{found:?}");
        assert_eq!(whole(&[&one[..], &[0; 5000]].concat()).len(), 2);
    }

    #[test]
    fn every_form_gives_the_same_lines() {
        let text = "one\n\u{1f98a}\nthree";
        let expected = whole(text.as_bytes());
        assert_eq!(expected.len(), 3);
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        let utf16: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        for input in [zstd::encode_all(text.as_bytes(), 1).unwrap(), utf16] {
            assert_eq!(whole(&input), expected);
        }
    }

    #[test]
    fn a_truncated_member_gives_what_comes_before_the_cut() {
        let noise: String =
            (0..20_000_u32).map(|n| format!("{:x}\n", n.wrapping_mul(2_654_435_761))).collect();
        let packed = gzip(noise.as_bytes());
        let found = whole(&packed[..packed.len() / 2]);
        let (last, lines) = found.split_last().unwrap();
        assert_eq!((last.0, &last.2), (0, &Err("gzip_truncated")));
        assert!(lines.len() > 5_000 && lines.len() < 20_000, "{}", lines.len());
        let mut expected = noise.lines();
        assert!(lines.iter().all(|line| line.2.as_deref() == Ok(expected.next().unwrap())));
    }

    #[test]
    fn pieces_give_every_line_once_whatever_they_cut() {
        let text = b"first line\nsecond\n\nthird one\nlast";
        let expected: Vec<String> = whole(text).into_iter().map(|line| line.2.unwrap()).collect();
        for length in 1..=text.len() {
            let mut found = Vec::new();
            for offset in (0..text.len()).step_by(length) {
                let inside = offset > 0 && text[offset - 1] != b'\n';
                let inside = if inside { InsideLine::Yes } else { InsideLine::No };
                let length = length.min(text.len() - offset);
                let piece = Piece { offset: offset as u64, length: length as u64 };
                let reader = LineReader::piece(&text[offset..], 100, piece, inside);
                for (at, _, line) in all(reader) {
                    let line = line.unwrap();
                    assert!(text[at as usize..].starts_with(line.as_bytes()));
                    found.push(line);
                }
                let reader = LineReader::piece(&text[offset..], 100, piece, inside);
                let digest = reader.finish().unwrap();
                assert_eq!(digest.blake3, blake3::hash(&text[offset..offset + length]));
            }
            assert_eq!(found, expected, "pieces of {length}");
        }
    }
}
