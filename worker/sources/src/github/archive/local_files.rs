//! Finds the files of a zip by the headers before them, for archives whose directory at the end
//! cannot be read.
//!
//! A header normally has the size of its file. If it has not, the size is in a descriptor behind
//! the file, which is found by that size. After damage, the next header is searched.
//!
//! **Invariant:** memory holds one packed file of at most the given size, and a block.

use std::io::{self, Read};

use memchr::memmem;

use super::methods::Packed;
use super::{REASON_FILE_DAMAGED, REASON_TOO_LARGE, Refused};

const HEADER: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const DIRECTORY: &[u8] = b"PK\x01\x02";
/// Length of a header without its name and extra fields.
const HEADER_BYTES: usize = 30;
/// Length of a descriptor: its sign, checksum and sizes.
const DESCRIPTOR_BYTES: usize = 16;
/// Length of a descriptor with sizes of eight bytes.
const LONG_DESCRIPTOR_BYTES: usize = 24;
const READ_BYTES: usize = 64 << 10;
/// Number of an extra field with sizes of eight bytes.
const ZIP64: u16 = 1;

/// Returns the most bytes that are held of a packed file which may have `limit` bytes. What does
/// not compress grows a little.
pub(super) fn packed_limit(limit: u64) -> u64 {
    limit.saturating_add(limit / 64).saturating_add(1 << 10)
}

/// A file with its packed content, or why that is not there.
pub(super) struct LocalFile {
    pub(super) offset: u64,
    pub(super) name: String,
    pub(super) packed: Packed,
    pub(super) content: Result<Vec<u8>, Refused>,
}

/// Reads files from the start of an archive.
pub(super) struct LocalFiles<R> {
    input: R,
    held: Vec<u8>,
    /// The offset of the first held byte.
    at: u64,
    max_bytes: u64,
    ended: bool,
}

impl<R: Read> LocalFiles<R> {
    /// Returns a reader of files that are packed in at most `max_bytes`.
    pub(super) fn new(input: R, max_bytes: u64) -> Self {
        Self { input, held: Vec::new(), at: 0, max_bytes, ended: false }
    }

    /// Returns the offset up to which files were read.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// Returns the next file, or `None` at the directory or the end of the input.
    pub(super) fn next(&mut self) -> io::Result<Option<LocalFile>> {
        if !self.find_header()? {
            return Ok(None);
        }
        self.fill(HEADER_BYTES)?;
        let Some(header) = Header::of(&self.held) else {
            self.skip(self.held.len() as u64)?;
            return Ok(None);
        };
        let offset = self.at;
        let head = HEADER_BYTES + header.name_bytes + header.extra_bytes;
        self.fill(head)?;
        let name = self.held.get(HEADER_BYTES..HEADER_BYTES + header.name_bytes);
        let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        let extra = self.held.get(HEADER_BYTES + header.name_bytes..head).unwrap_or_default();
        let (mut packed, size) = header.packed(extra);
        self.skip(head as u64)?;
        let content = match size {
            Some(size) => self.content(size)?,
            None => self.content_before_descriptor(&mut packed)?,
        };
        Ok(Some(LocalFile { offset, name, packed, content }))
    }

    /// Moves to the next header; returns `false` if there is none before the directory.
    fn find_header(&mut self) -> io::Result<bool> {
        loop {
            self.fill(HEADER.len())?;
            if self.held.starts_with(HEADER) {
                return Ok(true);
            }
            if self.held.len() < HEADER.len() || self.held.starts_with(DIRECTORY) {
                return Ok(false);
            }
            let next = memmem::find(&self.held[1..], HEADER).map(|at| at + 1);
            let directory = memmem::find(&self.held[1..], DIRECTORY).map(|at| at + 1);
            let last = self.held.len() - (HEADER.len() - 1);
            let step = next.into_iter().chain(directory).min().unwrap_or(last.max(1));
            self.skip(step as u64)?;
        }
    }

    /// Reads content of a known size.
    fn content(&mut self, size: u64) -> io::Result<Result<Vec<u8>, Refused>> {
        if size > self.max_bytes {
            self.skip(size)?;
            return Ok(Err((REASON_TOO_LARGE, format!("it is packed in {size} bytes"))));
        }
        self.fill(size as usize)?;
        let there = self.held.len();
        if (there as u64) < size {
            self.skip(there as u64)?;
            return Ok(Err(cut(there)));
        }
        let content = self.held[..size as usize].to_vec();
        self.skip(size)?;
        Ok(Ok(content))
    }

