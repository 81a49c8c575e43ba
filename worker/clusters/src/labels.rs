//! The file of labels of one rank: which component each of its documents is in.
//!
//! ```text
//! block: documents … · components … · members …   (8 bytes each, the columns one after the other)
//! ```
//! A block is labelled with its first document, so that the documents of a unit are found from the
//! index. Documents without an edge are not in the file. Invariant: documents ascend, and a file
//! only has units of its rank, so that a unit which was not connected is not treated as one whose
//! documents are all alone.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thresher_formats::blocks::{BlockFile, BlockWriter, BlocksError, Compression, Damage, Kind};

use crate::document::Document;

/// The kind of block file that a file of labels is.
pub const LABEL_FILE: Kind = Kind(*b"LABL");
/// Number of labels per block, 96 kB before compression.
const LABELS_PER_BLOCK: usize = 4096;
const COLUMNS: usize = 3;

/// Which component a document is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The place of the document in its unit.
    pub place: u32,
    /// The smallest document of the component, which names it.
    pub component: Document,
    /// Number of documents of the component.
    pub members: u64,
}

/// The metadata of a file of labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSummary {
    /// The file has the units u with u / `group_units` mod `world` = `rank`.
    pub rank: u32,
    /// Number of ranks.
    pub world: u32,
    /// Number of neighbouring units that are in the same file.
    pub group_units: u32,
    /// Number of documents.
    pub documents: u64,
}

impl LabelSummary {
    /// Returns whether the file has the labels of this unit.
    pub fn has_unit(&self, unit: u32) -> bool {
        let group = unit / self.group_units.max(1);
        self.world > 0 && group % self.world == self.rank
    }
}

pub(crate) struct LabelWriter<W: Write> {
    blocks: BlockWriter<W>,
    columns: [Vec<u8>; COLUMNS],
    first: u64,
    summary: LabelSummary,
}

impl<W: Write> LabelWriter<W> {
    pub(crate) fn new(out: W, summary: LabelSummary) -> io::Result<Self> {
        let column = || Vec::with_capacity(LABELS_PER_BLOCK * size_of::<u64>());
        Ok(Self {
            blocks: BlockWriter::new(out, LABEL_FILE, Compression::Zstd(1))?,
            columns: [column(), column(), column()],
            first: 0,
            summary: LabelSummary { documents: 0, ..summary },
        })
    }

    /// Adds the label of a document; documents come in ascending order.
    pub(crate) fn push(&mut self, document: u64, component: u64, members: u64) -> io::Result<()> {
        if self.columns[0].is_empty() {
            self.first = document;
        }
        for (column, number) in self.columns.iter_mut().zip([document, component, members]) {
            column.extend_from_slice(&number.to_le_bytes());
        }
        self.summary.documents += 1;
        if self.columns[0].len() == LABELS_PER_BLOCK * size_of::<u64>() {
            self.flush()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        self.blocks.finish(&serde_json::to_vec(&self.summary)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        let count = (self.columns[0].len() / size_of::<u64>()) as u32;
        if count == 0 {
            return Ok(());
        }
        let payload = self.columns.concat();
        self.blocks.push(u128::from(self.first), count, &payload)?;
        self.columns.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

/// An open file of labels. Its index is in memory, so that units are found without reading others.
#[derive(Debug)]
pub struct LabelFile {
    blocks: BlockFile,
    summary: LabelSummary,
}

impl LabelFile {
    /// Opens a file of labels. Its index is verified now, its blocks when they are read.
    pub fn open(path: &Path) -> Result<Self, BlocksError> {
        let blocks = BlockFile::open(path, LABEL_FILE)?;
        let damaged = |why| blocks.damaged(0, Damage::Layout(why));
        let summary: LabelSummary = serde_json::from_slice(blocks.metadata())
            .map_err(|_| damaged("the metadata is not that of a file of labels"))?;
        let counted: u64 = blocks.entries().iter().map(|entry| u64::from(entry.count)).sum();
        if counted != summary.documents {
            return Err(damaged("the blocks hold another number of labels than the metadata says"));
        }
        if !blocks.entries().is_sorted_by(|a, b| a.label < b.label) {
            return Err(damaged("the blocks of labels are not in order"));
        }
        Ok(Self { blocks, summary })
    }

    /// Returns the metadata of the file.
    pub fn summary(&self) -> &LabelSummary {
        &self.summary
    }

    /// Returns the labels of a unit in the order of their places: those of its documents that have
    /// an edge.
    pub fn of_unit(&self, unit: u32) -> Result<Vec<Label>, BlocksError> {
        if !self.summary.has_unit(unit) {
            return Err(self.damaged(0, "the labels are those of other units"));
        }
        let first = Document { unit, place: 0 }.to_u64();
        let last = Document { unit, place: u32::MAX }.to_u64();
        let entries = self.blocks.entries();
        // The block before the first that starts inside may end inside.
        let begin = entries.partition_point(|entry| entry.label < u128::from(first));
        let end = entries.partition_point(|entry| entry.label <= u128::from(last));
        let mut labels = Vec::new();
        let mut cursor = self.blocks.blocks(begin.saturating_sub(1).min(end)..end)?;
        while let Some(block) = cursor.next_block()? {
            let numbers = block.payload.as_chunks::<{ size_of::<u64>() }>();
            let count = block.count as usize;
            if !numbers.1.is_empty() || numbers.0.len() != COLUMNS * count {
                let what = "a block of labels is not as long as its count says";
                return Err(self.damaged(block.offset, what));
            }
            let number = |at: usize| u64::from_le_bytes(numbers.0[at]);
            for at in 0..count {
                let document = Document::from_u64(number(at));
                if document.unit == unit {
                    labels.push(Label {
                        place: document.place,
                        component: Document::from_u64(number(count + at)),
                        members: number(2 * count + at),
                    });
                }
            }
        }
        Ok(labels)
    }

    fn damaged(&self, offset: u64, what: &'static str) -> BlocksError {
        self.blocks.damaged(offset, Damage::Layout(what))
    }
}
