//! The unit table of one stage: which units wait, the order in which they are leased, and how many
//! are in each state.
//!
//! Every change of a unit's state goes through [`StageTable::step`], which keeps the tally true.
//! It knows nothing of other stages, workers or results.

use std::collections::BTreeSet;

use thresher_domain::{SplitMix64, Stage, Timestamp};

use crate::backoff::Backoff;
use crate::duration_estimator::DurationEstimator;
use crate::plan::LeaseOrder;
use crate::totals::Totals;
use crate::unit::{Step, Unit, UnitState};

/// How many units are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) waiting: u32,
    pub(crate) leased: u32,
    pub(crate) done: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

/// One stage of the job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StageTable {
    pub(crate) stage: Stage,
    /// Whether its units are known.
    pub(crate) planned: bool,
    /// Whether every earlier stage ended at least once.
    pub(crate) started_once: bool,
    units: Vec<Unit>,
    pub(crate) tally: Tally,
    /// The order of first leases; `None` is the canonical one.
    shuffled: Option<Vec<u32>>,
    /// Number of attempts that units had before the stage was planned again; theirs go on from
    /// there, so that no report of an earlier attempt can be taken for one of theirs.
    pub(crate) earlier_attempts: u32,
    /// Position of the next first lease in that order.
    cursor: u32,
    /// Waiting units that were leased before.
    again: BTreeSet<u32>,
    /// Waiting units that failed and are tried again some time later.
    pub(crate) backoff: Backoff,
    /// Waiting units that may only run alone.
    suspects: BTreeSet<u32>,
    /// Leased units by the time of their lease.
    leased: BTreeSet<(Timestamp, u32)>,
    pub(crate) totals: Totals,
    pub(crate) bytes: u64,
    pub(crate) bytes_done: u64,
    pub(crate) cpu_millis: u64,
    /// Wall time of the units that are done.
    pub(crate) wall_millis: u64,
    /// An estimate of how long its units take.
    pub(crate) durations: DurationEstimator,
    pub(crate) retries: u32,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
}

impl StageTable {
    pub(crate) fn new(stage: Stage) -> Self {
        Self {
            stage,
            planned: false,
            started_once: false,
            units: Vec::new(),
            tally: Tally::default(),
            shuffled: None,
            earlier_attempts: 0,
            cursor: 0,
            again: BTreeSet::new(),
            backoff: Backoff::default(),
            suspects: BTreeSet::new(),
            leased: BTreeSet::new(),
            totals: Totals::default(),
            bytes: 0,
            bytes_done: 0,
            cpu_millis: 0,
            wall_millis: 0,
            durations: DurationEstimator::default(),
            retries: 0,
            started: None,
            ended: None,
        }
    }

    /// Fills the table with waiting units.
    pub(crate) fn plan(&mut self, units: u32, bytes: u64, order: LeaseOrder) {
        self.planned = true;
        let unit = Unit { state: UnitState::Waiting, attempt: self.earlier_attempts };
        self.units = vec![unit; units as usize];
        self.tally = Tally { waiting: units, ..Tally::default() };
        self.bytes = bytes;
        self.shuffled = match order {
            LeaseOrder::Canonical => None,
            LeaseOrder::Shuffled(seed) => {
                Some(SplitMix64::new(seed ^ self.stage as u64).permutation(units))
            }
        };
    }

    /// Returns the table of a stage that is planned again.
    pub(crate) fn restarted(&self) -> Self {
        let newest = self.units.iter().map(|unit| unit.attempt).max().unwrap_or(0);
        let earlier_attempts = self.earlier_attempts.max(newest);
        Self { earlier_attempts, ..Self::new(self.stage) }
    }

    /// Whether the unit was leased since the stage was planned.
    fn was_leased(&self, ordinal: u32) -> bool {
        self.units[ordinal as usize].attempt > self.earlier_attempts
    }

    pub(crate) fn len(&self) -> u32 {
        self.units.len() as u32
    }

    pub(crate) fn unit(&self, ordinal: u32) -> Option<Unit> {
        self.units.get(ordinal as usize).copied()
    }

