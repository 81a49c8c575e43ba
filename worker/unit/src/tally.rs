//! The counts of a unit: the records that it read, and the outcome of each.
//!
//! **Invariant:** records in = kept + dropped + quarantined, whatever else is counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use thresher_domain::Counter;
use thresher_proto::pb::{Accounting, Count, CounterValue};

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
    /// Numbers that are not outcomes of records. They are written so that the unit's digest covers
    /// them, and not read back: only the coordinator adds them up.
    #[serde(serialize_with = "by_name", skip_deserializing, rename = "counts")]
    pub counters: BTreeMap<Counter, u64>,
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

    /// Adds to a counter.
    pub fn count(&mut self, counter: Counter, more: u64) {
        *self.counters.entry(counter).or_default() += more;
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
        for (into, from) in
            [(&mut self.dropped, &other.dropped), (&mut self.quarantined, &other.quarantined)]
        {
            for (name, more) in from {
                add(into, name, *more);
            }
        }
        for (counter, more) in &other.counters {
            self.count(counter.clone(), *more);
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

/// Converts counters to messages for the coordinator.
pub fn wire_counters(counters: impl IntoIterator<Item = (Counter, u64)>) -> Vec<CounterValue> {
    counters.into_iter().map(|(counter, value)| counter.with(value).into()).collect()
}

fn by_name<S: Serializer>(
    counters: &BTreeMap<Counter, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let named: BTreeMap<String, u64> =
        counters.iter().map(|(counter, value)| (counter.name(), *value)).collect();
    named.serialize(serializer)
}

fn wire_counts(counts: &BTreeMap<String, u64>) -> Vec<Count> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_staged_by_name_and_not_read_back() {
        let mut tally = Tally { kept: 3, ..Tally::default() };
        tally.drop("short");
        tally.count(Counter::LinesIn, 5);
        tally.count(Counter::DuplicateLines, 1);
        tally.count(Counter::LinesIn, 2);
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(
            text,
            r#"{"kept":3,"dropped":{"short":1},"quarantined":{},"bytes_in":0,"bytes_kept":0,"#
                .to_owned()
                + r#""counts":{"lines/duplicate":1,"lines/in":7}}"#
        );
        let read: Tally = serde_json::from_str(&text).unwrap();
        assert_eq!(read, Tally { counters: BTreeMap::new(), ..tally });
    }
}
