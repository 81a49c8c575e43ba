//! A reader of multi-member gzip at libdeflate's speed, in bounded memory, that continues after
//! damage.
//!
//! ```text
//!   Read ─► Window (hashed, exact offsets) ─► does the member fit? ─ yes ─► Inflater ─► a piece
//!                       ▲                                      └─── no ──► Stream ──► pieces
//!                       └───────────── resync ◄── damage ◄──────────────────┘
//! ```
//!
//! A member is first inflated whole. One that is too large for the buffers, or damaged, is inflated
//! in pieces. Damage is an event with its location in the input; reading continues at the next
//! member that inflates. Input that is not gzip passes through as one member. The caller decides
//! what the bytes mean.
//!
//! Invariants: no member needs more memory than the constants below allow; what was decoded before
//! damage is returned; an error of the input is an `Err` and can be retried.

mod header;
mod resync;
mod stream;
#[cfg(test)]
mod tests;
mod window;

use std::io::{self, Read};

use super::inflate::{Inflated, Inflater};
use header::MAGIC;
use stream::{Step, Stream};

pub use window::InputDigest;
pub(crate) use window::Window;

/// Reason of a member with invalid deflate data, or a wrong checksum or length.
pub const REASON_DAMAGED: &str = "gzip_damaged";
/// Reason of an input that ends inside a member.
pub const REASON_TRUNCATED: &str = "gzip_truncated";
/// Reason of bytes between members that are not a member.
pub const REASON_GARBAGE: &str = "gzip_garbage";
/// Reason of a member that inflates to more than [`GzipLimits`] allows.
pub const REASON_BOMB: &str = "gzip_bomb";

/// Compressed bytes to read before a member is inflated; most members fit, so one attempt is
/// enough.
const LOOKAHEAD_BYTES: usize = 128 << 10;
/// Longest compressed member that is inflated whole.
const WINDOW_MAX_BYTES: usize = 4 << 20;
/// Longest inflated member that is returned whole.
const OUTPUT_MAX_BYTES: usize = 8 << 20;
const OUTPUT_FIRST_BYTES: usize = 256 << 10;
/// Size of the pieces of a larger member.
const PIECE_BYTES: usize = 256 << 10;
/// How far the reader can go back: a damaged member may consume the members after it before the
/// damage is detected.
const HISTORY_BYTES: usize = 1 << 20;
/// How far the reader of plain input can go back to bytes that were looked at, and start a member.
const PLAIN_HISTORY_BYTES: usize = 1 << 10;
/// Bytes that may be read again after damage, in addition to four times the input.
const REWORK_FREE_BYTES: u64 = 64 << 20;

/// The limits that define a bomb: a member that exceeds both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GzipLimits {
    /// Inflated bytes.
    pub member_max_bytes: u64,
    /// Inflated bytes per compressed byte; deflate cannot exceed 1032.
    pub member_max_ratio: u64,
}

impl Default for GzipLimits {
    fn default() -> Self {
        Self { member_max_bytes: 4 << 30, member_max_ratio: 100 }
    }
}

/// What `GzipReader::next_event` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `piece()` returns the next bytes of the member at `member_offset()`. A piece may be empty.
    Piece {
        /// The member ends with this piece and is intact.
        last: bool,
    },
    /// The member of the last pieces, or the bytes between two members, cannot be read. The next
    /// piece belongs to another member.
    Damage(Damage),
    /// The input has ended.
    End,
}

/// A part of the input that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Offset in the compressed input at which it starts: that of the member.
    pub offset: u64,
    /// One of the reasons above.
    pub reason: &'static str,
    /// What is wrong, for people.
    pub detail: String,
    /// Whether the content of the member was returned to its end, and only its checksum or length
    /// is wrong.
    pub content_ended: bool,
}

impl Damage {
    pub(crate) fn new(offset: u64, reason: &'static str, detail: String) -> Self {
        Self { offset, reason, detail, content_ended: false }
    }

    /// Returns whether the bytes before and after it are whole, so that nothing of the content is
    /// missing here.
    pub fn is_after_content(&self) -> bool {
        self.content_ended || self.is_between_members()
    }

