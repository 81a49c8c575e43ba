//! Compares the members of components and decides who is removed because of whom.
//!
//! ```text
//! one part of all members files ──merge──▶ component after component, in the order of survival
//!                                                      │ groups: band keys that two members have
//!                                                      │ rule: witness or stars, by measured pairs
//!                                                      ▼
//!                                    decisions, sorted by group of units · tally
//! ```
//! A component that fits into memory is decided there. A larger one is written to scratch files and
//! decided by the same sweep, with the evidence that was read last in a cache.
//!
//! **Invariant:** decisions and tally depend on the members alone, not on memory, on files or on
//! the order of members in them.

mod component;
mod emit;
mod groups;
mod rule;
mod tally;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::Path;

use thresher_formats::blocks::{Compression, Kind};
use thresher_near::Threshold;

use crate::document::Document;
use crate::member::{Evidence, Member};
use crate::members_file::MembersFiles;
use crate::runs::{RunFile, RunFormat, RunWriteError, RunWriter, RunsError};
use crate::scratch::ScratchError;
use component::Component;
use emit::Emitter;

pub use tally::{CompareTally, LargeCluster};

/// The kind of block file that holds the decisions of one part.
pub const DECISION_RUNS: Kind = Kind(*b"DECR");

/// How members are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What makes two candidates similar.
    pub verify: Verify,
    /// Who survives.
    pub survivors: Survivors,
    /// The number R: for each band group, a member is compared with at most this many earlier ones.
    pub first_kept: u32,
    /// Memory for the members of a component. A larger component is decided from scratch files.
    pub memory_bytes: usize,
}

/// What makes two candidates similar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// The Jaccard similarity of their shingles reaches the threshold.
    Jaccard(Threshold),
    /// The later one says nothing that the earlier one does not say. What is recorded is the
    /// Jaccard similarity of their runs of three tokens.
    Containment,
    /// Nothing is compared: candidates are similar, and no similarity is recorded.
    None,
}

/// Who survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// A document is removed only because of a kept document that is similar to it.
    Witness,
    /// The first document of each connected group of similar ones survives. The similarity of the
    /// others to it is measured, and may be below the threshold.
    Components,
}

/// One part to compare.
#[derive(Debug, Clone, Copy)]
pub struct CompareTask<'a> {
    /// The members files of all groups.
    pub members: &'a [RunFile],
    /// Number of parts of the members files.
    pub parts: u32,
    /// The part to compare.
    pub part: u32,
    /// Number of neighbouring units in a group.
    pub group_units: u32,
    /// How members are compared.
    pub settings: Settings,
    /// Documents of sources from this number on are kept, whatever they resemble.
    pub kept_from_source: u32,
    /// Folder for scratch files, which have no names.
    pub scratch_folder: &'a Path,
    /// Number of members files that stay open; the others are opened for each read.
    pub open_files: usize,
}

/// Why a part cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A members file cannot be read; the unit that wrote it has to run again.
    #[error(transparent)]
    Members(#[from] RunsError),
    /// A scratch file cannot be used.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// A component has more band keys than can be numbered.
    #[error(
        "the component of document `{component}` has more than `{MAX_COMPONENT_KEYS}` band keys\n\n\
         hint: use longer shingles or more rows in each band, so that fewer pairs are candidates"
    )]
    TooLarge {
        /// The smallest document of the component.
        component: Document,
    },
    /// The decisions could not be written.
    #[error("failed to write decisions: {0}")]
    Output(#[from] io::Error),
}

/// Members and their band keys have numbers of 32 bits, of which the largest marks an end.
const MAX_COMPONENT_KEYS: u64 = u32::MAX as u64 - 1;
/// The share of memory that is for decisions before they are sorted.
const DECISIONS_SHARE: usize = 8;
const MIN_DECISIONS_BYTES: usize = 64 << 10;

impl From<RunWriteError> for CompareError {
    fn from(error: RunWriteError) -> Self {
        match error {
            RunWriteError::Scratch(error) => Self::Scratch(error),
            RunWriteError::Output(error) => Self::Output(error),
        }
    }
}

/// Returns the group of a unit.
pub fn group_of(unit: u32, group_units: u32) -> u32 {
    unit / group_units.max(1)
}

/// Returns the format of the files that [`compare`] writes.
pub(crate) fn decisions_format(group_units: u32) -> RunFormat {
    RunFormat { kind: DECISION_RUNS, division: group_units, compression: Compression::Zstd(1) }
}

/// Compares the members of one part and writes the decisions about its clusters, by group of
/// units, to `out`; returns it with what was counted.
pub fn compare<W: Write>(
    task: &CompareTask<'_>,
    out: W,
) -> Result<(W, CompareTally), CompareError> {
    let settings = &task.settings;
    let files = MembersFiles::open(task.members, task.parts, task.part, task.open_files)?;
    let memory = (settings.memory_bytes / DECISIONS_SHARE).max(MIN_DECISIONS_BYTES);
    let format = decisions_format(task.group_units);
    let runs = RunWriter::new(out, format, memory, task.scratch_folder)?;
    let mut emitter = Emitter::new(runs, task.group_units);
    let mut members = files.merge()?;
    let mut component: Option<Component<'_>> = None;
    while let Some(member) = members.next_member(|member| has_evidence(member, settings.verify))? {
        if let Some(ended) = component.take_if(|open| open.label() != member.component) {
            decide(ended, task, &mut emitter)?;
        }
        let open = component.get_or_insert_with(|| {
            Component::new(member.component, settings.memory_bytes, task.scratch_folder)
        });
        open.push(member)?;
    }
    if let Some(ended) = component {
        decide(ended, task, &mut emitter)?;
    }
    emitter.finish()
}

fn decide<W: Write>(
    component: Component<'_>,
    task: &CompareTask<'_>,
    emitter: &mut Emitter<W>,
) -> Result<(), CompareError> {
    let mut members = component.finish()?;
    let (fates, counts) = rule::decide(&mut members, &task.settings, task.kept_from_source)?;
    emitter.component(&mut members, &fates, counts)
}

/// Returns whether a member has what the comparison reads.
fn has_evidence(member: &Member, verify: Verify) -> bool {
    match verify {
        Verify::Jaccard(_) => matches!(member.evidence, Evidence::Shingles(_)),
        Verify::Containment => matches!(member.evidence, Evidence::Text(_)),
        Verify::None => true,
    }
}
