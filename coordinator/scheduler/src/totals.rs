//! Sums over a stage's results, by name.
//!
//! Who adds what, and only once, is decided in `reporting.rs`. Invariant: `records_in` equals
//! `kept` plus everything dropped and quarantined, since only balanced accountings are added.

use std::collections::BTreeMap;

use thresher_domain::{Accounting, Count, Done};

/// Distinct names kept in one list; what comes after is counted under [`OTHER`].
const MAX_NAMES: usize = 4096;
/// Longer names are counted under [`OTHER`] too.
const MAX_NAME_BYTES: usize = 200;
/// Where counts with too long a name, or one too many, go.
const OTHER: &str = "other_names";

/// Numbers by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<Box<str>, u64>);

impl Counts {
    pub(crate) fn add(&mut self, counts: &[Count]) {
        for count in counts {
            self.add_one(&count.name, count.value);
        }
    }

    fn add_one(&mut self, name: &str, value: u64) {
        if let Some(sum) = self.0.get_mut(name) {
            *sum = sum.saturating_add(value);
            return;
        }
        let room = name.len() <= MAX_NAME_BYTES && self.0.len() < MAX_NAMES;
        let name = if room { name } else { OTHER };
        let sum = self.0.entry(name.into()).or_default();
        *sum = sum.saturating_add(value);
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.values().fold(0, |sum, value| sum.saturating_add(*value))
    }

    /// Sorted by name.
    pub(crate) fn to_vec(&self) -> Vec<Count> {
        self.0.iter().map(|(name, value)| Count { name: (&**name).into(), value: *value }).collect()
    }

    fn merged(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (name, value) in &other.0 {
            both.add_one(name, *value);
        }
        both
    }
}

/// Sums over the results of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    records_in: u64,
    kept: u64,
    bytes_in: u64,
    bytes_kept: u64,
    dropped: Counts,
    quarantined: Counts,
    pub(crate) counts: Counts,
    /// Keys handed to the resolve stage that follows.
    pub(crate) keys: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, done: &Done) {
        if let Some(accounting) = &done.accounting {
            self.records_in = self.records_in.saturating_add(accounting.records_in);
            self.kept = self.kept.saturating_add(accounting.kept);
            self.bytes_in = self.bytes_in.saturating_add(accounting.bytes_in);
            self.bytes_kept = self.bytes_kept.saturating_add(accounting.bytes_kept);
            self.dropped.add(&accounting.dropped);
            self.quarantined.add(&accounting.quarantined);
        }
        self.counts.add(&done.counts);
        self.keys = self.keys.saturating_add(done.keys);
    }

    pub(crate) fn accounting(&self) -> Accounting {
        Accounting {
            records_in: self.records_in,
            kept: self.kept,
            dropped: self.dropped.to_vec(),
            quarantined: self.quarantined.to_vec(),
            bytes_in: self.bytes_in,
            bytes_kept: self.bytes_kept,
        }
    }

    /// This stage's accounting less what a later stage, whose records are those kept here, took
    /// away so far.
    pub(crate) fn accounting_less(&self, later: &Self) -> Accounting {
        let taken = later.dropped.sum().saturating_add(later.quarantined.sum());
        Accounting {
            records_in: self.records_in,
            kept: self.kept.saturating_sub(taken),
            dropped: self.dropped.merged(&later.dropped).to_vec(),
            quarantined: self.quarantined.merged(&later.quarantined).to_vec(),
            bytes_in: self.bytes_in,
            bytes_kept: self
                .bytes_kept
                .saturating_sub(later.bytes_in.saturating_sub(later.bytes_kept)),
        }
    }
}

/// Why an accounting is refused, or nothing when it adds up.
pub(crate) fn imbalance(accounting: &Accounting) -> Option<String> {
    let sum = |counts: &[Count]| counts.iter().try_fold(0_u64, |sum, c| sum.checked_add(c.value));
    let dropped = sum(&accounting.dropped);
    let quarantined = sum(&accounting.quarantined);
    let out = dropped.zip(quarantined).and_then(|(dropped, quarantined)| {
        accounting.kept.checked_add(dropped)?.checked_add(quarantined)
    });
    if out == Some(accounting.records_in) {
        return None;
    }
    let shown = |sum: Option<u64>| sum.map_or_else(|| "too many".to_owned(), |s| s.to_string());
    Some(format!(
        "accounting does not add up: {} records in, but {} kept, {} dropped, {} quarantined",
        accounting.records_in,
        accounting.kept,
        shown(dropped),
        shown(quarantined),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, value: u64) -> Count {
        Count { name: name.to_owned(), value }
    }

    #[test]
    fn an_accounting_that_does_not_add_up_is_refused_with_its_numbers() {
        let mut accounting = Accounting {
            records_in: 10,
            kept: 5,
            dropped: vec![count("a", 2), count("b", 2)],
            quarantined: vec![count("c", 1)],
            ..Accounting::default()
        };
        assert_eq!(imbalance(&accounting), None);
        accounting.kept = 6;
        let text = imbalance(&accounting).unwrap();
        assert_eq!(
            text,
            "accounting does not add up: 10 records in, but 6 kept, 4 dropped, 1 quarantined"
        );
        accounting.dropped.push(count("d", u64::MAX));
        assert!(imbalance(&accounting).unwrap().contains("too many dropped"));
    }

    #[test]
    fn names_are_bounded_and_nothing_is_lost() {
        let mut counts = Counts::default();
        for i in 0..MAX_NAMES as u64 + 10 {
            counts.add(&[count(&format!("name{i}"), 1)]);
        }
        counts.add(&[count(&"x".repeat(MAX_NAME_BYTES + 1), 1)]);
        assert_eq!(counts.sum(), MAX_NAMES as u64 + 11);
        assert!(counts.to_vec().len() <= MAX_NAMES + 1);
        assert!(counts.to_vec().contains(&count(OTHER, 11)));
    }
}