    /// Returns whether it lies between two members, so that no member is damaged.
    pub fn is_between_members(&self) -> bool {
        self.reason.ends_with("_garbage")
    }
}

/// Returns whether an input that starts like this is not text.
pub(crate) fn is_binary(start: &[u8]) -> bool {
    start.iter().take(64).any(|byte| matches!(byte, 0..=8 | 14..=31 | 127))
}

/// Returns whether a member starts with these bytes.
pub(crate) fn starts_member(bytes: &[u8]) -> bool {
    resync::plausible(bytes)
}

/// Reads gzip or plain input and returns it as inflated pieces.
pub struct GzipReader<R> {
    window: Window<R>,
    inflater: Inflater,
    output: Vec<u8>,
    /// Size of the current piece, in `output` or, for plain input, in the window.
    piece_bytes: usize,
    state: State,
    limits: GzipLimits,
    member_offset: u64,
    rework_bytes: u64,
    plain: bool,
    /// Returns whether another packing starts with these bytes between two members.
    ends_at: fn(&[u8]) -> bool,
    /// Returns whether content that is not packed starts with these bytes between two members.
    plain_at: fn(&[u8]) -> bool,
    /// Whether reading has ended at another packing.
    stopped: bool,
}

enum State {
    /// Nothing is known about the input.
    Start,
    Between,
    Streaming(Box<Stream>),
    /// The member is damaged and its end is not known. The search for the next one starts at
    /// `resume_at`.
    Broken {
        damage: Damage,
        resume_at: u64,
    },
    Searching(Damage),
    Plain,
    Ended,
}

impl<R: Read> GzipReader<R> {
    /// Creates a reader that treats a member beyond `limits` as a bomb.
    pub fn new(input: R, limits: GzipLimits) -> Self {
        Self::of_window(Window::new(input), limits, State::Start)
    }

    /// Creates a reader of the members that start in a window.
    pub(crate) fn of_members(window: Window<R>, limits: GzipLimits) -> Self {
        Self::of_window(window, limits, State::Between)
    }

    fn of_window(window: Window<R>, limits: GzipLimits, state: State) -> Self {
        Self {
            window,
            inflater: Inflater::new(),
            output: Vec::new(),
            piece_bytes: 0,
            state,
            limits,
            member_offset: 0,
            rework_bytes: 0,
            plain: false,
            ends_at: |_| false,
            plain_at: |_| false,
            stopped: false,
        }
    }

    /// Makes the reader end before bytes between two members for which this returns `true`.
    pub(crate) fn ending_at(self, ends_at: fn(&[u8]) -> bool) -> Self {
        Self { ends_at, ..self }
    }

    /// Makes the reader pass the input through from bytes between two members on for which this
    /// returns `true`.
    pub(crate) fn plain_at(self, plain_at: fn(&[u8]) -> bool) -> Self {
        Self { plain_at, ..self }
    }

    /// Looks at the last `count` bytes of the plain input that was returned. If they start a member
    /// by `is_packed`, reading continues with it and `true` is returned; otherwise they are the
    /// start of the current piece.
    pub(crate) fn unpack_last(
        &mut self,
        count: usize,
        is_packed: fn(&[u8]) -> bool,
    ) -> io::Result<bool> {
        if !matches!(self.state, State::Plain) {
            return Ok(false);
        }
        match self.piece_bytes.checked_sub(count) {
            Some(before) => self.window.consume(before),
            None => {
                let before = (count - self.piece_bytes) as u64;
                self.window.rewind(self.window.offset() - before);
            }
        }
        let filled = self.window.fill(LOOKAHEAD_BYTES, 0);
        self.piece_bytes = self.window.unread().len();
        filled?;
        if !is_packed(self.window.unread()) {
            return Ok(false);
        }
        (self.piece_bytes, self.plain, self.state) = (0, false, State::Between);
        Ok(true)
    }

    /// Returns whether reading has ended at bytes of another packing.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns the window, whose unread bytes come next.
    pub(crate) fn into_window(self) -> Window<R> {
        self.window
    }

