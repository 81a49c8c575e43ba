//! Reads the frames of zstd, xz and bzip2 one after the other, with the events of `gzip`.
//!
//! **Invariant:** what was decoded before damage is returned; after damage the next frame is
//! searched from the start of the damaged one, as far as it is still in the window.

use std::io::{self, Read};

use super::FormError;
use super::codec::{self, Codec, DICTIONARY_MAX_BYTES, Refused};
use crate::form::Form;
use crate::gzip::{Damage, Event, GzipLimits, InputDigest, Window};

/// Compressed bytes to hold before a step.
const LOOKAHEAD_BYTES: usize = 128 << 10;
/// Size of the pieces of a frame.
const PIECE_BYTES: usize = 256 << 10;
/// How far the reader can go back after damage.
const HISTORY_BYTES: usize = 1 << 20;
/// Bytes that may be read again after damage, in addition to four times the input.
const REWORK_FREE_BYTES: u64 = 64 << 20;
/// Size of the head of a skippable frame: its magic number and its length.
const SKIPPABLE_HEAD_BYTES: usize = 8;
/// Last digit of the magic number of the skippable frame that holds a dictionary.
const DICTIONARY_SIGN: u8 = 0x5d;

const DAMAGED: usize = 0;
const TRUNCATED: usize = 1;
const GARBAGE: usize = 2;
const BOMB: usize = 3;

pub(super) struct Frames<R> {
    window: Window<R>,
    codec: Codec,
    output: Vec<u8>,
    piece_bytes: usize,
    state: State,
    limits: GzipLimits,
    member_offset: u64,
    /// Bytes that came out of the current frame.
    produced: u64,
    rework_bytes: u64,
    /// Whether a frame was decoded to its end.
    any_whole: bool,
    /// Whether reading has ended at another packing.
    stopped: bool,
    /// Returns whether content that is not packed starts with these bytes between two frames.
    plain_at: fn(&[u8]) -> bool,
}

enum State {
    Between,
    Inside,
    /// Bytes of a skippable frame that are left.
    Skipping(u32),
    /// The damage is returned once the next frame is found.
    Broken(Damage),
    Ended,
}

impl<R: Read> Frames<R> {
    pub(super) fn new(input: R, codec: Codec, limits: GzipLimits) -> Self {
        Self::of_window(Window::new(input), codec, limits)
    }

    /// Returns a reader of the frames with which a window starts.
    pub(super) fn of_window(window: Window<R>, codec: Codec, limits: GzipLimits) -> Self {
        Self {
            // Behind other frames, one that needs too much memory is damage.
            any_whole: window.offset() > 0,
            window,
            codec,
            output: Vec::new(),
            piece_bytes: 0,
            state: State::Between,
            limits,
            member_offset: 0,
            produced: 0,
            rework_bytes: 0,
            stopped: false,
            plain_at: |_| false,
        }
    }

    /// Makes the reader end before bytes between two frames for which this returns `true`.
    pub(super) fn plain_at(self, plain_at: fn(&[u8]) -> bool) -> Self {
        Self { plain_at, ..self }
    }

    /// Returns whether reading has ended at bytes of another packing.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns the window, whose unread bytes come next.
    pub(super) fn into_window(self) -> Window<R> {
        self.window
    }

