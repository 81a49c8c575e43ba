//! Reads a block file: the index when the file is opened, then any blocks by their numbers.
//!
//! A [`BlockFile`] can close its descriptor ([`BlockFile::release`]) and opens the file again when
//! blocks are requested, because a rank may own more files than it may have open.
//! Invariant: a payload is returned only after its header, its index entry and its checksum agree.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use zstd::bulk::Decompressor;

use super::layout::{
    self, BLOCK_HEADER_BYTES, BlockEntry, FILE_HEADER_BYTES, FOOTER_FIXED_BYTES, TRAILER_BYTES,
};
use super::{BlocksError, Damage, Kind};

/// Consecutive blocks are read together up to this many bytes, so that reads are few and large.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// An open block file: its metadata and index are in memory and verified, its blocks are not.
#[derive(Debug)]
pub struct BlockFile {
    path: PathBuf,
    file: Option<File>,
    metadata: Vec<u8>,
    entries: Vec<BlockEntry>,
    /// Number in the file of `entries[0]`; see [`BlockFile::keep_only`].
    first_number: usize,
}

/// A verified block.
#[derive(Debug)]
pub struct Block<'a> {
    /// The caller's label.
    pub label: u128,
    /// The caller's count of items.
    pub count: u32,
    /// The bytes that the writer passed to [`BlockWriter::push`](super::BlockWriter::push).
    pub payload: &'a [u8],
    /// Offset of the block in the file, for errors that the caller reports about the payload.
    pub offset: u64,
}

impl BlockFile {
    /// Opens the file and verifies its header, footer and index.
    pub fn open(path: &Path, kind: Kind) -> Result<Self, BlocksError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        let length = file.metadata().map_err(|source| io_error(path, source))?.len();
        let damaged = |offset: u64, what: Damage| damaged(path, offset, what);
        if length < (FILE_HEADER_BYTES + FOOTER_FIXED_BYTES + TRAILER_BYTES) as u64 {
            return Err(damaged(length, Damage::Truncated));
        }
        let mut header = [0; FILE_HEADER_BYTES];
        read_at(&file, path, 0, &mut header)?;
        layout::check_file_header(&header, kind).map_err(|what| damaged(0, what))?;

        let trailer_offset = length - TRAILER_BYTES as u64;
        let mut trailer = [0; TRAILER_BYTES];
        read_at(&file, path, trailer_offset, &mut trailer)?;
        let footer_bytes =
            layout::footer_length(&trailer).map_err(|what| damaged(trailer_offset, what))?;
        let footer_offset = trailer_offset
            .checked_sub(footer_bytes)
            .filter(|offset| *offset >= FILE_HEADER_BYTES as u64)
            .ok_or_else(|| {
                damaged(trailer_offset, Damage::Layout("the footer is larger than the file"))
            })?;
        let mut footer = vec![0; usize::try_from(footer_bytes).unwrap_or(usize::MAX)];
        read_at(&file, path, footer_offset, &mut footer)?;
        let at_footer = |what| damaged(footer_offset, what);
        layout::check_footer(&trailer, kind, &footer).map_err(at_footer)?;
        let (metadata, entries) =
            layout::decode_footer(&footer, footer_offset).map_err(at_footer)?;
        Ok(Self { path: path.to_path_buf(), file: Some(file), metadata, entries, first_number: 0 })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the metadata that the writer passed to `finish`.
    pub fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    /// Returns the index, in file order.
    pub fn entries(&self) -> &[BlockEntry] {
        &self.entries
    }

    /// Drops all other index entries. Block numbers then count from the first one kept.
    pub fn keep_only(&mut self, blocks: Range<usize>) {
        self.entries.truncate(blocks.end);
        self.entries.drain(..blocks.start);
        self.entries.shrink_to_fit();
        self.first_number += blocks.start;
    }

    /// Closes the descriptor until blocks are requested again.
    pub fn release(&mut self) {
        self.file = None;
    }