    /// Creates a reader that passes the input through, although it may contain gzip data.
    pub fn of_plain(input: R, limits: GzipLimits) -> Self {
        Self { state: State::Plain, plain: true, ..Self::new(input, limits) }
    }

    /// Returns the next event. An `Err` comes from the input only; the call may then be repeated.
    pub fn next_event(&mut self) -> io::Result<Event> {
        loop {
            let event = match &mut self.state {
                State::Start => self.detect()?,
                State::Between => self.start_member()?,
                State::Streaming(_) => Some(self.stream()?),
                State::Broken { .. } => self.rewind(),
                State::Searching(_) => Some(self.search()?),
                State::Plain => Some(self.pass_through()?),
                State::Ended => Some(Event::End),
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    /// Returns the bytes of the last `Event::Piece`; they are valid until the next call of
    /// `next_event`.
    pub fn piece(&self) -> &[u8] {
        match self.state {
            State::Plain => &self.window.unread()[..self.piece_bytes],
            State::Start
            | State::Between
            | State::Streaming(_)
            | State::Broken { .. }
            | State::Searching(_)
            | State::Ended => &self.output[..self.piece_bytes],
        }
    }

    /// Returns the offset in the compressed input of the last piece's member; of plain input, that
    /// of its start.
    pub fn member_offset(&self) -> u64 {
        self.member_offset
    }

    /// Returns whether the input is not gzip and passes through. This is known after the first
    /// event.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Returns the length and hash of the input read so far, which is all of it after `Event::End`.
    pub fn input_digest(&self) -> InputDigest {
        self.window.digest()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.window.capacity() + self.output.capacity()
    }

    fn detect(&mut self) -> io::Result<Option<Event>> {
        self.window.fill(LOOKAHEAD_BYTES, 0)?;
        let bytes = self.window.unread();
        // A gzip file whose very first bytes are damaged is still gzip; text files may well hold
        // gzip data further on.
        let gzip =
            bytes.starts_with(&MAGIC[..2]) || (is_binary(bytes) && resync::contains_member(bytes));
        self.plain = !gzip && !bytes.is_empty();
        self.state = if self.plain { State::Plain } else { State::Between };
        Ok(None)
    }

    fn pass_through(&mut self) -> io::Result<Event> {
        self.window.consume(std::mem::take(&mut self.piece_bytes));
        self.window.fill(1, PLAIN_HISTORY_BYTES)?;
        self.piece_bytes = self.window.unread().len();
        if self.piece_bytes == 0 {
            self.state = State::Ended;
            return Ok(Event::Piece { last: true });
        }
        Ok(Event::Piece { last: false })
    }

    fn start_member(&mut self) -> io::Result<Option<Event>> {
        self.piece_bytes = 0;
        self.window.fill(LOOKAHEAD_BYTES, 0)?;
        let bytes = self.window.unread();
        if bytes.is_empty() {
            self.state = State::Ended;
            return Ok(None);
        }
        self.member_offset = self.window.offset();
        let magic = bytes.len().min(MAGIC.len());
        if bytes[..magic] != MAGIC[..magic] {
            if (self.plain_at)(bytes) {
                (self.plain, self.state) = (true, State::Plain);
                return Ok(None);
            }
            self.stopped = (self.ends_at)(bytes);
            if self.stopped {
                self.state = State::Ended;
                return Ok(None);
            }
            return Ok(self.skip_garbage());
        }
        match self.inflate_whole()? {
            Some(produced) => {
                self.piece_bytes = produced;
                Ok(Some(Event::Piece { last: true }))
            }
            None => {
                self.state = State::Streaming(Box::new(Stream::new()));
                Ok(None)
            }
        }
    }

    /// Inflates the member at the start of the window if it is intact and fits; otherwise consumes
    /// nothing.
    fn inflate_whole(&mut self) -> io::Result<Option<usize>> {
        // Larger members are streamed, which is where bombs are detected.
        let limit = usize::try_from(self.limits.member_max_bytes).unwrap_or(usize::MAX);
        let output_max = OUTPUT_MAX_BYTES.min(limit);
        if self.output.is_empty() {
            self.output.resize(OUTPUT_FIRST_BYTES, 0);
        }
        loop {
            let room = self.output.len().min(output_max);
            match self.inflater.gzip_member(self.window.unread(), &mut self.output[..room]) {
                Inflated::Done { consumed, produced } => {
                    self.window.consume(consumed);
                    return Ok(Some(produced));
                }
                Inflated::OutputFull if room < output_max => {
                    self.output.resize(self.output.len() * 2, 0);
                }
                Inflated::Bad
                    if self.window.unread().len() < WINDOW_MAX_BYTES && !self.window.ended() =>
                {
                    self.window.fill(WINDOW_MAX_BYTES, 0)?;
                }
                Inflated::OutputFull | Inflated::Bad => return Ok(None),
            }
        }
    }

    /// Skips what is not a member. Zeros are the padding of tapes and block devices.
    fn skip_garbage(&mut self) -> Option<Event> {
        let zeros = self.window.unread().iter().take_while(|byte| **byte == 0).count();
        if zeros > 0 {
            self.window.consume(zeros);
            return None;
        }
        let offset = self.member_offset;
        let detail = "bytes that are no gzip member".to_owned();
        self.state = State::Searching(Damage::new(offset, REASON_GARBAGE, detail));
        None
    }

    fn stream(&mut self) -> io::Result<Event> {
        let State::Streaming(stream) = &mut self.state else {
            unreachable!("called in this state only")
        };
        self.piece_bytes = 0;
        let room = self.output.len().min(PIECE_BYTES);
        let mut filled = 0;
        let step = match stream.step(&mut self.window, &mut self.output[..room], &mut filled) {
            Ok(step) => step,
            // What was inflated before the error is returned first; the error, if it persists,
            // comes with the next call.
            Err(_) if filled > 0 => Step::More,
            Err(error) => return Err(error),
        };
        self.piece_bytes = filled;
        let offset = self.member_offset;
        match step {
            Step::Done => {
                self.state = State::Between;
                return Ok(Event::Piece { last: true });
            }
            Step::More => {
                let (inflated, compressed) = stream.totals();
                let ratio = inflated / compressed.max(1);
                if inflated > self.limits.member_max_bytes && ratio > self.limits.member_max_ratio {
                    let detail = format!("{inflated} bytes inflated from {compressed}");
                    self.state = State::Searching(Damage::new(offset, REASON_BOMB, detail));
                }
            }
            Step::Broken { reason, detail, at_end } => {
                let here = self.window.offset();
                // If the data of a member ended where it should, the damage is inside it and the
                // next member follows; anything inside it that looks like a member is its content.
                let next_follows = at_end && resync::plausible(self.window.unread());
                let resume_at = if next_follows { here } else { offset + 1 };
                let content_ended = at_end;
                let damage = Damage { content_ended, ..Damage::new(offset, reason, detail) };
                self.state = State::Broken { damage, resume_at };
            }
        }
        Ok(Event::Piece { last: false })
    }

    fn rewind(&mut self) -> Option<Event> {
        let State::Broken { damage, resume_at } =
            std::mem::replace(&mut self.state, State::Between)
        else {
            unreachable!("called in this state only")
        };
        if self.window.offset() < resume_at {
            // The header itself is wrong, and none of it was consumed.
            self.window.consume(1);
        }
        let here = self.window.offset();
        // Nested headers could make reading quadratic; beyond the allowance, the search continues
        // without going back.
        let again = here - resume_at;
        if self.rework_bytes + again <= REWORK_FREE_BYTES + 4 * here {
            self.rework_bytes += again;
            self.window.rewind(resume_at);
        }
        self.state = State::Searching(damage);
        None
    }

    fn search(&mut self) -> io::Result<Event> {
        let found = resync::find_member(&mut self.window)?;
        let State::Searching(mut damage) = std::mem::replace(&mut self.state, State::Between)
        else {
            unreachable!("called in this state only")
        };
        if found && damage.reason == REASON_TRUNCATED {
            damage.reason = REASON_DAMAGED;
        }
        self.piece_bytes = 0;
        Ok(Event::Damage(damage))
    }
}
