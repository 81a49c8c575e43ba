//! Every unit of the job: its state, payload, failures and running attempts.
//!
//! It knows no worker; `attempts.rs` keeps it and the workers consistent. Invariant: a unit
//! changes its state only through its stage's table.

use std::collections::BTreeMap;
use std::ops::Range;

use thresher_domain::{AttemptRef, LayoutPayload, Payload, RangePayload, Stage, UnitKey};

use crate::failure_history::FailureHistory;
use crate::listings::Listings;
use crate::payloads::Payloads;
use crate::running::{RunningAttempt, RunningAttempts};
use crate::stage_table::{StageTable, Turn};
use crate::unit::{Step, Unit, UnitState};

/// The units of all stages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Units {
    tables: [StageTable; Stage::ALL.len()],
    /// Payloads of LINES and PREPARE.
    pub(crate) inputs: Payloads,
    /// The units of LINES and PREPARE that belong to each source.
    pub(crate) spans: Vec<Range<u32>>,
    /// Payloads of PUBLISH.
    pub(crate) shards: Payloads,
    pub(crate) listings: Listings,
    pub(crate) running: RunningAttempts,
    histories: BTreeMap<UnitKey, FailureHistory>,
    /// Whether a unit became leasable since the last effects.
    pub(crate) work_available: bool,
}

impl Units {
    /// Returns the units of a job that has not started: none.
    pub(crate) fn new() -> Self {
        Self {
            tables: Stage::ALL.map(StageTable::new),
            inputs: Payloads::default(),
            spans: Vec::new(),
            shards: Payloads::default(),
            listings: Listings::default(),
            running: RunningAttempts::default(),
            histories: BTreeMap::new(),
            work_available: false,
        }
    }

    /// Returns the tables of all stages, in order.
    pub(crate) fn tables(&self) -> &[StageTable] {
        &self.tables
    }

    pub(crate) fn table(&self, stage: Stage) -> &StageTable {
        &self.tables[stage.index()]
    }

    pub(crate) fn table_mut(&mut self, stage: Stage) -> &mut StageTable {
        &mut self.tables[stage.index()]
    }

    /// Returns the stage whose units may be leased: the first that is not over.
    pub(crate) fn current_stage(&self) -> Option<Stage> {
        self.tables.iter().find(|table| !table.is_over()).map(|table| table.stage)
    }

    /// Returns the number of units that are leased.
    pub(crate) fn leased(&self) -> u32 {
        self.tables.iter().map(|table| table.tally.leased).sum()
    }

    /// Whether there is such a unit.
    pub(crate) fn contains(&self, key: UnitKey) -> bool {
        self.table(key.stage).unit(key.ordinal).is_some()
    }

    fn unit(&self, key: UnitKey) -> Unit {
        let unit = self.table(key.stage).unit(key.ordinal);
        unit.expect("keys of messages are looked up with `contains` first")
    }

    pub(crate) fn state(&self, key: UnitKey) -> UnitState {
        self.unit(key).state
    }

    /// Returns the unit with its newest attempt.
    pub(crate) fn newest(&self, key: UnitKey) -> AttemptRef {
        key.attempt(self.unit(key).attempt)
    }

    /// Returns the unit's bytes of input; 0 if they are unknown.
    pub(crate) fn cost_bytes(&self, key: UnitKey) -> u64 {
        match key.stage {
            Stage::Lines | Stage::Prepare => self.inputs.cost_bytes(key.ordinal),
            Stage::Publish => self.shards.cost_bytes(key.ordinal),
            Stage::List
            | Stage::ResolveLines
            | Stage::ResolveDocuments
            | Stage::Layout
            | Stage::Seal => 0,
        }
    }

    /// Changes the state of a unit that does not wait afterwards.
    pub(crate) fn step(&mut self, key: UnitKey, step: Step) {
        let cost_bytes = self.cost_bytes(key);
        self.table_mut(key.stage).step(key.ordinal, step, cost_bytes);
    }

    /// Lets a unit wait again, after a step that leads there.
    pub(crate) fn requeue(&mut self, key: UnitKey, step: Step) {
        let turn = if self.is_suspect(key) { Turn::Alone } else { Turn::Next };
        let cost_bytes = self.cost_bytes(key);
        self.table_mut(key.stage).wait(key.ordinal, step, turn, cost_bytes);
        self.work_available = true;
    }

