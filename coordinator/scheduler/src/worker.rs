//! The workers that are known, what they hold, and when their leases end.
//!
//! Invariant: a unit is in `held` of a worker exactly when the job says that a copy of it runs
//! there. A worker id is never used twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use thresher_domain::{AttemptRef, RegisterRequest, UnitKey, WorkerStatus};

use crate::Timestamp;

/// Lost workers that status still shows.
const REMEMBERED_LOST: usize = 64;

/// When a worker was last heard of, and the number of that call. Calls that only renew leases are
/// not journaled, so this is not part of the state that replay restores: all values are equal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastSeen {
    pub(crate) at: Timestamp,
    pub(crate) sequence: u64,
}

impl PartialEq for LastSeen {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// A process that asks for units.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Worker {
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) slots: u32,
    /// Whether its gang units are spread over all nodes.
    pub(crate) launches: bool,
    pub(crate) held: BTreeSet<UnitKey>,
    /// Copies that another worker was quicker with; it is told once, in its next answer.
    unwanted: Vec<AttemptRef>,
    pub(crate) last_seen: LastSeen,
    /// Whether it was heard of since the coordinator last came up. One that never comes back after
    /// that most likely ended with its allocation, so its units are not blamed.
    pub(crate) attached: bool,
    /// A signal told it to end: its units are not blamed for that either.
    pub(crate) leaving: bool,
}

impl Worker {
    pub(crate) fn new(request: &RegisterRequest, now: Timestamp) -> Self {
        Self {
            host: crate::unit::bounded(&request.host),
            pid: request.pid,
            slots: request.slots,
            launches: request.gang_ranks > 0,
            held: BTreeSet::new(),
            unwanted: Vec::new(),
            last_seen: LastSeen { at: now, sequence: 0 },
            attached: true,
            leaving: false,
        }
    }

    fn is_same_process(&self, other: &Self) -> bool {
        self.host == other.host && self.pid == other.pid
    }
}

/// All workers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Workers {
    live: BTreeMap<u32, Worker>,
    /// The latest ones, oldest first.
    lost: VecDeque<(u32, Worker)>,
    next_id: u32,
}

impl Default for Workers {
    fn default() -> Self {
        Self { live: BTreeMap::new(), lost: VecDeque::new(), next_id: 1 }
    }
}

impl Workers {
    pub(crate) fn next_id(&self) -> u32 {
        self.next_id
    }

    pub(crate) fn count(&self) -> u64 {
        self.live.len() as u64
    }

    /// Whether the worker may begin a gang unit. Where some of them spread such a unit over all
    /// nodes, only they run any, and one at a time: two would share every core.
    pub(crate) fn may_lead(&self, id: u32, is_gang: impl Fn(UnitKey) -> bool) -> bool {
        let mut launching = self.live.iter().filter(|(_, w)| w.launches && w.attached).peekable();
        if launching.peek().is_none() {
            return true;
        }
        self.live.get(&id).is_some_and(|worker| worker.launches)
            && !launching.any(|(_, worker)| worker.held.iter().any(|key| is_gang(*key)))
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Worker> {
        self.live.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Worker> {
        self.live.get_mut(&id)
    }

    pub(crate) fn add(&mut self, id: u32, worker: Worker) {
        self.next_id = self.next_id.max(id.saturating_add(1));
        self.live.insert(id, worker);
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Worker> {
        let worker = self.live.remove(&id)?;
        if self.lost.len() == REMEMBERED_LOST {
            self.lost.pop_front();
        }
        let remembered = Worker { held: BTreeSet::new(), unwanted: Vec::new(), ..worker.clone() };
        self.lost.push_back((id, remembered));
        Some(worker)
    }

    /// Whether both ids are of the same process, registered twice.
    pub(crate) fn are_one_process(&self, a: u32, b: u32) -> bool {
        match (self.live.get(&a), self.live.get(&b)) {
            (Some(a), Some(b)) => a.is_same_process(b),
            (Some(_) | None, Some(_) | None) => false,
        }
    }

    pub(crate) fn hold(&mut self, id: u32, unit: UnitKey) {
        if let Some(worker) = self.live.get_mut(&id) {
            worker.held.insert(unit);
        }
    }

    pub(crate) fn release(&mut self, id: u32, unit: UnitKey) {
        if let Some(worker) = self.live.get_mut(&id) {
            worker.held.remove(&unit);
        }
    }

    /// The worker's copy of a unit that is done needs no end.
    pub(crate) fn no_longer_want(&mut self, id: u32, unit: AttemptRef) {
        if let Some(worker) = self.live.get_mut(&id) {
            worker.unwanted.push(unit);
        }
    }

    pub(crate) fn take_unwanted(&mut self, id: u32) -> Vec<AttemptRef> {
        self.live
            .get_mut(&id)
            .map(|worker| std::mem::take(&mut worker.unwanted))
            .unwrap_or_default()
    }

    /// Slots of all that are there.
    pub(crate) fn slots(&self) -> u64 {
        let there = self.live.values().filter(|worker| worker.attached);
        there.map(|worker| u64::from(worker.slots)).sum()
    }

    /// Gives every worker a fresh lease time, and waits for each to come back.
    pub(crate) fn await_all(&mut self, now: Timestamp) {
        for worker in self.live.values_mut() {
            worker.last_seen.at = now;
            worker.attached = false;
        }
    }

    /// Those not heard of for `lease_millis`.
    pub(crate) fn overdue(
        &self,
        now: Timestamp,
        lease_millis: u64,
    ) -> impl Iterator<Item = (u32, &Worker)> {
        self.live
            .iter()
            .filter(move |(_, worker)| now >= worker.last_seen.at.plus_millis(lease_millis))
            .map(|(id, worker)| (*id, worker))
    }

    pub(crate) fn first_last_seen(&self) -> Option<Timestamp> {
        self.live.values().map(|worker| worker.last_seen.at).min()
    }

    pub(crate) fn status(&self) -> Vec<WorkerStatus> {
        let status = |id: u32, worker: &Worker, lost| WorkerStatus {
            worker_id: id,
            host: worker.host.clone(),
            pid: worker.pid,
            slots: worker.slots,
            held: worker.held.len() as u32,
            last_seen: worker.last_seen.at,
            lost,
        };
        let mut all: Vec<_> = self.live.iter().map(|(id, w)| status(*id, w, false)).collect();
        all.extend(self.lost.iter().map(|(id, worker)| status(*id, worker, true)));
        all.sort_by_key(|worker| worker.worker_id);
        all
    }

    /// For explanations, e.g. `worker 4 (host a, pid 12)`.
    pub(crate) fn describe(&self, id: u32) -> String {
        match self.live.get(&id) {
            Some(worker) => format!("worker {id} (host {}, pid {})", worker.host, worker.pid),
            None => format!("worker {id}"),
        }
    }
}
