//! The workers that are known, what they hold, and when their leases end.
//!
//! Invariant: a worker id is never used twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use thresher_domain::{AttemptRef, RegisterRequest, SyncRequest, Timestamp, UnitKey, WorkerStatus};

use crate::failure_history::FailedPlace;
use crate::key_world::KeyWorld;
use crate::trouble::{FailureOnWorker, Trouble};
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
    /// The memory for keys of a gang unit that it leads.
    pub(crate) key_world: KeyWorld,
    cancelled: Vec<AttemptRef>,
    pub(crate) last_seen: LastSeen,
    /// Whether it called since the coordinator last started. One that never comes back after
    /// that most likely ended with its allocation, so its units are not blamed.
    pub(crate) attached: bool,
    /// Whether it exits because of a signal, which does not count against its units either.
    pub(crate) leaving: bool,
    /// When it last finished a unit.
    pub(crate) last_done: Option<Timestamp>,
    /// What failed on it since.
    pub(crate) trouble: Trouble,
}

impl Worker {
    pub(crate) fn new(request: &RegisterRequest, now: Timestamp) -> Self {
        Self {
            host: bounded(&request.host),
            pid: request.pid,
            slots: request.slots,
            launches: request.gang_ranks > 0,
            key_world: KeyWorld::of(request),
            held: BTreeSet::new(),
            cancelled: Vec::new(),
            last_seen: LastSeen { at: now, sequence: 0 },
            attached: true,
            leaving: false,
            last_done: None,
            trouble: Trouble::default(),
        }
    }

    /// Whether a later call than this one was seen: the worker gave this one up, and would never
    /// run what it is granted.
    pub(crate) fn is_superseded(&self, request: &SyncRequest) -> bool {
        request.sequence > 0 && request.sequence < self.last_seen.sequence
    }

    /// Renews the worker's leases. Returns whether that changed more than the time.
    pub(crate) fn seen(&mut self, now: Timestamp, request: &SyncRequest) -> bool {
        // A call without a number, or with a smaller one, takes nothing back: whether a later call
        // is used must not depend on calls that are not journaled.
        let sequence = self.last_seen.sequence.max(request.sequence);
        self.last_seen = LastSeen { at: now, sequence };
        let mut changed = !std::mem::replace(&mut self.attached, true);
        if request.leaves_within_millis > 0 {
            changed |= !std::mem::replace(&mut self.leaving, true);
        }
        changed
    }

    /// Whether it finished a unit and none failed on it since.
    pub(crate) fn is_sound(&self) -> bool {
        self.trouble.row == 0 && self.last_done.is_some()
    }

    /// Whether it may be asked to run units.
    fn is_here(&self) -> bool {
        self.attached && !self.leaving
    }

    /// Counts a unit that it finished, which ends its trouble. Returns whether it was one on which
    /// units failed in a row: what failed there may have hit everybody, and is over.
    pub(crate) fn succeed(&mut self, now: Timestamp) -> bool {
        self.last_done = Some(now);
        std::mem::take(&mut self.trouble).row > 1
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
            excluded: self.trouble.exclusion(),
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
    /// That of the worker that registered last.
    latest_key_world: KeyWorld,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            live: BTreeMap::new(),
            lost: VecDeque::new(),
            next_id: 1,
            latest_key_world: KeyWorld::UNKNOWN,
        }
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

