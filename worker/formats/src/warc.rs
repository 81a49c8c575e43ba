//! Records out of WARC, WET and WAT files, gzipped or plain.
//!
//! A pull parser: framed by Content-Length, checked against what follows the body and against the
//! member's end. What a record means, and whether its bytes are text, is left to the caller.
//! Invariants: every record met is one `Item`, and so is every damaged region of the input; a
//! damage takes the record in hand with it; memory stays below the limits whatever the input says;
//! the items do not depend on how the input is cut into reads. An error of the input is an `Err`,
//! never a quarantine.
//!
//! A record whose length does not fit costs the rest of its member where members hold one record
//! each, as CommonCrawl's do; elsewhere the next line that starts a record is searched, also in the
//! body of a record that is too large to be held (`step_over`).

mod header;
mod member_bytes;
#[cfg(test)]
mod tests;

use std::io::{self, Read};

use memchr::memmem::Finder;

use super::gzip::{Damage, GzipLimits, GzipReader, InputDigest};
use header::{Defect, shown, version_line};
use member_bytes::{Boundary, MemberBytes};

pub use header::Header;

/// The head of a record is not what the format says.
pub const REASON_HEADER_MALFORMED: &str = "warc_header_malformed";
/// The head passes the limit of bytes or fields.
pub const REASON_HEADER_TOO_LARGE: &str = "warc_header_too_large";
pub const REASON_CONTENT_LENGTH_MISSING: &str = "content_length_missing";
/// Not a number, or another than the body's length.
pub const REASON_CONTENT_LENGTH_WRONG: &str = "content_length_wrong";
/// The body passes the limit; it was stepped over.
pub const REASON_RECORD_TOO_LARGE: &str = "record_too_large";
/// Plain input ends inside the record.
pub const REASON_RECORD_TRUNCATED: &str = "record_truncated";
/// The input holds no byte.
pub const REASON_EMPTY_INPUT: &str = "empty_input";

/// Ends the head, and follows the body.
const TWO_LINE_ENDS: &[u8] = b"\r\n\r\n";
const RECORD_START: &[u8] = b"WARC/";
/// The longest version line that is known: `WARC/0.17` and its line end.
const VERSION_MAX_BYTES: usize = 11;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarcLimits {
    pub header_max_bytes: usize,
    pub header_max_fields: usize,
    pub record_max_bytes: usize,
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

pub enum Item<'a> {
    Record(Record<'a>),
    Quarantined(Quarantined),
}

/// A sound record.
pub struct Record<'a> {
    pub header: Header<'a>,
    pub body: &'a [u8],
    /// Where the gzip member starts that holds it; in plain input, where the record itself starts.
    pub offset: u64,
    /// Number of the item in the input.
    pub index: u64,
}

/// A record or a region of the input that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub offset: u64,
    /// Number of the item in the input.
    pub index: u64,
    pub reason: &'static str,
    pub detail: String,
    head: Vec<u8>,
}

impl Quarantined {
    /// The record's head as far as it could be read; without fields where it could not.
    pub fn header(&self) -> Header<'_> {
        Header::new(&self.head)
    }
}

/// Pulls records out of an input.
pub struct WarcReader<R> {
    source: MemberBytes<R>,
    limits: WarcLimits,
    next_index: u64,
    /// Bytes of the record that was handed out last.
    pending: usize,
    /// Whether a member was seen to hold more than one record.
    shared_members: bool,
    /// The head of the record in hand, where a defect behind it was found.
    head: Vec<u8>,
    /// Made once: making it costs as much as using it on a head.
    head_end: Finder<'static>,
}

/// What the framing came to.
enum Framed {
    Record { header_bytes: usize, body_bytes: usize },
    Defect(Defect),
    Damage(Damage),
}

/// Where the search for the next record came to its end.
type Stopped = Option<Damage>;

impl<R: Read> WarcReader<R> {
    pub fn new(input: R, limits: WarcLimits) -> Self {
        let gzip = GzipReader::new(input, limits.gzip);
        let source = MemberBytes::new(gzip);
        Self {
            source,
            limits,
            next_index: 0,
            pending: 0,
            shared_members: false,
            head: Vec::new(),
            head_end: Finder::new(TWO_LINE_ENDS),
        }
    }

