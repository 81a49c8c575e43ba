//! The bytes of the container, field by field; the reader and the writer both use these functions.
//! This file does no I/O. Invariant: `encode` and `decode` of one structure are inverses.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{Damage, Kind};

/// The largest payload of one block. It also limits how much a reader allocates.
pub const MAX_BLOCK_BYTES: usize = 256 << 20;

const MAGIC: [u8; 8] = *b"THRBLK1\n";
pub(super) const FILE_HEADER_BYTES: usize = 20;
pub(super) const BLOCK_HEADER_BYTES: usize = 36;
pub(super) const TRAILER_BYTES: usize = 24;
/// Size of the fixed part of the footer: the number of blocks and the length of the metadata.
pub(super) const FOOTER_FIXED_BYTES: usize = 12;

/// One block, as the index describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEntry {
    /// Offset of the block's header in the file.
    pub offset: u64,
    /// Size of the payload in the file.
    pub stored_bytes: u32,
    /// Size of the payload as it was written; equal to `stored_bytes` if it is not compressed.
    pub raw_bytes: u32,
    /// The caller's count of items in the block.
    pub count: u32,
    /// The caller's label: a first key, an ordinal.
    pub label: u128,
    pub(super) checksum: u64,
}

impl BlockEntry {
    pub(super) fn bytes_in_file(&self) -> usize {
        BLOCK_HEADER_BYTES + self.stored_bytes as usize
    }

    pub(super) fn encode(&self) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.stored_bytes.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.raw_bytes.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.label.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; BLOCK_HEADER_BYTES], offset: u64) -> Result<Self, Damage> {
        let entry = Self {
            offset,
            stored_bytes: u32_at(bytes, 0),
            raw_bytes: u32_at(bytes, 4),
            count: u32_at(bytes, 8),
            label: u128::from(u64_at(bytes, 12)) | u128::from(u64_at(bytes, 20)) << 64,
            checksum: u64_at(bytes, 28),
        };
        if entry.raw_bytes as usize > MAX_BLOCK_BYTES || entry.stored_bytes > entry.raw_bytes {
            return Err(Damage::Layout("a block is longer than the limit"));
        }
        Ok(entry)
    }

    /// Returns the checksum that block `number` must have with this entry's fields and this
    /// payload.
    pub(super) fn checksum_of(&self, number: usize, stored: &[u8]) -> u64 {
        let mut hasher = Xxh3::new();
        hasher.update(&self.encode()[..28]);
        hasher.update(&(number as u64).to_le_bytes());
        hasher.update(stored);
        hasher.digest()
    }
}

pub(super) fn encode_file_header(kind: Kind) -> [u8; FILE_HEADER_BYTES] {
    let mut bytes = [0; FILE_HEADER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&kind.0);
    let checksum = xxh3_64(&bytes[..12]);
    bytes[12..20].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

pub(super) fn check_file_header(
    bytes: &[u8; FILE_HEADER_BYTES],
    expected: Kind,
) -> Result<(), Damage> {
    if bytes[0..8] != MAGIC {
        return Err(Damage::Magic);
    }
    if u64_at(bytes, 12) != xxh3_64(&bytes[..12]) {
        return Err(Damage::Checksum);
    }
    let found = Kind([bytes[8], bytes[9], bytes[10], bytes[11]]);
    if found == expected { Ok(()) } else { Err(Damage::Kind { expected, found }) }
}

pub(super) fn encode_trailer(kind: Kind, footer: &[u8]) -> [u8; TRAILER_BYTES] {
    let mut bytes = [0; TRAILER_BYTES];
    bytes[0..8].copy_from_slice(&(footer.len() as u64).to_le_bytes());
    bytes[8..16].copy_from_slice(&footer_checksum(kind, footer).to_le_bytes());
    bytes[16..24].copy_from_slice(&MAGIC);
    bytes
}

/// Returns the footer's length as stated in the trailer; the caller compares it with the file's.
pub(super) fn footer_length(trailer: &[u8; TRAILER_BYTES]) -> Result<u64, Damage> {
    if trailer[16..24] == MAGIC { Ok(u64_at(trailer, 0)) } else { Err(Damage::Truncated) }
}

pub(super) fn check_footer(
    trailer: &[u8; TRAILER_BYTES],
    kind: Kind,
    footer: &[u8],
) -> Result<(), Damage> {
    let holds = u64_at(trailer, 8) == footer_checksum(kind, footer);
    if holds { Ok(()) } else { Err(Damage::Checksum) }
}

/// Computes the checksum of a footer. It covers the kind, so that a footer never fits a file of
/// another kind.
fn footer_checksum(kind: Kind, footer: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&kind.0);
    hasher.update(&(footer.len() as u64).to_le_bytes());
    hasher.update(footer);
    hasher.digest()
}

pub(super) fn encode_footer(metadata: &[u8], entries: &[BlockEntry]) -> Vec<u8> {
    let index_bytes = entries.len() * BLOCK_HEADER_BYTES;
    let mut footer = Vec::with_capacity(FOOTER_FIXED_BYTES + metadata.len() + index_bytes);
    footer.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    let length = u32::try_from(metadata.len()).expect("the writer caps the metadata's length");
    footer.extend_from_slice(&length.to_le_bytes());
    footer.extend_from_slice(metadata);
    for entry in entries {
        footer.extend_from_slice(&entry.encode());
    }
    footer
}

/// Returns the metadata and entries of a footer that starts at `footer_offset`. The blocks must
/// fill the file from its header up to there exactly.
pub(super) fn decode_footer(
    footer: &[u8],
    footer_offset: u64,
) -> Result<(Vec<u8>, Vec<BlockEntry>), Damage> {
    let (fixed, rest) =
        footer.split_at_checked(FOOTER_FIXED_BYTES).ok_or(Damage::Layout("footer too short"))?;
    let metadata_bytes = u32_at(fixed, 8) as usize;
    let (metadata, index) =
        rest.split_at_checked(metadata_bytes).ok_or(Damage::Layout("footer too short"))?;
    let (headers, odd) = index.as_chunks::<BLOCK_HEADER_BYTES>();
    if !odd.is_empty() || headers.len() as u64 != u64_at(fixed, 0) {
        return Err(Damage::Layout("the index does not have its stated length"));
    }
    let mut entries = Vec::with_capacity(headers.len());
    let mut offset = FILE_HEADER_BYTES as u64;
    for header in headers {
        let entry = BlockEntry::decode(header, offset)?;
        offset += entry.bytes_in_file() as u64;
        entries.push(entry);
    }
    if offset != footer_offset {
        return Err(Damage::Layout("the blocks do not fill the file"));
    }
    Ok((metadata.to_vec(), entries))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(array)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(array)
}
