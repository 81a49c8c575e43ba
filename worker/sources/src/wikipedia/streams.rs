//! Reads the bzip2 streams of a dump. Each can be read alone, and damage loses only one stream.
//!
//! A multistream dump has a stream for every hundred pages. Streams are found by their first bytes,
//! so that a reader can start anywhere without the index of the dump.
//!
//! Streams follow each other without a gap. Bytes between two streams are therefore a stream whose
//! start is damaged, and are reported, except for zeros at the end of the file. So is a dump that
//! ends after a stream, but before the end tag of its root.
//!
//! **Invariant:** a stream belongs to the piece that contains its first byte, and a gap to that of
//! the stream before it. Memory is bounded by `HELD_BYTES` and one read.

use std::io::{self, Read};

use bzip2::{Decompress, Status};

use crate::root_end::{RootEnd, Tags};

/// Number of compressed bytes of a stream that are kept, to search the next stream after damage.
const HELD_BYTES: usize = 4 << 20;
const READ_BYTES: usize = 64 << 10;
/// Length of `BZh`, a digit, and the magic number of a block or of the end of a stream.
const MAGIC_BYTES: usize = 10;
/// The magic number of a block.
const BLOCK: &[u8] = &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
/// The magic number of the end of a stream.
const END: &[u8] = &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90];

const DAMAGED: &str = "bzip2_damaged";
/// The reason of a dump that ends inside a stream, or before the end tag of its root.
pub(super) const TRUNCATED: &str = "bzip2_truncated";
/// What is wrong with a dump that ends early.
pub(super) const NO_END_TAG: &str = "the dump ends before its end tag `</mediawiki>`";

/// The damage of a stream, or of what is between two.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Damage {
    /// The reason for which the record is quarantined.
    pub reason: &'static str,
    /// What is wrong, for a person.
    pub detail: &'static str,
}

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
    /// The end of the last stream, or the start of the dump, while the next stream is searched.
    intact_until: Option<u64>,
    /// Whether bytes other than zero were skipped since `intact_until`.
    skipped: bool,
    /// What the next read reports instead of a stream.
    damage: Option<Damage>,
    end: RootEnd,
}

