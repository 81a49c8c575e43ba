//! The decisions about the documents of a group of units, in one file.
//!
//! ```text
//! block: decisions about one unit, by place    decision: place · length · fields
//! ```
//! A block is labelled with its unit, so that a unit's decisions are found from the index. A
//! document without a decision shares no cluster with another one and is kept.
//!
//! **Invariant:** equal decisions give equal bytes, for any number of parts.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thresher_formats::blocks::{BlockFile, BlockWriter, BlocksError, Compression, Damage, Kind};

use crate::codec::Fields;
use crate::compare::{decisions_format, group_of};
use crate::decision::{Decision, Outcome};
use crate::document::Document;
use crate::runs::{RunFile, RunFiles, RunsError};

/// The kind of block file that holds the decisions of a group.
pub const DECISION_FILE: Kind = Kind(*b"DECS");
/// A block is written when it has this many bytes.
const BLOCK_BYTES: usize = 64 << 10;

/// A group of neighbouring units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Number of the group.
    pub group: u32,
    /// Number of units in each group.
    pub group_units: u32,
}

impl Group {
    /// Returns whether the unit is in the group.
    pub fn has(self, unit: u32) -> bool {
        group_of(unit, self.group_units) == self.group
    }
}

/// The metadata of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionSummary {
    /// The group.
    pub group: Group,
    /// Number of documents that are removed.
    pub removed: u64,
    /// Number of documents that are kept and have near-duplicates.
    pub kept: u64,
}

/// Why the decisions about a group cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The decisions of a part cannot be read; its unit has to run again.
    #[error(transparent)]
    Part(#[from] RunsError),
    /// Two parts have decisions about one document.
    #[error("document `{document}` has two decisions")]
    Repeated {
        /// The document.
        document: Document,
    },
    /// The file could not be written.
    #[error("failed to write the decisions about a group: {0}")]
    Output(#[from] io::Error),
}

/// Writes the decisions about a group to `out`, from the files that `compare` wrote for all parts;
/// returns it with its metadata. At most `open_files` stay open; the others are opened for each
/// read.
pub fn decide<W: Write>(
    files: &[RunFile],
    group: Group,
    open_files: usize,
    out: W,
) -> Result<(W, DecisionSummary), DecideError> {
    let format = decisions_format(group.group_units);
    let files = RunFiles::open(files, format, group.group, open_files)?;
    let mut decisions = files.merge()?;
    let mut writer = DecisionWriter::new(out, group)?;
    let mut before = None;
    while let Some(decision) = decisions.next_decoded(|key, payload| {
        Decision::decode(key, payload).filter(|decision| group.has(decision.document.unit))
    })? {
        let document = decision.document;
        if before.replace(document) == Some(document) {
            return Err(DecideError::Repeated { document });
        }
        writer.push(&decision)?;
    }
    Ok(writer.finish()?)
}

struct DecisionWriter<W: Write> {
    blocks: BlockWriter<W>,
    block: Vec<u8>,
    unit: u32,
    count: u32,
    payload: Vec<u8>,
    summary: DecisionSummary,
}

impl<W: Write> DecisionWriter<W> {
    fn new(out: W, group: Group) -> io::Result<Self> {
        Ok(Self {
            // Names of witnesses repeat.
            blocks: BlockWriter::new(out, DECISION_FILE, Compression::Zstd(3))?,
            block: Vec::new(),
            unit: 0,
            count: 0,
            payload: Vec::new(),
            summary: DecisionSummary { group, removed: 0, kept: 0 },
        })
    }

    /// Adds a decision; documents ascend.
    fn push(&mut self, decision: &Decision) -> io::Result<()> {
        let Document { unit, place } = decision.document;
        if unit != self.unit || self.block.len() >= BLOCK_BYTES {
            self.flush()?;
            self.unit = unit;
        }
        self.payload.clear();
        decision.put_payload(&mut self.payload);
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        self.block.extend_from_slice(&place.to_le_bytes());
        self.block.extend_from_slice(&length.to_le_bytes());
        self.block.extend_from_slice(&self.payload);
        self.count += 1;
        match decision.outcome {
            Outcome::Kept { .. } => self.summary.kept += 1,
            Outcome::Removed(_) => self.summary.removed += 1,
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<(W, DecisionSummary)> {
        self.flush()?;
        let out = self.blocks.finish(&serde_json::to_vec(&self.summary)?)?;
        Ok((out, self.summary))
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.count > 0 {
            self.blocks.push(self.unit.into(), std::mem::take(&mut self.count), &self.block)?;
            self.block.clear();
        }
        Ok(())
    }
}

/// An open file of decisions.
#[derive(Debug)]
pub struct DecisionFile {
    blocks: BlockFile,
    summary: DecisionSummary,
}

impl DecisionFile {
    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self, BlocksError> {
        let blocks = BlockFile::open(path, DECISION_FILE)?;
        let damaged = |why| blocks.damaged(0, Damage::Layout(why));
        let summary: DecisionSummary = serde_json::from_slice(blocks.metadata())
            .map_err(|_| damaged("the metadata is not that of decisions"))?;
        let counted: u64 = blocks.entries().iter().map(|entry| u64::from(entry.count)).sum();
        if counted != summary.kept.saturating_add(summary.removed) {
            return Err(damaged("the blocks hold another number of decisions than the metadata"));
        }
        if !blocks.entries().is_sorted_by_key(|entry| entry.label) {
            return Err(damaged("the units are not in order"));
        }
        Ok(Self { blocks, summary })
    }

    /// Returns the metadata.
    pub fn summary(&self) -> DecisionSummary {
        self.summary
    }

    /// Reads the decisions about a unit of the group, by place.
    pub fn of_unit(&self, unit: u32) -> Result<Vec<Decision>, BlocksError> {
        if !self.summary.group.has(unit) {
            return Err(self.blocks.damaged(0, Damage::Layout("it is the file of other units")));
        }
        let entries = self.blocks.entries();
        let begin = entries.partition_point(|entry| entry.label < unit.into());
        let end = entries.partition_point(|entry| entry.label <= unit.into());
        let mut cursor = self.blocks.blocks(begin..end)?;
        let mut decisions = Vec::new();
        while let Some(block) = cursor.next_block()? {
            let wrong = Damage::Layout("a block is not made of decisions in the order of places");
            let offset = block.offset;
            append_decisions(block.payload, unit, &mut decisions)
                .ok_or_else(|| self.blocks.damaged(offset, wrong))?;
        }
        Ok(decisions)
    }
}

/// Returns none if the bytes are not decisions, or a place is not larger than the one before.
fn append_decisions(bytes: &[u8], unit: u32, decisions: &mut Vec<Decision>) -> Option<()> {
    let mut fields = Fields(bytes);
    while !fields.0.is_empty() {
        let document = Document { unit, place: fields.u32()? };
        let length = fields.u32()? as usize;
        let payload = fields.bytes(length)?;
        if decisions.last().is_some_and(|before| before.document >= document) {
            return None;
        }
        decisions.push(Decision::decode(&document.to_u64().to_be_bytes(), payload)?);
    }
    Some(())
}
