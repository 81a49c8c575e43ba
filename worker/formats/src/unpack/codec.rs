//! The decoders of zstd, xz and bzip2 behind one interface: bytes in, bytes out, frame by frame.
//!
//! **Invariant:** a decoder takes no more memory than the constants below, whatever the input says.
//! What it decoded before an error, such as a wrong checksum after the content, is not lost.

use std::io;

use bzip2::{Decompress, Status};
use lzma_rust2::{Action, Status as XzStatus, XzStream};
use zstd::stream::raw::{DParameter, Decoder, Operation};

use crate::form::Form;
use crate::gzip;

/// Number of bytes to which a zstd frame with a larger window may unpack. It is the window of
/// `zstd --ultra -22`, and of `--long` without a number. A decoder only touches as much of its
/// window as it has unpacked, so small frames of `--long=31` take little memory.
pub const WINDOW_MAX_BYTES: u64 = 1 << 27;
/// Number of bytes with which the decoder of zstd starts when it reads block by block.
const ZSTD_START_BYTES: usize = 5;
/// The largest window that the format allows.
const WINDOW_MAX_LOG: u32 = 31;
/// Largest memory of an xz decoder in KiB: four times that of `xz -9`.
pub const XZ_MEMORY_MAX_KIB: u32 = 256 << 10;
/// Largest dictionary of a `.warc.zst`.
pub(super) const DICTIONARY_MAX_BYTES: usize = 16 << 20;

/// The form of the frames, and the state of the current one.
pub(super) enum Codec {
    Zstd(Box<Zstd>),
    Xz(Box<XzStream>),
    Bzip2(Decompress),
}

/// The state of a decoder of zstd.
#[derive(Default)]
pub(super) struct Zstd {
    decoder: Option<Decoder<'static>>,
    dictionary: Vec<u8>,
    /// Size of the current frame's window.
    window: u64,
    /// Bytes that came out of the current frame.
    produced: u64,
    /// Number of bytes that the decoder takes for the next block. Before the first step it takes
    /// all there are, because most frames are short and sound.
    next_input: Option<usize>,
}

/// What one step of a decoder did.
#[derive(Default)]
pub(super) struct Stepped {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    /// Whether the frame has ended.
    pub(super) done: bool,
    /// Why the rest of the frame cannot be decoded.
    pub(super) refused: Option<Refused>,
}

/// Why a frame cannot be decoded.
#[derive(Debug)]
pub(super) enum Refused {
    Damaged(String),
    /// It needs this much memory in KiB, and as much is allowed.
    Memory(u64, u64),
}

/// Returns the decoder of a form, if it is one of this module.
pub(super) fn of(form: Form) -> Option<Codec> {
    if form == Form::Zstd {
        Some(Codec::Zstd(Box::default()))
    } else if form == Form::Xz {
        Some(Codec::Xz(Box::new(xz())))
    } else if form == Form::Bzip2 {
        Some(Codec::Bzip2(Decompress::new(false)))
    } else {
        None
    }
}

/// Returns the decoder of the form of which a frame is in `bytes`, whose start is damaged.
pub(super) fn guessed(bytes: &[u8]) -> Option<Codec> {
    let forms = [Form::Zstd, Form::Xz, Form::Bzip2].into_iter();
    forms.filter_map(of).find(|codec| {
        let mut places = memchr::memmem::find_iter(bytes, codec.magic());
        places.any(|at| is_frame(codec.form(), &bytes[at..]))
    })
}

/// Returns the form of a frame or of a gzip member that starts with these bytes.
pub(super) fn form_here(bytes: &[u8]) -> Option<Form> {
    let frames = [Form::Zstd, Form::Xz, Form::Bzip2].into_iter();
    let frame = frames.into_iter().find(|form| is_frame(*form, bytes));
    frame.or_else(|| gzip::starts_member(bytes).then_some(Form::Gzip))
}

