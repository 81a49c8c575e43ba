//! Collects the keys of one unit: they are pushed in any order and written to a key file.
//!
//! ```text
//! push … push │ buffer full: sort, drop local repeats, spill a sorted run │ push … finish
//! finish: nothing spilled: sort and write       spilled: spill the rest, merge the runs
//! ```
//! It hashes nothing and names no published file; spilled runs are its own, in a directory chosen
//! by the caller, and are removed when it is dropped. Invariant: the bytes written depend only on
//! the set of `(key, ordinal)` pairs pushed and the records, and memory stays within the budget,
//! apart from one bit for each ordinal up to the last repeated one, four bytes for each record, and
//! one block for each spilled run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::key::HashKey;
use super::key_file::{KeyEntry, KeyFile, KeyFileSummary, KeyFileWriter, unmark};
use super::ordinals::{MAX_ORDINAL, OrdinalSet};
use super::position::Span;
use super::sort::sort_tagged;
use thresher_formats::blocks::BlocksError;

/// Entries per chunk. Chunks are used instead of one vector, which would be copied and doubled to
/// grow.
const CHUNK_ENTRIES: usize = 1 << 16;
/// With fewer entries than this in memory, a run would not fill a block.
const MIN_ENTRIES: usize = 4096;

/// Why keys cannot be collected.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A unit has more lines or documents than an ordinal can count.
    #[error(
        "ordinal `{ordinal}` is beyond the limit of `{MAX_ORDINAL}`\n\nhint: split the unit's inputs"
    )]
    OrdinalTooLarge {
        /// The ordinal pushed.
        ordinal: u32,
    },
    /// The caller's sink returned an error.
    #[error("failed to write the key file: {0}")]
    Output(#[source] io::Error),
    /// A spilled run could not be written.
    #[error("failed to spill keys to `{}`: {source}", file.display())]
    Spill {
        /// The run's file.
        file: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// A spilled run could not be read back.
    #[error("failed to merge spilled keys: {0}")]
    SpillRead(#[from] BlocksError),
}

/// Collects the keys of one unit.
pub struct KeyCollector<K: HashKey> {
    unit: u32,
    limit_entries: usize,
    spill_dir: PathBuf,
    full: Vec<Chunk<K>>,
    filling: Chunk<K>,
    runs: Vec<SpilledRun>,
    /// Declared after the runs, so that they are removed from the directory before it is.
    made_dir: Option<MadeDirectory>,
    repeats: OrdinalSet,
    records: Records,
    occurrences: Occurrences,
}

/// Which occurrences of a key are entries of the key file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occurrences {
    /// Only the first of the unit. The others are repeats, whose keys are not kept.
    First,
    Every,
}

/// Which ordinals belong to one record, such as the lines of a page: a key that only one record has
/// is not marked as repeated.
#[derive(Default)]
struct Records {
    /// The first ordinal of each record. Ordinals before the first record are records themselves.
    starts: Vec<u32>,
}

impl Records {
    /// Returns whether two ordinals, the smaller first, are in one record.
    fn are_one(&self, first: u32, later: u32) -> bool {
        let record_of = |ordinal| self.starts.partition_point(|start| *start <= ordinal);
        let record = record_of(first);
        record > 0 && record == record_of(later)
    }
}

struct Chunk<K> {
    keys: Vec<K>,
    ordinals: Vec<u32>,
}

impl<K: HashKey> KeyCollector<K> {
    /// Memory of one entry at the time of the largest use, the sort.
    pub const ENTRY_BYTES: usize = K::BYTES + 4 + size_of::<K::Tagged>();

    /// Creates a collector for the unit of this canonical number. If more than `budget_bytes` are
    /// needed, sorted runs go to `spill_dir`, which no other collector of the same unit may use at
    /// the same time. The folder is created when it is needed, and then removed at the end.
    pub fn new(unit: u32, budget_bytes: usize, spill_dir: impl Into<PathBuf>) -> Self {
        Self {
            unit,
            limit_entries: (budget_bytes / Self::ENTRY_BYTES).max(MIN_ENTRIES),
            spill_dir: spill_dir.into(),
            full: Vec::new(),
            filling: Chunk::new(),
            runs: Vec::new(),
            made_dir: None,
            repeats: OrdinalSet::default(),
            records: Records::default(),
            occurrences: Occurrences::First,
        }
    }

    /// Makes every occurrence of a key an entry of the file, and none a repeat, for a search of
    /// groups ([`super::exchange::groups`]), which has to know all members.
    pub fn with_every_occurrence(mut self) -> Self {
        self.occurrences = Occurrences::Every;
        self
    }

    /// Starts a record, to which this ordinal and the following ones belong. Ordinals of later
    /// records are larger. Without any record, each ordinal is one.
    pub fn start_record(&mut self, ordinal: u32) {
        self.records.starts.push(ordinal);
    }

    /// Adds one occurrence. The same key with the same ordinal counts once.
    pub fn push(&mut self, key: K, ordinal: u32) -> Result<(), KeysError> {
        if ordinal > MAX_ORDINAL {
            return Err(KeysError::OrdinalTooLarge { ordinal });
        }
        self.filling.keys.push(key);
        self.filling.ordinals.push(ordinal);
        if self.filling.keys.len() == CHUNK_ENTRIES {
            self.full.push(std::mem::replace(&mut self.filling, Chunk::new()));
        }
        if self.buffered() >= self.limit_entries {
            self.spill()?;
        }
        Ok(())
    }

    /// Writes the key file, and returns the sink with the metadata of the file.
    pub fn finish<W: Write>(mut self, out: W) -> Result<(W, KeyFileSummary), KeysError> {
        let mut writer = KeyFileWriter::new(out).map_err(KeysError::Output)?;
        if self.runs.is_empty() {
            self.drain_sorted(&mut writer).map_err(KeysError::Output)?;
        } else {
            self.spill()?;
            self.merge(&mut writer)?;
        }
        writer.finish(self.unit, &self.repeats).map_err(KeysError::Output)
    }

    fn buffered(&self) -> usize {
        self.full.len() * CHUNK_ENTRIES + self.filling.keys.len()
    }

    /// Moves the buffer into the writer: each key once, its other ordinals as repeats.
    fn drain_sorted<W: Write>(&mut self, writer: &mut KeyFileWriter<K, W>) -> io::Result<()> {
        let sorted = sort_tagged::<K, _>(Span::WHOLE, self.buffered(), || {
            self.full.iter().chain([&self.filling]).flat_map(Chunk::entries)
        });
        self.full.clear();
        self.filling = Chunk::new();
        let mut open: Option<KeyEntry<K>> = None;
        let mut last = None;
        for tagged in sorted {
            if last.replace(tagged) == Some(tagged) {
                continue;
            }
            let (key, ordinal) = K::untag(tagged);
            let ordinal = ordinal as u32;
            match &mut open {
                Some(entry) if self.joins(entry, key, ordinal) => {
                    entry.repeated |= !self.records.are_one(entry.ordinal, ordinal);
                    self.repeats.insert(ordinal);
                }
                Some(_) | None => {
                    if let Some(entry) = open.replace(KeyEntry { key, ordinal, repeated: false }) {
                        writer.push(entry)?;
                    }
                }
            }
        }
        open.map_or(Ok(()), |entry| writer.push(entry))
    }

    /// Returns whether an occurrence is no entry of its own after this one.
    fn joins(&self, entry: &KeyEntry<K>, key: K, ordinal: u32) -> bool {
        let first = self.occurrences == Occurrences::First;
        entry.key == key && (first || entry.ordinal == ordinal)
    }

    fn spill(&mut self) -> Result<(), KeysError> {
        if self.buffered() == 0 {
            return Ok(());
        }
        let name = format!("keys-{}-{}.run", self.unit, self.runs.len());
        let file = self.spill_dir.join(name);
        let failed = |source| KeysError::Spill { file: file.clone(), source };
        if self.made_dir.is_none() {
            self.made_dir = MadeDirectory::make(&self.spill_dir).map_err(failed)?;
        }
        let sink = File::create_new(&file).map_err(failed)?;
        self.runs.push(SpilledRun(file.clone()));
        let mut writer = KeyFileWriter::new(sink).map_err(failed)?;
        self.drain_sorted(&mut writer).map_err(failed)?;
        writer.finish(self.unit, &OrdinalSet::default()).map_err(failed)?;
        Ok(())
    }

    /// Merges the runs; a key's first ordinal in a run is a repeat if another run has a smaller
    /// one.
    fn merge<W: Write>(&mut self, writer: &mut KeyFileWriter<K, W>) -> Result<(), KeysError> {
        let mut runs = Vec::with_capacity(self.runs.len());
        let mut heads = BinaryHeap::with_capacity(self.runs.len());
        for (number, SpilledRun(file)) in self.runs.iter().enumerate() {
            let mut run = RunReader::<K>::open(file)?;
            heads.extend(run.next_entry()?.map(|(key, marked)| Reverse((key, marked, number))));
            runs.push(run);
        }
        let mut open: Option<KeyEntry<K>> = None;
        while let Some(Reverse((key, marked, number))) = heads.pop() {
            let (ordinal, repeated) = unmark(marked);
            match &mut open {
                Some(entry) if self.joins(entry, key, ordinal) => {
                    entry.repeated |= repeated;
                    if entry.ordinal != ordinal {
                        entry.repeated |= !self.records.are_one(entry.ordinal, ordinal);
                        self.repeats.insert(ordinal);
                    }
                }
                Some(_) | None => {
                    if let Some(entry) = open.replace(KeyEntry { key, ordinal, repeated }) {
                        writer.push(entry).map_err(KeysError::Output)?;
                    }
                }
            }
            let next = runs[number].next_entry()?;
            heads.extend(next.map(|(key, marked)| Reverse((key, marked, number))));
        }
        open.map_or(Ok(()), |entry| writer.push(entry)).map_err(KeysError::Output)
    }
}

impl<K: HashKey> Chunk<K> {
    fn new() -> Self {
        Self { keys: Vec::new(), ordinals: Vec::new() }
    }

    fn entries(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        self.keys.iter().zip(&self.ordinals).map(|(key, ordinal)| (*key, u64::from(*ordinal)))
    }
}

/// A run's file, which is removed with its owner. It does no harm if it stays, because the
/// directory belongs to the attempt.
struct SpilledRun(PathBuf);

impl Drop for SpilledRun {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A directory that this created, which is removed with its owner if it is empty.
struct MadeDirectory(PathBuf);

impl MadeDirectory {
    /// Creates the directory; returns `None` if it exists already.
    fn make(path: &Path) -> io::Result<Option<Self>> {
        match fs::create_dir(path) {
            Ok(()) => Ok(Some(Self(path.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for MadeDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Reads a run with one block in memory and no file open between blocks.
struct RunReader<K: HashKey> {
    file: KeyFile<K>,
    next_block: usize,
    entries: std::vec::IntoIter<(K, u32)>,
}

impl<K: HashKey> RunReader<K> {
    fn open(path: &Path) -> Result<Self, BlocksError> {
        let mut file = KeyFile::open(path)?;
        file.restrict(Span::WHOLE);
        Ok(Self { file, next_block: 0, entries: Vec::new().into_iter() })
    }

    fn next_entry(&mut self) -> Result<Option<(K, u32)>, BlocksError> {
        if let Some(entry) = self.entries.next() {
            return Ok(Some(entry));
        }
        let Some(entries) = self.file.block(self.next_block)? else { return Ok(None) };
        self.next_block += 1;
        self.entries = entries.into_iter();
        Ok(self.entries.next())
    }
}

#[cfg(test)]
mod tests;
