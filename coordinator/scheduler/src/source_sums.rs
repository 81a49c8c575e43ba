//! What was read, quarantined and published of each source, to notice a source of which little or
//! nothing is left.

use std::collections::BTreeMap;

use thresher_domain::{Accounting, Count, Counter, Done, Stage, UnitKey, is_of_input};

use crate::unit::bounded;

/// Distinct reasons that are kept apart; what comes after counts under the last of them.
const MAX_REASONS: usize = 64;

/// How the reasons start that say that a filter judged the text of a document.
const FILTERS: [&str; 4] = ["length/", "gopher_", "c4_quality/", "fineweb_quality/"];

/// The reason of a document that was dropped as a near-duplicate.
const NEAR_DUPLICATE: &str = "dedup/near_duplicate";

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
    /// Inputs, or pieces of them, that end early or are damaged.
    damaged_inputs: u64,
    /// The first of them, with the number of its unit.
    first_damaged: Option<(u32, String)>,
    /// Documents that PUBLISH wrote.
    pub(crate) published: u64,
    /// Documents that PUBLISH dropped as near-duplicates.
    pub(crate) near_duplicates: u64,
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

    /// Adds the result of a unit.
    pub(crate) fn add(&mut self, unit: UnitKey, source: usize, done: &Done) {
        let Some(accounting) = &done.accounting else { return };
        let sum = self.0.entry(source).or_default();
        match unit.stage {
            Stage::Prepare => {
                sum.add_prepared(accounting);
                sum.add_damaged(unit.ordinal, done);
            }
            Stage::Publish => {
                sum.published = sum.published.saturating_add(accounting.kept);
                let near = accounting.dropped.iter().filter(|one| one.name == NEAR_DUPLICATE);
                let near = near.fold(0_u64, |all, one| all.saturating_add(one.value));
                sum.near_duplicates = sum.near_duplicates.saturating_add(near);
            }
            Stage::List
            | Stage::Lines
            | Stage::GatherLines
            | Stage::ResolveLines
            | Stage::CombineLines
            | Stage::GatherDocuments
            | Stage::ResolveDocuments
            | Stage::CombineDocuments
            | Stage::Sign
            | Stage::GatherBands
            | Stage::ResolveBands
            | Stage::Connect
            | Stage::Collect
            | Stage::Compare
            | Stage::Decide
            | Stage::Layout
            | Stage::Seal => {}
        }
    }

    /// Forgets what units of the stage added.
    pub(crate) fn forget(&mut self, stage: Stage) {
        for sum in self.0.values_mut() {
            match stage {
                Stage::Prepare => {
                    let SourceSum { published, near_duplicates, inputs, .. } = *sum;
                    *sum = SourceSum { published, near_duplicates, inputs, ..Default::default() }
                }
                Stage::Publish => (sum.published, sum.near_duplicates) = (0, 0),
                Stage::List
                | Stage::Lines
                | Stage::GatherLines
                | Stage::ResolveLines
                | Stage::CombineLines
                | Stage::GatherDocuments
                | Stage::ResolveDocuments
                | Stage::CombineDocuments
                | Stage::Sign
                | Stage::GatherBands
                | Stage::ResolveBands
                | Stage::Connect
                | Stage::Collect
                | Stage::Compare
                | Stage::Decide
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

    fn add_damaged(&mut self, unit: u32, done: &Done) {
        for value in &done.counters {
            if value.counter == Counter::DamagedInputs {
                self.damaged_inputs = self.damaged_inputs.saturating_add(value.value);
            }
            let Counter::DamagedInput { input } = &value.counter else { continue };
            if self.first_damaged.as_ref().is_none_or(|(first, _)| unit < *first) {
                self.first_damaged = Some((unit, bounded(input)));
            }
        }
    }

    /// Returns how many inputs end early or are damaged. Pieces of one input count apart in what
    /// units report, so this is at most the number of inputs.
    pub(crate) fn damaged_inputs(&self) -> u64 {
        self.damaged_inputs.min(self.inputs)
    }

    /// Returns the path of the first input that ends early or is damaged.
    pub(crate) fn first_damaged(&self) -> Option<&str> {
        self.first_damaged.as_ref().map(|(_, input)| input.as_str())
    }

    /// Returns the reason for which most records were quarantined.
    pub(crate) fn main_reason(&self) -> Option<(&str, u64)> {
        self.main_reason_among(|_| true)
    }

    /// Returns the main reason for which parts of inputs could not be read.
    pub(crate) fn main_damage(&self) -> Option<(&str, u64)> {
        self.main_reason_among(is_of_input)
    }

    fn main_reason_among(&self, counts: impl Fn(&str) -> bool) -> Option<(&str, u64)> {
        let counted = self.reasons.iter().filter(|(reason, _)| counts(reason));
        let most = counted.max_by_key(|(_, count)| **count);
        most.map(|(reason, count)| (reason.as_str(), *count))
    }
}
