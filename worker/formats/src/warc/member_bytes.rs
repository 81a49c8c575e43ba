//! The inflated bytes of one gzip member as one contiguous view; bytes are copied only if a record
//! crosses pieces.
//!
//! This file knows nothing of records. Invariant: a view never has bytes of two members; at a
//! boundary it does not advance until `next_member`.

use std::io::{self, Read};

use crate::gzip::{Damage, Event, GzipReader};

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
    pub(super) gzip: GzipReader<R>,
    carry: Vec<u8>,
    /// The view is `carry[at..]` if `in_carry` is true, else `gzip.piece()[at..]`.
    in_carry: bool,
    at: usize,
    boundary: Option<Boundary>,
    /// Offset of the start of the view in the inflated bytes of the member.
    position: u64,
    /// Whether the first piece of the current member was read.
    started: bool,
    members_started: u64,
}

impl<R: Read> MemberBytes<R> {
    pub(super) fn new(gzip: GzipReader<R>) -> Self {
        Self {
            gzip,
            carry: Vec::new(),
            in_carry: false,
            at: 0,
            boundary: None,
            position: 0,
            members_started: 0,
            started: false,
        }
    }

    /// Returns the unread bytes in memory.
    pub(super) fn view(&self) -> &[u8] {
        if self.in_carry { &self.carry[self.at..] } else { &self.gzip.piece()[self.at..] }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the number of members started.
    pub(super) fn members_started(&self) -> u64 {
        self.members_started
    }

    pub(super) fn boundary(&self) -> Option<&Boundary> {
        self.boundary.as_ref()
    }

    pub(super) fn consume(&mut self, count: usize) {
        assert!(count <= self.view().len(), "only bytes in view can be consumed");
        self.at += count;
        self.position += count as u64;
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
            match self.gzip.next_event()? {
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

    /// Skips `count` bytes without holding them; returns `false` if the boundary comes first.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<bool> {
        let mut left = count;
        loop {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(self.view().len());
            self.consume(step);
            left -= step as u64;
            if left == 0 {
                return Ok(true);
            }
            if !self.more()? {
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
        self.started = false;
        self.boundary.take()
    }

    #[cfg(test)]
    pub(super) fn carry_capacity(&self) -> usize {
        self.carry.capacity()
    }

    fn enter_piece(&mut self, last: bool) -> bool {
        if !self.started {
            self.started = true;
            self.members_started += 1;
        }
        if last {
            self.boundary = Some(Boundary::MemberEnd);
        }
        let piece = self.gzip.piece();
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
            self.carry.extend_from_slice(&self.gzip.piece()[self.at..]);
        }
        self.at = 0;
        self.in_carry = !self.carry.is_empty();
        if !self.in_carry && self.carry.capacity() > CARRY_KEPT_BYTES {
            self.carry = Vec::new();
        }
    }
}
