//! The unpacked bytes of one gzip member, or frame, as one contiguous view; bytes are copied only
//! if a record crosses pieces.
//!
//! This file knows of records only how they start. Invariant: at a boundary the view does not
//! advance until `next_member`, or until `join` for a record that continues in the next member.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::RECORD_START;
use super::header::version_line;
use crate::gzip::{Damage, Event};
use crate::unpack::Unpacker;

/// A larger buffer is freed after its record.
const CARRY_KEPT_BYTES: usize = 4 << 20;

/// Why no more bytes come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    MemberEnd,
    Damage(Damage),
    InputEnd,
}

pub(super) struct MemberBytes<R> {
    pub(super) input: Unpacker<R>,
    carry: Vec<u8>,
    /// The view is `carry[at..]` if `in_carry` is true, else `input.piece()[at..]`.
    in_carry: bool,
    at: usize,
    boundary: Option<Boundary>,
    /// Whether the input is already at the first piece of the next member, and whether that piece
    /// is the last of it. The view is then in `carry`.
    ahead: Option<bool>,
    /// Offset of the start of the view in the unpacked bytes of the member, and of those joined to
    /// it.
    position: u64,
    /// The positions at which the current member and those joined to it start, with their offsets.
    starts: VecDeque<(u64, u64)>,
    /// Whether the first piece of the current member was read.
    started: bool,
    members_started: u64,
    /// Whether a record continued in another member.
    joined: bool,
}

impl<R: Read> MemberBytes<R> {
    pub(super) fn new(input: Unpacker<R>) -> Self {
        let input = input.plain_at(starts_plain_record);
        Self {
            input,
            carry: Vec::new(),
            in_carry: false,
            at: 0,
            boundary: None,
            ahead: None,
            position: 0,
            starts: VecDeque::new(),
            members_started: 0,
            started: false,
            joined: false,
        }
    }