    /// Changes the state of a unit that exists. Leaving `Waiting` removes it from the lists of
    /// units to lease; the way back is [`Self::wait`].
    pub(crate) fn step(&mut self, ordinal: u32, step: Step, cost_bytes: u64) {
        let unit = &mut self.units[ordinal as usize];
        let before = unit.state;
        unit.state = before.after(step);
        *self.tally.of(before) -= 1;
        *self.tally.of(unit.state) += 1;
        if let UnitState::Leased { since, .. } = before {
            self.leased.remove(&(since, ordinal));
        }
        if let UnitState::Leased { since, .. } = unit.state {
            self.leased.insert((since, ordinal));
        }
        match (before, unit.state) {
            (UnitState::Waiting, _) if unit.attempt > self.earlier_attempts => {
                if !self.again.remove(&ordinal) && !self.backoff.remove(ordinal) {
                    self.suspects.remove(&ordinal);
                }
            }
            (UnitState::Done { .. }, _) => {
                self.bytes_done = self.bytes_done.saturating_sub(cost_bytes)
            }
            (UnitState::Waiting | UnitState::Leased { .. }, _) => {}
            (UnitState::Failed | UnitState::Skipped, _) => {}
        }
        match unit.state {
            UnitState::Done { .. } => self.bytes_done = self.bytes_done.saturating_add(cost_bytes),
            UnitState::Skipped => self.bytes = self.bytes.saturating_sub(cost_bytes),
            UnitState::Waiting | UnitState::Leased { .. } | UnitState::Failed => {}
        }
        if before == UnitState::Waiting {
            self.move_cursor();
        }
    }

    /// Leases a waiting unit under its next attempt.
    pub(crate) fn lease(&mut self, ordinal: u32, worker_id: u32, now: Timestamp) -> u32 {
        self.step(ordinal, Step::Lease { worker_id, since: now }, 0);
        let unit = &mut self.units[ordinal as usize];
        unit.attempt += 1;
        self.started.get_or_insert(now);
        unit.attempt
    }

    /// Counts the speculative attempt of a unit that stays leased.
    pub(crate) fn lease_again(&mut self, ordinal: u32) -> u32 {
        let unit = &mut self.units[ordinal as usize];
        unit.attempt += 1;
        unit.attempt
    }

    /// Returns the leased units, those first that have been leased for longest.
    pub(crate) fn leased(&self) -> impl Iterator<Item = u32> {
        self.leased.iter().map(|(_, ordinal)| *ordinal)
    }

    /// Lets a unit wait again, after a lease (`Release`), a result (`Reopen`) or a permanent
    /// failure (`Retry`).
    pub(crate) fn wait(&mut self, ordinal: u32, step: Step, turn: Turn, cost_bytes: u64) {
        self.step(ordinal, step, cost_bytes);
        match turn {
            Turn::Next if !self.was_leased(ordinal) => self.cursor = 0,
            Turn::Next => _ = self.again.insert(ordinal),
            Turn::Later(not_before) => self.backoff.insert(ordinal, not_before),
            Turn::Alone => _ = self.suspects.insert(ordinal),
        }
        self.ended = None;
    }

    /// Returns the units to lease now to a worker that also runs others, in order.
    pub(crate) fn leasable(&self, now: Timestamp) -> impl Iterator<Item = u32> {
        self.backoff.due(now).chain(self.fresh())
    }

