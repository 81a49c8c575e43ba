//! The verdict file of one rank for one key range: the dropped ordinals of each unit of the rank.
//!
//! Drops come in any order and are sorted and written in batches when the memory for them is full.
//! A block holds sections of ascending units, and is labelled with its batch and first unit, so
//! that one unit's sections are found from the index. The first batch has a section for every unit
//! of the rank, empty or not, so that a unit that was not compared is not treated as one without
//! drops. [`super::verdicts`] combines ranges, ranks and local repeats.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ordinals::{MAX_PAGE_BYTES, OrdinalSet, encode_page};
use super::position::{KeyRange, Policy, Position};
use thresher_formats::blocks::{BlockFile, BlockWriter, BlocksError, Compression, Damage, Kind};

/// The kind of block file that a verdict file is.
pub const VERDICT_FILE: Kind = Kind(*b"VERD");
const BLOCK_BYTES: usize = 64 << 10;
const SECTION_HEADER_BYTES: usize = 8;

/// The metadata of a verdict file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerdictSummary {
    pub(super) range: KeyRange,
    /// The file has the units whose group modulo `world` is `rank`.
    pub(super) rank: u32,
    pub(super) world: u32,
    pub(super) policy: Policy,
    pub(super) dropped: u64,
    batches: u32,
}

pub(super) struct VerdictFileWriter<W: Write> {
    blocks: BlockWriter<W>,
    /// The rank's units, ascending.
    units: Vec<u32>,
    /// Packed positions, unsorted.
    pending: Vec<u64>,
    pending_limit: usize,
    summary: VerdictSummary,
}

impl<W: Write> VerdictFileWriter<W> {
    pub(super) fn new(
        out: W,
        (range, policy): (KeyRange, Policy),
        (rank, world): (u32, u32),
        mut units: Vec<u32>,
        pending_bytes: u64,
    ) -> io::Result<Self> {
        units.sort_unstable();
        Ok(Self {
            blocks: BlockWriter::new(out, VERDICT_FILE, Compression::None)?,
            units,
            pending: Vec::new(),
            // A vector may have twice the capacity that it needs.
            pending_limit: usize::try_from(pending_bytes / 16).unwrap_or(usize::MAX).max(64),
            summary: VerdictSummary { range, rank, world, policy, dropped: 0, batches: 0 },
        })
    }

