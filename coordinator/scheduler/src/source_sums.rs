//! What was read, quarantined and published of each source, to notice a source of which little or
//! nothing is left.

use std::collections::BTreeMap;

use thresher_domain::{Accounting, Count, Stage};

/// Distinct reasons that are kept apart; what comes after counts under the last of them.
const MAX_REASONS: usize = 64;

/// How the reasons end that say that nothing more of an input could be read.
const CUT_INPUT: [&str; 3] = ["_truncated", "_garbage", "empty_input"];

/// How the reasons start that say that a filter judged the text of a document.
const FILTERS: [&str; 4] = ["length/", "gopher_", "c4_quality/", "fineweb_quality/"];

/// The sums of all sources, by their position in the job file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceSums(BTreeMap<usize, SourceSum>);

/// The sums of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceSum {
    /// Inputs that LIST found.
    pub(crate) inputs: u64,
    /// Records that PREPARE read.
    pub(crate) read: u64,
    /// Those of them that PREPARE kept.
    pub(crate) kept: u64,
    pub(crate) quarantined: u64,
    /// Those that filters of documents dropped.
    pub(crate) filtered: u64,
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

    /// Notes how many inputs a source has.
    pub(crate) fn list(&mut self, source: usize, inputs: u64) {
        self.0.entry(source).or_default().inputs = inputs;
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
                    let SourceSum { published, inputs, .. } = *sum;
                    *sum = SourceSum { published, inputs, ..Default::default() }
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
        let is_filters = |name: &str| FILTERS.iter().any(|start| name.starts_with(start));
        for Count { value, .. } in accounting.dropped.iter().filter(|one| is_filters(&one.name)) {
            self.filtered = self.filtered.saturating_add(*value);
        }
        for Count { name, value } in &accounting.quarantined {
            self.quarantined = self.quarantined.saturating_add(*value);
            if self.reasons.len() < MAX_REASONS || self.reasons.contains_key(name) {
                let sum = self.reasons.entry(name.clone()).or_default();
                *sum = sum.saturating_add(*value);
            }
        }
    }

    /// Returns how many inputs are empty or end early, by what was counted once for each.
    pub(crate) fn cut_inputs(&self) -> u64 {
        let is_cut = |reason: &str| CUT_INPUT.iter().any(|end| reason.ends_with(end));
        self.reasons.iter().filter(|(reason, _)| is_cut(reason)).map(|(_, count)| *count).sum()
    }

    /// Returns the reason for which most records were quarantined.
    pub(crate) fn main_reason(&self) -> Option<(&str, u64)> {
        let most = self.reasons.iter().max_by_key(|(_, count)| **count);
        most.map(|(reason, count)| (reason.as_str(), *count))
    }
}
