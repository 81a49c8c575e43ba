//! Reads the lines of a published file, and hashes its bytes as they are stored.
//!
//! A Parquet file is read as the JSON lines of its rows. Its directory is at its end, so it is held
//! in memory: as much as a shard has after compression.

use std::io::{self, BufRead, BufReader, Read};

use thresher_formats::gzip::InputDigest;
use thresher_formats::hashed::HashedReader;
use thresher_formats::third_party;
use thresher_storage::{Location, ReadOptions};

use crate::stages::schemas::parquet_rows;

const BUFFER_BYTES: usize = 1 << 20;
/// Length limit of a line. No job writes a longer one, so it is refused before it fills the memory.
const MAX_LINE_BYTES: u64 = 1 << 30;

/// Passes each line to `sink`, its line feed included, and hashes the file to its end even if its
/// content is damaged. Returns an error for the file, and in the tuple one for its content.
pub(super) fn read_lines(
    path: &Location,
    sink: impl FnMut(&[u8]),
) -> io::Result<(InputDigest, io::Result<()>)> {
    let file = thresher_storage::open(path, &ReadOptions::default())?;
    if path.to_string().ends_with(".parquet") {
        return read_parquet(file, sink);
    }
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, HashedReader::new(file));
    let content = decode(&mut raw, sink);
    Ok((raw.into_inner().finish()?, content))
}

fn read_parquet(
    mut file: impl Read,
    sink: impl FnMut(&[u8]),
) -> io::Result<(InputDigest, io::Result<()>)> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let digest = InputDigest { bytes: bytes.len() as u64, blake3: blake3::hash(&bytes) };
    // The library panics on some damaged files.
    let content = third_party::caught(|| parquet_rows::for_each_line(bytes.into(), sink));
    Ok((digest, content.unwrap_or_else(|message| Err(io::Error::other(message)))))
}

fn decode(raw: &mut impl BufRead, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
    let decoder = zstd::stream::Decoder::with_buffer(raw)?;
    let mut lines = BufReader::with_capacity(BUFFER_BYTES, decoder);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            return Err(io::Error::other("a line has no end"));
        }
        sink(&line);
    }
}