    /// Returns what went wrong with the unit, if anything did.
    pub(crate) fn history(&self, key: UnitKey) -> Option<&FailureHistory> {
        self.histories.get(&key)
    }

    pub(crate) fn history_mut(&mut self, key: UnitKey) -> &mut FailureHistory {
        self.histories.entry(key).or_default()
    }

    /// Takes back the crash of a worker that is alive after all.
    pub(crate) fn survive(&mut self, unit: AttemptRef) {
        if let Some(history) = self.histories.get_mut(&unit.key) {
            history.survive(unit.attempt);
        }
    }

    /// Returns the units that failed permanently, with their histories.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (UnitKey, &FailureHistory)> {
        let all = self.histories.iter().map(|(key, history)| (*key, history));
        all.filter(|(key, _)| self.state(*key) == UnitState::Failed)
    }

    /// Whether the unit may be what kills its workers.
    pub(crate) fn is_suspect(&self, key: UnitKey) -> bool {
        self.history(key).is_some_and(FailureHistory::is_suspect)
    }

    /// Whether the unit's worker must run nothing else.
    pub(crate) fn runs_alone(&self, key: UnitKey) -> bool {
        key.stage.is_gang() || self.is_suspect(key)
    }

    /// Whether the output of the attempt was found damaged since: its result is of no use.
    pub(crate) fn is_stale(&self, unit: AttemptRef) -> bool {
        self.history(unit.key).is_some_and(|history| unit.attempt <= history.damaged_attempt)
    }

    /// Whether the attempt's failure was counted already. A registration that was delayed may still
    /// name the attempt as held; its failure is then reported again and must not count twice.
    pub(crate) fn has_failed(&self, unit: AttemptRef) -> bool {
        self.history(unit.key).is_some_and(|history| unit.attempt == history.failed_attempt)
    }

    /// Returns the digest of the result whose totals are counted, if the unit was reopened since.
    pub(crate) fn counted_digest(&self, key: UnitKey) -> Option<u64> {
        self.history(key).and_then(|history| history.counted_digest)
    }

    /// Returns the attempts of a unit that run now: none, one or two.
    pub(crate) fn running(&self, key: UnitKey) -> impl Iterator<Item = RunningAttempt> {
        self.running.of(key, self.unit(key))
    }

    pub(crate) fn is_running(&self, unit: AttemptRef) -> bool {
        self.running(unit.key).any(|running| running.attempt == unit.attempt)
    }

    /// Returns the attempt of the unit that this worker runs.
    pub(crate) fn running_on(&self, key: UnitKey, worker_id: u32) -> Option<RunningAttempt> {
        self.running(key).find(|running| running.worker_id == worker_id)
    }

    /// Returns what the unit is to do. Units that are absent are those that are so by now.
    pub(crate) fn payload(&self, key: UnitKey, budget_bytes: u64) -> Payload {
        match key.stage {
            Stage::List => Payload::List { source: key.ordinal },
            Stage::Lines => Payload::Planned(self.inputs.payload(key.ordinal).to_vec()),
            Stage::Prepare => Payload::Prepare {
                inputs: self.inputs.payload(key.ordinal).to_vec(),
                line_ranges: self.table(Stage::ResolveLines).len(),
            },
            Stage::ResolveLines => self.range(key, Stage::Lines, budget_bytes),
            Stage::ResolveDocuments => self.range(key, Stage::Prepare, budget_bytes),
            Stage::Layout => {
                let span = self.spans[key.ordinal as usize].clone();
                let prepared = self.table(Stage::Prepare);
                Payload::Layout(LayoutPayload {
                    source: key.ordinal,
                    first_unit: span.start,
                    units: span.len() as u32,
                    absent: prepared.absent(span),
                    ranges: self.table(Stage::ResolveDocuments).len(),
                    job_units: prepared.len(),
                    job_absent: prepared.absent(0..prepared.len()),
                })
            }
            Stage::Publish => Payload::Planned(self.shards.payload(key.ordinal).to_vec()),
            Stage::Seal => Payload::Seal,
        }
    }

    fn range(&self, key: UnitKey, keyed: Stage, budget_bytes: u64) -> Payload {
        let keyed = self.table(keyed);
        Payload::Range(RangePayload {
            range: key.ordinal,
            ranges: self.table(key.stage).len(),
            units: keyed.len(),
            absent: keyed.absent(0..keyed.len()),
            budget_bytes,
        })
    }
}
