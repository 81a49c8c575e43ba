//! The bytes of a segment: a header, then one frame per commit.
//!
//! ```text
//! header: magic 8 · version u32 · epoch u64 · salt u64 · crc32 u32          (32 bytes)
//! frame:  marker u32 · length u32 · crc32(length, payload, salt) u32 · payload
//! ```
//! All numbers are little-endian. A payload is one or more records, each after its length as a
//! varint, packed as `packing.rs` says. What is committed together is one frame: the next frame is
//! only written after this one is durable, so a damaged frame with a whole one after it never comes
//! from a crash. The marker is taken from the segment's random salt, so that frames can be found
//! again after damage, and old blocks of other files are not taken for frames.
//!
//! Nothing here panics or allocates without bound, whatever the bytes are.

use std::io;

use thresher_proto::pb::JournalRecord;

use super::files::SegmentBytes;
use super::packing::{MAX_PAYLOAD_BYTES, Unpacker};

const MAGIC: [u8; 8] = *b"THRSHJNL";
/// Version of everything in a state directory: the journal, and the files that units leave for each
/// other. Raise it if one of them changes, so that a job that another version started is refused
/// instead of misread. Every version has the same header.
pub const STATE_VERSION: u32 = 9;
pub(super) const HEADER_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 12;
/// Number of bytes read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// Why the header of a segment is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("{0}")]
    Unreadable(&'static str),
    /// The segment is whole, but of another version.
    #[error("the state directory has version {0}, and this build reads version {STATE_VERSION}")]
    OtherVersion(u32),
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) epoch: u64,
    pub(super) salt: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&STATE_VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of a segment.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC {
            return Err(HeaderError::Unreadable("this is not a journal segment"));
        }
        let word =
            |at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if crc32fast::hash(&bytes[..28]) != word(28) {
            return Err(HeaderError::Unreadable("the header's checksum is wrong"));
        }
        match word(8) {
            STATE_VERSION => Ok(Self { epoch: long(12), salt: long(20) }),
            version => Err(HeaderError::OtherVersion(version)),
        }
    }

    fn marker(self) -> [u8; 4] {
        ((self.salt >> 32) as u32 | 1).to_le_bytes()
    }

    fn crc(self, length: [u8; 4], payload: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&length);
        crc.update(payload);
        crc.update(&self.salt.to_le_bytes());
        crc.finalize()
    }

    /// Appends the frame of a payload.
    pub(super) fn frame(self, payload: &[u8], into: &mut Vec<u8>) {
        let length = u32::try_from(payload.len()).expect("append refuses payloads over the limit");
        let length = length.to_le_bytes();
        into.reserve(FRAME_HEAD_BYTES + payload.len());
        into.extend_from_slice(&self.marker());
        into.extend_from_slice(&length);
        into.extend_from_slice(&self.crc(length, payload).to_le_bytes());
        into.extend_from_slice(payload);
    }
}

/// How the frames of a segment end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The last frame ends with the last byte.
    Whole,
    /// Bytes that are not a frame follow, and no frame after them: a commit was cut short.
    Torn,
    /// Bytes that are not a frame follow, and a whole frame after them: the file was damaged.
    Damaged {
        /// Offset of that frame.
        next_frame: u64,
    },
}

/// Everything that can be read from a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Frames {
    /// The records of all whole frames before the ending.
    pub records: Vec<JournalRecord>,
    /// Offset of the end of the last of those frames.
    pub valid_bytes: u64,
    /// What follows at that offset.
    pub ending: Ending,
}

/// Reads a whole segment from memory, or returns what is wrong with its header or with the records
/// of a frame.
pub fn read_frames(segment: &[u8]) -> Result<Frames, String> {
    let read = |error: io::Error| error.to_string();
    let header = Header::parse(segment).map_err(|error| error.to_string())?;
    let mut reader = FrameReader::new(Box::new(segment.to_vec()), header).map_err(read)?;
    let mut records = Vec::new();
    while let Some(found) = reader.next_frame().map_err(read)? {
        records.extend(found?);
    }
    let ending = reader.ending().map_err(read)?;
    Ok(Frames { records, valid_bytes: reader.offset(), ending })
}

