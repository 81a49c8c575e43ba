//! Multi-member gzip at libdeflate's speed, in bounded memory, past any damage.
//!
//! ```text
//!   Read ─► Window (hashed, exact offsets) ─► does the member fit? ─ yes ─► Inflater ─► a piece
//!                       ▲                                      └─── no ──► Stream ──► pieces
//!                       └───────────── resync ◄── damage ◄──────────────────┘
//! ```
//!
//! Members are tried whole; those too large for the buffers, and damaged ones, are inflated in
//! pieces. Damage is an event with its place in the input; reading goes on at the next member that
//! really inflates. Input that is not gzip passes through as one endless member. What the bytes
//! mean is left to the caller. Invariants: a member never costs more memory than the constants
//! below; what was decoded before a damage is handed out; an error of the input is an `Err` and can
//! be retried.

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
use window::Window;

pub use window::InputDigest;

/// Bad deflate data, wrong checksum or length.
pub const REASON_DAMAGED: &str = "gzip_damaged";
/// The input ends inside a member.
pub const REASON_TRUNCATED: &str = "gzip_truncated";
/// Bytes between members that are no member.
pub const REASON_GARBAGE: &str = "gzip_garbage";
/// A member that inflates beyond all measure.
pub const REASON_BOMB: &str = "gzip_bomb";

/// Compressed bytes kept in view; most members fit, so one attempt is enough.
const LOOKAHEAD_BYTES: usize = 128 << 10;
/// Longest compressed member that is inflated whole.
const WINDOW_MAX_BYTES: usize = 4 << 20;
/// Longest inflated member that is handed out whole.
const OUTPUT_MAX_BYTES: usize = 8 << 20;
const OUTPUT_FIRST_BYTES: usize = 256 << 10;
/// Size of the pieces of a larger member.
const PIECE_BYTES: usize = 256 << 10;
/// A damaged member may swallow its successors before the damage shows; so far back they are found.
const HISTORY_BYTES: usize = 1 << 20;
/// Reading the same bytes again after damage may cost this much, plus four times the input.
const REWORK_FREE_BYTES: u64 = 64 << 20;

/// When a member is a bomb: it passes both limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GzipLimits {
    pub member_max_bytes: u64,
    /// Inflated bytes per compressed byte; deflate cannot pass 1032.
    pub member_max_ratio: u64,
}

impl Default for GzipLimits {
    fn default() -> Self {
        Self { member_max_bytes: 4 << 30, member_max_ratio: 100 }
    }
}

/// What `GzipReader::next_event` met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `piece()` holds the next bytes of the member at `member_offset()`. `last`: the member ends
    /// with it and is whole. A piece may be empty.
    Piece {
        last: bool,
    },
    /// The member of the last pieces, or bytes between members, cannot be read. The next piece is
    /// of another member.
    Damage(Damage),
    End,
}

/// A place in the input that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it starts: the member's offset in the compressed input.
    pub offset: u64,
    pub reason: &'static str,
    pub detail: String,
}

/// Pulls inflated pieces out of gzip or plain input.
pub struct GzipReader<R> {
    window: Window<R>,
    inflater: Inflater,
    output: Vec<u8>,
    /// Bytes of `output`, or for plain input of the window, that are the current piece.
    piece_bytes: usize,
    state: State,
    limits: GzipLimits,
    member_offset: u64,
    rework_bytes: u64,
    plain: bool,
}

enum State {
    /// Nothing is known about the input.
    Start,
    Between,
    Streaming(Box<Stream>),
    /// A damage was met, its end is not known. `resume_at`: where the search starts.
    Broken {
        damage: Damage,
        resume_at: u64,
    },
    Searching(Damage),
    Plain,
    Ended,
}

impl<R: Read> GzipReader<R> {
    pub fn new(input: R, limits: GzipLimits) -> Self {
        Self {
            window: Window::new(input),
            inflater: Inflater::new(),
            output: Vec::new(),
            piece_bytes: 0,
            state: State::Start,
            limits,
            member_offset: 0,
            rework_bytes: 0,
            plain: false,
        }
    }

