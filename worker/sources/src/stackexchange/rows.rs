//! Finds the rows of a `Posts.xml` by their markup, wherever lines start and end.
//!
//! XML has no `<` inside an attribute, so `<row` and a blank start a row whatever is before them,
//! except in a comment. A comment has at most `COMMENT_BYTES`; otherwise its start is text.
//! A row ends with the first `>` outside of quotation marks, or, if it is damaged, with the next
//! row. Between rows there are line breaks, comments and the tags of the file; anything else there
//! is one malformed row. What follows a row that cannot be read is skipped with it.
//!
//! **Invariant:** a row belongs to the piece in which it starts, together with what is between it
//! and the next row. The bytes around a place alone decide whether a row starts there, so that
//! pieces of any size give each row once. Memory holds one row of at most the given size, and a
//! block.

use std::io::{self, BufRead};
use std::ops::Range;

use memchr::memmem;
use thresher_formats::piece::Piece;

use super::posts::{MALFORMED, Row, row_of};

/// How a row starts; a blank, `/` or `>` follows.
const START: &[u8] = b"<row";
const COMMENT: &[u8] = b"<!--";
const COMMENT_END: &[u8] = b"-->";

/// Length of the longest comment. A reader of a piece looks this far back.
pub(super) const COMMENT_BYTES: u64 = 1 << 20;
/// Number of bytes of a piece that a comment which starts before it can have as its start.
pub(super) const LOOK_AHEAD_BYTES: u64 = COMMENT.len() as u64 - 1;

/// Reads rows with their offsets.
pub(super) struct Rows<R> {
    input: R,
    /// Bytes that were read; those before `head` are done.
    held: Vec<u8>,
    head: usize,
    /// The offset of the first held byte.
    at: u64,
    /// Rows that start here or later belong to another piece.
    until: u64,
    max_bytes: usize,
    /// Whether text between rows belongs to a row that cannot be read, or to another piece.
    skips: bool,
    /// The offset of the last start of a comment before `head`, if none has ended since.
    comment: Option<u64>,
    /// The offset of a start of a comment that is none, because it has no end.
    unended: Option<u64>,
    /// Offsets between which no comment ends, so that they are searched once.
    no_end: Range<u64>,
}

/// What is between two rows.
#[derive(Default)]
struct Between {
    /// Number of bytes at its start that are the frame of the file.
    frame: u64,
    /// What follows, as far as it is kept.
    rest: Vec<u8>,
    /// Length of `rest` when it was looked at last.
    seen: usize,
}

impl Between {
    /// Adds bytes. What is there is looked at again when it has doubled, so that the work is in
    /// proportion to its length.
    fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        if self.rest.len() >= 2 * self.seen {
            self.look();
        }
    }

    /// Removes the frame of the file from what is kept.
    fn look(&mut self) {
        let frame = frame_len(&self.rest);
        self.rest.drain(..frame);
        self.frame += frame as u64;
        self.seen = self.rest.len();
    }
}

/// A row with its offset and its length.
type Placed = (u64, u64, Row);

impl<R: BufRead> Rows<R> {
    /// Reads the rows of a whole file.
    pub(super) fn new(input: R, max_bytes: usize) -> Self {
        Self::of_piece(input, max_bytes, Piece { offset: 0, length: u64::MAX }, &[])
    }

    /// Reads the rows that start in a piece, with which `input` starts. `around` is what is before
    /// it, up to [`COMMENT_BYTES`], and its first [`LOOK_AHEAD_BYTES`].
    pub(super) fn of_piece(input: R, max_bytes: usize, piece: Piece, around: &[u8]) -> Self {
        let at = piece.offset;
        let until = at.saturating_add(piece.length);
        // What is before the first row belongs to the first piece, unless that is empty.
        let skips = at > 0 || piece.length == 0;
        let before = at.saturating_sub((around.len() as u64).saturating_sub(LOOK_AHEAD_BYTES));
        let comment = comment_after(None, before, around);
        let (held, head, unended, no_end) = (Vec::new(), 0, None, 0..0);
        Self { input, held, head, at, until, max_bytes, skips, comment, unended, no_end }
    }

