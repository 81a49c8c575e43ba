//! What was read, quarantined and published of each source, to notice a source of which little or
//! nothing is left.

use std::collections::BTreeMap;

use thresher_domain::{Accounting, Count, Stage};

/// Distinct reasons that are kept apart; what comes after counts under the last of them.
const MAX_REASONS: usize = 64;

/// The sums of all sources, by their position in the job file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceSums(BTreeMap<usize, SourceSum>);

/// The sums of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceSum {
    /// Records that PREPARE read.
    pub(crate) read: u64,
    /// Those of them that PREPARE kept.
    pub(crate) kept: u64,
    pub(crate) quarantined: u64,
    /// The quarantined ones by reason.
    reasons: BTreeMap<String, u64>,
    /// Documents that PUBLISH wrote.
    pub(crate) published: u64,
}

impl SourceSums {
    /// Returns the sums of a source.
    pub(crate) fn of(&self, source: usize) -> Option<&SourceSum> {
        self.0.get(&source)
    }

    /// Adds the accounting of a unit.
    pub(crate) fn add(&mut self, stage: Stage, source: usize, accounting: &Accounting) {
        let sum = self.0.entry(source).or_default();
        match stage {
            Stage::Prepare => sum.add_prepared(accounting),
            Stage::Publish => sum.published = sum.published.saturating_add(accounting.kept),
            Stage::List
            | Stage::Lines
            | Stage::GatherLines
            | Stage::ResolveLines
            | Stage::CombineLines
            | Stage::GatherDocuments
            | Stage::ResolveDocuments
            | Stage::CombineDocuments
            | Stage::Layout
            | Stage::Seal => {}
        }
    }

    /// Forgets what units of the stage added.
    pub(crate) fn forget(&mut self, stage: Stage) {
        for sum in self.0.values_mut() {
            match stage {
                Stage::Prepare => {
                    *sum = SourceSum { published: sum.published, ..Default::default() }
                }
                Stage::Publish => sum.published = 0,
                Stage::List
                | Stage::Lines
                | Stage::GatherLines
                | Stage::ResolveLines
                | Stage::CombineLines
                | Stage::GatherDocuments
                | Stage::ResolveDocuments
                | Stage::CombineDocuments
                | Stage::Layout
                | Stage::Seal => {}
            }
        }
    }
}

impl SourceSum {
    fn add_prepared(&mut self, accounting: &Accounting) {
        self.read = self.read.saturating_add(accounting.records_in);
        self.kept = self.kept.saturating_add(accounting.kept);
        for Count { name, value } in &accounting.quarantined {
            self.quarantined = self.quarantined.saturating_add(*value);
            if self.reasons.len() < MAX_REASONS || self.reasons.contains_key(name) {
                let sum = self.reasons.entry(name.clone()).or_default();
                *sum = sum.saturating_add(*value);
            }
        }
    }

    /// Returns the reason for which most records were quarantined.
    pub(crate) fn main_reason(&self) -> Option<(&str, u64)> {
        let most = self.reasons.iter().max_by_key(|(_, count)| **count);
        most.map(|(reason, count)| (reason.as_str(), *count))
    }
}
