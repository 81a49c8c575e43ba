//! Entries on disk, divided so that one part at a time fits into memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

/// Size of an entry on disk.
const ENTRY_BYTES: usize = 48;
/// More files would exceed the limits of many systems.
const MAX_PARTS: u64 = 512;
const BUFFER_BYTES: usize = 32 << 10;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// A published document.
    Kept,
    /// A record that was dropped or quarantined.
    Lost,
    /// A published document whose text is searched on the other side.
    Searched,
    /// A published document that has another text on the other side.
    Changed,
    /// A published document that the other side does not have.
    Only,
}

const ROLES: [Role; 5] = [Role::Kept, Role::Lost, Role::Searched, Role::Changed, Role::Only];

/// A line of one of the two corpora.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// What entries are sorted and divided by.
    pub(super) key: [u8; 16],
    /// 0 for the first corpus, 1 for the second.
    pub(super) side: u8,
    pub(super) role: Role,
    /// The start of the hash of the text; zeros for a record that is not published.
    pub(super) text: [u8; 16],
    /// Number of the file, over both corpora.
    pub(super) file: u32,
    /// Line in the file, counted from 1.
    pub(super) line: u32,
    /// Number of the source and the reason.
    pub(super) label: u32,
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..32].copy_from_slice(&self.text);
        bytes[32] = self.side;
        bytes[33] = self.role as u8;
        bytes[36..40].copy_from_slice(&self.label.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.file.to_le_bytes());
        bytes[44..].copy_from_slice(&self.line.to_le_bytes());
        bytes
    }

    /// Returns `None` if these bytes are not an entry.
    fn decode(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let number = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        Some(Self {
            key: bytes[..16].try_into().ok()?,
            text: bytes[16..32].try_into().ok()?,
            side: bytes[32],
            role: *ROLES.get(usize::from(bytes[33]))?,
            label: number(36)?,
            file: number(40)?,
            line: number(44)?,
        })
    }
}

/// Entries in temporary files, which are removed when this is dropped.
pub(super) struct Spill {
    /// Held until the end, since dropping it removes the files.
    folder: TempDir,
    parts: Vec<Mutex<BufWriter<File>>>,
}

impl Spill {
    /// Creates the files for about this many entries, of which a part fits into `memory` bytes.
    pub(super) fn create(scratch: &Path, entries: u64, memory: u64) -> io::Result<Self> {
        // Sorting needs some memory besides.
        let bytes = entries.saturating_mul(2 * size_of::<Entry>() as u64);
        let parts = bytes.div_ceil(memory.max(1)).clamp(1, MAX_PARTS);
        let folder = tempfile::Builder::new().prefix("thresher-diff-").tempdir_in(scratch)?;
        let create = |number: u64| {
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(folder.path().join(number.to_string()))?;
            Ok(Mutex::new(BufWriter::with_capacity(BUFFER_BYTES, file)))
        };
        let parts = (0..parts).map(create).collect::<io::Result<_>>()?;
        Ok(Self { folder, parts })
    }

    /// Returns the number of parts.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Adds an entry to the part of its key.
    pub(super) fn push(&self, entry: &Entry) -> io::Result<()> {
        let [a, b, c, d, ..] = entry.key;
        let start = u64::from(u32::from_be_bytes([a, b, c, d]));
        self.push_to(((start * self.parts.len() as u64) >> 32) as usize, entry)
    }

    /// Adds an entry to this part.
    pub(super) fn push_to(&self, part: usize, entry: &Entry) -> io::Result<()> {
        let mut file = self.parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&entry.encode())
    }

    /// Returns the entries of a part, sorted.
    pub(super) fn sorted(&self, part: usize) -> io::Result<Vec<Entry>> {
        self.parts[part].lock().unwrap_or_else(PoisonError::into_inner).flush()?;
        let mut file = BufReader::new(File::open(self.folder.path().join(part.to_string()))?);
        let mut entries = Vec::new();
        let mut bytes = [0; ENTRY_BYTES];
        loop {
            match file.read_exact(&mut bytes) {
                Ok(()) => entries.push(
                    Entry::decode(&bytes).ok_or_else(|| io::Error::other("a damaged entry"))?,
                ),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        entries.sort_unstable();
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_sorted_whatever_the_number_of_parts() {
        let folder = tempfile::tempdir().unwrap();
        let entries: Vec<Entry> = (0..1000_u32)
            .map(|number| Entry {
                key: blake3::hash(&number.to_le_bytes()).as_bytes()[..16].try_into().unwrap(),
                side: (number % 2) as u8,
                role: ROLES[number as usize % ROLES.len()],
                text: [number as u8; 16],
                file: number,
                line: number * 7,
                label: u32::MAX - number,
            })
            .collect();
        let mut sorted = entries.clone();
        sorted.sort_unstable();
        for (memory, parts) in [(1 << 30, 1), (20_000, 5), (1, 512)] {
            let spill = Spill::create(folder.path(), 1000, memory).unwrap();
            assert_eq!(spill.parts(), parts);
            entries.iter().for_each(|entry| spill.push(entry).unwrap());
            let found: Vec<Entry> =
                (0..spill.parts()).flat_map(|part| spill.sorted(part).unwrap()).collect();
            assert_eq!(found, sorted);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
    }
}
