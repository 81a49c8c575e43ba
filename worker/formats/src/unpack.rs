//! Unpacks an input whose form is found by its first bytes: gzip, zstd, xz, bzip2 or none.
//!
//! ```text
//!   Read ─► first bytes ─► gzip or plain ─► GzipReader ─┐
//!                    └───► zstd, xz, bzip2 ─► Frames ───┴─► is the form expected? ─► pieces
//! ```
//! All forms have the events of `gzip`: pieces of members, and damage that loses no more than a
//! member. If another packing follows a whole member, it is unpacked as well. Text in UTF-16
//! becomes UTF-8 if the caller asks for text.
//!
//! **Invariant:** memory is bounded for every form; the first piece is only returned if the caller
//! expects the form of the input and that of its content.

mod codec;
mod frames;
mod read;
#[cfg(test)]
mod tests;

use std::io::{self, Cursor, ErrorKind, Read};

use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE};

use crate::form::{Form, HEAD_BYTES};
use crate::gzip::{self, Event, GzipLimits, GzipReader, InputDigest};
use frames::Frames;

pub use codec::{WINDOW_MAX_BYTES, XZ_MEMORY_MAX_KIB};
pub use read::{DamageError, UnpackedReader};

/// Number of first bytes in which a frame is searched if those of the input are damaged.
const GUESS_BYTES: usize = 128 << 10;

/// The first bytes of an input, followed by the rest.
type Whole<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The forms that a reader accepts. Forms that are not recognised are accepted always.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    /// Name of what reads the input, for messages.
    pub reader: &'static str,
    /// Forms of the content. The input itself can also have one of the forms that are unpacked.
    pub contents: &'static [Form],
}

/// An input that cannot be read because of its form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The form is known, and the reader does not read it.
    #[error("it is {form}, which `{}` does not read", expected.reader)]
    Unexpected {
        /// The form of the content.
        form: Form,
        /// The form of the input, if it had to be unpacked to find this out.
        packed: Option<Form>,
        /// What the reader reads.
        expected: &'static Expected,
    },
    /// Unpacking needs more memory than is allowed.
    #[error("unpacking it takes {needed_kib} KiB of memory, and {allowed_kib} are allowed")]
    Memory {
        /// The form of the input.
        form: Form,
        /// What it needs.
        needed_kib: u64,
        /// What is allowed.
        allowed_kib: u64,
    },
}

impl FormError {
    /// Returns the error inside an error of a reader, if there is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<FormError> for io::Error {
    fn from(error: FormError) -> Self {
        Self::new(ErrorKind::Unsupported, error)
    }
}

/// Reads an input of any of the forms and returns its content in pieces.
pub struct Unpacker<R> {
    kind: Kind<R>,
    limits: GzipLimits,
    expected: Option<&'static Expected>,
    form: Form,
    /// Whether the form of the content is known and accepted.
    checked: bool,
    refused: Option<FormError>,
    transcoder: Option<Transcoder>,
    as_text: bool,
    guesses: bool,
    /// Returns whether content that is not packed starts with these bytes between two members.
    plain_at: fn(&[u8]) -> bool,
}

enum Kind<R> {
    /// The first bytes so far. The input is gone only while they are taken out.
    Start {
        input: Option<R>,
        head: Vec<u8>,
    },
    Gzip(Box<GzipReader<Whole<R>>>),
    Frames(Box<Frames<Whole<R>>>),
}

impl<R: Read> Unpacker<R> {
    /// Creates a reader that accepts any form, and passes a form that it does not unpack through.
    pub fn new(input: R, limits: GzipLimits) -> Self {
        let kind = Kind::Start { input: Some(input), head: Vec::new() };
        Self {
            kind,
            limits,
            expected: None,
            form: Form::Empty,
            checked: false,
            refused: None,
            transcoder: None,
            as_text: false,
            guesses: true,
            plain_at: |_| false,
        }
    }

    /// Makes the reader return a [`FormError`] instead of the first piece if the form of the input
    /// or of its content is known, but not expected.
    pub fn expecting(self, expected: &'static Expected) -> Self {
        Self { expected: Some(expected), ..self }
    }

    /// Makes the reader pass an input of an unknown form through, even if it contains members of
    /// gzip or frames of another packing. Otherwise the first bytes of such an input are taken for
    /// damaged ones of that form.
    pub fn without_guesses(self) -> Self {
        Self { guesses: false, ..self }
    }

    /// Makes the reader pass content that is not packed through if it follows a member and starts
    /// so that `plain_at` returns `true`.
    pub fn plain_at(self, plain_at: fn(&[u8]) -> bool) -> Self {
        Self { plain_at, ..self }
    }

