//! Every unit of the job: its state, payload, failures and running attempts.
//!
//! It knows no worker; `attempts.rs` keeps it and the workers consistent. Invariant: a unit
//! changes its state only through its stage's table.

use std::collections::BTreeMap;
use std::ops::Range;

use thresher_domain::{
    AttemptRef, Counter, Done, GroupPayload, KeyGroups, LayoutPayload, MemberGroups,
    MembersPayload, Payload, RangePayload, Stage, Timestamp, UnitKey,
};

use crate::backoff::wait_millis;
use crate::failure_history::FailureHistory;
use crate::listings::Listings;
use crate::payloads::Payloads;
use crate::running::{RunningAttempt, RunningAttempts};
use crate::source_sums::SourceSums;
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
    /// Whether they are those of the present plan.
    pub(crate) inputs_known: bool,
    /// How the keys of lines, of documents and of bands are put together, once they are counted.
    pub(crate) line_groups: KeyGroups,
    pub(crate) document_groups: KeyGroups,
    pub(crate) band_groups: KeyGroups,
    /// Payloads of PUBLISH.
    pub(crate) shards: Payloads,
    /// The units of PUBLISH that belong to each source.
    pub(crate) shard_spans: Vec<Range<u32>>,
    /// Whether they are those of the present plan.
    pub(crate) shards_known: bool,
    /// What was read and published of each source.
    pub(crate) sources: SourceSums,
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
            inputs_known: false,
            line_groups: KeyGroups::NONE,
            document_groups: KeyGroups::NONE,
            band_groups: KeyGroups::NONE,
            shards: Payloads::default(),
            shard_spans: Vec::new(),
            shards_known: false,
            sources: SourceSums::default(),
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

    /// Returns the first stage in which units failed permanently.
    pub(crate) fn first_missing_stage(&self) -> Option<Stage> {
        self.tables.iter().find(|table| table.tally.failed > 0).map(|table| table.stage)
    }

    /// Forgets the units of this stage and all later ones, so that they are planned again. With
    /// `keep_done` those of the stage itself stay, and only its failed ones wait again.
    ///
    /// No unit of these stages may be leased.
    pub(crate) fn restart(&mut self, from: Stage, keep_done: bool) {
        let is_kept = |stage: Stage| stage < from || keep_done && stage == from;
        if keep_done {
            let failed = self.failed().map(|(key, _)| key).filter(|key| key.stage == from);
            for key in failed.collect::<Vec<_>>() {
                self.history_mut(key).reset();
                self.requeue(key, Step::Retry);
            }
        }
        for stage in Stage::ALL.into_iter().filter(|stage| !is_kept(*stage)) {
            let table = self.table_mut(stage);
            *table = table.restarted();
            self.listings.forget_stage(stage);
            self.sources.forget(stage);
        }
        self.histories.retain(|key, _| is_kept(key.stage));
        self.inputs_known &= is_kept(Stage::List);
        self.shards_known &= is_kept(Stage::Layout);
    }

    /// Whether the attempt is one of before the stage was planned again, or none.
    pub(crate) fn is_of_earlier_plan(&self, unit: AttemptRef) -> bool {
        unit.attempt <= self.table(unit.key.stage).earlier_attempts
    }

    /// Returns the source that a unit of PREPARE or PUBLISH belongs to.
    pub(crate) fn source_of(&self, key: UnitKey) -> Option<usize> {
        let spans = match key.stage {
            Stage::Prepare => &self.spans,
            Stage::Publish => &self.shard_spans,
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
            | Stage::Seal => return None,
        };
        let source = spans.partition_point(|span| span.end <= key.ordinal);
        (source < spans.len()).then_some(source)
    }

    /// Returns the source whose inputs a unit of LINES or PREPARE reads.
    pub(crate) fn source_read_by(&self, key: UnitKey) -> Option<usize> {
        // Both stages have the same units.
        let reads = matches!(key.stage, Stage::Lines | Stage::Prepare);
        let prepare = UnitKey { stage: Stage::Prepare, ..key };
        reads.then(|| self.source_of(prepare)).flatten()
    }

    /// Adds a unit's first result to the sums of its stage and its source.
    pub(crate) fn add_result(&mut self, key: UnitKey, done: &Done) {
        self.table_mut(key.stage).totals.add(done);
        if key.stage == Stage::List {
            let inputs = done.counters.iter().find(|value| value.counter == Counter::Inputs);
            self.sources.list(key.ordinal as usize, inputs.map_or(0, |inputs| inputs.value));
        }
        if let Some(source) = self.source_of(key) {
            self.sources.add(key, source, done);
        }
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
            Stage::Lines | Stage::Prepare | Stage::Sign => self.inputs.cost_bytes(key.ordinal),
            Stage::Publish => self.shards.cost_bytes(key.ordinal),
            Stage::List
            | Stage::GatherLines
            | Stage::ResolveLines
            | Stage::CombineLines
            | Stage::GatherDocuments
            | Stage::ResolveDocuments
            | Stage::CombineDocuments
            | Stage::GatherBands
            | Stage::ResolveBands
            | Stage::Connect
            | Stage::Collect
            | Stage::Compare
            | Stage::Decide
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
        let not_before = self.history(key).and_then(|history| history.not_before);
        let turn = match not_before {
            _ if self.is_suspect(key) => Turn::Alone,
            Some(not_before) => Turn::Later(not_before),
            None => Turn::Next,
        };
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

    /// Lets a unit that failed wait before it is leased again.
    pub(crate) fn wait_after_failure(&mut self, now: Timestamp, key: UnitKey) {
        let seed = (key.stage as u64) << 32 | u64::from(key.ordinal);
        let history = self.history_mut(key);
        history.not_before = Some(now.plus_millis(wait_millis(history.tries, seed)));
    }

    /// Forgets where the unit failed: it has a result.
    pub(crate) fn forgive_unit(&mut self, key: UnitKey) {
        if let Some(history) = self.histories.get_mut(&key) {
            history.forgive();
        }
    }

    /// A new coordinator looks with fresh eyes: units that wait some time are leased at once.
    pub(crate) fn forgive(&mut self) {
        self.histories.values_mut().for_each(FailureHistory::forgive);
        self.tables.iter_mut().for_each(StageTable::end_backoff);
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

    /// Returns the units that wait and have failed before, with their histories.
    pub(crate) fn failed_so_far(&self) -> impl Iterator<Item = (UnitKey, &FailureHistory)> {
        let all = self.histories.iter().map(|(key, history)| (*key, history));
        all.filter(|(key, history)| {
            self.state(*key) == UnitState::Waiting && !history.latest.is_empty()
        })
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
                line_groups: self.line_groups,
            },
            Stage::GatherLines | Stage::CombineLines => {
                self.group(key, Stage::Lines, self.line_groups)
            }
            Stage::GatherDocuments | Stage::CombineDocuments => {
                self.group(key, Stage::Prepare, self.document_groups)
            }
            Stage::ResolveLines => self.range(key, Stage::Lines, self.line_groups, budget_bytes),
            Stage::ResolveDocuments => {
                self.range(key, Stage::Prepare, self.document_groups, budget_bytes)
            }
            Stage::Sign => Payload::Sign {
                inputs: self.inputs.payload(key.ordinal).to_vec(),
                document_groups: self.document_groups,
            },
            Stage::GatherBands => self.group(key, Stage::Sign, self.band_groups),
            Stage::ResolveBands | Stage::Connect => {
                self.range(key, Stage::Sign, self.band_groups, budget_bytes)
            }
            Stage::Collect | Stage::Compare | Stage::Decide => self.members(key),
            Stage::Layout => {
                let span = self.spans[key.ordinal as usize].clone();
                let prepared = self.table(Stage::Prepare);
                Payload::Layout(LayoutPayload {
                    source: key.ordinal,
                    first_unit: span.start,
                    units: span.len() as u32,
                    absent: prepared.absent(span),
                    groups: self.document_groups,
                    job_units: prepared.len(),
                    job_absent: prepared.absent(0..prepared.len()),
                    band_groups: self.band_groups,
                })
            }
            Stage::Publish => Payload::Planned(self.shards.payload(key.ordinal).to_vec()),
            Stage::Seal => Payload::Seal { band_groups: self.band_groups },
        }
    }

    fn group(&self, key: UnitKey, keyed: Stage, groups: KeyGroups) -> Payload {
        let (group, keyed) = (key.ordinal, self.table(keyed));
        let units = keyed.len();
        let absent = keyed.absent(groups.units_of(group, units));
        Payload::Group(GroupPayload { group, groups, units, absent })
    }

    fn members(&self, key: UnitKey) -> Payload {
        let (number, signed) = (key.ordinal, self.table(Stage::Sign));
        let units = signed.len();
        // A part has documents of all units.
        let is_part = key.stage == Stage::Compare;
        let span = if is_part { 0..units } else { MemberGroups::of(units).units_of(number) };
        let source_of = |ordinal| self.source_of(UnitKey { stage: Stage::Prepare, ordinal });
        let reads_documents = key.stage == Stage::Collect;
        let read = span.clone().filter(|_| reads_documents);
        let sources = read.filter_map(source_of).map(|at| at as u32).collect();
        let absent = signed.absent(span);
        Payload::Members(MembersPayload {
            number,
            units,
            absent,
            band_groups: self.band_groups,
            sources,
        })
    }

    fn range(&self, key: UnitKey, keyed: Stage, groups: KeyGroups, budget_bytes: u64) -> Payload {
        let keyed = self.table(keyed);
        Payload::Range(RangePayload {
            range: key.ordinal,
            groups,
            units: keyed.len(),
            absent: keyed.absent(0..keyed.len()),
            budget_bytes,
        })
    }
}
