//! Reads the lines of a published file, and hashes its compressed bytes.

use std::io::{self, BufRead, BufReader, Read};

use thresher_formats::gzip::InputDigest;
use thresher_formats::hashed::HashedReader;
use thresher_storage::{Location, ReadOptions};

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
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, HashedReader::new(file));
    let content = decode(&mut raw, sink);
    Ok((raw.into_inner().finish()?, content))
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