    /// Moves on. An `Err` comes from the input alone; the call may then be repeated.
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

    /// The bytes of the last `Event::Piece`; valid until the next call of `next_event`.
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

    /// Where the member of the last piece starts in the compressed input; 0 for plain input.
    pub fn member_offset(&self) -> u64 {
        self.member_offset
    }

    /// Whether the input is not gzip and passes through. Known after the first event.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Length and hash of the input read so far: of all of it after `Event::End`.
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
        let binary = bytes.iter().take(64).any(|byte| matches!(byte, 0..=8 | 14..=31 | 127));
        let gzip = bytes.starts_with(&MAGIC[..2]) || (binary && resync::contains_member(bytes));
        self.plain = !gzip && !bytes.is_empty();
        self.state = if self.plain { State::Plain } else { State::Between };
        Ok(None)
    }

    fn pass_through(&mut self) -> io::Result<Event> {
        self.window.consume(std::mem::take(&mut self.piece_bytes));
        self.window.fill(1, 0)?;
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
            return self.meet_garbage();
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

    /// Inflates the member at the window's start if it is sound and fits; else moves nothing.
    fn inflate_whole(&mut self) -> io::Result<Option<usize>> {
        // Larger members take the way on which bombs are recognised.
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

    /// Zeros up to the end are padding, as tapes and block devices leave it; all else is garbage.
    fn meet_garbage(&mut self) -> io::Result<Option<Event>> {
        loop {
            self.window.fill(LOOKAHEAD_BYTES, 0)?;
            let bytes = self.window.unread();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            if zeros == bytes.len() && zeros > 0 {
                self.window.consume(zeros);
                continue;
            }
            if bytes.is_empty() {
                self.state = State::Ended;
                return Ok(None);
            }
            let offset = self.member_offset;
            let detail = "bytes that are no gzip member".to_owned();
            self.state = State::Searching(Damage { offset, reason: REASON_GARBAGE, detail });
            return Ok(None);
        }
    }

    fn stream(&mut self) -> io::Result<Event> {
        let State::Streaming(stream) = &mut self.state else {
            unreachable!("called in this state alone")
        };
        self.piece_bytes = 0;
        let room = self.output.len().min(PIECE_BYTES);
        let mut filled = 0;
        let step = match stream.step(&mut self.window, &mut self.output[..room], &mut filled) {
            Ok(step) => step,
            // What was inflated before the error goes out first; the error, if it stays, comes
            // next.
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
                    self.state = State::Searching(Damage { offset, reason: REASON_BOMB, detail });
                }
            }
            Step::Broken { reason, detail, at_end } => {
                let here = self.window.offset();
                // A member whose data ended where it should have was damaged inside; then the next
                // one follows, and what looks like a member inside it is its content.
                let next_follows = at_end && resync::plausible(self.window.unread());
                let resume_at = if next_follows { here } else { offset + 1 };
                let damage = Damage { offset, reason, detail };
                self.state = State::Broken { damage, resume_at };
            }
        }
        Ok(Event::Piece { last: false })
    }

    fn rewind(&mut self) -> Option<Event> {
        let State::Broken { damage, resume_at } =
            std::mem::replace(&mut self.state, State::Between)
        else {
            unreachable!("called in this state alone")
        };
        if self.window.offset() < resume_at {
            // The header itself is what is wrong, and nothing of it was consumed.
            self.window.consume(1);
        }
        let here = self.window.offset();
        // Nested headers could make reading quadratic; past the allowance the search only goes on.
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
            unreachable!("called in this state alone")
        };
        if found && damage.reason == REASON_TRUNCATED {
            damage.reason = REASON_DAMAGED;
        }
        self.piece_bytes = 0;
        Ok(Event::Damage(damage))
    }
}
