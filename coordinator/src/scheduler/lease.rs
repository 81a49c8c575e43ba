//! Who gets which unit: batches in order, gang units and suspects one at a time to idle workers.
//!
//! Payloads of stages that need no knowledge of the data are made here, at the moment of the lease,
//! so that they name exactly the units that are absent by then. Invariant: a unit is leased only in
//! the first stage that is not over.

use thresher_proto::Message as _;
use thresher_proto::pb::{LayoutUnit, Lease, ListUnit, PrepareUnit, RangeUnit, Stage, UnitRef};

use super::Timestamp;
use super::job::{Job, Phase};
use super::unit::{Step, Trouble, UnitKey, UnitState};
use super::worker::Workers;

/// Leases in one answer, whatever the worker wants; it asks again.
const MAX_LEASES: u32 = 4096;

/// Waiting units looked at for one that fits, when those before it do not.
const MAX_LOOKED_AT: usize = 512;

/// How much later than now a unit may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slack {
    /// No end is known.
    Endless,
    Millis(u64),
}

/// What a worker asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) worker_id: u32,
    pub(super) want: u32,
    /// Whether it runs nothing at all.
    pub(super) idle: bool,
}

impl Job {
    /// Leases what the worker may run now.
    pub(super) fn lease(
        &mut self,
        now: Timestamp,
        workers: &mut Workers,
        asked: Asked,
    ) -> Vec<Lease> {
        if asked.want == 0 || self.phase != Phase::Running {
            return Vec::new();
        }
        let Some(stage) = self.current_stage() else { return Vec::new() };
        let Some(worker) = workers.get(asked.worker_id) else { return Vec::new() };
        if worker.held.iter().any(|key| self.runs_alone(*key)) {
            return Vec::new();
        }
        let may_lead = || workers.may_lead(asked.worker_id, |key| is_gang(key.stage));
        let alone = asked.idle && worker.held.is_empty() && (!is_gang(stage) || may_lead());
        if alone
            && let Some(ordinal) = self.stage(stage).next_suspect()
            && self.slack(now, UnitKey { stage, ordinal }).is_some()
        {
            return vec![self.lease_unit(now, workers, asked.worker_id, stage, ordinal)];
        }
        let most = match is_gang(stage) {
            true if alone => 1,
            true => 0,
            false => asked.want.min(MAX_LEASES),
        };
        let mut leases = Vec::with_capacity(most.min(self.stage(stage).tally.waiting) as usize);
        while leases.len() < most as usize
            && let Some(fitting) = self.next_fitting(now, stage)
        {
            leases.push(self.lease_unit(now, workers, asked.worker_id, stage, fitting));
        }
        if leases.is_empty() {
            return self.lease_twins(now, workers, asked, stage);
        }
        leases
    }

    /// The first waiting unit that can end before the allocation, of so many that are looked at.
    pub(super) fn next_fitting(&self, now: Timestamp, stage: Stage) -> Option<u32> {
        let mut near = self.stage(stage).waiting().take(MAX_LOOKED_AT);
        near.find(|ordinal| self.slack(now, UnitKey { stage, ordinal: *ordinal }).is_some())
    }

    /// Whether and when the unit may begin.
    pub(super) fn slack(&self, now: Timestamp, key: UnitKey) -> Option<Slack> {
        match &self.horizon {
            None => Some(Slack::Endless),
            Some(horizon) => {
                let predicted = self.predict_millis(key);
                horizon.slack_millis(now, predicted).map(Slack::Millis)
            }
        }
    }

    /// What the unit will hardly exceed, if units of its stage have been done before.
    pub(super) fn predict_millis(&self, key: UnitKey) -> Option<u64> {
        self.stage(key.stage).pace.predict_millis(self.cost_bytes(key))
    }

    /// Whether the unit's worker must run nothing else.
    fn runs_alone(&self, key: UnitKey) -> bool {
        is_gang(key.stage) || self.troubles.get(&key).is_some_and(Trouble::is_suspect)
    }

    fn lease_unit(
        &mut self,
        now: Timestamp,
        workers: &mut Workers,
        worker_id: u32,
        stage: Stage,
        ordinal: u32,
    ) -> Lease {
        let key = UnitKey { stage, ordinal };
        let attempt = self.stage_mut(stage).lease(ordinal, worker_id, now);
        workers.hold(worker_id, key);
        self.lease_of(now, key, attempt)
    }

    /// What the worker is told of a unit that it just got.
    pub(super) fn lease_of(&self, now: Timestamp, key: UnitKey, attempt: u32) -> Lease {
        Lease {
            unit: Some(key.attempt(attempt)),
            payload: self.payload(key),
            cost_bytes: self.cost_bytes(key),
            start_within_millis: match self.slack(now, key) {
                None | Some(Slack::Endless) => 0,
                // 0 would mean whenever.
                Some(Slack::Millis(millis)) => u32::try_from(millis).unwrap_or(u32::MAX).max(1),
            },
        }
    }