    /// Returns the next row with its offset and its length. After an error of an input that can be
    /// read further, the next call searches for the next row.
    pub(super) fn next(&mut self) -> io::Result<Option<Placed>> {
        if !self.is_at_row()?
            && let Some(between) = self.find_start(self.until)?
        {
            return Ok(Some(between));
        }
        let start = self.offset();
        if !self.is_at_row()? || start >= self.until {
            return Ok(None);
        }
        let row = match self.find_end()? {
            Some((length, is_closed)) if length <= self.max_bytes => {
                let tag = &self.held[self.head..self.head + length];
                let row = if is_closed { row_of(tag) } else { malformed("the row does not end") };
                self.consume(length);
                row
            }
            Some(_) | None => {
                self.consume(1);
                self.skips = true;
                self.find_start(u64::MAX)?;
                let detail = format!("it has {} bytes", self.offset() - start);
                Row::Bad { reason: "row_too_large".into(), detail }
            }
        };
        self.skips = matches!(row, Row::Bad { .. });
        Ok(Some((start, self.offset() - start, row)))
    }

    /// Returns the offset of the next byte.
    fn offset(&self) -> u64 {
        self.at + self.head as u64
    }

    fn is_at_row(&mut self) -> io::Result<bool> {
        Ok(is_start_of_row(&self.held[self.head..]) && self.row_from(0)? == Some(0))
    }

    /// Moves forward.
    fn consume(&mut self, count: usize) {
        let from = self.head.saturating_sub(COMMENT.len() - 1);
        let passed = &self.held[from..self.head + count];
        self.comment = comment_after(self.comment, self.at + from as u64, passed);
        self.head += count;
    }

    /// Returns the position after the head of the first row among the held bytes from `from` on
    /// that is not in a comment. To find the end of a comment, more is read.
    fn row_from(&mut self, from: usize) -> io::Result<Option<usize>> {
        let (mut comment, mut from) = (self.comment, from);
        // What is before the head was seen, except that a sign can start there.
        let mut seen = 0_usize;
        loop {
            let view = &self.held[self.head..];
            let Some(row) = start_of_row(view, from) else { return Ok(None) };
            let base = (self.head + seen).saturating_sub(COMMENT.len() - 1);
            let passed = &self.held[base..self.head + row];
            comment = comment_after(comment, self.at + base as u64, passed);
            seen = row;
            let Some(start) = comment.filter(|start| self.unended != Some(*start)) else {
                return Ok(Some(row));
            };
            match self.comment_end(start, row)? {
                Some(end) => (comment, seen, from) = (None, end, end),
                None => self.unended = Some(start),
            }
            if self.unended == Some(start) {
                return Ok(Some(row));
            }
        }
    }

