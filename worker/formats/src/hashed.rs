//! A reader that computes the length and hash of what it reads.
//!
//! **Invariant:** every byte that was read, up to the limit, was hashed once, in order.

use std::io::{self, Read};

use super::gzip::InputDigest;

/// Hashes what is read, up to a limit; bytes after the limit are read but not hashed.
pub struct HashedReader<R> {
    input: R,
    hasher: blake3::Hasher,
    bytes: u64,
    limit: u64,
}

impl<R: Read> HashedReader<R> {
    /// Hashes all of the input.
    pub fn new(input: R) -> Self {
        Self::up_to(input, u64::MAX)
    }

    /// Hashes only the first `limit` bytes.
    pub fn up_to(input: R, limit: u64) -> Self {
        Self { input, hasher: blake3::Hasher::new(), bytes: 0, limit }
    }

    /// Reads the rest up to the limit, and returns the length and hash of all that was read up to
    /// there.
    pub fn finish(mut self) -> io::Result<InputDigest> {
        let left = self.limit - self.bytes;
        io::copy(&mut self.by_ref().take(left), &mut io::sink())?;
        Ok(InputDigest { bytes: self.bytes, blake3: self.hasher.finalize() })
    }
}

impl<R: Read> Read for HashedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let inside = (count as u64).min(self.limit - self.bytes);
        self.hasher.update(&buffer[..inside as usize]);
        self.bytes += inside;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_covers_all_bytes_before_the_limit_however_much_was_read() {
        for (read, limit) in [(0, 4), (3, 4), (9, 4), (10, 4), (2, 99)] {
            let mut reader = HashedReader::up_to(&b"0123456789"[..], limit);
            reader.read_exact(&mut vec![0; read]).unwrap();
            let expected = &b"0123456789"[..(limit as usize).min(10)];
            let digest = reader.finish().unwrap();
            assert_eq!(digest.bytes, expected.len() as u64);
            assert_eq!(digest.blake3, blake3::hash(expected), "{read} {limit}");
        }
    }
}
