//! Second copies of the slowest units, near a stage's end, by slots that would else be idle.
//!
//! ```text
//!  leased ── much slower than predicted, nothing waits, a slot is idle ──▶ two copies
//!  two copies ── a result of either ──▶ done; the other's result is compared with it
//!             ── one fails, is given back or lost ──▶ leased, to the other
//! ```
//! Invariant: a unit has at most two copies, on two workers. Gang units and suspects have one.

use thresher_domain::{Lease, Stage, UnitKey};

use crate::Timestamp;
use crate::job::Job;
use crate::lease::Asked;
use crate::unit::{Step, Trouble, UnitState};
use crate::worker::Workers;

/// A unit that takes so many times what it was hardly to exceed is slow.
const SLOW: u64 = 2;
/// Running units looked at for slow ones, longest first.
const MAX_LOOKED_AT: usize = 256;

/// The copies of a leased unit, when its newest attempt is not the only one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copies {
    /// The attempt of the copy that the stage's table tells of.
    first_attempt: u32,
    second: Option<Second>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Second {
    pub(crate) worker_id: u32,
    attempt: u32,
    since: Timestamp,
}

/// One copy of a leased unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) worker_id: u32,
    pub(crate) attempt: u32,
    pub(crate) since: Timestamp,
}

impl Job {
    /// The copies of a unit that run now: none, one or two.
    pub(crate) fn running(&self, key: UnitKey) -> impl Iterator<Item = Running> {
        let copies = self.copies.get(&key);
        let first = match self.state(key) {
            UnitState::Leased { worker_id, since } => {
                let attempt = copies.map_or(self.attempt(key), |copies| copies.first_attempt);
                Some(Running { worker_id, attempt, since })
            }
            UnitState::Waiting
            | UnitState::Done { .. }
            | UnitState::SetAside
            | UnitState::Skipped => None,
        };
        let second = copies.and_then(|copies| copies.second).map(|second| Running {
            worker_id: second.worker_id,
            attempt: second.attempt,
            since: second.since,
        });
        first.into_iter().chain(second)
    }

    pub(crate) fn is_running(&self, key: UnitKey, attempt: u32) -> bool {
        self.running(key).any(|copy| copy.attempt == attempt)
    }

    /// The copy of the unit that this worker runs.
    pub(crate) fn copy_of(&self, key: UnitKey, worker_id: u32) -> Option<Running> {
        self.running(key).find(|copy| copy.worker_id == worker_id)
    }

    /// Ends one copy without a result; the unit waits when it was the only one.
    pub(crate) fn end_copy(&mut self, workers: &mut Workers, key: UnitKey, attempt: u32) {
        let Some(ended) = self.running(key).find(|copy| copy.attempt == attempt) else { return };
        let Some(left) = self.running(key).find(|copy| copy.attempt != attempt) else {
            return self.release(workers, key);
        };
        workers.release(ended.worker_id, key);
        self.copies.insert(key, Copies { first_attempt: left.attempt, second: None });
        let step = Step::Lease { worker_id: left.worker_id, since: left.since };
        self.stage_mut(key.stage).step(key.ordinal, step, 0);
    }

    /// Gives the copy to another registration of its process.
    pub(crate) fn move_copy(
        &mut self,
        workers: &mut Workers,
        from: Running,
        to: u32,
        key: UnitKey,
    ) {
        workers.release(from.worker_id, key);
        workers.hold(to, key);
        match self.copies.get_mut(&key).and_then(|copies| copies.second.as_mut()) {
            Some(second) if second.attempt == from.attempt => second.worker_id = to,
            Some(_) | None => {
                let step = Step::Lease { worker_id: to, since: from.since };
                self.stage_mut(key.stage).step(key.ordinal, step, 0);
            }
        }
    }

    /// Second copies for a worker that has idle slots and got nothing else.
    pub(crate) fn lease_twins(
        &mut self,
        now: Timestamp,
        workers: &mut Workers,
        asked: Asked,
        stage: Stage,
    ) -> Vec<Lease> {
        let Some(worker) = workers.get(asked.worker_id) else { return Vec::new() };
        let tally = self.stage(stage).tally;
        if stage.is_gang() || tally.waiting > 0 || tally.leased == 0 {
            return Vec::new();
        }
        let idle = (worker.slots as usize).saturating_sub(worker.held.len());
        let most = idle.min(asked.want as usize);
        let longest = self.stage(stage).longest().take(MAX_LOOKED_AT);
        let slow: Vec<UnitKey> = longest
            .map(|ordinal| UnitKey { stage, ordinal })
            .filter(|key| self.wants_twin(now, *key, asked.worker_id))
            .take(most)
            .collect();
        slow.into_iter().map(|key| self.lease_twin(now, workers, asked.worker_id, key)).collect()
    }

    fn wants_twin(&self, now: Timestamp, key: UnitKey, worker_id: u32) -> bool {
        let mut copies = self.running(key);
        let (Some(first), None) = (copies.next(), copies.next()) else { return false };
        let Some(predicted) = self.predict_millis(key) else { return false };
        let heartbeat_millis = u64::from(self.plan.limits.heartbeat_millis);
        let slow = predicted.saturating_mul(SLOW).saturating_add(heartbeat_millis);
        first.worker_id != worker_id
            && now.millis_since(first.since) >= slow
            && !self.troubles.get(&key).is_some_and(Trouble::is_suspect)
            && self.slack(now, key).is_some()
    }

    fn lease_twin(
        &mut self,
        now: Timestamp,
        workers: &mut Workers,
        worker_id: u32,
        key: UnitKey,
    ) -> Lease {
        let first = self.running(key).next();
        let first_attempt = first.map_or(self.attempt(key), |first| first.attempt);
        let attempt = self.stage_mut(key.stage).lease_again(key.ordinal);
        let second = Some(Second { worker_id, attempt, since: now });
        self.copies.insert(key, Copies { first_attempt, second });
        workers.hold(worker_id, key);
        self.lease_of(now, key, attempt)
    }
}