/// The tags that show whether a dump is whole.
pub(super) const TAGS: Tags = Tags { root: b"<mediawiki", record: b"<page", end: b"</mediawiki" };

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
            intact_until: (offset == 0).then_some(0),
            skipped: false,
            damage: None,
            end: RootEnd::new(&TAGS),
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

    /// Moves to the next stream, or to damage between streams, and returns whether there is one in
    /// this piece. After a damaged stream the next one is searched from its start.
    pub fn next_stream(&mut self) -> io::Result<bool> {
        if self.decoder.take().is_some() {
            self.intact_until = None;
            if let Some(start) = self.stream_start {
                self.used = start + 1;
            }
        }
        self.stream_start = None;
        loop {
            let found = magic(&self.held[self.used..]);
            let last = self.held.len().saturating_sub(MAGIC_BYTES - 1);
            // The last bytes can be the start of a magic number.
            let to =
                found.map_or(if self.ended { self.held.len() } else { last }, |at| self.used + at);
            let to = to.max(self.used);
            self.skipped |= self.held[self.used..to].iter().any(|byte| *byte != 0);
            self.used = to;
            let at = self.held_at + to as u64;
            let over = at >= self.until && (self.skipped || self.intact_until.is_none());
            if found.is_some() || self.ended || over {
                return Ok(self.arrive(at, found.is_some()));
            }
            self.fill()?;
        }
    }

    /// Ends a search for a stream at `at`. Returns whether there is something to read.
    fn arrive(&mut self, at: u64, is_stream: bool) -> bool {
        let skipped = std::mem::take(&mut self.skipped);
        if let Some(from) = self.intact_until.take() {
            // A file in which nothing is a stream is not a damaged dump.
            let nothing = self.ended && !is_stream && from == 0;
            let is_gap = if is_stream { at > from } else { skipped };
            let damage = if is_gap && !nothing {
                Some((DAMAGED, "the bytes here are not a bzip2 stream, and one is expected"))
            } else if self.ended && !is_stream && self.end.is_missing() {
                Some((TRUNCATED, NO_END_TAG))
            } else {
                None
            };
            if let Some((reason, detail)) = damage {
                self.damage = Some(Damage { reason, detail });
                self.stream_at = from;
                return true;
            }
        }
        if !is_stream || at >= self.until {
            return false;
        }
        self.stream_at = at;
        self.stream_start = Some(self.used);
        self.decoder = Some(Decompress::new(false));
        if !self.joined {
            self.end = RootEnd::new(&TAGS);
        }
        true
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

/// Returns whether a stream starts with these bytes.
pub(super) fn starts_stream(bytes: &[u8]) -> bool {
    magic(&bytes[..bytes.len().min(MAGIC_BYTES)]) == Some(0)
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
        let failed = |damage: Damage| io::Error::new(io::ErrorKind::InvalidData, damage);
        loop {
            if let Some(damage) = self.damage.take() {
                return Err(failed(damage));
            }
            if self.decoder.is_none() {
                if !(self.joined && self.next_stream()?) {
                    return Ok(0);
                }
                continue;
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
            self.end.push(&buffer[..given]);
            match status {
                Err(_) => {
                    let detail = "the bzip2 stream is damaged";
                    return Err(failed(Damage { reason: DAMAGED, detail }));
                }
                Ok(Status::StreamEnd) => {
                    self.decoder = None;
                    self.stream_start = None;
                    self.intact_until = Some(self.held_at + self.used as u64);
                    if given == 0 && self.joined {
                        continue;
                    }
                    return Ok(given);
                }
                Ok(_) if given > 0 || buffer.is_empty() => return Ok(given),
                Ok(_) if taken == 0 && self.ended => {
                    let detail = "the bzip2 stream is cut off";
                    return Err(failed(Damage { reason: TRUNCATED, detail }));
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
        let dump = [parts.concat(), packed("</mediawiki>")].concat();
        let whole = read(&dump, 0, u64::MAX);
        assert_eq!(whole.len(), 8);
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
            assert_eq!(texts[2..], ["stream 2", "stream 3", CUT], "byte {byte}");
            reported += usize::from(texts[1].contains("bzip2"));
            assert!(texts[1].contains("bzip2") || texts[1] == "stream 1", "byte {byte}: {texts:?}");
        }
        // Some bits have no meaning.
        assert!(reported * 10 > (parts[1].len() - 14) * 9, "{reported}");
        let cut = parts.concat();
        let found = read(&cut[..cut.len() - 5], 0, u64::MAX);
        assert_eq!(found[3].1, "the bzip2 stream is cut off");
    }

    const GAP: &str = "the bytes here are not a bzip2 stream, and one is expected";
    const CUT: &str = "the dump ends before its end tag `</mediawiki>`";

    #[test]
    fn a_gap_between_streams_is_reported_once_whatever_the_pieces() {
        let texts = ["stream 0", "stream 1", "stream 2", "</mediawiki>"];
        let parts = texts.map(packed);
        let starts: Vec<usize> = (0..4).map(|n| parts[..n].concat().len()).collect();
        let whole = parts.concat();
        type Change = fn(&mut Vec<u8>);
        let changes: [(&str, Change); 6] = [
            ("header", |part| part[..2].copy_from_slice(b"XX")),
            ("level", |part| part[3] = b'x'),
            ("block", |part| part[5] ^= 1),
            ("zeros", |part| part.fill(0)),
            ("text", |part| part.fill(b'x')),
            ("half zeros", |part| part[..20].fill(0)),
        ];
        for (name, change) in changes {
            for lost in 0..4 {
                let mut changed = parts.clone();
                change(&mut changed[lost]);
                let dump = changed.concat();
                let mut expected: Vec<(u64, String)> =
                    (0..4).map(|n| (starts[n] as u64, texts[n].to_owned())).collect();
                expected[lost].1 = GAP.to_owned();
                if name == "zeros" && lost == 3 {
                    // These are the zeros of a file that was allocated and not written.
                    expected[lost].1 = CUT.to_owned();
                }
                for size in [1, 7, 45, 60, 10_000] {
                    let mut found = Vec::new();
                    for from in (0..dump.len()).step_by(size) {
                        found.extend(read(&dump, from as u64, (from + size) as u64));
                    }
                    assert_eq!(found, expected, "{name} {lost} {size}");
                }
            }
        }
        let padded = [&whole[..], &[0; 3000]].concat();
        assert_eq!(read(&padded, 0, u64::MAX), read(&whole, 0, u64::MAX));
        assert_eq!(read(b"nothing of a dump", 0, u64::MAX), []);
    }

    #[test]
    fn a_dump_that_is_cut_between_streams_is_reported_once() {
        let parts = ["<mediawiki>", "stream 1", "</mediawiki>\n"].map(packed);
        for (count, is_cut) in [(1, true), (2, true), (3, false)] {
            let dump = parts[..count].concat();
            for size in [1, 45, 10_000] {
                let mut found = Vec::new();
                for from in (0..dump.len()).step_by(size) {
                    found.extend(read(&dump, from as u64, (from + size) as u64));
                }
                let expected = is_cut.then(|| (dump.len() as u64, CUT.to_owned()));
                assert_eq!(found.get(count), expected.as_ref(), "{count} {size}");
            }
        }
    }

    #[test]
    fn joined_streams_are_read_as_one() {
        let dump = [packed("one "), packed("text</media"), packed("wiki>")].concat();
        let mut streams = BzStreams::new(dump.as_slice(), 0, u64::MAX, true);
        assert!(streams.next_stream().unwrap());
        let mut text = String::new();
        streams.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one text</mediawiki>");
    }
}
