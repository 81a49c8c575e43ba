//! Reads the bzip2 streams of a dump. Each can be read alone, and damage loses only one stream.
//!
//! A multistream dump has a stream for every hundred pages. Streams are found by their first bytes,
//! so that a reader can start anywhere without the index of the dump.
//!
//! **Invariant:** a stream belongs to the piece that contains its first byte. Memory is bounded by
//! `HELD_BYTES` and one read.

use std::io::{self, Read};

use bzip2::{Decompress, Status};

/// Number of compressed bytes of a stream that are kept, to search the next stream after damage.
const HELD_BYTES: usize = 4 << 20;
const READ_BYTES: usize = 64 << 10;
/// Length of `BZh`, a digit, and the magic number of a block or of the end of a stream.
const MAGIC_BYTES: usize = 10;
/// The magic number of a block.
const BLOCK: &[u8] = &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
/// The magic number of the end of a stream.
const END: &[u8] = &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90];

/// The damage of a stream.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Damage(&'static str);

impl Damage {
    /// Returns the damage inside an error of a reader, if there is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Reads streams one after the other.
pub struct BzStreams<R> {
    input: R,
    /// Compressed bytes from `held_at` on; those before `used` were decoded or skipped.
    held: Vec<u8>,
    held_at: u64,
    used: usize,
    ended: bool,
    decoder: Option<Decompress>,
    stream_at: u64,
    /// The position of the current stream's start in `held`, if it is still there.
    stream_start: Option<usize>,
    /// Streams that start here or later belong to another piece.
    until: u64,
    /// Whether a page can continue in the next stream, so that streams are read as one.
    joined: bool,
}

impl<R: Read> BzStreams<R> {
    /// Returns a reader of the streams that start before `until`. `input` starts at `offset` of the
    /// dump. If `joined` is set, a read continues in the next stream.
    pub fn new(input: R, offset: u64, until: u64, joined: bool) -> Self {
        Self {
            input,
            held: Vec::new(),
            held_at: offset,
            used: 0,
            ended: false,
            decoder: None,
            stream_at: offset,
            stream_start: None,
            until,
            joined,
        }
    }

    /// Returns the offset of the current stream in the dump.
    pub fn stream_at(&self) -> u64 {
        self.stream_at
    }

    /// Returns the input.
    pub fn into_input(self) -> R {
        self.input
    }

    /// Moves to the next stream, and returns whether there is one in this piece. After damage it is
    /// searched from the start of the damaged stream.
    pub fn next_stream(&mut self) -> io::Result<bool> {
        if self.decoder.take().is_some()
            && let Some(start) = self.stream_start
        {
            self.used = start + 1;
        }
        self.stream_start = None;
        loop {
            if let Some(at) = magic(&self.held[self.used..]) {
                self.used += at;
                self.stream_at = self.held_at + self.used as u64;
                if self.stream_at >= self.until {
                    return Ok(false);
                }
                self.stream_start = Some(self.used);
                self.decoder = Some(Decompress::new(false));
                return Ok(true);
            }
            // The last bytes can be the start of a magic number.
            self.used = self.used.max(self.held.len().saturating_sub(MAGIC_BYTES - 1));
            if self.ended || self.held_at + self.used as u64 >= self.until {
                return Ok(false);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let keep = self.stream_start.filter(|start| self.held.len() - start < HELD_BYTES);
        if keep.is_none() {
            self.stream_start = None;
        }
        let drop = keep.unwrap_or(self.used);
        self.held.drain(..drop);
        self.held_at += drop as u64;
        self.used -= drop;
        self.stream_start = keep.map(|_| 0);
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
        Ok(())
    }
}

/// Finds the start of a stream.
fn magic(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(bytes, b"BZh").find(|at| {
        let level = bytes.get(at + 3).is_some_and(|digit| (b'1'..=b'9').contains(digit));
        level
            && bytes.get(at + 4..at + MAGIC_BYTES).is_some_and(|sign| sign == BLOCK || sign == END)
    })
}

impl<R: Read> Read for BzStreams<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, Damage(what));
        loop {
            if self.decoder.is_none() && !(self.joined && self.next_stream()?) {
                return Ok(0);
            }
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            if self.used == self.held.len() && !self.ended {
                self.fill()?;
                continue;
            }
            let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
            let status = decoder.decompress(&self.held[self.used..], buffer);
            let taken = (decoder.total_in() - before_in) as usize;
            let given = (decoder.total_out() - before_out) as usize;
            self.used += taken;
            match status {
                Err(_) => return Err(damaged("the bzip2 stream is damaged")),
                Ok(Status::StreamEnd) => {
                    self.decoder = None;
                    self.stream_start = None;
                    if given == 0 && self.joined {
                        continue;
                    }
                    return Ok(given);
                }
                Ok(_) if given > 0 || buffer.is_empty() => return Ok(given),
                Ok(_) if taken == 0 && self.ended => {
                    return Err(damaged("the bzip2 stream is cut off"));
                }
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// Returns the offset of each stream with its text or its damage.
    fn read(dump: &[u8], from: u64, until: u64) -> Vec<(u64, String)> {
        let mut streams = BzStreams::new(&dump[from as usize..], from, until, false);
        let mut found = Vec::new();
        while streams.next_stream().unwrap() {
            let mut text = Vec::new();
            let result = streams.read_to_end(&mut text);
            let outcome = match result {
                Ok(_) => String::from_utf8(text).unwrap(),
                Err(error) => Damage::of(&error).unwrap().to_string(),
            };
            found.push((streams.stream_at(), outcome));
        }
        found
    }

    #[test]
    fn pieces_of_any_size_yield_each_stream_once() {
        let parts: Vec<Vec<u8>> = (0..7).map(|n| packed(&format!("stream {n}"))).collect();
        let dump = parts.concat();
        let whole = read(&dump, 0, u64::MAX);
        assert_eq!(whole.len(), 7);
        assert_eq!(whole[6].1, "stream 6");
        for size in [1, 3, 10, 45, 1000] {
            let mut found = Vec::new();
            for from in (0..dump.len()).step_by(size) {
                found.extend(read(&dump, from as u64, (from + size) as u64));
            }
            assert_eq!(found, whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_damaged_stream_is_the_only_one_lost() {
        let parts: Vec<Vec<u8>> = (0..4).map(|n| packed(&format!("stream {n}"))).collect();
        let second = parts[0].len();
        let mut reported = 0;
        for byte in 14..parts[1].len() {
            let mut dump = parts.concat();
            dump[second + byte] ^= 0x10;
            let found = read(&dump, 0, u64::MAX);
            let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(texts[0], "stream 0");
            assert_eq!(texts[2..], ["stream 2", "stream 3"], "byte {byte}");
            reported += usize::from(texts[1].contains("bzip2"));
            assert!(texts[1].contains("bzip2") || texts[1] == "stream 1", "byte {byte}: {texts:?}");
        }
        // Some bits have no meaning.
        assert!(reported * 10 > (parts[1].len() - 14) * 9, "{reported}");
        let cut = parts.concat();
        let found = read(&cut[..cut.len() - 5], 0, u64::MAX);
        assert_eq!(found[3].1, "the bzip2 stream is cut off");
    }

    #[test]
    fn joined_streams_are_read_as_one() {
        let dump = [packed("one "), packed("text")].concat();
        let mut streams = BzStreams::new(dump.as_slice(), 0, u64::MAX, true);
        assert!(streams.next_stream().unwrap());
        let mut text = String::new();
        streams.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one text");
    }
}