    /// Returns a cursor over a range of blocks, in file order.
    ///
    /// # Panics
    /// Panics if the range exceeds the index.
    pub fn blocks(&self, blocks: Range<usize>) -> Result<BlockCursor<'_>, BlocksError> {
        assert!(blocks.end <= self.entries.len(), "blocks `{blocks:?}` are beyond the index");
        let handle = match &self.file {
            Some(file) => Handle::Borrowed(file),
            None => Handle::Owned(
                File::open(&self.path).map_err(|source| io_error(&self.path, source))?,
            ),
        };
        Ok(self.cursor(handle, blocks))
    }

    /// Returns a cursor that reads at most `ahead_bytes` at a time, or one block. If the file is
    /// closed, it is opened for each read.
    ///
    /// # Panics
    /// Panics if the range exceeds the index.
    pub fn blocks_ahead(&self, blocks: Range<usize>, ahead_bytes: usize) -> BlockCursor<'_> {
        assert!(blocks.end <= self.entries.len(), "blocks `{blocks:?}` are beyond the index");
        let handle = self.file.as_ref().map_or(Handle::Closed, Handle::Borrowed);
        BlockCursor { ahead_bytes, ..self.cursor(handle, blocks) }
    }

    fn cursor<'a>(&'a self, handle: Handle<'a>, blocks: Range<usize>) -> BlockCursor<'a> {
        BlockCursor {
            source: self,
            handle,
            blocks,
            ahead_bytes: READ_AHEAD_BYTES,
            fetched: Vec::new(),
            at: 0,
            raw: Vec::new(),
            decompressor: None,
        }
    }

    /// Reads the payload of one block.
    pub fn read(&self, number: usize) -> Result<Vec<u8>, BlocksError> {
        let mut cursor = self.blocks(number..number + 1)?;
        let block = cursor.next_block()?.expect("the range holds one block");
        Ok(block.payload.to_vec())
    }

    /// Returns the error for a payload of this file that the caller finds to be wrong.
    pub fn damaged(&self, offset: u64, what: Damage) -> BlocksError {
        damaged(&self.path, offset, what)
    }
}

enum Handle<'a> {
    Borrowed(&'a File),
    Owned(File),
    /// The file is opened for each read.
    Closed,
}

/// Reads blocks one after the other, several per read of the file.
pub struct BlockCursor<'a> {
    source: &'a BlockFile,
    handle: Handle<'a>,
    blocks: Range<usize>,
    ahead_bytes: usize,
    fetched: Vec<u8>,
    at: usize,
    raw: Vec<u8>,
    /// Created for the first compressed block.
    decompressor: Option<Decompressor<'static>>,
}

impl BlockCursor<'_> {
    /// Returns the next block, verified, or `None` after the last.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, BlocksError> {
        let Some(index) = self.blocks.next() else { return Ok(None) };
        let entry = self.source.entries[index];
        if self.at == self.fetched.len() {
            self.fetch(index)?;
        }
        let bytes = &self.fetched[self.at..self.at + entry.bytes_in_file()];
        self.at += bytes.len();
        let (header, stored) = bytes.split_at(BLOCK_HEADER_BYTES);
        let damaged = |what| damaged(&self.source.path, entry.offset, what);
        let number = self.source.first_number + index;
        if header != entry.encode() || entry.checksum_of(number, stored) != entry.checksum {
            return Err(damaged(Damage::Checksum));
        }
        let payload = if entry.stored_bytes == entry.raw_bytes {
            stored
        } else {
            decompress(&mut self.decompressor, stored, entry.raw_bytes as usize, &mut self.raw)
                .map_err(|_| damaged(Damage::Compression))?;
            &self.raw
        };
        Ok(Some(Block { label: entry.label, count: entry.count, payload, offset: entry.offset }))
    }

    /// Reads block `index` and as many blocks after it as it may read ahead.
    fn fetch(&mut self, index: usize) -> Result<(), BlocksError> {
        let entries = &self.source.entries[index..self.blocks.end];
        let mut bytes = entries[0].bytes_in_file();
        for entry in &entries[1..] {
            if bytes + entry.bytes_in_file() > self.ahead_bytes {
                break;
            }
            bytes += entry.bytes_in_file();
        }
        self.fetched.resize(bytes, 0);
        self.at = 0;
        let (path, offset) = (&self.source.path, entries[0].offset);
        match &self.handle {
            Handle::Borrowed(file) => read_at(file, path, offset, &mut self.fetched),
            Handle::Owned(file) => read_at(file, path, offset, &mut self.fetched),
            Handle::Closed => {
                let file = File::open(path).map_err(|source| io_error(path, source))?;
                read_at(&file, path, offset, &mut self.fetched)
            }
        }
    }
}

fn decompress(
    decompressor: &mut Option<Decompressor<'static>>,
    stored: &[u8],
    raw_bytes: usize,
    raw: &mut Vec<u8>,
) -> io::Result<()> {
    let decompressor = match decompressor {
        Some(decompressor) => decompressor,
        None => decompressor.insert(Decompressor::new()?),
    };
    raw.clear();
    // The capacity limits the output.
    raw.reserve_exact(raw_bytes);
    let written = decompressor.decompress_to_buffer(stored, raw)?;
    if written == raw_bytes { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn read_at(file: &File, path: &Path, offset: u64, buffer: &mut [u8]) -> Result<(), BlocksError> {
    file.read_exact_at(buffer, offset).map_err(|source| {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            damaged(path, offset, Damage::Truncated)
        } else {
            io_error(path, source)
        }
    })
}

fn damaged(path: &Path, offset: u64, what: Damage) -> BlocksError {
    BlocksError::Damaged { file: path.to_path_buf(), offset, what }
}

fn io_error(path: &Path, source: io::Error) -> BlocksError {
    BlocksError::Io { file: path.to_path_buf(), source }
}
