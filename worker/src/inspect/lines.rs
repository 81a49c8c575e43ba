//! Reading a published file: lines, with the compressed bytes hashed on the way.

use std::io::{self, BufRead, BufReader, Read};

use thresher_storage::{Location, ReadOptions};

const BUFFER_BYTES: usize = 1 << 20;
/// A longer line is no line of ours: it is refused before it fills the memory.
const MAX_LINE_BYTES: u64 = 1 << 30;

/// A file's bytes on their way to the decoder.
struct Hashing {
    file: Box<dyn Read + Send>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// What a file is, whatever it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileDigest {
    pub(super) bytes: u64,
    pub(super) blake3: blake3::Hash,
}

/// Hands out each line, its line feed included, and hashes the file to its end even where its
/// content is damaged. The first error is of the file, the second of its content.
pub(super) fn read_lines(
    path: &Location,
    take: impl FnMut(&[u8]),
) -> io::Result<(FileDigest, io::Result<()>)> {
    let file = thresher_storage::open(path, &ReadOptions::default())?;
    let mut raw = BufReader::with_capacity(
        BUFFER_BYTES,
        Hashing { file, hasher: blake3::Hasher::new(), bytes: 0 },
    );
    let content = decode(&mut raw, take);
    // What the decoder left.
    io::copy(&mut raw, &mut io::sink())?;
    let Hashing { hasher, bytes, .. } = raw.into_inner();
    Ok((FileDigest { bytes, blake3: hasher.finalize() }, content))
}

fn decode(raw: &mut impl BufRead, mut take: impl FnMut(&[u8])) -> io::Result<()> {
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
        take(&line);
    }
}
