//! The counts of a unit: the records that it read, and the outcome of each.
//!
//! **Invariant:** records in = kept + dropped + quarantined, whatever else is counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thresher_proto::pb::{Accounting, Count};

/// The accounting of one unit, and further counts for the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Number of records that were kept.
    pub kept: u64,
    /// Records that were dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Records that were quarantined, by reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Size of the records that were read.
    pub bytes_in: u64,
    /// Size of the records that were kept.
    pub bytes_kept: u64,
    /// Counts other than outcomes of records: `language/de/documents`, `lines/dropped`.
    pub counts: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a dropped record.
    pub fn drop(&mut self, reason: &str) {
        add(&mut self.dropped, reason, 1);
    }

    /// Counts a quarantined record.
    pub fn quarantine(&mut self, reason: &str) {
        add(&mut self.quarantined, reason, 1);
    }

    /// Adds to a further count.
    pub fn count(&mut self, name: &str, more: u64) {
        add(&mut self.counts, name, more);
    }

    /// Returns the number of records that were read.
    pub fn records_in(&self) -> u64 {
        self.kept + self.dropped.values().sum::<u64>() + self.quarantined.values().sum::<u64>()
    }

    /// Adds the counts of another unit or part.
    pub fn add(&mut self, other: &Self) {
        self.kept += other.kept;
        self.bytes_in += other.bytes_in;
        self.bytes_kept += other.bytes_kept;
        for (into, from) in [
            (&mut self.dropped, &other.dropped),
            (&mut self.quarantined, &other.quarantined),
            (&mut self.counts, &other.counts),
        ] {
            for (name, more) in from {
                add(into, name, *more);
            }
        }
    }

    /// Converts the counts to the message for the coordinator.
    pub fn to_wire(&self, records_in: u64) -> Accounting {
        Accounting {
            records_in,
            kept: self.kept,
            dropped: wire_counts(&self.dropped),
            quarantined: wire_counts(&self.quarantined),
            bytes_in: self.bytes_in,
            bytes_kept: self.bytes_kept,
        }
    }
}

/// Converts named counts to messages.
pub fn wire_counts(counts: &BTreeMap<String, u64>) -> Vec<Count> {
    counts.iter().map(|(name, value)| Count { name: name.clone(), value: *value }).collect()
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    match counts.get_mut(name) {
        Some(count) => *count += more,
        None => {
            counts.insert(name.to_owned(), more);
        }
    }
}
