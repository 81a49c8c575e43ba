//! Every unit's numbers are added to its stage's once, however often it ran and was reported.

use std::collections::{BTreeMap, BTreeSet};

use thresher_domain::{Accounting, Outcome, Stage, Timestamp, UnitKey};
use thresher_scheduler::Scheduler;

use super::Seen;

/// How many steps pass between two comparisons.
const EVERY: u64 = 16;

#[derive(Default)]
pub(crate) struct AddsUpOnce {
    counted: BTreeSet<UnitKey>,
    /// By stage: records in, kept, bytes in, bytes kept, and counts by name.
    numbers: BTreeMap<Stage, ([u64; 4], BTreeMap<String, u64>)>,
    steps: u64,
}

impl AddsUpOnce {
    pub(crate) fn look(&mut self, seen: &Seen<'_>) {
        for report in seen.reports() {
            let Outcome::Done(done) = &report.outcome else { continue };
            let unit = report.unit.key;
            if seen.is_done(unit) && self.counted.insert(unit) {
                self.add(unit.stage, &done.accounting.clone().unwrap_or_default());
            }
        }
        self.steps += 1;
        if self.steps.is_multiple_of(EVERY) {
            self.compare(seen.scheduler, seen.now);
        }
    }

    fn add(&mut self, stage: Stage, accounting: &Accounting) {
        let (sums, counts) = self.numbers.entry(stage).or_default();
        let numbers = numbers(accounting);
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        for count in accounting.dropped.iter().chain(&accounting.quarantined) {
            *counts.entry(count.name.clone()).or_default() += count.value;
        }
    }

    pub(crate) fn compare(&self, scheduler: &Scheduler, now: Timestamp) {
        for row in scheduler.status(now).stages {
            let accounting = row.accounting.clone();
            let out = accounting.dropped.iter().chain(&accounting.quarantined);
            let counts: BTreeMap<String, u64> =
                out.map(|count| (count.name.clone(), count.value)).collect();
            let (sums, expected) = self.numbers.get(&row.stage).cloned().unwrap_or_default();
            assert_eq!(numbers(&accounting), sums, "the totals of {:?}", row.stage);
            assert_eq!(counts, expected, "the counts of {:?}", row.stage);
            assert_eq!(
                accounting.records_in,
                accounting.kept + counts.values().sum::<u64>(),
                "the balance of {:?}",
                row.stage
            );
        }
    }
}

fn numbers(accounting: &Accounting) -> [u64; 4] {
    [accounting.records_in, accounting.kept, accounting.bytes_in, accounting.bytes_kept]
}