    /// Records one drop; its unit must be one of the file's, and no position may come twice.
    pub(super) fn push(&mut self, position: u64) -> io::Result<()> {
        self.pending.push(position);
        if self.pending.len() >= self.pending_limit {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Writes the drops of all units of the file at once, one set for each.
    pub(super) fn write_sets(&mut self, sets: &[OrdinalSet]) -> io::Result<()> {
        let mut batch = Batch::new(self.summary.batches);
        for (unit, set) in self.units.iter().zip(sets) {
            let ordinals: Vec<u32> = set.iter().collect();
            batch.add_unit(&mut self.blocks, *unit, &ordinals)?;
            self.summary.dropped += set.count();
        }
        batch.flush(&mut self.blocks)?;
        self.summary.batches += 1;
        Ok(())
    }

    /// Returns the number of drops recorded.
    pub(super) fn dropped(&self) -> u64 {
        self.summary.dropped + self.pending.len() as u64
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.pending.is_empty() || self.summary.batches == 0 {
            self.write_batch()?;
        }
        let metadata = serde_json::to_vec(&self.summary)?;
        self.blocks.finish(&metadata)
    }

    fn write_batch(&mut self) -> io::Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_unstable();
        let mut batch = Batch::new(self.summary.batches);
        let mut rest = &pending[..];
        let mut ordinals = Vec::new();
        for unit in &self.units {
            let end = rest.partition_point(|packed| unit_of(*packed) <= *unit);
            ordinals.clear();
            ordinals.extend(rest[..end].iter().map(|packed| Position::unpack(*packed).ordinal));
            if let Some(other) = rest[..end].first().filter(|p| unit_of(**p) != *unit) {
                return Err(not_of_this_rank(unit_of(*other)));
            }
            rest = &rest[end..];
            if self.summary.batches == 0 || !ordinals.is_empty() {
                batch.add_unit(&mut self.blocks, *unit, &ordinals)?;
            }
        }
        if let Some(other) = rest.first() {
            return Err(not_of_this_rank(unit_of(*other)));
        }
        batch.flush(&mut self.blocks)?;
        self.summary.dropped += pending.len() as u64;
        self.summary.batches += 1;
        pending.clear();
        self.pending = pending;
        Ok(())
    }
}

fn unit_of(packed: u64) -> u32 {
    Position::unpack(packed).unit
}

fn not_of_this_rank(unit: u32) -> io::Error {
    let text = format!("unit `{unit}` has verdicts but no key file on this rank");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The block that is being filled.
struct Batch {
    number: u32,
    payload: Vec<u8>,
    first_unit: Option<u32>,
    count: u32,
}

impl Batch {
    fn new(number: u32) -> Self {
        Self { number, payload: Vec::new(), first_unit: None, count: 0 }
    }

    /// Adds the unit's section, split if a block is full.
    fn add_unit<W: Write>(
        &mut self,
        blocks: &mut BlockWriter<W>,
        unit: u32,
        mut ordinals: &[u32],
    ) -> io::Result<()> {
        loop {
            if self.payload.len() + SECTION_HEADER_BYTES + MAX_PAGE_BYTES > BLOCK_BYTES {
                self.flush(blocks)?;
            }
            self.first_unit.get_or_insert(unit);
            let header = self.payload.len();
            self.payload.extend_from_slice(&unit.to_le_bytes());
            self.payload.extend_from_slice(&[0; 4]);
            while !ordinals.is_empty() && self.payload.len() + MAX_PAGE_BYTES <= BLOCK_BYTES {
                ordinals = &ordinals[encode_page(ordinals, &mut self.payload)..];
            }
            let length = (self.payload.len() - header - SECTION_HEADER_BYTES) as u32;
            self.payload[header + 4..header + 8].copy_from_slice(&length.to_le_bytes());
            self.count += 1;
            if ordinals.is_empty() {
                return Ok(());
            }
        }
    }

    fn flush<W: Write>(&mut self, blocks: &mut BlockWriter<W>) -> io::Result<()> {
        let Some(unit) = self.first_unit.take() else { return Ok(()) };
        blocks.push(label(self.number, unit), self.count, &self.payload)?;
        self.payload.clear();
        self.count = 0;
        Ok(())
    }
}

fn label(batch: u32, unit: u32) -> u128 {
    u128::from(batch) << 32 | u128::from(unit)
}

/// An open verdict file. Its index is in memory, so that a worker which keeps the file open reads
/// the verdicts on further units without opening anything.
#[derive(Debug)]
pub struct VerdictFile {
    blocks: BlockFile,
    summary: VerdictSummary,
}

impl VerdictFile {
    /// Opens a verdict file. Its index is verified now, its blocks when they are read.
    pub fn open(path: &Path) -> Result<Self, BlocksError> {
        let blocks = BlockFile::open(path, VERDICT_FILE)?;
        let summary: VerdictSummary = serde_json::from_slice(blocks.metadata()).map_err(|_| {
            blocks.damaged(0, Damage::Layout("the metadata is not a verdict file's"))
        })?;
        if !blocks.entries().is_sorted_by(|a, b| a.label <= b.label) {
            return Err(blocks.damaged(0, Damage::Layout("the sections are not in order")));
        }
        Ok(Self { blocks, summary })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        self.blocks.path()
    }

    pub(super) fn summary(&self) -> &VerdictSummary {
        &self.summary
    }

    /// Adds the drops of each of these ascending units to its set; returns the first unit about
    /// which the file has nothing.
    pub(super) fn add_units(
        &self,
        units: &[u32],
        sets: &mut [OrdinalSet],
    ) -> Result<Option<u32>, BlocksError> {
        let (Some(first), Some(last)) = (units.first(), units.last()) else { return Ok(None) };
        let mut found = vec![false; units.len()];
        for batch in 0..self.summary.batches {
            let mut cursor = self.blocks.blocks(self.sections(batch, *first, *last))?;
            while let Some(block) = cursor.next_block()? {
                if block.label >> 32 != u128::from(batch) {
                    continue;
                }
                for_each_section(block.payload, |unit, section| {
                    let Ok(place) = units.binary_search(&unit) else { return Some(()) };
                    found[place] = true;
                    sets[place].add_encoded(section).ok()
                })
                .ok_or_else(|| self.bad_sections(block.offset))?;
            }
        }
        Ok(units.iter().zip(found).find(|(_, found)| !found).map(|(unit, _)| *unit))
    }

    /// Returns the blocks of a batch that may have sections of units `first` to `last`. Sections
    /// may start in the last block that starts with a smaller unit.
    fn sections(&self, batch: u32, first: u32, last: u32) -> Range<usize> {
        let entries = self.blocks.entries();
        let begin = entries.partition_point(|entry| entry.label < label(batch, first));
        let end = entries.partition_point(|entry| entry.label <= label(batch, last));
        begin.saturating_sub(1).min(end)..end
    }

    fn bad_sections(&self, offset: u64) -> BlocksError {
        self.blocks.damaged(offset, Damage::Layout("the sections are not encoded ordinals"))
    }

    /// Adds the unit's drops to the set; returns `false` if the file has nothing about the unit.
    pub(super) fn add_unit(&self, unit: u32, set: &mut OrdinalSet) -> Result<bool, BlocksError> {
        let mut sets = [std::mem::take(set)];
        let missing = self.add_units(&[unit], &mut sets)?;
        let [filled] = sets;
        *set = filled;
        Ok(missing.is_none())
    }
}

/// Calls `visit` for each section of a block; returns `None` if the bytes are not sections, or
/// `visit` does.
fn for_each_section(
    mut bytes: &[u8],
    mut visit: impl FnMut(u32, &[u8]) -> Option<()>,
) -> Option<()> {
    while !bytes.is_empty() {
        let (unit, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (section, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        visit(u32::from_le_bytes(*unit), section)?;
        bytes = rest;
    }
    Some(())
}