    /// Returns all units that wait and may run beside others, those last that wait some time.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = u32> {
        self.fresh().chain(self.backoff.all())
    }

    /// Lets units that wait some time be leased at once.
    pub(crate) fn end_backoff(&mut self) {
        self.again.extend(self.backoff.take());
    }

    fn fresh(&self) -> impl Iterator<Item = u32> {
        let fresh = (self.cursor..self.len()).filter_map(|place| self.first_lease(place));
        let fresh = fresh.filter(|ordinal| {
            let unit = self.units[*ordinal as usize];
            unit.state == UnitState::Waiting && unit.attempt == self.earlier_attempts
        });
        self.again.iter().copied().chain(fresh)
    }

    fn first_lease(&self, place: u32) -> Option<u32> {
        match &self.shuffled {
            None => Some(place).filter(|ordinal| *ordinal < self.len()),
            Some(order) => order.get(place as usize).copied(),
        }
    }

    /// Moves the cursor to the next unit that was never leased. It only moves when units change, so
    /// that looking for work changes nothing.
    fn move_cursor(&mut self) {
        while let Some(ordinal) = self.first_lease(self.cursor) {
            let unit = self.units[ordinal as usize];
            if unit.state == UnitState::Waiting && !self.was_leased(ordinal) {
                return;
            }
            self.cursor += 1;
        }
    }

    /// Returns the unit to lease next to a worker that will run nothing else.
    pub(crate) fn next_suspect(&self) -> Option<u32> {
        self.suspects.first().copied()
    }

    /// Whether nothing is left to run.
    pub(crate) fn is_over(&self) -> bool {
        self.planned && self.tally.waiting == 0 && self.tally.leased == 0
    }

    /// Returns the number of units that the job needs.
    pub(crate) fn to_run(&self) -> u32 {
        self.len() - self.tally.skipped
    }

    /// Returns the ordinals within `span` of units that wrote nothing: failed or skipped.
    pub(crate) fn absent(&self, span: std::ops::Range<u32>) -> Vec<u32> {
        if self.tally.failed == 0 && self.tally.skipped == 0 {
            return Vec::new();
        }
        let absent = |state| matches!(state, UnitState::Failed | UnitState::Skipped);
        span.filter(|ordinal| absent(self.units[*ordinal as usize].state)).collect()
    }
}

/// When a waiting unit is leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Before those that were never leased.
    Next,
    /// The same, but not before that time.
    Later(Timestamp),
    /// When a worker runs nothing else.
    Alone,
}

impl Tally {
    fn of(&mut self, state: UnitState) -> &mut u32 {
        match state {
            UnitState::Waiting => &mut self.waiting,
            UnitState::Leased { .. } => &mut self.leased,
            UnitState::Done { .. } => &mut self.done,
            UnitState::Failed => &mut self.failed,
            UnitState::Skipped => &mut self.skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(units: u32, order: LeaseOrder) -> StageTable {
        let mut table = StageTable::new(Stage::Prepare);
        table.plan(units, 0, order);
        table
    }

    fn drain(table: &mut StageTable) -> Vec<u32> {
        let mut out = Vec::new();
        loop {
            let next = table.waiting().next();
            let Some(ordinal) = next else { return out };
            table.lease(ordinal, 1, Timestamp::default());
            out.push(ordinal);
        }
    }

    #[test]
    fn units_are_leased_in_canonical_order_and_failed_ones_before_new_ones() {
        let mut table = table(5, LeaseOrder::Canonical);
        assert_eq!(table.waiting().next(), Some(0));
        assert_eq!(table.lease(0, 1, Timestamp::default()), 1);
        assert_eq!(table.waiting().next(), Some(1));
        table.wait(0, Step::Release, Turn::Next, 0);
        table.step(2, Step::Skip, 0);
        assert_eq!(drain(&mut table), [0, 1, 3, 4]);
        assert_eq!(table.unit(0).unwrap().attempt, 2);
    }

    #[test]
    fn a_shuffled_order_has_every_unit_once_and_depends_on_the_seed() {
        let orders: Vec<_> =
            [7, 7, 8].map(|seed| drain(&mut table(100, LeaseOrder::Shuffled(seed)))).into();
        assert_eq!(orders[0], orders[1]);
        assert_ne!(orders[0], orders[2]);
        let mut sorted = orders[0].clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_suspect_is_not_leased_with_the_others() {
        let mut table = table(2, LeaseOrder::Canonical);
        table.lease(0, 1, Timestamp::default());
        table.wait(0, Step::Release, Turn::Alone, 0);
        assert_eq!(drain(&mut table), [1]);
        assert_eq!(table.next_suspect(), Some(0));
        table.lease(0, 1, Timestamp::default());
        assert_eq!(table.next_suspect(), None);
    }
}
