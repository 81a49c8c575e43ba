//! Reading a block file: the index when it is opened, then any blocks by their numbers.
//!
//! A [`BlockFile`] may give its descriptor back ([`BlockFile::release`]) and is opened again when
//! blocks are asked for, since a rank may own more files than it may have open.
//! Invariant: a payload is handed out only after its header, its index entry and its checksum
//! agree.

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

/// Consecutive blocks are fetched together up to this many bytes: few, large reads.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// An open block file: metadata and index are in memory and verified, the blocks are not.
#[derive(Debug)]
pub struct BlockFile {
    path: PathBuf,
    file: Option<File>,
    metadata: Vec<u8>,
    entries: Vec<BlockEntry>,
    /// The number of `entries[0]` in the file; see [`BlockFile::keep_only`].
    first_number: usize,
}

/// One verified block.
#[derive(Debug)]
pub struct Block<'a> {
    /// The caller's label.
    pub label: u128,
    /// The caller's count.
    pub count: u32,
    /// The bytes as they were written.
    pub payload: &'a [u8],
    /// Where the block is in the file: for the caller's own complaints about the payload.
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
            .ok_or_else(|| damaged(trailer_offset, Damage::Layout("footer beyond the file")))?;
        let mut footer = vec![0; usize::try_from(footer_bytes).unwrap_or(usize::MAX)];
        read_at(&file, path, footer_offset, &mut footer)?;
        let at_footer = |what| damaged(footer_offset, what);
        layout::check_footer(&trailer, kind, &footer).map_err(at_footer)?;
        let (metadata, entries) =
            layout::decode_footer(&footer, footer_offset).map_err(at_footer)?;
        Ok(Self { path: path.to_path_buf(), file: Some(file), metadata, entries, first_number: 0 })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the writer passed to `finish`.
    pub fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    /// The index, in file order.
    pub fn entries(&self) -> &[BlockEntry] {
        &self.entries
    }

    /// Forgets every other index entry; block numbers then count from the first kept one.
    pub fn keep_only(&mut self, blocks: Range<usize>) {
        self.entries.truncate(blocks.end);
        self.entries.drain(..blocks.start);
        self.entries.shrink_to_fit();
        self.first_number += blocks.start;
    }

    /// Closes the descriptor until blocks are asked for again.
    pub fn release(&mut self) {
        self.file = None;
    }

    /// A cursor over some blocks, in file order.
    ///
    /// # Panics
    /// When the range goes beyond the index.
    pub fn blocks(&self, blocks: Range<usize>) -> Result<BlockCursor<'_>, BlocksError> {
        assert!(blocks.end <= self.entries.len(), "blocks `{blocks:?}` are beyond the index");
        let handle = match &self.file {
            Some(file) => Handle::Borrowed(file),
            None => Handle::Owned(
                File::open(&self.path).map_err(|source| io_error(&self.path, source))?,
            ),
        };
        Ok(BlockCursor {
            source: self,
            handle,
            blocks,
            fetched: Vec::new(),
            at: 0,
            raw: Vec::new(),
            decompressor: None,
        })
    }

    /// One block's payload.
    pub fn read(&self, number: usize) -> Result<Vec<u8>, BlocksError> {
        let mut cursor = self.blocks(number..number + 1)?;
        let block = cursor.next_block()?.expect("the range holds one block");
        Ok(block.payload.to_vec())
    }

    /// The error for a payload of this file that its reader finds wrong.
    pub fn damaged(&self, offset: u64, what: Damage) -> BlocksError {
        damaged(&self.path, offset, what)
    }
}

enum Handle<'a> {
    Borrowed(&'a File),
    Owned(File),
}

/// Reads blocks one after the other, fetching several at once.
pub struct BlockCursor<'a> {
    source: &'a BlockFile,
    handle: Handle<'a>,
    blocks: Range<usize>,
    fetched: Vec<u8>,
    at: usize,
    raw: Vec<u8>,
    /// Made for the first compressed block.
    decompressor: Option<Decompressor<'static>>,
}

impl BlockCursor<'_> {
    /// The next block, verified; `None` after the last.
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

    /// Reads block `index` and as many after it as fit the read-ahead.
    fn fetch(&mut self, index: usize) -> Result<(), BlocksError> {
        let entries = &self.source.entries[index..self.blocks.end];
        let mut bytes = entries[0].bytes_in_file();
        for entry in &entries[1..] {
            if bytes + entry.bytes_in_file() > READ_AHEAD_BYTES {
                break;
            }
            bytes += entry.bytes_in_file();
        }
        self.fetched.resize(bytes, 0);
        self.at = 0;
        let file = match &self.handle {
            Handle::Borrowed(file) => file,
            Handle::Owned(file) => file,
        };
        read_at(file, &self.source.path, entries[0].offset, &mut self.fetched)
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
    // The capacity is what bounds the output.
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
