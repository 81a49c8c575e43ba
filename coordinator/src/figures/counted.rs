//! The counters of one stage, sorted by what they count.
//!
//! This is the one place that decides what each counter means for reports. `status --json` shows
//! all of them by name.
//!
//! **Invariant:** the match over counters has no wildcard, so a new counter does not compile until
//! it has a place here, or is left to `status --json`.

use std::collections::BTreeMap;

use thresher_domain::{Bucket, Counter, CounterValue, Measure};
use thresher_proto::pb::{self, Stage};

use super::of_stage;

/// The counters of one stage. Those that the stage did not report are 0 or absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Number of inputs that the job reads.
    pub inputs: u64,
    /// Number of inputs that are listed but not read.
    pub excluded_inputs: u64,
    /// The first of the excluded inputs, sorted.
    pub excluded_input_names: Vec<String>,
    /// Number of lines before duplicates were removed.
    pub lines_in: u64,
    /// Number of lines that were removed as duplicates.
    pub duplicate_lines: u64,
    /// Number of lines that filters removed, by rule.
    pub removed_lines: BTreeMap<String, u64>,
    /// Number of files to which documents refer, and which their inputs do not contain.
    pub missing_files: u64,
    /// Number of references to files that documents would contain too often.
    pub omitted_files: u64,
    /// Number of damaged sequences in the UTF-8 of documents, which U+FFFD replaces.
    pub damaged_characters: u64,
    /// Number of documents without a shingle, which were compared with no other one.
    pub unsigned_documents: u64,
    /// Number of inputs, or pieces of them, that end early or are damaged.
    pub damaged_inputs: u64,
    /// The first of the damaged inputs, sorted.
    pub damaged_input_names: Vec<String>,
    /// Number of scored documents, by language and bucket.
    pub buckets: BTreeMap<String, BTreeMap<Bucket, u64>>,
    /// What was counted of documents, by language.
    pub languages: BTreeMap<String, Measures>,
    /// What was counted of documents, by slice.
    pub slices: BTreeMap<String, Measures>,
}

/// What was counted of a group of documents. `None` means that it was not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measures {
    /// Number of documents.
    pub documents: Option<u64>,
    /// Size of the texts in bytes.
    pub text_bytes: Option<u64>,
    /// Size of the JSON lines in bytes, before compression.
    pub json_bytes: Option<u64>,
    /// Number of tokens.
    pub tokens: Option<u64>,
}

impl Counted {
    /// Sorts the counters of a stage. Counters that only a newer coordinator knows are skipped.
    pub fn of(status: &pb::StatusResponse, stage: Stage) -> Self {
        let counters = of_stage(status, stage).map(|stage| stage.counters.as_slice());
        let mut counted = Self::default();
        for CounterValue { counter, value } in known(counters.unwrap_or_default()) {
            counted.add(counter, value);
        }
        counted.excluded_input_names.sort_unstable();
        counted.damaged_input_names.sort_unstable();
        counted
    }

    fn add(&mut self, counter: Counter, value: u64) {
        match counter {
            Counter::Inputs => self.inputs += value,
            Counter::ExcludedInputs => self.excluded_inputs += value,
            Counter::ExcludedInput { input } => self.excluded_input_names.push(input),
            Counter::LinesIn => self.lines_in += value,
            Counter::DuplicateLines => self.duplicate_lines += value,
            Counter::RemovedLines { rule } => {
                *self.removed_lines.entry(rule).or_default() += value;
            }
            Counter::MissingFiles => self.missing_files += value,
            Counter::OmittedFiles => self.omitted_files += value,
            Counter::DamagedCharacters => self.damaged_characters += value,
            Counter::Unsigned => self.unsigned_documents += value,
            Counter::DamagedInputs => self.damaged_inputs += value,
            Counter::DamagedInput { input } => self.damaged_input_names.push(input),
            Counter::Bucket { language, bucket } => {
                let buckets = self.buckets.entry(language).or_default();
                *buckets.entry(bucket).or_default() += value;
            }
            Counter::Language { language, measure } => {
                self.languages.entry(language).or_default().add(measure, value);
            }
            Counter::Slice { slice, measure } => {
                self.slices.entry(slice).or_default().add(measure, value);
            }
            // Shown by `status --json` alone.
            Counter::Lines
            | Counter::LineKeys
            | Counter::Keys
            | Counter::DistinctKeys
            | Counter::Duplicates
            | Counter::StagedJsonBytes
            | Counter::Signed
            | Counter::BandGroups
            | Counter::Connected
            | Counter::Components
            | Counter::Compared
            | Counter::Dissimilar
            | Counter::NearDuplicates
            | Counter::Clusters
            | Counter::Shards
            | Counter::OtherNames => {}
        }
    }
}

impl Measures {
    fn add(&mut self, measure: Measure, value: u64) {
        let sum = match measure {
            Measure::Documents => &mut self.documents,
            Measure::TextBytes => &mut self.text_bytes,
            Measure::JsonBytes => &mut self.json_bytes,
            Measure::Tokens => &mut self.tokens,
        };
        *sum = Some(sum.unwrap_or_default() + value);
    }
}

/// Returns the counters of a stage by their published names. Counters that only a newer
/// coordinator knows are skipped.
pub fn counters_by_name(stage: &pb::StageStatus) -> BTreeMap<String, u64> {
    known(&stage.counters).map(|counted| (counted.counter.name(), counted.value)).collect()
}

fn known(counters: &[pb::CounterValue]) -> impl Iterator<Item = CounterValue> {
    counters.iter().filter_map(|counted| CounterValue::try_from(counted.clone()).ok())
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn counters_are_sorted_by_what_they_count() {
        let listed = Counted::of(&example(), Stage::List);
        assert_eq!(listed.excluded_inputs, 3);
        assert_eq!(listed.excluded_input_names, ["a.example", "b.example"]);
        let prepared = Counted::of(&example(), Stage::Prepare);
        assert_eq!((prepared.lines_in, prepared.duplicate_lines), (1000, 400));
        assert_eq!(prepared.buckets["en"][&Bucket::Middle], 20);
        let published = Counted::of(&example(), Stage::Publish);
        let measures = Measures {
            documents: Some(15),
            text_bytes: None,
            json_bytes: Some(750_000),
            tokens: Some(500),
        };
        assert_eq!(published.languages["de"], measures);
        assert_eq!(Counted::of(&example(), Stage::Layout), Counted::default());
    }

    #[test]
    fn counters_of_a_newer_coordinator_are_skipped() {
        use pb::counter_value::Counter as Wire;
        let unknown = [None, Some(Wire::Plain(9999))];
        let counters = unknown.map(|counter| pb::CounterValue { counter, value: 1 });
        let inputs = pb::CounterValue::from(Counter::Inputs.with(2));
        let stage = pb::StageStatus {
            counters: counters.into_iter().chain([inputs]).collect(),
            ..pb::StageStatus::default()
        };
        assert_eq!(counters_by_name(&stage), BTreeMap::from([("inputs".to_owned(), 2)]));
    }
}