    /// Continues with the members that start with the last `count` bytes of the plain input that
    /// was returned, or returns `false`; then these bytes are the start of the current piece.
    pub(crate) fn unpack_last(&mut self, count: usize) -> io::Result<bool> {
        let is_packed = |bytes: &[u8]| codec::form_here(bytes).is_some();
        match &mut self.kind {
            Kind::Gzip(reader) => reader.unpack_last(count, is_packed),
            Kind::Start { .. } | Kind::Frames(_) => Ok(false),
        }
    }

    /// Makes the reader convert text in UTF-16 to UTF-8.
    pub fn as_text(self) -> Self {
        Self { as_text: true, ..self }
    }

    /// Returns the next event. An `Err` comes from the input, and the call may then be repeated, or
    /// it is a [`FormError`].
    pub fn next_event(&mut self) -> io::Result<Event> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone().into());
        }
        if let Kind::Start { .. } = self.kind {
            self.start()?;
        }
        let event = loop {
            let event = match &mut self.kind {
                Kind::Start { .. } => Event::End,
                Kind::Gzip(reader) => reader.next_event()?,
                Kind::Frames(reader) => match reader.next_event() {
                    Ok(event) => event,
                    Err(error) => {
                        self.refused = FormError::of(&error).cloned();
                        return Err(error);
                    }
                },
            };
            if event != Event::End || !self.continue_in_next_form() {
                break event;
            }
        };
        if let (Event::Piece { .. }, false) = (&event, self.checked) {
            self.check_content()?;
        }
        if let Some(transcoder) = &mut self.transcoder {
            let piece = match &self.kind {
                Kind::Gzip(reader) => reader.piece(),
                Kind::Frames(reader) => reader.piece(),
                Kind::Start { .. } => &[],
            };
            let last = event == Event::End;
            if transcoder.convert(if last { &[] } else { piece }, last) && last {
                return Ok(Event::Piece { last });
            }
        }
        Ok(event)
    }

    /// Returns the bytes of the last `Event::Piece`; they are valid until the next call of
    /// `next_event`.
    pub fn piece(&self) -> &[u8] {
        match (&self.transcoder, &self.kind) {
            (Some(transcoder), _) => &transcoder.text,
            (None, Kind::Start { .. }) => &[],
            (None, Kind::Gzip(reader)) => reader.piece(),
            (None, Kind::Frames(reader)) => reader.piece(),
        }
    }

    /// Returns the offset in the input of the last piece's member; of plain input, that of its
    /// start.
    pub fn member_offset(&self) -> u64 {
        match &self.kind {
            Kind::Start { .. } => 0,
            Kind::Gzip(reader) => reader.member_offset(),
            Kind::Frames(reader) => reader.member_offset(),
        }
    }

    /// Returns whether the input is not packed. This is known after the first event.
    pub fn is_plain(&self) -> bool {
        match &self.kind {
            Kind::Gzip(reader) => reader.is_plain(),
            Kind::Start { .. } | Kind::Frames(_) => false,
        }
    }

    /// Returns the length and hash of the input read so far, which is all of it after `Event::End`.
    pub fn input_digest(&self) -> InputDigest {
        match &self.kind {
            Kind::Start { .. } => InputDigest { bytes: 0, blake3: blake3::hash(b"") },
            Kind::Gzip(reader) => reader.input_digest(),
            Kind::Frames(reader) => reader.input_digest(),
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        match &self.kind {
            Kind::Start { head, .. } => head.capacity(),
            Kind::Gzip(reader) => reader.capacity(),
            Kind::Frames(reader) => reader.capacity(),
        }
    }

    /// Reads the first bytes and creates the reader of their form.
    fn start(&mut self) -> io::Result<()> {
        let Kind::Start { input, head } = &mut self.kind else { return Ok(()) };
        let Some(raw) = input else { return Ok(()) };
        read_head(raw, head, HEAD_BYTES)?;
        self.form = Form::of(head);
        let mut codec = codec::of(self.form);
        if self.form == Form::Other && self.guesses && gzip::is_binary(head) {
            read_head(raw, head, GUESS_BYTES)?;
            codec = codec::guessed(head);
            self.form = codec.as_ref().map_or(Form::Other, codec::Codec::form);
        }
        let limits = self.limits;
        let head = Cursor::new(std::mem::take(head));
        let Some(raw) = input.take() else { return Ok(()) };
        let whole = head.chain(raw);
        self.kind = match codec {
            Some(codec) => {
                Kind::Frames(Box::new(Frames::new(whole, codec, limits).plain_at(self.plain_at)))
            }
            None => {
                let guessed = self.form == Form::Other && self.guesses;
                let gzip = guessed || matches!(self.form, Form::Gzip | Form::Empty);
                let reader = match gzip {
                    true => GzipReader::new(whole, limits),
                    false => GzipReader::of_plain(whole, limits),
                };
                Kind::Gzip(Box::new(reader.ending_at(starts_frame).plain_at(self.plain_at)))
            }
        };
        Ok(())
    }

    /// Continues with the packing at which the current reader has ended; returns `false` if that is
    /// the end of the input.
    fn continue_in_next_form(&mut self) -> bool {
        let stopped = match &self.kind {
            Kind::Start { .. } => false,
            Kind::Gzip(reader) => reader.is_stopped(),
            Kind::Frames(reader) => reader.is_stopped(),
        };
        if !stopped {
            return false;
        }
        let none = Kind::Start { input: None, head: Vec::new() };
        let window = match std::mem::replace(&mut self.kind, none) {
            Kind::Start { .. } => return false,
            Kind::Gzip(reader) => reader.into_window(),
            Kind::Frames(reader) => reader.into_window(),
        };
        self.form = codec::form_here(window.unread()).unwrap_or(Form::Gzip);
        self.kind = match codec::of(self.form) {
            Some(codec) => {
                let reader = Frames::of_window(window, codec, self.limits);
                Kind::Frames(Box::new(reader.plain_at(self.plain_at)))
            }
            None => {
                let reader = GzipReader::of_members(window, self.limits);
                Kind::Gzip(Box::new(reader.ending_at(starts_frame).plain_at(self.plain_at)))
            }
        };
        true
    }

    /// Checks the form of the content, whose first bytes are in the current piece.
    fn check_content(&mut self) -> io::Result<()> {
        let (piece, packed) = match &self.kind {
            Kind::Start { .. } => return Ok(()),
            Kind::Gzip(reader) if reader.is_plain() => (reader.piece(), None),
            Kind::Gzip(reader) => (reader.piece(), Some(Form::Gzip)),
            Kind::Frames(reader) => (reader.piece(), Some(self.form)),
        };
        if piece.is_empty() {
            return Ok(());
        }
        let form = Form::of(&piece[..piece.len().min(HEAD_BYTES)]);
        if let Some(expected) = self.expected
            && !matches!(form, Form::Other | Form::Empty)
            && !expected.contents.contains(&form)
        {
            let refused = FormError::Unexpected { form, packed, expected };
            self.refused = Some(refused.clone());
            return Err(refused.into());
        }
        if self.as_text && form == Form::Utf16 {
            self.transcoder = Some(Transcoder::of(piece));
        }
        self.checked = true;
        Ok(())
    }
}

