//! Sums over a stage's results, by reason and by counter.
//!
//! Who adds what, and only once, is decided in `reporting.rs`. Invariant: `records_in` equals
//! `kept` plus everything dropped and quarantined, since only balanced accountings are added.

use std::collections::BTreeMap;

use thresher_domain::{Accounting, Count, Counter, CounterValue, Done};

/// Distinct names kept in one list; what comes after is counted under [`Name::other`].
const MAX_NAMES: usize = 4096;
/// Longer names are counted under [`Name::other`] too.
const MAX_NAME_BYTES: usize = 200;
/// Number of damaged inputs that are named: the first ones by path.
const MAX_DAMAGED: usize = 10;

/// What numbers are added up by. Parts of it come from workers, so there may be any number of
/// different ones, of any length.
trait Name: Clone + Ord {
    /// Returns the name under which numbers are added up whose own name is one too many, or too
    /// long.
    fn other() -> Self;

    /// Returns the length of the name as it is published, in bytes.
    fn published_bytes(&self) -> usize;
}

/// A reason for which records were dropped or quarantined.
impl Name for String {
    fn other() -> Self {
        Counter::OtherNames.name()
    }

    fn published_bytes(&self) -> usize {
        self.len()
    }
}

impl Name for Counter {
    fn other() -> Self {
        Self::OtherNames
    }

    fn published_bytes(&self) -> usize {
        self.name().len()
    }
}

/// A bounded number of sums.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sums<N>(BTreeMap<N, u64>);

impl<N> Default for Sums<N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<N: Name> Sums<N> {
    fn add(&mut self, name: &N, value: u64) {
        if let Some(sum) = self.0.get_mut(name) {
            *sum = sum.saturating_add(value);
            return;
        }
        let room = self.0.len() < MAX_NAMES && name.published_bytes() <= MAX_NAME_BYTES;
        let name = if room { name.clone() } else { N::other() };
        let sum = self.0.entry(name).or_default();
        *sum = sum.saturating_add(value);
    }

    fn sum(&self) -> u64 {
        self.0.values().fold(0, |sum, value| sum.saturating_add(*value))
    }

    fn merged(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (name, value) in &other.0 {
            both.add(name, *value);
        }
        both
    }
}

impl Sums<String> {
    fn add_all(&mut self, counts: &[Count]) {
        for Count { name, value } in counts {
            self.add(name, *value);
        }
    }

    /// Returns the sums, sorted by reason.
    fn to_vec(&self) -> Vec<Count> {
        self.0.iter().map(|(name, value)| Count { name: name.clone(), value: *value }).collect()
    }
}

/// Sums over the results of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    records_in: u64,
    kept: u64,
    bytes_in: u64,
    bytes_kept: u64,
    dropped: Sums<String>,
    quarantined: Sums<String>,
    counters: Sums<Counter>,
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
            self.dropped.add_all(&accounting.dropped);
            self.quarantined.add_all(&accounting.quarantined);
        }
        for CounterValue { counter, value } in &done.counters {
            if matches!(counter, Counter::DamagedInput { .. }) {
                self.name_damaged(counter, *value);
            } else {
                self.counters.add(counter, *value);
            }
        }
        self.keys = self.keys.saturating_add(done.keys);
    }

    /// Adds the name of a damaged input, if it is one of the first.
    fn name_damaged(&mut self, counter: &Counter, value: u64) {
        if counter.published_bytes() > MAX_NAME_BYTES {
            return;
        }
        self.counters.add(counter, value);
        let is_named = |counter: &&Counter| matches!(counter, Counter::DamagedInput { .. });
        let mut named = self.counters.0.keys().filter(is_named);
        if named.clone().count() > MAX_DAMAGED
            && let Some(last) = named.next_back().cloned()
        {
            self.counters.0.remove(&last);
        }
    }

    /// Returns the sums of the counters, sorted by counter.
    pub(crate) fn counters(&self) -> Vec<CounterValue> {
        self.counters.0.iter().map(|(counter, value)| counter.clone().with(*value)).collect()
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
        let mut sums = Sums::default();
        for i in 0..MAX_NAMES as u64 + 10 {
            sums.add_all(&[count(&format!("name{i}"), 1)]);
        }
        sums.add_all(&[count(&"x".repeat(MAX_NAME_BYTES + 1), 1)]);
        assert_eq!(sums.sum(), MAX_NAMES as u64 + 11);
        assert!(sums.to_vec().len() <= MAX_NAMES + 1);
        assert!(sums.to_vec().contains(&count("other_names", 11)));
    }

    #[test]
    fn labels_of_counters_are_bounded_and_nothing_is_lost() {
        let removed = |rule: String| Counter::RemovedLines { rule };
        let mut sums = Sums::default();
        for i in 0..MAX_NAMES as u64 + 10 {
            sums.add(&removed(format!("rule{i}")), 1);
        }
        sums.add(&removed("x".repeat(MAX_NAME_BYTES)), 1);
        assert_eq!(sums.sum(), MAX_NAMES as u64 + 11);
        assert!(sums.0.len() <= MAX_NAMES + 1);
        assert_eq!(sums.0[&Counter::OtherNames], 11);
    }
}
