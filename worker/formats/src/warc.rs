//! A reader of records in WARC, WET and WAT files, plain or packed in any form of `unpack`.
//!
//! A pull parser: Content-Length frames a record and is checked against what follows the body. That
//! may be any number of line ends, a NUL, the end of the member or of the input, or another record;
//! after the two line ends of the standard, anything else is a damaged region of its own.
//! Lines can end with a single LF, and a record can continue in the next member. The caller decides
//! what a record means and whether its bytes are text.
//! Invariants: every record is one `Item`, and so is every damaged region of the input; damage
//! includes the record that was being read; memory stays below the limits whatever the input says;
//! the items do not depend on how the input is split into reads. An error of the input is an `Err`,
//! never a quarantine.
//!
//! A record whose length does not fit costs the rest of its member if members hold one record each,
//! as those of CommonCrawl do. Otherwise the next line that starts a record is searched, also in
//! the body of a record that is too large to be held (`search`).

mod header;
mod member_bytes;
mod search;
#[cfg(test)]
mod tests;

use std::io::{self, Read};

use super::gzip::{Damage, GzipLimits, InputDigest};
use super::unpack::Unpacker;
use header::{Defect, head_end, head_inside, may_start_record, shown};
use member_bytes::{Boundary, MemberBytes};

pub use header::Header;

/// Reason of a record whose head does not follow the format.
pub const REASON_HEADER_MALFORMED: &str = "warc_header_malformed";
/// Reason of a head that exceeds the limit of bytes or fields.
pub const REASON_HEADER_TOO_LARGE: &str = "warc_header_too_large";
/// Reason of a head without a Content-Length.
pub const REASON_CONTENT_LENGTH_MISSING: &str = "content_length_missing";
/// Reason of a Content-Length that is not a number, or differs from the length of the body.
pub const REASON_CONTENT_LENGTH_WRONG: &str = "content_length_wrong";
/// Reason of a body that exceeds the limit; it is skipped.
pub const REASON_RECORD_TOO_LARGE: &str = "record_too_large";
/// Reason of plain input that ends inside the record.
pub const REASON_RECORD_TRUNCATED: &str = "record_truncated";
/// Reason of an input of zero bytes.
pub const REASON_EMPTY_INPUT: &str = "empty_input";

/// The bytes that follow a body as the standard wants it.
const TWO_LINE_ENDS: &[u8] = b"\r\n\r\n";
/// How a record starts, in letters of any case.
const RECORD_START: &[u8] = b"WARC/";
/// Number of line ends after a body that are looked at to find what follows.
const ENDS_MAX_BYTES: usize = 64 << 10;

/// The limits of what the reader holds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarcLimits {
    /// Size of a record's head.
    pub header_max_bytes: usize,
    /// Number of fields in a head.
    pub header_max_fields: usize,
    /// Size of a record's body.
    pub record_max_bytes: usize,
    /// When a gzip member is a bomb.
    pub gzip: GzipLimits,
}

impl Default for WarcLimits {
    fn default() -> Self {
        Self {
            header_max_bytes: 64 << 10,
            header_max_fields: 1000,
            record_max_bytes: 64 << 20,
            gzip: GzipLimits::default(),
        }
    }
}

/// What [`WarcReader::next`] found.
pub enum Item<'a> {
    /// A record.
    Record(Record<'a>),
    /// A record or region that cannot be read.
    Quarantined(Quarantined),
}

/// A record without defects.
pub struct Record<'a> {
    /// The named fields.
    pub header: Header<'a>,
    /// The bytes that follow the head.
    pub body: &'a [u8],
    /// Offset of the gzip member that holds the record; in plain input, of the record itself.
    pub offset: u64,
    /// Number of the item in the input.
    pub index: u64,
}

/// A record, or a region of the input, that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Offset of the gzip member, or in plain input of the record or region.
    pub offset: u64,
    /// Number of the item in the input.
    pub index: u64,
    /// The reason under which it is counted.
    pub reason: &'static str,
    /// What is wrong, for people.
    pub detail: String,
    head: Vec<u8>,
}

impl Quarantined {
    /// Returns the record's head as far as it could be read; it has no fields if it could not.
    pub fn header(&self) -> Header<'_> {
        Header::new(&self.head)
    }
}

/// Reads the records of an input one after the other.
pub struct WarcReader<R> {
    source: MemberBytes<R>,
    limits: WarcLimits,
    next_index: u64,
    /// Size of the record that was returned last.
    pending: usize,
    /// Whether a member held more than one record.
    shared_members: bool,
    /// The head of the current record, kept if a defect after it is found.
    head: Vec<u8>,
    odd_ends: u64,
}

/// Result of finding the start and end of a record.
enum Framed {
    Record { header_bytes: usize, body_bytes: usize },
    Defect(Defect),
    Damage(Damage),
}