    /// The next record or quarantine; `None` at the end of the input. An `Err` comes from the
    /// input.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its items")]
    pub fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        self.source.consume(std::mem::take(&mut self.pending));
        if !self.seek_record()? {
            return Ok(None);
        }
        let offset = self.offset();
        let framed = match self.source.boundary() {
            Some(Boundary::Damage(damage)) if self.source.view().is_empty() => {
                Framed::Damage(damage.clone())
            }
            Some(Boundary::InputEnd) => Framed::Defect((REASON_EMPTY_INPUT, String::new())),
            Some(Boundary::Damage(_) | Boundary::MemberEnd) | None => self.frame()?,
        };
        let index = self.next_index;
        self.next_index += 1;
        let head = std::mem::take(&mut self.head);
        let quarantined = |offset, reason, detail| {
            Ok(Some(Item::Quarantined(Quarantined { offset, index, reason, detail, head })))
        };
        match framed {
            Framed::Defect((reason, detail)) => quarantined(offset, reason, detail),
            Framed::Damage(Damage { offset, reason, detail }) => {
                self.source.next_member();
                quarantined(offset, reason, detail)
            }
            Framed::Record { header_bytes, body_bytes } => {
                self.pending = header_bytes + body_bytes + TWO_LINE_ENDS.len();
                let (header, rest) = self.source.view().split_at(header_bytes);
                let header = Header::new(header);
                Ok(Some(Item::Record(Record { header, body: &rest[..body_bytes], offset, index })))
            }
        }
    }

    /// Length and hash of the compressed input; of all of it once `next` has said `None`.
    pub fn input_digest(&self) -> InputDigest {
        self.source.gzip.input_digest()
    }

    /// Stands at the start of the next record, or before a damage, or at the end of an empty input;
    /// `false` at the end of any other.
    fn seek_record(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill(1)? {
                return Ok(true);
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

    fn offset(&self) -> u64 {
        let gzip = &self.source.gzip;
        if gzip.is_plain() { self.source.position() } else { gzip.member_offset() }
    }

    /// Measures the record in view, or finds out what is wrong with it and steps over it.
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
        // Where another record follows, it was the length that reached too far.
        let follows = reason == REASON_RECORD_TRUNCATED && !self.source.view().is_empty();
        let reason = if follows { REASON_CONTENT_LENGTH_WRONG } else { reason };
        Ok(stopped.map_or(Framed::Defect((reason, detail)), Framed::Damage))
    }

    /// The lengths of head and body. After a defect the source stands behind the head, or where the
    /// search for the next record may start.
    fn measure(&mut self, first: bool) -> io::Result<Result<(usize, usize), Defect>> {
        let header_bytes = match self.find_header()? {
            Ok(header_bytes) => header_bytes,
            Err(defect) => {
                self.step_into_record();
                return Ok(Err(defect));
            }
        };
        let header = Header::new(&self.source.view()[..header_bytes]);
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
        let checked = self.check_end(header_bytes + body_bytes)?;
        if checked.is_err() {
            self.keep_head(header_bytes);
        }
        Ok(checked.map(|()| (header_bytes, body_bytes)))
    }

    /// Steps behind the head, which tells whose record it is.
    fn keep_head(&mut self, header_bytes: usize) {
        let view = self.source.view();
        self.head = view[..header_bytes.min(view.len())].to_vec();
        self.source.consume(self.head.len());
    }

    /// The length of the head, its empty line included.
    fn find_header(&mut self) -> io::Result<Result<usize, Defect>> {
        let mut searched = 0;
        loop {
            let view = self.source.view();
            let start = &view[..view.len().min(RECORD_START.len())];
            if !RECORD_START.starts_with(start) {
                let text = format!("no record starts with `{}`", shown(view));
                return Ok(Err((REASON_HEADER_MALFORMED, text)));
            }
            let limit = view.len().min(self.limits.header_max_bytes);
            if let Some(at) = self.head_end.find(&view[searched..limit]) {
                return Ok(Ok(searched + at + TWO_LINE_ENDS.len()));
            }
            if limit == self.limits.header_max_bytes {
                let text = format!("more than {limit} bytes");
                return Ok(Err((REASON_HEADER_TOO_LARGE, text)));
            }
            searched = limit.saturating_sub(TWO_LINE_ENDS.len() - 1);
            if !self.source.more()? {
                return Ok(Err(self.cut_off(REASON_HEADER_MALFORMED, "in the header")));
            }
        }
    }

    /// A record of `record_bytes` is followed by two line ends and then by the member's end or by
    /// the next record.
    fn check_end(&mut self, record_bytes: usize) -> io::Result<Result<(), Defect>> {
        let end = record_bytes + TWO_LINE_ENDS.len();
        if !self.source.fill(end)? {
            return Ok(Err(self.cut_off(REASON_CONTENT_LENGTH_WRONG, "before the record's end")));
        }
        let tail = &self.source.view()[record_bytes..end];
        if tail != TWO_LINE_ENDS {
            let text = format!("`{}` follows the body, not two line ends", shown(tail));
            return Ok(Err((REASON_CONTENT_LENGTH_WRONG, text)));
        }
        self.source.fill(end + RECORD_START.len())?;
        let next = &self.source.view()[end..];
        let next = &next[..next.len().min(RECORD_START.len())];
        let damaged = matches!(self.source.boundary(), Some(Boundary::Damage(_)));
        if next.is_empty() && damaged {
            return Ok(Err((REASON_CONTENT_LENGTH_WRONG, "damage follows".to_owned())));
        }
        // A start that is cut off is the next record's misfortune.
        if RECORD_START.starts_with(next) {
            return Ok(Ok(()));
        }
        let text = format!("`{}` follows the record, not another record", shown(next));
        Ok(Err((REASON_CONTENT_LENGTH_WRONG, text)))
    }

    /// Steps over a record that is too large, in bounded memory. Its length is not trusted: where
    /// another record may begin before it is over, the source is left there if the length lies.
    fn step_over(
        &mut self,
        first_in_member: bool,
        header_bytes: usize,
        body_bytes: u64,
    ) -> io::Result<Defect> {
        self.keep_head(header_bytes);
        let end = self.source.position().saturating_add(body_bytes);
        let alone = self.one_a_member(first_in_member);
        while !alone && self.find_record_start(end)? {
            if self.ends_before(end)? {
                let text = format!("`{body_bytes}`, and another record begins before");
                return Ok((REASON_CONTENT_LENGTH_WRONG, text));
            }
            self.step_into_record();
        }
        let left = end.saturating_sub(self.source.position());
        self.source.skip(left)?;
        let text = format!("{body_bytes} bytes, {} at most", self.limits.record_max_bytes);
        Ok((REASON_RECORD_TOO_LARGE, text))
    }

    /// Whether a record that is said to reach to `end` is over where another seems to begin. What
    /// follows `end` tells, where that is no further than a record may be long; of a longer one,
    /// whether the other is sound, which is wrong only for a record that quotes whole ones.
    fn ends_before(&mut self, end: u64) -> io::Result<bool> {
        let left = end.saturating_sub(self.source.position());
        let near = usize::try_from(left).ok().filter(|it| *it <= self.limits.record_max_bytes);
        if let Some(left) = near {
            return Ok(self.check_end(left)?.is_err());
        }
        if !self.source.fill(self.limits.record_max_bytes)? {
            return Ok(true);
        }
        let Ok(header_bytes) = self.find_header()? else { return Ok(false) };
        let header = Header::new(&self.source.view()[..header_bytes]);
        let body_bytes = header.check(self.limits.header_max_fields).ok();
        let body_bytes = body_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        match body_bytes.filter(|it| *it <= self.limits.record_max_bytes) {
            Some(body_bytes) => Ok(self.check_end(header_bytes + body_bytes)?.is_ok()),
            None => Ok(false),
        }
    }

    /// Moves past the version line, or a byte at least, so that the search cannot find it again.
    fn step_into_record(&mut self) {
        let view = self.source.view();
        let step = version_line(view).unwrap_or(1).min(view.len());
        self.source.consume(step);
    }

    fn cut_off(&self, in_member: &'static str, place: &str) -> Defect {
        if self.source.gzip.is_plain() {
            (REASON_RECORD_TRUNCATED, format!("the input ends {place}"))
        } else {
            (in_member, format!("the gzip member ends {place}"))
        }
    }

    /// After a defect: goes to the next record, or to the member's end. A damage met on the way
    /// takes the record with it.
    fn resync(&mut self, first_in_member: bool) -> io::Result<Stopped> {
        if self.one_a_member(first_in_member) {
            self.source.skip(u64::MAX)?;
        } else if self.find_record_start(u64::MAX)? {
            return Ok(None);
        }
        Ok(match self.source.boundary() {
            Some(Boundary::Damage(damage)) => Some(damage.clone()),
            Some(Boundary::MemberEnd | Boundary::InputEnd) | None => None,
        })
    }

    /// Whether the record in hand has its member for itself, as far as can be told.
    fn one_a_member(&self, first_in_member: bool) -> bool {
        first_in_member
            && !self.shared_members
            && !self.source.gzip.is_plain()
            && self.source.members_begun() > 1
    }

    /// Moves to the next line that is a version line; `false` if the boundary or `end` comes first,
    /// a position in the member.
    fn find_record_start(&mut self, end: u64) -> io::Result<bool> {
        // The bytes before the view are a head's end or the middle of a line.
        let mut before = b'\n';
        loop {
            let view = self.source.view();
            let room = end.saturating_sub(self.source.position());
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let ended = self.source.boundary().is_some() || room <= view.len();
            let view = &view[..view.len().min(room)];
            let mut keep_from = view.len().saturating_sub(RECORD_START.len() - 1);
            for at in memchr::memmem::find_iter(view, RECORD_START) {
                let line_start = if at == 0 { before } else { view[at - 1] } == b'\n';
                if line_start && version_line(&view[at..]).is_some() {
                    self.source.consume(at);
                    return Ok(true);
                }
                if line_start && view.len() - at < VERSION_MAX_BYTES {
                    keep_from = keep_from.min(at);
                }
            }
            if ended {
                let all = view.len();
                self.source.consume(all);
                return Ok(false);
            }
            if keep_from > 0 {
                before = view[keep_from - 1];
            }
            self.source.consume(keep_from);
            self.source.more()?;
        }
    }
}
