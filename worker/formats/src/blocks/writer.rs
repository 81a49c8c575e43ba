//! Writes a block file to any sink. The caller names, syncs and publishes the file.
//! Invariant: equal calls give equal bytes; a file without its trailer is never accepted as
//! complete.

use std::io::{self, Write};

use super::Kind;
use super::layout::{self, BlockEntry, FILE_HEADER_BYTES, MAX_BLOCK_BYTES};

/// Limit of the metadata, which is for a few fields; larger data belongs in blocks.
const MAX_METADATA_BYTES: usize = 16 << 20;

/// Whether payloads are compressed. A payload that would not shrink is stored uncompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Payloads are stored as given, for data that does not compress, such as hashes.
    None,
    /// Payloads are compressed by zstd at this level.
    Zstd(i32),
}

/// Writes blocks one after the other, then the index.
pub struct BlockWriter<W: Write> {
    sink: W,
    kind: Kind,
    compressor: Option<zstd::bulk::Compressor<'static>>,
    entries: Vec<BlockEntry>,
    offset: u64,
    staging: Vec<u8>,
}

impl<W: Write> BlockWriter<W> {
    /// Starts a file of this kind.
    pub fn new(mut sink: W, kind: Kind, compression: Compression) -> io::Result<Self> {
        let compressor = match compression {
            Compression::None => None,
            Compression::Zstd(level) => Some(zstd::bulk::Compressor::new(level)?),
        };
        sink.write_all(&layout::encode_file_header(kind))?;
        let offset = FILE_HEADER_BYTES as u64;
        Ok(Self { sink, kind, compressor, entries: Vec::new(), offset, staging: Vec::new() })
    }

    /// Writes one block and returns its number.
    pub fn push(&mut self, label: u128, count: u32, payload: &[u8]) -> io::Result<usize> {
        if payload.len() > MAX_BLOCK_BYTES {
            return Err(too_long("block", payload.len(), MAX_BLOCK_BYTES));
        }
        let compressed = match &mut self.compressor {
            Some(compressor) => {
                Some(compressor.compress(payload)?).filter(|packed| packed.len() < payload.len())
            }
            None => None,
        };
        let stored = compressed.as_deref().unwrap_or(payload);
        let number = self.entries.len();
        let mut entry = BlockEntry {
            offset: self.offset,
            stored_bytes: capped_length(stored),
            raw_bytes: capped_length(payload),
            count,
            label,
            checksum: 0,
        };
        entry.checksum = entry.checksum_of(number, stored);
        // One write for header and payload: the sink may be a file on a parallel file system.
        self.staging.clear();
        self.staging.extend_from_slice(&entry.encode());
        self.staging.extend_from_slice(stored);
        self.sink.write_all(&self.staging)?;
        self.offset += entry.bytes_in_file() as u64;
        self.entries.push(entry);
        Ok(number)
    }

    /// Returns the number of blocks written so far.
    pub fn blocks(&self) -> usize {
        self.entries.len()
    }

    /// Writes the index with the caller's metadata, flushes the sink and returns it.
    pub fn finish(mut self, metadata: &[u8]) -> io::Result<W> {
        if metadata.len() > MAX_METADATA_BYTES {
            return Err(too_long("metadata", metadata.len(), MAX_METADATA_BYTES));
        }
        let footer = layout::encode_footer(metadata, &self.entries);
        self.sink.write_all(&footer)?;
        self.sink.write_all(&layout::encode_trailer(self.kind, &footer))?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

fn capped_length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a payload is at most MAX_BLOCK_BYTES long")
}

fn too_long(what: &str, bytes: usize, limit: usize) -> io::Error {
    let text = format!("{what} of `{bytes}` bytes exceeds the limit of `{limit}`");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