    /// Gives a worker what it says it holds: units that wait since their lease ended, or that are
    /// leased to an earlier registration of the same process. Says whether anything changed.
    pub(super) fn adopt(
        &mut self,
        now: Timestamp,
        workers: &mut Workers,
        worker_id: u32,
        held: &[UnitRef],
    ) -> bool {
        let mut adopted = false;
        for unit in held {
            let Some(key) = self.find(unit) else { continue };
            let past = self.is_stale(unit, key) || self.has_failed(unit, key);
            if unit.attempt == 0 || past {
                continue;
            }
            match self.state(key) {
                // An older attempt may end as it likes: its result counts, its failure doesn't.
                UnitState::Waiting if unit.attempt == self.attempt(key) => {
                    self.revive(key, unit.attempt);
                    let step = Step::Lease { worker_id, since: now };
                    self.stage_mut(key.stage).step(key.ordinal, step, 0);
                    workers.hold(worker_id, key);
                    adopted = true;
                }
                UnitState::Leased { .. } => {
                    let mut copies = self.running(key);
                    let said = copies.find(|copy| copy.attempt == unit.attempt);
                    drop(copies);
                    // Both copies never run in one process.
                    let Some(copy) = said.filter(|copy| {
                        copy.worker_id != worker_id
                            && workers.are_one_process(copy.worker_id, worker_id)
                            && self.copy_of(key, worker_id).is_none()
                    }) else {
                        continue;
                    };
                    self.move_copy(workers, copy, worker_id, key);
                    adopted = true;
                }
                UnitState::Waiting
                | UnitState::Done { .. }
                | UnitState::SetAside
                | UnitState::Skipped => {}
            }
        }
        adopted
    }

    fn revive(&mut self, key: UnitKey, attempt: u32) {
        if let Some(trouble) = self.troubles.get_mut(&key) {
            trouble.survive(attempt);
        }
    }

    /// Takes back what was leased to the worker and it doesn't hold: the answer was lost. Says
    /// whether anything changed.
    pub(super) fn take_back(
        &mut self,
        workers: &mut Workers,
        worker_id: u32,
        held: &[UnitRef],
    ) -> bool {
        let Some(worker) = workers.get(worker_id) else { return false };
        let mut lost: Vec<UnitKey> = worker.held.iter().copied().collect();
        let mut said: Vec<_> = held.iter().map(|u| (u.stage, u.ordinal, u.attempt)).collect();
        said.sort_unstable();
        lost.retain(|key| {
            let attempt = self.copy_of(*key, worker_id).map_or(0, |copy| copy.attempt);
            said.binary_search(&(i32::from(key.stage), key.ordinal, attempt)).is_err()
        });
        for key in &lost {
            if let Some(copy) = self.copy_of(*key, worker_id) {
                self.end_copy(workers, *key, copy.attempt);
            }
        }
        !lost.is_empty()
    }

    fn payload(&self, key: UnitKey) -> Vec<u8> {
        match key.stage {
            Stage::List => ListUnit { source: key.ordinal }.encode_to_vec(),
            Stage::Lines => self.inputs.payload(key.ordinal).to_vec(),
            Stage::Prepare => {
                let prepare = PrepareUnit {
                    inputs: self.inputs.payload(key.ordinal).to_vec(),
                    line_ranges: self.stage(Stage::ResolveLines).len(),
                };
                prepare.encode_to_vec()
            }
            Stage::ResolveLines => self.range(key, Stage::Lines).encode_to_vec(),
            Stage::ResolveDocuments => self.range(key, Stage::Prepare).encode_to_vec(),
            Stage::Layout => {
                let span = self.spans[key.ordinal as usize].clone();
                let prepared = self.stage(Stage::Prepare);
                let layout = LayoutUnit {
                    source: key.ordinal,
                    first_unit: span.start,
                    units: span.len() as u32,
                    absent: prepared.absent(span),
                    ranges: self.stage(Stage::ResolveDocuments).len(),
                    job_units: prepared.len(),
                    job_absent: prepared.absent(0..prepared.len()),
                };
                layout.encode_to_vec()
            }
            Stage::Publish => self.shards.payload(key.ordinal).to_vec(),
            Stage::Seal | Stage::Unspecified => Vec::new(),
        }
    }

    fn range(&self, key: UnitKey, keyed: Stage) -> RangeUnit {
        let keyed = self.stage(keyed);
        RangeUnit {
            range: key.ordinal,
            ranges: self.stage(key.stage).len(),
            units: keyed.len(),
            absent: keyed.absent(0..keyed.len()),
            budget_bytes: self.plan.limits.dedup_budget_bytes,
        }
    }
}

/// Whether units of the stage need all ranks of a world at once.
pub(super) fn is_gang(stage: Stage) -> bool {
    match stage {
        Stage::ResolveLines | Stage::ResolveDocuments => true,
        Stage::Unspecified
        | Stage::List
        | Stage::Lines
        | Stage::Prepare
        | Stage::Layout
        | Stage::Publish
        | Stage::Seal => false,
    }
}