/// Returns whether a frame starts with these bytes.
fn starts_frame(bytes: &[u8]) -> bool {
    codec::form_here(bytes).is_some_and(|form| form != Form::Gzip)
}

/// Reads the first `count` bytes of an input into `head`, as far as they are not there yet.
fn read_head(input: &mut impl Read, head: &mut Vec<u8>, count: usize) -> io::Result<()> {
    let mut buffer = [0; HEAD_BYTES];
    while head.len() < count {
        let room = HEAD_BYTES.min(count - head.len());
        match input.read(&mut buffer[..room]) {
            Ok(0) => break,
            Ok(count) => head.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Converts UTF-16 to UTF-8. A half of a surrogate pair becomes U+FFFD.
struct Transcoder {
    decoder: Decoder,
    text: Vec<u8>,
    ended: bool,
}

impl Transcoder {
    /// Returns the converter for a text that starts with a byte order mark.
    fn of(start: &[u8]) -> Self {
        let encoding = if start.starts_with(b"\xfe\xff") { UTF_16BE } else { UTF_16LE };
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { decoder, text: Vec::new(), ended: false }
    }

    /// Converts the next piece, and returns whether it gave any text.
    fn convert(&mut self, piece: &[u8], last: bool) -> bool {
        self.text.clear();
        if self.ended {
            return false;
        }
        self.ended = last;
        let room = self.decoder.max_utf8_buffer_length(piece.len());
        self.text.resize(room.expect("a piece is far smaller than memory"), 0);
        let (result, _, written, _) = self.decoder.decode_to_utf8(piece, &mut self.text, last);
        debug_assert_eq!(result, CoderResult::InputEmpty, "the room is that of the longest text");
        self.text.truncate(written);
        written > 0
    }
}
