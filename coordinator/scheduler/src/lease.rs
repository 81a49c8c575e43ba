//! Who gets which unit: batches in order, gang units and suspects one at a time to idle workers.
//!
//! Payloads of stages that need no knowledge of the data are made here, at the moment of the lease,
//! so that they name exactly the units that are absent by then. Invariant: a unit is leased only in
//! the first stage that is not over.

use thresher_domain::{AttemptRef, LayoutPayload, Lease, Payload, RangePayload, Stage, UnitKey};

use crate::Timestamp;
use crate::job::{Job, Phase};
use crate::unit::{Step, Trouble, UnitState};
use crate::worker::Workers;

/// Leases in one answer, whatever the worker wants; it asks again.
const MAX_LEASES: u32 = 4096;

/// Waiting units looked at for one that fits, when those before it do not.
const MAX_LOOKED_AT: usize = 512;

/// How much later than now a unit may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slack {
    /// No end is known.
    Endless,
    Millis(u64),
}

/// What a worker asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) worker_id: u32,
    pub(crate) want: u32,
    /// Whether it runs nothing at all.
    pub(crate) idle: bool,
}

impl Job {
    /// Leases what the worker may run now.
    pub(crate) fn lease(
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
        let may_lead = || workers.may_lead(asked.worker_id, |key| key.stage.is_gang());
        let alone = asked.idle && worker.held.is_empty() && (!stage.is_gang() || may_lead());
        if alone
            && let Some(ordinal) = self.stage(stage).next_suspect()
            && self.slack(now, UnitKey { stage, ordinal }).is_some()
        {
            return vec![self.lease_unit(now, workers, asked.worker_id, stage, ordinal)];
        }
        let most = match stage.is_gang() {
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
    pub(crate) fn next_fitting(&self, now: Timestamp, stage: Stage) -> Option<u32> {
        let mut near = self.stage(stage).waiting().take(MAX_LOOKED_AT);
        near.find(|ordinal| self.slack(now, UnitKey { stage, ordinal: *ordinal }).is_some())
    }

    /// Whether and when the unit may begin.
    pub(crate) fn slack(&self, now: Timestamp, key: UnitKey) -> Option<Slack> {
        match &self.horizon {
            None => Some(Slack::Endless),
            Some(horizon) => {
                let predicted = self.predict_millis(key);
                horizon.slack_millis(now, predicted).map(Slack::Millis)
            }
        }
    }

    /// What the unit will hardly exceed, if units of its stage have been done before.
    pub(crate) fn predict_millis(&self, key: UnitKey) -> Option<u64> {
        self.stage(key.stage).pace.predict_millis(self.cost_bytes(key))
    }

    /// Whether the unit's worker must run nothing else.
    fn runs_alone(&self, key: UnitKey) -> bool {
        key.stage.is_gang() || self.troubles.get(&key).is_some_and(Trouble::is_suspect)
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
    pub(crate) fn lease_of(&self, now: Timestamp, key: UnitKey, attempt: u32) -> Lease {
        Lease {
            unit: key.attempt(attempt),
            payload: self.payload(key),
            cost_bytes: self.cost_bytes(key),
            start_within_millis: match self.slack(now, key) {
                None | Some(Slack::Endless) => None,
                Some(Slack::Millis(millis)) => Some(u32::try_from(millis).unwrap_or(u32::MAX)),
            },
        }
    }

    /// Gives a worker what it says it holds: units that wait since their lease ended, or that are
    /// leased to an earlier registration of the same process. Says whether anything changed.
    pub(crate) fn adopt(
        &mut self,
        now: Timestamp,
        workers: &mut Workers,
        worker_id: u32,
        held: &[AttemptRef],
    ) -> bool {
        let mut adopted = false;
        for unit in held {
            let Some(key) = self.find(unit.key) else { continue };
            let past = self.is_stale(*unit) || self.has_failed(*unit);
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
    pub(crate) fn take_back(
        &mut self,
        workers: &mut Workers,
        worker_id: u32,
        held: &[AttemptRef],
    ) -> bool {
        let Some(worker) = workers.get(worker_id) else { return false };
        let mut lost: Vec<UnitKey> = worker.held.iter().copied().collect();
        let mut said = held.to_vec();
        said.sort_unstable();
        lost.retain(|key| {
            let attempt = self.copy_of(*key, worker_id).map_or(0, |copy| copy.attempt);
            said.binary_search(&key.attempt(attempt)).is_err()
        });
        for key in &lost {
            if let Some(copy) = self.copy_of(*key, worker_id) {
                self.end_copy(workers, *key, copy.attempt);
            }
        }
        !lost.is_empty()
    }

    fn payload(&self, key: UnitKey) -> Payload {
        match key.stage {
            Stage::List => Payload::List { source: key.ordinal },
            Stage::Lines => Payload::Planned(self.inputs.payload(key.ordinal).to_vec()),
            Stage::Prepare => Payload::Prepare {
                inputs: self.inputs.payload(key.ordinal).to_vec(),
                line_ranges: self.stage(Stage::ResolveLines).len(),
            },
            Stage::ResolveLines => Payload::Range(self.range(key, Stage::Lines)),
            Stage::ResolveDocuments => Payload::Range(self.range(key, Stage::Prepare)),
            Stage::Layout => {
                let span = self.spans[key.ordinal as usize].clone();
                let prepared = self.stage(Stage::Prepare);
                Payload::Layout(LayoutPayload {
                    source: key.ordinal,
                    first_unit: span.start,
                    units: span.len() as u32,
                    absent: prepared.absent(span),
                    ranges: self.stage(Stage::ResolveDocuments).len(),
                    job_units: prepared.len(),
                    job_absent: prepared.absent(0..prepared.len()),
                })
            }
            Stage::Publish => Payload::Planned(self.shards.payload(key.ordinal).to_vec()),
            Stage::Seal => Payload::Seal,
        }
    }

    fn range(&self, key: UnitKey, keyed: Stage) -> RangePayload {
        let keyed = self.stage(keyed);
        RangePayload {
            range: key.ordinal,
            ranges: self.stage(key.stage).len(),
            units: keyed.len(),
            absent: keyed.absent(0..keyed.len()),
            budget_bytes: self.plan.limits.dedup_budget_bytes,
        }
    }
}