/// Returns whether the first bytes of a frame are there. The four of zstd can be chance, so that
/// some of the frame must unpack, too.
fn is_frame(form: Form, bytes: &[u8]) -> bool {
    let Some(mut codec) = of(form).filter(|codec| codec.starts(bytes)) else { return false };
    if form == Form::Bzip2 {
        return true;
    }
    let mut output = [0; PROBE_BYTES];
    let step = codec.begin(bytes).map(|()| codec.step(bytes, &mut output, false));
    step.is_ok_and(|step| step.refused.is_none() && (step.produced > 0 || step.done))
}

/// Size of the output of a frame that is unpacked to recognise it.
const PROBE_BYTES: usize = 4 << 10;

fn xz() -> XzStream {
    XzStream::new_mem_limit(false, XZ_MEMORY_MAX_KIB)
}

impl Codec {
    pub(super) fn form(&self) -> Form {
        match self {
            Self::Zstd(_) => Form::Zstd,
            Self::Xz(_) => Form::Xz,
            Self::Bzip2(_) => Form::Bzip2,
        }
    }

    /// Returns the reasons of a damaged frame, of one that is cut off, of bytes that are no frame,
    /// and of a bomb.
    pub(super) fn reasons(&self) -> [&'static str; 4] {
        match self {
            Self::Zstd(_) => ["zstd_damaged", "zstd_truncated", "zstd_garbage", "zstd_bomb"],
            Self::Xz(_) => ["xz_damaged", "xz_truncated", "xz_garbage", "xz_bomb"],
            Self::Bzip2(_) => ["bzip2_damaged", "bzip2_truncated", "bzip2_garbage", "bzip2_bomb"],
        }
    }

    /// Returns the first bytes by which the next frame is searched.
    pub(super) fn magic(&self) -> &'static [u8] {
        match self {
            Self::Zstd(_) => b"\x28\xb5\x2f\xfd",
            Self::Xz(_) => b"\xfd7zXZ\0",
            Self::Bzip2(_) => b"BZh",
        }
    }

    /// Returns whether a frame starts with these bytes.
    pub(super) fn starts(&self, bytes: &[u8]) -> bool {
        Form::of(&bytes[..bytes.len().min(10)]) == self.form()
    }

    /// Prepares the decoder for the frame with which `bytes` starts.
    pub(super) fn begin(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        match self {
            Self::Zstd(zstd) => zstd.begin(bytes)?,
            Self::Xz(stream) => **stream = xz(),
            Self::Bzip2(decoder) => *decoder = Decompress::new(false),
        }
        Ok(())
    }

    /// Decodes some of the current frame. `ended`: nothing follows `input`.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8], ended: bool) -> Stepped {
        match self {
            Self::Zstd(zstd) => zstd.step(input, output),
            Self::Xz(stream) => step_xz(stream, input, output, ended),
            Self::Bzip2(decoder) => {
                let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
                let status = decoder.decompress(input, output);
                Stepped {
                    consumed: (decoder.total_in() - before_in) as usize,
                    produced: (decoder.total_out() - before_out) as usize,
                    done: matches!(status, Ok(Status::StreamEnd)),
                    refused: status.err().map(|error| Refused::Damaged(error.to_string())),
                }
            }
        }
    }

    /// Uses the dictionary of a `.warc.zst` for all frames. It can itself be a frame.
    pub(super) fn use_dictionary(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let Self::Zstd(zstd) = self else { return Ok(()) };
        let damaged = |error: io::Error| Refused::Damaged(format!("the dictionary: {error}"));
        zstd.dictionary = match bytes.starts_with(b"\x28\xb5\x2f\xfd") {
            true => zstd::bulk::decompress(bytes, DICTIONARY_MAX_BYTES).map_err(damaged)?,
            false => bytes.to_vec(),
        };
        zstd.decoder = None;
        Ok(())
    }
}

