//! Finds the next record after one that cannot be read, or that is too large to be held.
//!
//! A line that is a version starts a record. After a defect, so does a version in the middle of a
//! line, as where a file was cut off and another was appended to it, if a whole head follows.
//! **Invariant:** in the body of a record whose length is right, nothing is taken for a record.

use std::io::{self, Read};

use super::header::{Defect, Header, head_end, may_start_record, version_line};
use super::member_bytes::Boundary;
use super::{REASON_CONTENT_LENGTH_WRONG, REASON_RECORD_TOO_LARGE, RECORD_START, WarcReader};
use crate::gzip::Damage;

/// Length of the longest version line: `WARC/0.17`, some blanks and the line end.
const VERSION_MAX_BYTES: usize = 16;
/// Size of the head of a record that starts in the middle of a line.
const MID_LINE_HEAD_BYTES: usize = 4 << 10;

/// The damage at which the search for the next record ended, if any.
type Stopped = Option<Damage>;

/// Where a record can start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Places {
    LineStarts,
    Anywhere,
}

/// What was found in a view.
enum Look {
    /// A version line starts here.
    LineStart(usize),
    /// A version starts here, in the middle of a line.
    MidLine(usize),
    /// There is none; one may start from here on if more bytes follow.
    Nothing(usize),
}

impl<R: Read> WarcReader<R> {
    /// Skips a record that is too large, in bounded memory. Its length is not trusted: if another
    /// record may start before it ends, and the length is wrong, the source stays there.
    pub(super) fn step_over(
        &mut self,
        first_in_member: bool,
        header_bytes: usize,
        body_bytes: u64,
    ) -> io::Result<Defect> {
        self.keep_head(header_bytes);
        let end = self.source.position().saturating_add(body_bytes);
        let alone = self.one_a_member(first_in_member);
        while !alone && self.find_record_start(end, true, Places::LineStarts)? {
            if self.ends_before(end)? {
                let text = format!("`{body_bytes}`, and another record begins before");
                return Ok((REASON_CONTENT_LENGTH_WRONG, text));
            }
            self.step_into_record();
        }
        let left = end.saturating_sub(self.source.position());
        self.source.skip(left, true)?;
        let text = format!("{body_bytes} bytes, {} at most", self.limits.record_max_bytes);
        Ok((REASON_RECORD_TOO_LARGE, text))
    }

    /// Returns whether a record that is said to extend to `end` ends where another seems to start.
    /// If `end` is no further than the limit of a record, what follows `end` decides. Otherwise it
    /// is whether the other record is valid, which is wrong only for a record that quotes whole
    /// ones.
    fn ends_before(&mut self, end: u64) -> io::Result<bool> {
        let left = end.saturating_sub(self.source.position());
        let near = usize::try_from(left).ok().filter(|it| *it <= self.limits.record_max_bytes);
        if let Some(left) = near {
            return Ok(self.check_end(left)?.is_err());
        }
        if !self.source.fill_across(self.limits.record_max_bytes)? {
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

    /// Skips the version line, or at least a byte, so that the search cannot find it again.
    pub(super) fn step_into_record(&mut self) {
        let view = self.source.view();
        let step = version_line(view).unwrap_or(1).min(view.len());
        self.source.consume(step);
    }

    /// Moves to the next record after a defect, or to the end of the member. Damage found on the
    /// way includes the record.
    pub(super) fn resync(&mut self, first_in_member: bool) -> io::Result<Stopped> {
        let across = self.source.members_end_anywhere();
        if self.one_a_member(first_in_member) {
            self.source.skip(u64::MAX, false)?;
        } else if self.find_record_start(u64::MAX, across, Places::Anywhere)? {
            return Ok(None);
        }
        Ok(match self.source.boundary() {
            Some(Boundary::Damage(damage)) => Some(damage.clone()),
            Some(Boundary::MemberEnd | Boundary::InputEnd) | None => None,
        })
    }

    /// Returns whether the current record has its member to itself, as far as is known.
    fn one_a_member(&self, first_in_member: bool) -> bool {
        first_in_member
            && !self.shared_members
            && !self.source.members_end_anywhere()
            && !self.source.input.is_plain()
            && self.source.members_started() > 1
    }

    /// Moves to the next record start; returns `false` if the boundary or `end`, a position in the
    /// member, comes first. If `across` is set, members that continue this one are searched too.
    fn find_record_start(&mut self, end: u64, across: bool, places: Places) -> io::Result<bool> {
        // The bytes before the view are the end of a head or the middle of a line.
        let mut before = b'\n';
        loop {
            let view = self.source.view();
            let room = end.saturating_sub(self.source.position());
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let enough = room <= view.len();
            let view = &view[..view.len().min(room)];
            match look_for_start(view, before, places) {
                Look::LineStart(at) => {
                    self.source.consume(at);
                    return Ok(true);
                }
                Look::MidLine(at) => {
                    self.source.consume(at);
                    if self.has_head()? {
                        return Ok(true);
                    }
                    // What comes next is after a version line, so it starts a line.
                    self.step_into_record();
                    before = b'\n';
                }
                Look::Nothing(keep_from) => {
                    let extended = !enough && {
                        if keep_from > 0 {
                            before = view[keep_from - 1];
                        }
                        self.source.consume(keep_from);
                        self.source.more()? || (across && self.source.join()?)
                    };
                    if !extended {
                        let left = end.saturating_sub(self.source.position());
                        let all = self.source.view().len();
                        self.source.consume(all.min(usize::try_from(left).unwrap_or(usize::MAX)));
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Returns whether a whole head of a record with its type is in view, which in the middle of a
    /// line is more than a page that mentions a version.
    fn has_head(&mut self) -> io::Result<bool> {
        let mut searched = 0;
        loop {
            let view = self.source.view();
            let limit = view.len().min(MID_LINE_HEAD_BYTES);
            if let Some(end) = head_end(&view[..limit], searched) {
                let header = Header::new(&view[..end]);
                let is_valid = header.check(self.limits.header_max_fields).is_ok();
                return Ok(is_valid && header.warc_type().is_some());
            }
            searched = limit.saturating_sub(2);
            if limit == MID_LINE_HEAD_BYTES || !(self.source.more()? || self.source.join()?) {
                return Ok(false);
            }
        }
    }
}

/// Returns the first place in the view at which a record starts. `before` is the byte before it.
fn look_for_start(view: &[u8], before: u8, places: Places) -> Look {
    let mut keep_from = view.len().saturating_sub(RECORD_START.len() - 1);
    for at in memchr::memchr2_iter(RECORD_START[0], b'w', view) {
        let line_start = if at == 0 { before } else { view[at - 1] } == b'\n';
        if !line_start && places == Places::LineStarts {
            continue;
        }
        if version_line(&view[at..]).is_some() {
            return if line_start { Look::LineStart(at) } else { Look::MidLine(at) };
        }
        let short = view.len() - at < VERSION_MAX_BYTES;
        if short && may_start_record(&view[at..]) {
            keep_from = keep_from.min(at);
        }
    }
    Look::Nothing(keep_from)
}
