//! Reads the members of a tar from any offset on.
//!
//! In a tar of papers, a member that is itself a tar is entered: its members are the papers. A
//! reader that starts inside of it therefore finds the same members as one that starts before it.
//!
//! **Invariant:** a member belongs to the piece in which its header starts, also if extensions of
//! that header start in an earlier piece. A block is a header
//! only if its checksum is correct; after damage the next header is searched block by block.

mod header;

use std::io::{self, Read};

use header::{BLOCK, Extensions, Header};

pub(crate) use header::{Entry, is_tar};

type Block = [u8; BLOCK];

/// A member, or a place at which none can be read. `at` is the offset in the tar.
#[derive(Debug)]
pub(crate) enum Item {
    /// A whole member. `entry` is a file, a folder, a link or a special file.
    Member { at: u64, name: String, modified: u64, bytes: Vec<u8>, entry: Entry, target: String },
    /// A member that exceeds the limit and was skipped.
    TooLarge { at: u64, name: String, bytes: u64 },
    /// Blocks without a header, or a member that is truncated: `is_cut` is set.
    Damaged { at: u64, detail: String, is_cut: bool },
}

/// Reads members one after the other.
pub(crate) struct Members<R> {
    input: R,
    at: u64,
    until: u64,
    max_bytes: u64,
    /// Whether members that are tars are entered.
    through_tars: bool,
    /// The ends of the entered tars whose start was read.
    ends: Vec<u64>,
    /// The bytes of the block at `at`, if it was already read.
    ahead: Vec<u8>,
    /// What the extensions before the next header contain.
    extensions: Extensions,
    /// Whether a block without a header is damage. Before the first header of a piece it is not,
    /// because the piece can start inside a member.
    aligned: bool,
    ended: bool,
}

impl<R: Read> Members<R> {
    /// Returns a reader of the members of a piece. `input` starts at `offset`; members whose header
    /// starts at `until` or later are not read.
    pub(crate) fn of_piece(
        mut input: R,
        offset: u64,
        until: u64,
        max_bytes: u64,
    ) -> io::Result<Self> {
        let skip = offset.next_multiple_of(BLOCK as u64) - offset;
        io::copy(&mut input.by_ref().take(skip), &mut io::sink())?;
        let (at, aligned) = (offset + skip, offset == 0);
        Ok(Self { at, until, aligned, through_tars: true, ..Self::of_whole(input, max_bytes) })
    }

    /// Returns a reader of a whole tar, such as that of one paper; tars in it are ordinary files.
    pub(crate) fn of_whole(input: R, max_bytes: u64) -> Self {
        Self {
            input,
            at: 0,
            until: u64::MAX,
            max_bytes,
            through_tars: false,
            ends: Vec::new(),
            ahead: Vec::new(),
            extensions: Extensions::default(),
            aligned: true,
            ended: false,
        }
    }

    /// Returns the offset up to which members were read.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Returns the input, which was read up to the end of the last member.
    pub(crate) fn into_input(self) -> R {
        self.input
    }