impl<R: Read> WarcReader<R> {
    /// Creates a reader with these limits.
    pub fn new(input: R, limits: WarcLimits) -> Self {
        Self::unpacked(Unpacker::new(input, limits.gzip), limits)
    }

    /// Creates a reader of an input whose forms the caller has restricted.
    pub fn unpacked(input: Unpacker<R>, limits: WarcLimits) -> Self {
        Self {
            source: MemberBytes::new(input),
            limits,
            next_index: 0,
            pending: 0,
            shared_members: false,
            head: Vec::new(),
            odd_ends: 0,
        }
    }

    /// Returns the next record or quarantined region, or `None` at the end of the input. An `Err`
    /// comes from the input.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its items")]
    pub fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        self.source.consume(std::mem::take(&mut self.pending));
        if !self.seek_record()? {
            return Ok(None);
        }
        let offset = self.source.offset();
        let empty = self.source.view().is_empty();
        let framed = match self.source.boundary() {
            Some(Boundary::Damage(damage)) if empty => Framed::Damage(damage.clone()),
            Some(Boundary::InputEnd) if empty => {
                Framed::Defect((REASON_EMPTY_INPUT, String::new()))
            }
            Some(_) | None => self.frame()?,
        };
        let index = self.next_index;
        self.next_index += 1;
        let head = std::mem::take(&mut self.head);
        let quarantined = |offset, reason, detail| {
            Ok(Some(Item::Quarantined(Quarantined { offset, index, reason, detail, head })))
        };
        match framed {
            Framed::Defect((reason, detail)) => quarantined(offset, reason, detail),
            Framed::Damage(Damage { offset, reason, detail, .. }) => {
                self.source.next_member();
                quarantined(offset, reason, detail)
            }
            Framed::Record { header_bytes, body_bytes } => {
                self.pending = header_bytes + body_bytes;
                let (header, rest) = self.source.view().split_at(header_bytes);
                let header = Header::new(header);
                Ok(Some(Item::Record(Record { header, body: &rest[..body_bytes], offset, index })))
            }
        }
    }

    /// Returns the length and hash of the compressed input read so far, which is all of it after
    /// `next` has returned `None`.
    pub fn input_digest(&self) -> InputDigest {
        self.source.input.input_digest()
    }

    /// Returns the number of records so far that were not followed by exactly two line ends.
    pub fn odd_ends(&self) -> u64 {
        self.odd_ends
    }

    /// Moves to the start of the next record, to damage, or to the end of an empty input; returns
    /// `false` at the end of any other input. Line ends and NULs between records are skipped.
    fn seek_record(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill(1)? {
                if self.next_index == 0 {
                    self.skip_mark()?;
                }
                let view = self.source.view();
                let blank = view.iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | 0));
                let blank = blank.count();
                let is_odd = self.next_index > 0 && !may_start_record(&view[blank..]);
                self.source.consume(blank);
                if blank == 0 && !(is_odd && self.source.unpack_here()?) {
                    return Ok(true);
                }
                continue;
            }
            match self.source.boundary() {
                Some(Boundary::MemberEnd) => {
                    self.source.next_member();
                }
                Some(Boundary::Damage(_)) => return Ok(true),
                Some(Boundary::InputEnd) => return Ok(self.next_index == 0),
                None => {}
            }
        }
    }

    /// Skips the byte order mark that some editors put at the start of a file.
    fn skip_mark(&mut self) -> io::Result<()> {
        if self.source.fill(3)? && self.source.view().starts_with(b"\xef\xbb\xbf") {
            self.source.consume(3);
        }
        Ok(())
    }

    /// Measures the record in view, or finds out what is wrong with it and skips it.
    fn frame(&mut self) -> io::Result<Framed> {
        let first = self.source.position() == 0;
        if !first {
            self.shared_members = true;
        }
        let defect = match self.measure(first)? {
            Ok((header_bytes, body_bytes)) => {
                return Ok(Framed::Record { header_bytes, body_bytes });
            }
            Err(defect) => defect,
        };
        let stopped = self.resync(first)?;
        let (reason, detail) = defect;
        // If another record follows, the length was too large.
        let follows = reason == REASON_RECORD_TRUNCATED && !self.source.view().is_empty();
        let reason = if follows { REASON_CONTENT_LENGTH_WRONG } else { reason };
        Ok(stopped.map_or(Framed::Defect((reason, detail)), Framed::Damage))
    }

    /// Returns the lengths of head and body. After a defect the source is after the head, or at the
    /// position where the search for the next record may start.
    fn measure(&mut self, first: bool) -> io::Result<Result<(usize, usize), Defect>> {
        let header_bytes = match self.find_header()? {
            Ok(header_bytes) => header_bytes,
            Err(defect) => {
                self.step_into_record();
                return Ok(Err(defect));
            }
        };
        let head = &self.source.view()[..header_bytes];
        if let Some(at) = head_inside(head, self.limits.header_max_fields) {
            self.keep_head(at);
            let text = "the head of another record starts in this one".to_owned();
            return Ok(Err((REASON_HEADER_MALFORMED, text)));
        }
        let header = Header::new(head);
        let body_bytes = match header.check(self.limits.header_max_fields) {
            Ok(length) => length,
            Err(defect) => {
                self.keep_head(header_bytes);
                return Ok(Err(defect));
            }
        };
        let fits =
            usize::try_from(body_bytes).ok().filter(|it| *it <= self.limits.record_max_bytes);
        let Some(body_bytes) = fits else {
            return self.step_over(first, header_bytes, body_bytes).map(Err);
        };
        let mut checked = self.check_end(header_bytes + body_bytes)?;
        if checked.is_err() && self.ends_as_standard(header_bytes + body_bytes) {
            // What follows is the defect, and the next item.
            checked = Ok(false);
        }
        match checked {
            Ok(standard) => self.odd_ends += u64::from(!standard),
            Err(_) => self.keep_head(header_bytes),
        }
        Ok(checked.map(|_| (header_bytes, body_bytes)))
    }

    /// Skips the head and keeps a copy, which identifies the record.
    fn keep_head(&mut self, header_bytes: usize) {
        let view = self.source.view();
        self.head = view[..header_bytes.min(view.len())].to_vec();
        self.source.consume(self.head.len());
    }

    /// Returns the length of the head, including its empty line.
    fn find_header(&mut self) -> io::Result<Result<usize, Defect>> {
        let mut searched = 0;
        loop {
            let view = self.source.view();
            if !may_start_record(view) {
                let text = format!("no record starts with `{}`", shown(view));
                return Ok(Err((REASON_HEADER_MALFORMED, text)));
            }
            let limit = view.len().min(self.limits.header_max_bytes);
            if let Some(end) = head_end(&view[..limit], searched) {
                return Ok(Ok(end));
            }
            if limit == self.limits.header_max_bytes {
                let text = format!("more than {limit} bytes");
                return Ok(Err((REASON_HEADER_TOO_LARGE, text)));
            }
            searched = limit.saturating_sub(2);
            if !self.source.more()? && !self.source.join()? {
                return Ok(Err(self.cut_off(REASON_HEADER_MALFORMED, "in the header")));
            }
        }
    }

    /// Checks that a record of `record_bytes` is followed by line ends or NULs, by the end of the
    /// member or of the input, or by the next record. Returns whether its end is the standard's.
    fn check_end(&mut self, record_bytes: usize) -> io::Result<Result<bool, Defect>> {
        if !self.source.fill_across(record_bytes)? {
            return Ok(Err(self.cut_off(REASON_CONTENT_LENGTH_WRONG, "before the record's end")));
        }
        let mut end = record_bytes;
        while self.source.fill(end + 1)? {
            let rest = &self.source.view()[end..];
            let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            end += ends;
            if ends < rest.len() || end - record_bytes > ENDS_MAX_BYTES {
                break;
            }
        }
        self.source.fill(end + RECORD_START.len())?;
        let ends = &self.source.view()[record_bytes..end];
        let next = &self.source.view()[end..];
        let damaged = matches!(self.source.boundary(), Some(Boundary::Damage(_)));
        if next.is_empty() && damaged {
            return Ok(Err((REASON_CONTENT_LENGTH_WRONG, "damage follows".to_owned())));
        }
        // A start that is cut off is a defect of the next record.
        if may_start_record(next) || matches!(next[0], 0 | b'\r' | b'\n') {
            return Ok(Ok(ends == TWO_LINE_ENDS && next.first() != Some(&0)));
        }
        let next = &next[..next.len().min(RECORD_START.len())];
        let text = match ends {
            b"" => format!("`{}` follows the body, not two line ends", shown(next)),
            _ => format!("`{}` follows the record, not another record", shown(next)),
        };
        Ok(Err((REASON_CONTENT_LENGTH_WRONG, text)))
    }

    /// Returns whether exactly the two line ends of the standard, and then something else, follow.
    fn ends_as_standard(&self, record_bytes: usize) -> bool {
        let after = self.source.view().get(record_bytes..).unwrap_or_default();
        let next = after.strip_prefix(TWO_LINE_ENDS).and_then(<[u8]>::first);
        next.is_some_and(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    fn cut_off(&self, in_member: &'static str, place: &str) -> Defect {
        if self.source.input.is_plain() {
            (REASON_RECORD_TRUNCATED, format!("the input ends {place}"))
        } else {
            (in_member, format!("the gzip member ends {place}"))
        }
    }
}