    /// Returns the unread bytes in memory.
    pub(super) fn view(&self) -> &[u8] {
        if self.in_carry { &self.carry[self.at..] } else { &self.input.piece()[self.at..] }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the number of members started.
    pub(super) fn members_started(&self) -> u64 {
        self.members_started
    }

    /// Returns the offset in the input of the member in which the view starts; in plain input, of
    /// the view itself.
    pub(super) fn offset(&self) -> u64 {
        if self.ahead.is_none() && self.input.is_plain() {
            return self.input.member_offset() + self.position;
        }
        self.starts.front().map_or_else(|| self.input.member_offset(), |(_, offset)| *offset)
    }

    /// Returns whether a record continued in another member, so that members end anywhere.
    pub(super) fn members_end_anywhere(&self) -> bool {
        self.joined
    }

    pub(super) fn boundary(&self) -> Option<&Boundary> {
        self.boundary.as_ref()
    }

    pub(super) fn consume(&mut self, count: usize) {
        assert!(count <= self.view().len(), "only bytes in view can be consumed");
        self.at += count;
        self.position += count as u64;
        while self.starts.get(1).is_some_and(|(start, _)| *start <= self.position) {
            self.starts.pop_front();
        }
    }

    /// Continues with the packed members that follow plain records, if they start with the view.
    pub(super) fn unpack_here(&mut self) -> io::Result<bool> {
        if !self.input.is_plain() || self.boundary.is_some() || self.ahead.is_some() {
            return Ok(false);
        }
        let found = self.input.unpack_last(self.view().len());
        // The view is the start of the piece, whatever was found.
        self.carry.clear();
        (self.at, self.in_carry) = (0, false);
        let found = found?;
        if found {
            (self.position, self.started) = (0, false);
            self.starts.clear();
        }
        Ok(found)
    }

    /// Extends the view to at least `wanted` bytes; returns `false` if the boundary comes first.
    pub(super) fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        while self.view().len() < wanted {
            if !self.more()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Extends the view; returns `false` at the boundary.
    pub(super) fn more(&mut self) -> io::Result<bool> {
        while self.boundary.is_none() {
            self.save_view();
            match self.input.next_event()? {
                Event::Piece { last } => {
                    if self.enter_piece(last) {
                        return Ok(true);
                    }
                }
                Event::Damage(damage) => self.boundary = Some(Boundary::Damage(damage)),
                Event::End => self.boundary = Some(Boundary::InputEnd),
            }
        }
        Ok(false)
    }

    /// Continues the view in the next member, if this one has ended and no record starts there.
    /// Returns whether the view was extended; otherwise the boundary is what was found.
    pub(super) fn join(&mut self) -> io::Result<bool> {
        if self.boundary != Some(Boundary::MemberEnd) || self.ahead.is_some() {
            return Ok(false);
        }
        loop {
            self.save_view();
            self.in_carry = true;
            match self.input.next_event()? {
                Event::Piece { .. } if self.input.piece().is_empty() => {}
                Event::Piece { last } if starts_record(self.input.piece()) => {
                    self.ahead = Some(last);
                    return Ok(false);
                }
                Event::Piece { last } => {
                    self.joined = true;
                    self.started = false;
                    self.boundary = None;
                    return Ok(self.enter_piece(last));
                }
                Event::Damage(damage) => {
                    self.boundary = Some(Boundary::Damage(damage));
                    return Ok(false);
                }
                Event::End => {
                    self.boundary = Some(Boundary::InputEnd);
                    return Ok(false);
                }
            }
        }
    }

    /// Extends the view to at least `wanted` bytes, also by members that continue this one.
    pub(super) fn fill_across(&mut self, wanted: usize) -> io::Result<bool> {
        while self.view().len() < wanted {
            if !self.more()? && !self.join()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Skips `count` bytes without holding them; returns `false` if the boundary comes first. If
    /// `across` is set, members that continue this one are skipped too.
    pub(super) fn skip(&mut self, count: u64, across: bool) -> io::Result<bool> {
        let mut left = count;
        loop {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(self.view().len());
            self.consume(step);
            left -= step as u64;
            if left == 0 {
                return Ok(true);
            }
            let extended = self.more()? || (across && self.join()?);
            if !extended {
                return Ok(false);
            }
        }
    }

    /// Leaves the boundary and what was left before it, and returns the boundary.
    pub(super) fn next_member(&mut self) -> Option<Boundary> {
        self.at = 0;
        self.in_carry = true;
        self.carry.clear();
        self.position = 0;
        self.starts.clear();
        self.started = false;
        let boundary = self.boundary.take();
        if let Some(last) = self.ahead.take() {
            self.in_carry = false;
            self.enter_piece(last);
        }
        boundary
    }

    #[cfg(test)]
    pub(super) fn carry_capacity(&self) -> usize {
        self.carry.capacity()
    }

    fn enter_piece(&mut self, last: bool) -> bool {
        let piece = self.input.piece();
        if !self.started {
            self.started = true;
            self.members_started += 1;
            let held = if self.in_carry { self.carry.len() - self.at } else { 0 };
            self.starts.push_back((self.position + held as u64, self.input.member_offset()));
        }
        if last {
            self.boundary = Some(Boundary::MemberEnd);
        }
        if self.in_carry {
            self.carry.extend_from_slice(piece);
        }
        !piece.is_empty()
    }

    /// Moves the unread part of the piece to the carry, because the next event overwrites the
    /// piece.
    fn save_view(&mut self) {
        if self.in_carry {
            self.carry.drain(..self.at);
        } else {
            self.carry.clear();
            self.carry.extend_from_slice(&self.input.piece()[self.at..]);
        }
        self.at = 0;
        self.in_carry = !self.carry.is_empty();
        if !self.in_carry && self.carry.capacity() > CARRY_KEPT_BYTES {
            self.carry = Vec::new();
        }
    }
}

/// Returns whether a record that is not packed starts after a member, or after what may be between
/// two records.
fn starts_plain_record(bytes: &[u8]) -> bool {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
    version_line(&bytes[blank..]).is_some()
}

/// Returns whether the first bytes of a member start a record.
fn starts_record(piece: &[u8]) -> bool {
    piece.get(..RECORD_START.len()).is_some_and(|start| start.eq_ignore_ascii_case(RECORD_START))
}