    /// Returns the largest memory for keys that a gang unit can have with the workers that are
    /// here, or else with the one that was here last.
    pub(crate) fn key_world(&self) -> KeyWorld {
        let here = self.live.values().filter(|worker| worker.attached);
        let worlds = here.map(|worker| worker.key_world);
        worlds
            .max_by_key(|world| (world.ranks, world.bytes_per_rank))
            .unwrap_or(self.latest_key_world)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Worker> {
        self.live.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Worker> {
        self.live.get_mut(&id)
    }

    /// Adds a worker. One that replaces a process in whose place units failed starts with that
    /// trouble, unless another on its host is sound.
    pub(crate) fn add(&mut self, id: u32, mut worker: Worker) {
        let mut before = self.lost.iter().rev().map(|(_, lost)| lost);
        if let Some(before) = before.find(|lost| lost.host == worker.host)
            && !self.live.values().any(|one| one.host == worker.host && one.is_sound())
        {
            worker.trouble = before.trouble.clone();
        }
        self.next_id = self.next_id.max(id.saturating_add(1));
        self.latest_key_world = worker.key_world;
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

    /// Counts a failure of a worker that was lost, for the one that takes its place.
    pub(crate) fn blame_lost(&mut self, failure: &FailureOnWorker<'_>) {
        let lost = self.lost.iter_mut().rev().find(|(id, _)| *id == failure.worker_id);
        if let Some((_, worker)) = lost {
            worker.trouble.add(failure);
        }
    }

    /// Whether units failed last on every worker that could run one.
    pub(crate) fn all_in_trouble(&self) -> bool {
        self.live.values().filter(|worker| worker.is_here()).all(|worker| worker.trouble.row > 0)
    }

    /// Whether a worker other than this one succeeds while units fail on this one.
    pub(crate) fn others_succeed(&self, id: u32, trouble: &Trouble, now: Timestamp) -> bool {
        let since = if trouble.row > 0 { trouble.since } else { now };
        let mut others = self.live.iter().filter(|(other, _)| **other != id);
        others.any(|(_, worker)| worker.is_sound() && worker.last_done >= Some(since))
    }

    /// Whether the worker succeeded with another unit after one failed on it.
    pub(crate) fn succeeded_since(&self, place: &FailedPlace) -> bool {
        let worker = self.live.get(&place.worker_id);
        worker.is_some_and(|worker| worker.last_done > Some(place.at))
    }

    /// The same, and none failed on it since then.
    pub(crate) fn is_sound_since(&self, place: &FailedPlace) -> bool {
        let worker = self.live.get(&place.worker_id);
        self.succeeded_since(place) && worker.is_some_and(Worker::is_sound)
    }

    /// Returns the number of hosts with workers that could run units.
    pub(crate) fn hosts(&self) -> usize {
        let here = self.live.values().filter(|worker| worker.is_here());
        here.map(|worker| worker.host.as_str()).collect::<BTreeSet<_>>().len()
    }

    /// Lets workers that rest ask again: a fault that hit everybody is over.
    pub(crate) fn wake(&mut self) {
        self.live.values_mut().for_each(|worker| worker.trouble.wake());
    }

    /// Returns when a worker that rests may have units again.
    pub(crate) fn next_rest_end(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.live.values().filter_map(|worker| worker.trouble.rests_until);
        ends.filter(|until| *until > now).min()
    }

    /// Whether there is a worker on a host where the unit did not fail.
    pub(crate) fn has_other_host(&self, places: &[FailedPlace], now: Timestamp) -> bool {
        let failed_at = |host: &str| places.iter().any(|place| place.host == host);
        let mut here = self.live.values().filter(|one| one.is_here() && !one.trouble.rests(now));
        here.any(|one| !failed_at(&one.host))
    }

    /// Whether a unit that failed at these places should rather run on another worker than this
    /// one: on a host where it did not fail, or at least in a process where it failed less often.
    pub(crate) fn rather_elsewhere(&self, id: u32, places: &[FailedPlace], now: Timestamp) -> bool {
        let failures = |id: u32| places.iter().filter(|place| place.worker_id == id).count();
        let failed_at = |host: &str| places.iter().any(|place| place.host == host);
        let Some(worker) = self.live.get(&id) else { return false };
        let (here, at) = (failures(id), failed_at(&worker.host));
        let better = |(other, one): (&u32, &Worker)| {
            let is_better = at && !failed_at(&one.host) || here > failures(*other);
            is_better && one.is_here() && !one.trouble.rests(now)
        };
        (here > 0 || at) && self.live.iter().any(better)
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

    /// Asks the worker, in its next answer, to return an attempt that is not needed any more.
    pub(crate) fn cancel(&mut self, id: u32, unit: AttemptRef) {
        if let Some(worker) = self.live.get_mut(&id) {
            worker.cancelled.push(unit);
        }
    }

    /// Returns what every worker holds.
    pub(crate) fn all_held(&self) -> Vec<(u32, UnitKey)> {
        let held = self.live.iter().map(|(id, worker)| worker.held.iter().map(|key| (*id, *key)));
        held.flatten().collect()
    }

    /// Forgets every worker: each registers again.
    pub(crate) fn forget_all(&mut self) {
        self.live.clear();
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
        self.lost.iter_mut().for_each(|(_, worker)| worker.trouble = Trouble::default());
        for worker in self.live.values_mut() {
            worker.trouble = Trouble::default();
            worker.last_seen.at = now;
            worker.attached = false;
        }
    }

    /// Does not count a time in which no worker could call.
    pub(crate) fn extend_leases(&mut self, now: Timestamp, millis: u64) {
        for worker in self.live.values_mut() {
            worker.last_seen.at = worker.last_seen.at.plus_millis(millis).min(now);
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