    pub(super) fn next_event(&mut self) -> io::Result<Event> {
        self.piece_bytes = 0;
        loop {
            let event = match &mut self.state {
                State::Between => self.between()?,
                State::Inside => Some(self.inside()?),
                State::Skipping(left) => {
                    let left = *left;
                    self.skip(left)?
                }
                State::Broken(_) => Some(self.search()?),
                State::Ended => Some(Event::End),
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    pub(super) fn piece(&self) -> &[u8] {
        &self.output[..self.piece_bytes]
    }

    pub(super) fn member_offset(&self) -> u64 {
        self.member_offset
    }

    pub(super) fn input_digest(&self) -> InputDigest {
        self.window.digest()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.window.capacity() + self.output.capacity()
    }

    /// Starts the next frame, or skips what is between two.
    fn between(&mut self) -> io::Result<Option<Event>> {
        self.window.fill(LOOKAHEAD_BYTES, 0)?;
        let bytes = self.window.unread();
        if bytes.is_empty() {
            self.state = State::Ended;
            return Ok(None);
        }
        self.member_offset = self.window.offset();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        if zeros > 0 {
            self.window.consume(zeros);
            return Ok(None);
        }
        if let [sign @ 0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] = *bytes
            && matches!(self.codec, Codec::Zstd(_))
        {
            return self.skippable(sign);
        }
        if !self.codec.starts(bytes) {
            self.stopped = (self.plain_at)(bytes) || codec::form_here(bytes).is_some();
            if self.stopped {
                self.state = State::Ended;
                return Ok(None);
            }
            return Ok(self.broken(GARBAGE, "bytes that are no frame".to_owned()));
        }
        self.produced = 0;
        if let Err(refused) = self.codec.begin(bytes) {
            return self.refused(refused);
        }
        if self.output.is_empty() {
            self.output.resize(PIECE_BYTES, 0);
        }
        self.state = State::Inside;
        Ok(None)
    }

    fn inside(&mut self) -> io::Result<Event> {
        let mut filled = 0;
        loop {
            match self.window.fill(1, HISTORY_BYTES) {
                Ok(()) => {}
                // What was decoded before the error is returned first.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
            let input = self.window.unread();
            let ended = self.window.ended();
            let step = self.codec.step(input, &mut self.output[filled..], ended);
            let stuck = step.consumed == 0 && step.produced == 0 && !step.done;
            let at_end = ended && step.consumed == input.len();
            self.window.consume(step.consumed);
            filled += step.produced;
            self.produced += step.produced as u64;
            if let Some(refused) = step.refused {
                if let Some(event) = self.refused(refused)? {
                    return Ok(event);
                }
                break;
            }
            if step.done {
                self.state = State::Between;
                self.any_whole = true;
                self.piece_bytes = filled;
                return Ok(Event::Piece { last: true });
            }
            if filled == self.output.len() {
                self.check_size();
                break;
            }
            if (stuck || step.produced == 0) && at_end {
                let text = format!("the input ends after {} unpacked bytes", self.produced);
                self.broken(TRUNCATED, text);
                break;
            }
            if stuck {
                self.broken(DAMAGED, "the decoder makes no progress".to_owned());
                break;
            }
        }
        self.piece_bytes = filled;
        Ok(Event::Piece { last: false })
    }

    fn check_size(&mut self) {
        let read = self.window.offset() - self.member_offset;
        let ratio = self.produced / read.max(1);
        if self.produced > self.limits.member_max_bytes && ratio > self.limits.member_max_ratio {
            let text = format!("{} bytes unpacked from {read}", self.produced);
            self.broken(BOMB, text);
        }
    }

    /// Turns what a decoder refused into damage. A first frame that needs too much memory shows how
    /// the input was packed, so it is an error; a later one is damage.
    fn refused(&mut self, refused: Refused) -> io::Result<Option<Event>> {
        match refused {
            Refused::Memory(needed_kib, allowed_kib) if !self.any_whole => {
                let form = self.codec.form();
                Err(FormError::Memory { form, needed_kib, allowed_kib }.into())
            }
            Refused::Memory(needed, _) => {
                Ok(self.broken(DAMAGED, format!("a frame that takes {needed} KiB of memory")))
            }
            Refused::Damaged(text) => {
                let text = format!("{text} after {} unpacked bytes", self.produced);
                Ok(self.broken(DAMAGED, text))
            }
        }
    }

    /// Enters the state of damage, which the next event reports.
    fn broken(&mut self, what: usize, detail: String) -> Option<Event> {
        let reason = self.codec.reasons()[what];
        self.state = State::Broken(Damage::new(self.member_offset, reason, detail));
        None
    }

    /// Moves to the next frame, and returns the damage before it.
    fn search(&mut self) -> io::Result<Event> {
        let from = self.member_offset + 1;
        let here = self.window.offset();
        if here < from {
            self.window.consume(1);
        } else if self.rework_bytes + (here - from) <= REWORK_FREE_BYTES + 4 * here {
            self.rework_bytes += here - from;
            self.window.rewind(from);
        }
        // A call that is repeated after an error of the input continues from here.
        self.member_offset = self.window.offset() - 1;
        let found = self.find()?;
        let State::Broken(mut damage) = std::mem::replace(&mut self.state, State::Between) else {
            unreachable!("called in this state only")
        };
        let [damaged, truncated, ..] = self.codec.reasons();
        if found && damage.reason == truncated {
            damage.reason = damaged;
        }
        Ok(Event::Damage(damage))
    }

    fn find(&mut self) -> io::Result<bool> {
        let magic = self.codec.magic();
        loop {
            self.window.fill(LOOKAHEAD_BYTES, 0)?;
            let bytes = self.window.unread();
            let mut found = memchr::memmem::find_iter(bytes, magic);
            let found = found.find(|at| self.codec.starts(&bytes[*at..]));
            let (step, done) = match found {
                Some(at) => (at, true),
                None if self.window.ended() => (bytes.len(), true),
                None => (bytes.len().saturating_sub(magic.len() - 1), false),
            };
            self.window.consume(step);
            if done {
                return Ok(found.is_some());
            }
        }
    }

    /// Skips a frame without content, or takes the dictionary from it.
    fn skippable(&mut self, sign: u8) -> io::Result<Option<Event>> {
        let length = self.window.unread().get(4..SKIPPABLE_HEAD_BYTES);
        let Some(&[a, b, c, d]) = length else {
            return Ok(self.broken(TRUNCATED, "the input ends in a skippable frame".to_owned()));
        };
        let length = u32::from_le_bytes([a, b, c, d]);
        let first = self.window.offset() == 0;
        if first && sign == DICTIONARY_SIGN {
            return self.dictionary(length as usize);
        }
        self.window.consume(SKIPPABLE_HEAD_BYTES);
        self.state = State::Skipping(length);
        Ok(None)
    }

    /// Skips some of a skippable frame, of which `left` bytes are left.
    fn skip(&mut self, left: u32) -> io::Result<Option<Event>> {
        if left == 0 {
            self.state = State::Between;
            return Ok(None);
        }
        self.window.fill(1, HISTORY_BYTES)?;
        let step = self.window.unread().len().min(left as usize);
        if step == 0 {
            return Ok(self.broken(TRUNCATED, "the input ends in a skippable frame".to_owned()));
        }
        self.window.consume(step);
        self.state = State::Skipping(left - step as u32);
        Ok(None)
    }

    fn dictionary(&mut self, length: usize) -> io::Result<Option<Event>> {
        if length > DICTIONARY_MAX_BYTES {
            let (needed_kib, allowed_kib) = (length as u64, DICTIONARY_MAX_BYTES as u64);
            let (needed_kib, allowed_kib) = (needed_kib >> 10, allowed_kib >> 10);
            return Err(FormError::Memory { form: Form::Zstd, needed_kib, allowed_kib }.into());
        }
        let end = SKIPPABLE_HEAD_BYTES + length;
        self.window.fill(end, 0)?;
        let Some(bytes) = self.window.unread().get(SKIPPABLE_HEAD_BYTES..end) else {
            return Ok(self.broken(TRUNCATED, "the input ends in its dictionary".to_owned()));
        };
        let used = self.codec.use_dictionary(bytes);
        self.window.consume(end);
        match used {
            Ok(()) => Ok(None),
            Err(refused) => self.refused(refused),
        }
    }
}