    /// Reads content up to the descriptor behind it, from which the facts of the file are taken.
    fn content_before_descriptor(
        &mut self,
        packed: &mut Packed,
    ) -> io::Result<Result<Vec<u8>, Refused>> {
        let mut seen = 0;
        loop {
            let found = memmem::find_iter(&self.held[seen..], DESCRIPTOR).map(|at| seen + at);
            let found = found.filter_map(|at| Some((at, Descriptor::of(&self.held, at)?)));
            if let Some((at, found)) = found.into_iter().next() {
                (packed.checksum, packed.bytes) = (found.checksum, found.size);
                let content = self.held[..at].to_vec();
                self.skip((at + found.length) as u64)?;
                return Ok(Ok(content));
            }
            // A descriptor that is not whole yet is searched again.
            seen = self.held.len().saturating_sub(LONG_DESCRIPTOR_BYTES);
            let held = self.held.len();
            if held as u64 > self.max_bytes {
                self.skip(seen as u64)?;
                return Ok(Err((
                    REASON_TOO_LARGE,
                    format!("it is packed in {held} bytes and more"),
                )));
            }
            self.fill(held + READ_BYTES)?;
            if self.held.len() == held {
                self.skip(held as u64)?;
                return Ok(Err(cut(held)));
            }
        }
    }

    /// Holds at least this many bytes, as far as the input has them.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        while self.held.len() < count && !self.ended {
            let length = self.held.len();
            self.held.resize(length + READ_BYTES, 0);
            let read = loop {
                match self.input.read(&mut self.held[length..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read,
                }
            };
            self.held.truncate(length + *read.as_ref().unwrap_or(&0));
            self.ended = read? == 0;
        }
        Ok(())
    }

    /// Moves forward, as far as the input has bytes.
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let held = self.held.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        self.held.drain(..held);
        self.at += held as u64;
        let rest = count - held as u64;
        if rest > 0 && !self.ended {
            self.at += io::copy(&mut self.input.by_ref().take(rest), &mut io::sink())?;
        }
        Ok(())
    }
}

fn cut(there: usize) -> Refused {
    (REASON_FILE_DAMAGED, format!("the archive ends after {there} packed bytes of it"))
}

/// The header before a file.
struct Header {
    flags: u16,
    method: u16,
    checksum: u32,
    packed_bytes: u32,
    bytes: u32,
    name_bytes: usize,
    extra_bytes: usize,
}

impl Header {
    fn of(held: &[u8]) -> Option<Self> {
        let head: &[u8; HEADER_BYTES] = held.first_chunk()?;
        Some(Self {
            flags: short(head, 6)?,
            method: short(head, 8)?,
            checksum: long(head, 14)?,
            packed_bytes: long(head, 18)?,
            bytes: long(head, 22)?,
            name_bytes: usize::from(short(head, 26)?),
            extra_bytes: usize::from(short(head, 28)?),
        })
    }

    /// Returns the facts about the file, and the size of its packed content if that is known.
    fn packed(&self, extra: &[u8]) -> (Packed, Option<u64>) {
        let (mut bytes, mut size) = (u64::from(self.bytes), u64::from(self.packed_bytes));
        if self.packed_bytes == u32::MAX
            && let Some((long_bytes, long_size)) = long_sizes(extra)
        {
            (bytes, size) = (long_bytes, long_size);
        }
        let has_descriptor = self.flags & 8 != 0;
        let packed = Packed {
            method: self.method,
            is_encrypted: self.flags & 1 != 0,
            bytes,
            checksum: self.checksum,
        };
        (packed, Some(size).filter(|size| *size > 0 || !has_descriptor))
    }
}

/// The descriptor behind a file.
struct Descriptor {
    checksum: u32,
    size: u64,
    length: usize,
}

impl Descriptor {
    /// Returns the descriptor at a position, if it has the size of what is before it.
    fn of(held: &[u8], at: usize) -> Option<Self> {
        let descriptor = &held[at..];
        let checksum = long(descriptor, 4)?;
        if u64::from(long(descriptor, 8)?) == at as u64 {
            let size = u64::from(long(descriptor, 12)?);
            return Some(Self { checksum, size, length: DESCRIPTOR_BYTES });
        }
        let is_long = longer(descriptor, 8)? == at as u64;
        let size = longer(descriptor, 16)?;
        is_long.then_some(Self { checksum, size, length: LONG_DESCRIPTOR_BYTES })
    }
}

/// Returns both sizes of eight bytes in the extra fields of a header.
fn long_sizes(mut extra: &[u8]) -> Option<(u64, u64)> {
    loop {
        let (kind, length) = (short(extra, 0)?, usize::from(short(extra, 2)?));
        let field = extra.get(4..4 + length)?;
        if kind == ZIP64 {
            return Some((longer(field, 0)?, longer(field, 8)?));
        }
        extra = &extra[4 + length..];
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn longer(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