    /// Returns the next member or damage, or `None` at the end of the piece.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        loop {
            let at = self.at;
            if self.ended || at >= self.until {
                return Ok(None);
            }
            self.ends.retain(|end| at < *end);
            let (block, read) = self.block()?;
            self.at += read as u64;
            let header = (read == BLOCK).then(|| Header::of(&block)).flatten();
            let blank = block.iter().all(|byte| *byte == 0);
            match header {
                // The piece starts inside a paper that is a tar without compression.
                Some(header)
                    if !self.aligned && self.through_tars && is_part_of_a_paper(&header.name) => {}
                Some(header) => {
                    self.aligned = true;
                    if let Some(item) = self.after_header(at, header)? {
                        return Ok(Some(item));
                    }
                }
                None if read < BLOCK => {
                    self.ended = true;
                    if read > 0 && self.aligned {
                        let detail = format!("the tar ends in the middle of a block at byte {at}");
                        return Ok(Some(Item::Damaged { at, detail, is_cut: false }));
                    }
                    return Ok(None);
                }
                None if blank || !self.aligned => {}
                None => {
                    self.aligned = false;
                    let detail = format!("no header of a member at byte {at}");
                    return Ok(Some(Item::Damaged { at, detail, is_cut: false }));
                }
            }
        }
    }

    /// Reads the next block without advancing `at`. Returns it with the number of bytes that were
    /// read.
    fn block(&mut self) -> io::Result<(Block, usize)> {
        let mut block = [0; BLOCK];
        let ahead = std::mem::take(&mut self.ahead);
        let read = read_up_to(&mut ahead.as_slice().chain(&mut self.input), &mut block)?;
        Ok((block, read))
    }

    /// Reads what follows a header: the bytes of a member, or an extension of the next header. A
    /// tar is entered.
    fn after_header(&mut self, at: u64, mut header: Header) -> io::Result<Option<Item>> {
        let Entry::Extension(kind) = header.entry else {
            self.extensions.apply(&mut header);
            return Ok(if self.enters(&header)? { None } else { Some(self.member(at, header)?) });
        };
        if !header.is_readable_extension() {
            return self.member(at, header).map(|_| None);
        }
        match self.member(at, header)? {
            Item::Member { bytes, .. } => self.extensions.add(kind, &bytes),
            damaged @ (Item::TooLarge { .. } | Item::Damaged { .. }) => return Ok(Some(damaged)),
        }
        Ok(None)
    }

    /// Returns whether a member, whose header was read, is a tar to enter, and records its end. A
    /// tar that is named like a paper is a paper without compression.
    fn enters(&mut self, header: &Header) -> io::Result<bool> {
        let named = !header.name.ends_with(".gz");
        if !self.through_tars || header.bytes < BLOCK as u64 || !named {
            return Ok(false);
        }
        let (block, read) = self.block()?;
        self.ahead.extend_from_slice(&block[..read]);
        let is_tar = is_tar(&self.ahead);
        if is_tar {
            self.ends.push(self.at.saturating_add(header.bytes));
        }
        Ok(is_tar)
    }

    fn member(&mut self, at: u64, header: Header) -> io::Result<Item> {
        let Header { name, bytes: size, modified, entry, target } = header;
        let padded = size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX);
        let end = self.ends.iter().copied().min().unwrap_or(u64::MAX);
        let there = padded.min(end.saturating_sub(self.at));
        let ahead = std::mem::take(&mut self.ahead);
        let mut rest = ahead.as_slice().chain(&mut self.input).take(there);
        if size > self.max_bytes {
            self.at += io::copy(&mut rest, &mut io::sink())?;
            return Ok(Item::TooLarge { at, name, bytes: size });
        }
        let mut bytes = Vec::new();
        let read = rest.read_to_end(&mut bytes)? as u64;
        self.at += read;
        if read < size {
            self.ended |= read < there;
            let detail = format!("the member `{name}` has {size} bytes, and {read} are there");
            return Ok(Item::Damaged { at, detail, is_cut: true });
        }
        bytes.truncate(size as usize);
        Ok(Item::Member { at, name, modified, bytes, entry, target })
    }
}

