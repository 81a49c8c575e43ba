//! How a job stops without having ended: what runs gets a time to end in, the rest waits for the
//! next coordinator.
//!
//! People, signals, the allocation's end and a storage that says no all drain. Invariant: a drain
//! only ever becomes shorter, and one with an end is over soon after it, whatever the workers do.

use thresher_domain::{AttemptRef, JobState, UnitKey};

use crate::job::{Job, Phase};
use crate::twins::Running;
use crate::worker::Workers;
use crate::{Effect, Event, Timestamp};

/// After its end a drain waits for so many heartbeats, for workers to give back what they hold.
const LAST_HEARTBEATS: u64 = 2;

impl Job {
    /// Begins to stop, or to stop sooner; at once when `until` is not in the future. Says whether
    /// that changed anything.
    pub(crate) fn drain(
        &mut self,
        now: Timestamp,
        until: Option<Timestamp>,
        effects: &mut Vec<Effect>,
    ) -> bool {
        // Whoever asks: nothing runs beyond the allocation.
        let ends = self.horizon.map(|horizon| horizon.gives_up());
        let until = until.into_iter().chain(ends).min();
        match self.phase {
            Phase::Running => {}
            Phase::Draining { until: before } => match (before, until) {
                (None, Some(_)) => {}
                (Some(before), Some(until)) if until < before || until <= now => {}
                (Some(_), Some(_)) | (_, None) => return false,
            },
            Phase::Drained | Phase::Over { .. } => return false,
        }
        self.phase = Phase::Draining { until };
        self.stirred = true;
        if until.is_some_and(|until| until <= now) {
            self.be_drained(effects);
        }
        true
    }

    /// Stops because of something that only people can mend; the next coordinator tries again.
    /// Whoever was first says why: all others soon meet the same.
    pub(crate) fn bar(&mut self, now: Timestamp, reason: String, effects: &mut Vec<Effect>) {
        self.barred.get_or_insert(reason);
        self.drain(now, None, effects);
    }

    /// Ends a drain when nothing runs any more.
    pub(crate) fn settle(&mut self, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Draining { .. } if self.leased() == 0 => self.be_drained(effects),
            Phase::Running | Phase::Draining { .. } | Phase::Drained | Phase::Over { .. } => {}
        }
    }

    fn be_drained(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Drained;
        let reason = self.barred.clone().unwrap_or_default();
        effects.push(Effect::JobEnded { state: JobState::Drained, reason });
    }

    /// The drain that time asks for: the allocation ends, nothing that waits fits into what is left
    /// of it, or workers did not give back in time what they hold.
    pub(crate) fn drain_due(&self, now: Timestamp, workers: &Workers) -> Option<Event> {
        let until = match self.phase {
            Phase::Running => {
                let horizon = self.horizon?;
                if self.is_futile(now, workers) {
                    now.plus_millis(1)
                } else if now >= horizon.stops() || self.is_stuck(now) {
                    horizon.gives_up()
                } else {
                    return None;
                }
            }
            Phase::Draining { until: Some(until) } => {
                let heartbeat_millis = u64::from(self.plan.limits.heartbeat_millis);
                let last = until.plus_millis(LAST_HEARTBEATS * heartbeat_millis);
                let soon = now.plus_millis(1);
                if now >= last {
                    now
                } else if until > soon && self.is_futile(now, workers) {
                    soon
                } else {
                    return None;
                }
            }
            Phase::Draining { until: None } | Phase::Drained | Phase::Over { .. } => return None,
        };
        Some(Event::Drained { until: Some(until) })
    }

    /// Whether the allocation is over but for units that are not worth the nodes that wait for
    /// them.
    fn is_futile(&self, now: Timestamp, workers: &Workers) -> bool {
        let tail = self.horizon.is_some_and(|horizon| self.is_tail(now, &horizon));
        tail && self.leased() > 0 && !self.is_worth_waiting(now, workers)
    }

    /// Whether nothing runs, and nothing that waits could end in time: nodes would idle until the
    /// end of the allocation.
    fn is_stuck(&self, now: Timestamp) -> bool {
        let Some(stage) = self.current_stage() else { return false };
        let table = self.stage(stage);
        if self.leased() > 0 || table.tally.waiting == 0 {
            return false;
        }
        let mut waiting = table.waiting().chain(table.next_suspect());
        waiting.all(|ordinal| self.slack(now, UnitKey { stage, ordinal }).is_none())
    }

    /// What the worker holds and cannot end in time, when time is short: for all, or for it.
    pub(crate) fn give_up(
        &self,
        now: Timestamp,
        workers: &Workers,
        worker_id: u32,
        leaves_within_millis: u64,
    ) -> Vec<AttemptRef> {
        let until = match self.phase {
            Phase::Draining { until } => until,
            Phase::Drained => Some(now),
            Phase::Running | Phase::Over { .. } => None,
        };
        let leaves = (leaves_within_millis > 0).then(|| now.plus_millis(leaves_within_millis));
        let Some(until) = until.into_iter().chain(leaves).min() else { return Vec::new() };
        let Some(worker) = workers.get(worker_id) else { return Vec::new() };
        let held =
            worker.held.iter().filter_map(|key| Some((*key, self.copy_of(*key, worker_id)?)));
        let late = held.filter(|(key, copy)| until <= now || self.ends_after(*key, copy, until));
        late.map(|(key, copy)| key.attempt(copy.attempt)).collect()
    }

    /// Whether a copy is predicted to end after `until`. It began later than it was leased, if
    /// others ran before it.
    fn ends_after(&self, key: UnitKey, copy: &Running, until: Timestamp) -> bool {
        let predicted = self.predict_millis(key);
        predicted.is_some_and(|millis| copy.since.plus_millis(millis) > until)
    }

    /// Whether the loss of a worker is held against the units that it ran: not when workers are
    /// stopped on purpose, as they are at the end of an allocation.
    pub(crate) fn blames(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Running => self.horizon.is_none_or(|horizon| now < horizon.stops()),
            Phase::Draining { .. } | Phase::Drained | Phase::Over { .. } => false,
        }
    }
}
