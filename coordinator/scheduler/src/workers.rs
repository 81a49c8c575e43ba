//! The workers that are known, what they hold, and when their leases end.
//!
//! Invariant: a worker id is never used twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use thresher_domain::{AttemptRef, RegisterRequest, SyncRequest, Timestamp, UnitKey, WorkerStatus};

use crate::unit::bounded;

/// Lost workers that status still shows.
const REMEMBERED_LOST: usize = 64;

/// When a worker called last, and the number of that call. Calls that only renew leases are
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
    /// Attempts of units that another worker finished first, for the worker's next answer.
    cancelled: Vec<AttemptRef>,
    pub(crate) last_seen: LastSeen,
    /// Whether it called since the coordinator last started. One that never comes back after
    /// that most likely ended with its allocation, so its units are not blamed.
    pub(crate) attached: bool,
    /// Whether it exits because of a signal, which does not count against its units either.
    pub(crate) leaving: bool,
}

impl Worker {
    pub(crate) fn new(request: &RegisterRequest, now: Timestamp) -> Self {
        Self {
            host: bounded(&request.host),
            pid: request.pid,
            slots: request.slots,
            launches: request.gang_ranks > 0,
            held: BTreeSet::new(),
            cancelled: Vec::new(),
            last_seen: LastSeen { at: now, sequence: 0 },
            attached: true,
            leaving: false,
        }
    }

    /// Whether a later call than this one was seen: the worker gave this one up, and would never
    /// run what it is granted.
    pub(crate) fn is_superseded(&self, request: &SyncRequest) -> bool {
        request.sequence > 0 && request.sequence < self.last_seen.sequence
    }

    /// Renews the worker's leases. Returns whether that changed more than the time.
    pub(crate) fn seen(&mut self, now: Timestamp, request: &SyncRequest) -> bool {
        self.last_seen = LastSeen { at: now, sequence: request.sequence };
        let mut changed = !std::mem::replace(&mut self.attached, true);
        if request.leaves_within_millis > 0 {
            changed |= !std::mem::replace(&mut self.leaving, true);
        }
        changed
    }

    fn status(&self, worker_id: u32, lost: bool) -> WorkerStatus {
        WorkerStatus {
            worker_id,
            host: self.host.clone(),
            pid: self.pid,
            slots: self.slots,
            held: self.held.len() as u32,
            last_seen: self.last_seen.at,
            lost,
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

    /// Whether the worker may start a gang unit. If some workers spread such a unit over all nodes,
    /// only they run any, and one at a time: two would share every core.
    pub(crate) fn may_lead_gang(&self, id: u32) -> bool {
        let mut launching = self.live.iter().filter(|(_, w)| w.launches && w.attached).peekable();
        if launching.peek().is_none() {
            return true;
        }
        self.live.get(&id).is_some_and(|worker| worker.launches)
            && !launching.any(|(_, worker)| worker.held.iter().any(|key| key.stage.is_gang()))
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
        let remembered = Worker { held: BTreeSet::new(), cancelled: Vec::new(), ..worker.clone() };
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

    /// Asks the worker, in its next answer, to return an attempt whose unit is done.
    pub(crate) fn cancel_duplicate(&mut self, id: u32, unit: AttemptRef) {
        if let Some(worker) = self.live.get_mut(&id) {
            worker.cancelled.push(unit);
        }
    }

    pub(crate) fn take_cancelled(&mut self, id: u32) -> Vec<AttemptRef> {
        self.live
            .get_mut(&id)
            .map(|worker| std::mem::take(&mut worker.cancelled))
            .unwrap_or_default()
    }

    /// Returns the number of slots of all workers that are attached.
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

    /// Returns the workers that have not called for `lease_millis`.
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

    /// Returns the live workers and the latest lost ones, by id. If the job is over, those that
    /// never came back since the coordinator last started did not work for its end.
    pub(crate) fn status(&self, is_over: bool) -> Vec<WorkerStatus> {
        let live = self.live.iter().filter(|(_, worker)| worker.attached || !is_over);
        let live = live.map(|(id, worker)| worker.status(*id, false));
        let lost = self.lost.iter().map(|(id, worker)| worker.status(*id, true));
        let mut all: Vec<_> = live.chain(lost).collect();
        all.sort_by_key(|worker| worker.worker_id);
        all
    }

    /// Returns the worker in words, e.g. `worker 4 (host a, pid 12)`.
    pub(crate) fn describe(&self, id: u32) -> String {
        match self.live.get(&id) {
            Some(worker) => format!("worker {id} (host {}, pid {})", worker.host, worker.pid),
            None => format!("worker {id}"),
        }
    }
}