impl Zstd {
    fn begin(&mut self, frame: &[u8]) -> Result<(), Refused> {
        (self.window, self.produced) = (window_bytes(frame).unwrap_or(0), 0);
        self.next_input = None;
        let damaged = |error: io::Error| Refused::Damaged(error.to_string());
        if let Some(decoder) = &mut self.decoder {
            return decoder.reinit().map_err(damaged);
        }
        let mut decoder = Decoder::with_dictionary(&self.dictionary).map_err(damaged)?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_MAX_LOG)).map_err(damaged)?;
        self.decoder = Some(decoder);
        Ok(())
    }

    /// Decodes all of a short frame, or a block. The library gives nothing of what it decoded in a
    /// call that fails, so a frame whose first step fails starts again block by block.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Stepped {
        let refused = |refused| Stepped { refused: Some(refused), ..Stepped::default() };
        let damaged = |error: io::Error| refused(Refused::Damaged(error.to_string()));
        let Some(decoder) = &mut self.decoder else {
            return refused(Refused::Damaged("no frame".to_owned()));
        };
        let large = self.window > WINDOW_MAX_BYTES;
        let memory = Refused::Memory(self.window >> 10, WINDOW_MAX_BYTES >> 10);
        let wanted = self.next_input.unwrap_or(usize::MAX);
        let mut result = decoder.run_on_buffers(&input[..input.len().min(wanted)], output);
        if result.is_err() && self.next_input.is_none() {
            if let Err(error) = decoder.reinit() {
                return damaged(error);
            }
            let start = input.len().min(ZSTD_START_BYTES);
            result = decoder.run_on_buffers(&input[..start], output);
        }
        let status = match result {
            Ok(status) => status,
            Err(error) if large && error.to_string().contains("llocation") => {
                return refused(memory);
            }
            Err(error) => return damaged(error),
        };
        self.next_input = Some(status.remaining.max(1));
        self.produced += status.bytes_written as u64;
        Stepped {
            consumed: status.bytes_read,
            produced: status.bytes_written,
            done: status.remaining == 0,
            refused: (large && self.produced > WINDOW_MAX_BYTES).then_some(memory),
        }
    }
}

fn step_xz(stream: &mut XzStream, input: &[u8], output: &mut [u8], ended: bool) -> Stepped {
    let action = if ended { Action::Finish } else { Action::Run };
    let (before_in, before_out) = (stream.total_in(), stream.total_out());
    let result = stream.process(input, output, action);
    let stepped = Stepped {
        consumed: (stream.total_in() - before_in) as usize,
        produced: (stream.total_out() - before_out) as usize,
        ..Stepped::default()
    };
    match result {
        Ok(result) => Stepped { done: result.status == XzStatus::StreamEnd, ..stepped },
        // The caller sees that nothing more comes. A stream that has failed so fails again.
        Err(error)
            if error.kind() == io::ErrorKind::UnexpectedEof || (ended && input.is_empty()) =>
        {
            Stepped { consumed: input.len(), ..stepped }
        }
        Err(error) => {
            let refused = if error.kind() == io::ErrorKind::OutOfMemory {
                let needed = stream.memory_usage().unwrap_or(u32::MAX);
                Refused::Memory(u64::from(needed), u64::from(XZ_MEMORY_MAX_KIB))
            } else {
                Refused::Damaged(error.to_string())
            };
            Stepped { refused: Some(refused), ..stepped }
        }
    }
}

/// Returns the size of the window in the header of a zstd frame (RFC 8878, section 3.1.1.1).
fn window_bytes(frame: &[u8]) -> Option<u64> {
    let descriptor = *frame.get(4)?;
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let window = *frame.get(5)?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    let id_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let field = frame.get(5 + id_bytes..5 + id_bytes + size_bytes)?;
    let mut size = [0; 8];
    size[..size_bytes].copy_from_slice(field);
    let size = u64::from_le_bytes(size);
    Some(if size_bytes == 2 { size + 256 } else { size })
}