/// Returns whether a name is that of a file inside a paper rather than of a paper.
fn is_part_of_a_paper(name: &str) -> bool {
    const ENDINGS: [&str; 16] = [
        "aux", "bbl", "bib", "bst", "cls", "eps", "fig", "jpg", "latex", "log", "ltx", "pdf_tex",
        "png", "ps", "sty", "tex",
    ];
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Fills `block` as far as the input has bytes, and returns their number.
fn read_up_to(input: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match input.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mtime(1_700_000_000);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn names(tar: &[u8], from: usize, until: u64) -> Vec<String> {
        let mut members = Members::of_piece(&tar[from..], from as u64, until, 2000).unwrap();
        let mut found = Vec::new();
        while let Some(item) = members.next().unwrap() {
            found.push(match item {
                Item::Member { name, .. } => name,
                Item::TooLarge { name, .. } => format!("{name} too large"),
                Item::Damaged { at, .. } => format!("damaged at {at}"),
            });
        }
        found
    }

    fn sample() -> Vec<u8> {
        tar_of(&[("a", &[1; 700]), ("b", &[]), ("c", &[3; 3000]), ("d", &[4; 512])])
    }

    #[test]
    fn pieces_of_any_size_yield_each_member_once() {
        let tar = sample();
        let whole = names(&tar, 0, u64::MAX);
        assert_eq!(whole, ["a", "b", "c too large", "d"]);
        for size in [100, 512, 1000, 4096] {
            let mut found = Vec::new();
            for from in (0..tar.len()).step_by(size) {
                found.extend(names(&tar, from, (from + size) as u64));
            }
            assert_eq!(found, whole, "pieces of {size}");
        }
    }

    #[test]
    fn pieces_that_start_inside_a_nested_tar_find_its_members_once() {
        let deepest = tar_of(&[("f", &[6; 100]), ("g", &[7; 600])]);
        let inner = tar_of(&[("c", &[3; 700]), ("d.tar", &deepest), ("e", &[5; 3000])]);
        let tar = tar_of(&[("a", &[1; 700]), ("b.tar", &inner), ("z", &[9; 10])]);
        let whole = names(&tar, 0, u64::MAX);
        assert_eq!(whole, ["a", "c", "f", "g", "e too large", "z"]);
        for size in [100, 512, 1000, 4096] {
            let mut found = Vec::new();
            for from in (0..tar.len()).step_by(size) {
                found.extend(names(&tar, from, (from + size) as u64));
            }
            assert_eq!(found, whole, "pieces of {size}");
        }
        // Tars in the tar of one paper are not entered.
        let mut members = Members::of_whole(tar.as_slice(), 100_000);
        let mut seen = Vec::new();
        while let Some(Item::Member { name, .. }) = members.next().unwrap() {
            seen.push(name);
        }
        assert_eq!(seen, ["a", "b.tar", "z"]);
    }

    #[test]
    fn names_of_any_length_are_read_wherever_a_header_cuts_them() {
        for length in 90..112 {
            // The hundredth character is a slash, or a letter.
            let start = if length % 2 == 0 { "" } else { "e" };
            let name = format!("{start}{}x.py", "d/".repeat(length / 2 - 2));
            for format in [tar::Header::new_gnu, tar::Header::new_ustar] {
                let mut builder = tar::Builder::new(Vec::new());
                for (name, content) in [(name.as_str(), "a"), ("y.py", "b")] {
                    let mut header = format();
                    header.set_size(content.len() as u64);
                    builder.append_data(&mut header, name, content.as_bytes()).unwrap();
                }
                let tar = builder.into_inner().unwrap();
                assert_eq!(names(&tar, 0, u64::MAX), [name.as_str(), "y.py"]);
            }
        }
        let folder = tar_of(&[("a/b/", &[]), ("a/b/c", b"c")]);
        assert_eq!(names(&folder, 0, u64::MAX), ["a/b/", "a/b/c"]);
    }

    #[test]
    fn a_truncated_nested_tar_loses_only_its_last_member() {
        let inner = tar_of(&[("b", &[2; 100]), ("c", &[3; 1500])]);
        let tar = tar_of(&[("a.tar", &inner[..2048]), ("y", &[8; 10]), ("z", &[9; 10])]);
        assert_eq!(names(&tar, 0, u64::MAX), ["b", "damaged at 1536", "y", "z"]);
    }

    #[test]
    fn a_damaged_header_loses_only_its_member() {
        let mut tar = sample();
        tar[3] ^= 1;
        assert_eq!(names(&tar, 0, u64::MAX), ["damaged at 0", "b", "c too large", "d"]);
        let tar = sample();
        assert_eq!(names(&tar[..700], 0, u64::MAX), ["damaged at 0"]);
        assert_eq!(names(&tar[..600 + 1024], 0, u64::MAX), ["a", "damaged at 1536"]);
    }
}
