//! Memory that a thread keeps from document to document, and the tally of what filters did.
//!
//! `Scratch` owns every buffer, so that in the long run no document costs an
//! allocation; the filters get the view to read and `Workspace` to write.

use std::collections::BTreeMap;

use super::grams::GramTables;
use super::measured::{Measured, Measurements};
use super::view::ViewBuffers;
use super::{Reason, Removal};

/// The memory to which a filter may write: the edited text, tables to fill, and the tally of
/// removed lines.
#[derive(Debug, Default)]
pub struct Workspace {
    /// The text that a filter answering `Verdict::Rewrite` leaves.
    pub(crate) rewritten: String,
    pub(crate) line: LineBuffers,
    pub(crate) grams: GramTables,
    pub(crate) tally: Tally,
    /// What the rule measured that dropped the document.
    pub(crate) measured: Option<Measured>,
    /// What all rules measured so far.
    pub(crate) measurements: Measurements,
}

/// Buffers for one line.
#[derive(Debug, Default)]
pub(crate) struct LineBuffers {
    pub(crate) without_citations: String,
    pub(crate) lowercase: String,
    pub(crate) view: ViewBuffers,
}

/// Everything a worker's thread keeps between documents.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) view: ViewBuffers,
    pub(crate) current: String,
    pub(crate) work: Workspace,
}

impl Scratch {
    /// Returns what was dropped and removed since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.work.tally)
    }
}

/// Counts by name, in the order of the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of dropped documents, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// Number of lines and parts of lines removed from documents, by rule, including dropped
    /// documents.
    pub removed: BTreeMap<Removal, u64>,
}

impl Tally {
    /// Adds the counts of another tally.
    pub fn add(&mut self, other: &Tally) {
        for (&reason, count) in &other.dropped {
            *self.dropped.entry(reason).or_default() += count;
        }
        for (&rule, count) in &other.removed {
            *self.removed.entry(rule).or_default() += count;
        }
    }

    pub(crate) fn count_removed(&mut self, rule: Removal, count: u64) {
        if count > 0 {
            *self.removed.entry(rule).or_default() += count;
        }
    }
}