/// Reads the frames of a segment, with one frame in memory at a time.
pub(super) struct FrameReader {
    bytes: Box<dyn SegmentBytes>,
    header: Header,
    offset: u64,
    window: Vec<u8>,
    window_at: u64,
    unpacker: Unpacker,
}

impl FrameReader {
    pub(super) fn new(bytes: Box<dyn SegmentBytes>, header: Header) -> io::Result<Self> {
        Ok(Self {
            bytes,
            header,
            offset: HEADER_BYTES as u64,
            window: Vec::new(),
            window_at: 0,
            unpacker: Unpacker::new()?,
        })
    }

    /// Returns the offset of the end of the last frame that was read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Continues at another offset, at which a frame starts.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Returns the records of the next frame, or what is wrong with them; `None` if no whole frame
    /// follows.
    pub(super) fn next_frame(&mut self) -> io::Result<Option<Result<Vec<JournalRecord>, String>>> {
        let payload_at = self.offset + FRAME_HEAD_BYTES as u64;
        let Some(length) = self.check_frame(self.offset)? else { return Ok(None) };
        self.offset = payload_at + length as u64;
        let payload = window_part(&self.window, self.window_at, payload_at, length);
        Ok(Some(self.unpacker.records(payload)))
    }

    /// Moves behind the next frame without unpacking its records; `false` if no whole frame
    /// follows.
    pub(super) fn skip_frame(&mut self) -> io::Result<bool> {
        let Some(length) = self.check_frame(self.offset)? else { return Ok(false) };
        self.offset += (FRAME_HEAD_BYTES + length) as u64;
        Ok(true)
    }

    /// Returns what follows the last frame that was read.
    pub(super) fn ending(&mut self) -> io::Result<Ending> {
        if self.offset >= self.bytes.size_bytes() {
            return Ok(Ending::Whole);
        }
        let marker = self.header.marker();
        let mut from = self.offset + 1;
        loop {
            let window = self.at_most(from, WINDOW_BYTES)?;
            if window.len() < marker.len() {
                return Ok(Ending::Torn);
            }
            let Some(found) = window.windows(marker.len()).position(|w| w == marker) else {
                from += (window.len() - marker.len() + 1) as u64;
                continue;
            };
            from += found as u64;
            if self.check_frame(from)?.is_some() {
                return Ok(Ending::Damaged { next_frame: from });
            }
            from += 1;
        }
    }

    /// Returns the length of the payload of the frame at an offset, if a whole frame is there.
    fn check_frame(&mut self, at: u64) -> io::Result<Option<usize>> {
        let header = self.header;
        let head = self.at_most(at, FRAME_HEAD_BYTES)?;
        let Ok(head) = <[u8; FRAME_HEAD_BYTES]>::try_from(head) else { return Ok(None) };
        let [m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if [m0, m1, m2, m3] != header.marker() || length > MAX_PAYLOAD_BYTES {
            return Ok(None);
        }
        let payload = self.at_most(at + FRAME_HEAD_BYTES as u64, length)?;
        let crc = u32::from_le_bytes([c0, c1, c2, c3]);
        let whole = payload.len() == length && header.crc([l0, l1, l2, l3], payload) == crc;
        Ok(whole.then_some(length))
    }

    /// Returns `length` bytes from an offset on, or fewer at the end of the segment.
    fn at_most(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let left = self.bytes.size_bytes().saturating_sub(offset);
        let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        let end = offset + length as u64;
        if offset < self.window_at || end > self.window_at + self.window.len() as u64 {
            let wanted = length.max(WINDOW_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX)));
            self.window.resize(wanted, 0);
            self.window_at = offset;
            let mut filled = 0;
            while filled < wanted {
                let into = &mut self.window[filled..];
                match self.bytes.read_at(offset + filled as u64, into) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.window.clear();
                        return Err(error);
                    }
                }
            }
            self.window.truncate(filled);
        }
        Ok(window_part(&self.window, self.window_at, offset, length))
    }
}

/// Returns `length` bytes from an offset on, or fewer at the end of the window.
fn window_part(window: &[u8], window_at: u64, offset: u64, length: usize) -> &[u8] {
    let start = (offset - window_at) as usize;
    let end = (start + length).min(window.len());
    &window[start.min(end)..end]
}
