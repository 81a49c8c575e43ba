//! Unpacks a file of a zip by the method that its header names.

use std::io::{self, Read};

use bzip2::read::BzDecoder;
use flate2::read::DeflateDecoder;
use lzma_rust2::LzmaReader;
use zip::CompressionMethod;

use super::{REASON_FILE_DAMAGED, REASON_TOO_LARGE, REASON_UNSUPPORTED, Refused};
use thresher_formats::gzip::GzipLimits;
use thresher_formats::unpack::{UnpackedReader, Unpacker};

/// The methods of the format, with their numbers and names.
const METHODS: [(CompressionMethod, u16, &str); 14] = [
    (CompressionMethod::STORE, 0, "no method"),
    (CompressionMethod::SHRINK, 1, "shrink"),
    (CompressionMethod::REDUCE_1, 2, "reduce"),
    (CompressionMethod::REDUCE_2, 3, "reduce"),
    (CompressionMethod::REDUCE_3, 4, "reduce"),
    (CompressionMethod::REDUCE_4, 5, "reduce"),
    (CompressionMethod::IMPLODE, 6, "implode"),
    (CompressionMethod::DEFLATE, DEFLATE, "deflate"),
    (CompressionMethod::DEFLATE64, 9, "deflate64"),
    (CompressionMethod::BZIP2, BZIP2, "bzip2"),
    (CompressionMethod::LZMA, LZMA, "lzma"),
    (CompressionMethod::ZSTD, ZSTD, "zstd"),
    (CompressionMethod::XZ, XZ, "xz"),
    (CompressionMethod::PPMD, 98, "PPMd"),
];
const DEFLATE: u16 = 8;
const BZIP2: u16 = 12;
const LZMA: u16 = 14;
const ZSTD: u16 = 93;
const XZ: u16 = 95;

/// Smallest dictionary of the format lzma.
const LZMA_DICTIONARY_MIN_BYTES: u64 = 4 << 10;

/// What the header of a file says about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    /// The number of the method.
    pub(super) method: u16,
    pub(super) is_encrypted: bool,
    /// The size of the file.
    pub(super) bytes: u64,
    /// The CRC-32 of the file.
    pub(super) checksum: u32,
}

/// Returns the number of a method; `u16::MAX` for one that is not in the table.
pub(super) fn number_of(method: CompressionMethod) -> u16 {
    let known = METHODS.iter().find(|(known, ..)| *known == method);
    known.map_or(u16::MAX, |(_, number, _)| *number)
}

/// Unpacks a file of at most `limit` bytes into the buffer.
pub(super) fn unpack(
    packed: &Packed,
    content: &[u8],
    limit: u64,
    buffer: &mut Vec<u8>,
) -> Result<(), Refused> {
    buffer.clear();
    if packed.is_encrypted {
        return Err((REASON_UNSUPPORTED, "it is encrypted".to_owned()));
    }
    let damaged = |error: io::Error| (REASON_FILE_DAMAGED, error.to_string());
    let reader = reader_of(packed, content, limit).map_err(damaged)?;
    let Some(reader) = reader else {
        let name = METHODS.iter().find(|(_, number, _)| *number == packed.method);
        let name = name.map_or("an unknown method", |(.., name)| name);
        return Err((REASON_UNSUPPORTED, format!("it is packed with {name}, which is not read")));
    };
    reader.take(limit + 1).read_to_end(buffer).map_err(damaged)?;
    if buffer.len() as u64 > limit {
        return Err((REASON_TOO_LARGE, format!("more than {limit} bytes")));
    }
    let mut sum = flate2::Crc::new();
    sum.update(buffer);
    if sum.sum() != packed.checksum {
        return Err((REASON_FILE_DAMAGED, "its checksum is wrong".to_owned()));
    }
    Ok(())
}

/// Returns the reader of the unpacked file; `None` if the method is not read.
fn reader_of<'c>(
    packed: &Packed,
    content: &'c [u8],
    limit: u64,
) -> io::Result<Option<Box<dyn Read + 'c>>> {
    Ok(Some(match packed.method {
        0 => Box::new(content),
        DEFLATE => Box::new(DeflateDecoder::new(content)),
        BZIP2 => Box::new(BzDecoder::new(content)),
        LZMA => Box::new(lzma(packed, content, limit)?),
        ZSTD | XZ => Box::new(UnpackedReader::new(Unpacker::new(content, GzipLimits::default()))),
        _ => return Ok(None),
    }))
}

/// Returns the reader of lzma, before which the format has a version and the properties.
fn lzma<'c>(packed: &Packed, content: &'c [u8], limit: u64) -> io::Result<LzmaReader<&'c [u8]>> {
    let [_, _, 5, 0, properties, a, b, c, d, rest @ ..] = content else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the properties are cut off"));
    };
    // What is farther back than the start of the file is never used.
    let most = limit.saturating_add(1).clamp(LZMA_DICTIONARY_MIN_BYTES, u64::from(u32::MAX));
    let dictionary = u32::from_le_bytes([*a, *b, *c, *d]).min(most as u32);
    LzmaReader::new_with_props(rest, packed.bytes, *properties, dictionary, None)
}