    /// Returns the position after the head at which a comment ends that started at the offset
    /// `start`, and has not ended before the position `from`.
    fn comment_end(&mut self, start: u64, from: usize) -> io::Result<Option<usize>> {
        let most = (start + COMMENT_BYTES).saturating_sub(self.offset()) as usize;
        let first = self.offset() + from as u64;
        let mut seen = from;
        if self.no_end.contains(&first) {
            seen += (self.no_end.end - first) as usize;
        }
        loop {
            let view = &self.held[self.head..];
            let length = view.len().min(most);
            let rest = view[..length].get(seen..);
            if let Some(end) = rest.and_then(|rest| memmem::find(rest, COMMENT_END)) {
                return Ok(Some(seen + end + COMMENT_END.len()));
            }
            seen = seen.max(length.saturating_sub(COMMENT_END.len() - 1));
            let end = self.offset() + seen as u64;
            let known = self.no_end.contains(&first);
            self.no_end = if known { self.no_end.start..end } else { first..end };
            if length == most || !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Reads a block; returns `false` at the end of the input. After an error, nothing is held.
    fn more(&mut self) -> io::Result<bool> {
        loop {
            match self.input.fill_buf() {
                Ok(block) => {
                    let gone = self.head.saturating_sub(COMMENT.len() - 1);
                    self.held.drain(..gone);
                    self.at += gone as u64;
                    self.head -= gone;
                    self.held.extend_from_slice(block);
                    let read = block.len();
                    self.input.consume(read);
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.at += self.held.len() as u64;
                    self.held.clear();
                    self.head = 0;
                    (self.skips, self.comment) = (false, None);
                    return Err(error);
                }
            }
        }
    }

    /// Moves to the start of the next row, or to the end of the input. Returns what is before it
    /// if that is a malformed row. What is skipped is not searched beyond `until`.
    fn find_start(&mut self, until: u64) -> io::Result<Option<Placed>> {
        let from = self.offset();
        // What is before the row, as far as it is needed.
        let mut between = Between::default();
        loop {
            let found = self.row_from(0)?;
            // A start can continue in the next block.
            let held = self.held.len() - self.head;
            let length = found.unwrap_or(held.saturating_sub(START.len()));
            self.pass(length, &mut between);
            let is_over = self.skips && self.offset() >= until;
            if found.is_some() || is_over {
                break;
            }
            if !self.more()? {
                self.pass(self.held.len() - self.head, &mut between);
                break;
            }
        }
        between.look();
        if std::mem::take(&mut self.skips) || between.rest.is_empty() {
            return Ok(None);
        }
        let start = from + between.frame;
        Ok(Some((start, self.offset() - start, malformed("text that is not a `<row …/>`"))))
    }

    /// Moves forward, and keeps what is not the frame of the file, up to the greatest length of a
    /// comment.
    fn pass(&mut self, length: usize, between: &mut Between) {
        let room = (COMMENT_BYTES as usize).saturating_sub(between.rest.len());
        if room > 0 && length > 0 {
            let passed = &self.held[self.head..self.head + length.min(room)];
            between.push(passed);
        }
        self.consume(length);
    }

    /// Returns the length of the row at the head, and whether it is closed; `None` if it is longer
    /// than a row may be.
    fn find_end(&mut self) -> io::Result<Option<(usize, bool)>> {
        let mut seen = 1_usize;
        let mut quote = None;
        loop {
            let next = self.row_from(seen.saturating_sub(START.len()).max(1))?;
            let view = &self.held[self.head..];
            let before = next.unwrap_or(view.len());
            if let Some(end) = close_of(&view[seen.min(before)..before], &mut quote) {
                return Ok(Some((seen + end + 1, true)));
            }
            if let Some(next) = next {
                return Ok(Some((next, false)));
            }
            seen = view.len();
            if seen > self.max_bytes {
                return Ok(None);
            }
            if !self.more()? {
                return Ok(Some((seen, false)));
            }
        }
    }
}

/// Returns the offset of the last start of a comment that has not ended in `bytes`, which start at
/// the offset `base`. `before` is that of what is before them.
fn comment_after(before: Option<u64>, base: u64, bytes: &[u8]) -> Option<u64> {
    let last = memmem::find_iter(bytes, COMMENT).last().map(|at| base + at as u64);
    last.or(before).filter(|start| {
        let from = (start + COMMENT.len() as u64).saturating_sub(base) as usize;
        bytes.get(from..).is_none_or(|rest| memmem::find(rest, COMMENT_END).is_none())
    })
}

fn malformed(detail: &str) -> Row {
    Row::Bad { reason: MALFORMED.into(), detail: detail.to_owned() }
}

/// Returns the position of the first start of a row from `from` on.
fn start_of_row(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let mut starts = memmem::find_iter(rest, START).map(|at| from + at);
    starts.find(|at| is_start_of_row(&bytes[*at..]))
}

fn is_start_of_row(bytes: &[u8]) -> bool {
    is_tag(bytes, START)
}

/// Returns the position of the first `>` outside of quotation marks. `quote` is the mark that is
/// open before and after the bytes.
fn close_of(bytes: &[u8], quote: &mut Option<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        at += match *quote {
            Some(mark) => memchr::memchr(mark, rest)?,
            None => memchr::memchr3(b'"', b'\'', b'>', rest)?,
        };
        match (bytes[at], *quote) {
            (b'>', None) => return Some(at),
            (mark, None) => *quote = Some(mark),
            (_, Some(_)) => *quote = None,
        }
        at += 1;
    }
}

/// Returns the length of what a file has before, between and after its rows: blanks, NULs,
/// comments, declarations, and the tags of the file.
fn frame_len(text: &[u8]) -> usize {
    let mut rest = text;
    loop {
        // A file that was padded ends with NULs.
        let blanks = |byte: &&u8| byte.is_ascii_whitespace() || **byte == 0;
        rest = &rest[rest.iter().take_while(blanks).count()..];
        if let Some(after) = rest.strip_prefix(b"\xef\xbb\xbf") {
            rest = after;
            continue;
        }
        let end: &[u8] = match rest {
            [b'<', b'!', b'-', b'-', ..] => b"-->",
            [b'<', b'?', ..] => b"?>",
            [b'<', b'!', ..] => b">",
            _ if is_tag(rest, b"<posts") || is_tag(rest, b"</posts") || is_tag(rest, b"</row") => {
                b">"
            }
            _ => return text.len() - rest.len(),
        };
        let Some(at) = memmem::find(rest, end) else { return text.len() - rest.len() };
        rest = &rest[at + end.len()..];
    }
}

/// Returns whether text starts with a tag whose name is whole.
fn is_tag(text: &[u8], start: &[u8]) -> bool {
    let next = text.strip_prefix(start).and_then(|rest| rest.first());
    next.is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'))
}

#[cfg(test)]
mod tests;
