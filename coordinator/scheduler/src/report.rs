//! What a report does to its unit: results once, failures of the newest attempt, repairs.
//!
//! Results don't depend on the attempt that gave them, so the first one counts and later ones are
//! compared with it. Invariant: a unit's accounting is added to its stage's totals once, however
//! often the unit runs.

use thresher_domain::{
    AttemptRef, Done, Failure, FailureKind, Listed, Outcome, Report, Stage, UnitKey,
};

use crate::job::Job;
use crate::outage::Unanswered;
use crate::totals::imbalance;
use crate::twins::Running;
use crate::unit::{Step, UnitState, bounded, short_digest};
use crate::worker::Workers;
use crate::{Effect, Timestamp};

/// Times that one unit's output is made again because it was found damaged.
const MAX_REPAIRS: u32 = 3;

/// Who reports, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) now: Timestamp,
    pub(crate) worker_id: u32,
}

impl Job {
    /// Takes one report.
    pub(crate) fn report(
        &mut self,
        told: Told,
        workers: &mut Workers,
        report: &Report,
        effects: &mut Vec<Effect>,
    ) {
        let unit = report.unit;
        let refused = |reason: &str| Effect::ReportRefused {
            worker_id: told.worker_id,
            unit,
            reason: reason.to_owned(),
        };
        let Some(key) = self.find(unit.key) else {
            return effects.push(refused("there is no such unit"));
        };
        if unit.attempt == 0 || unit.attempt > self.attempt(key) {
            return effects.push(refused("there was no such attempt"));
        }
        let current = self.is_running(key, unit.attempt);
        match &report.outcome {
            Outcome::Done(done) => {
                self.done(told, workers, (key, unit.attempt), (report, done), effects);
            }
            Outcome::Failed(failed) if current => {
                let table = self.stage_mut(key.stage);
                table.cpu_millis = table.cpu_millis.saturating_add(report.cpu_millis);
                self.failed(told, workers, (key, unit.attempt), failed, effects);
            }
            Outcome::Returned if current => self.end_copy(workers, key, unit.attempt),
            // From an attempt that is over already: repeated, or too late to matter.
            Outcome::Failed(_) | Outcome::Returned => {}
            Outcome::Listed(listed) => match key.stage {
                Stage::List | Stage::Layout => self.listed(key, unit.attempt, listed),
                Stage::Lines
                | Stage::ResolveLines
                | Stage::Prepare
                | Stage::ResolveDocuments
                | Stage::Publish
                | Stage::Seal => effects.push(refused("units of this stage plan no others")),
            },
        }
    }

    fn listed(&mut self, key: UnitKey, attempt: u32, listed: &Listed) {
        match self.state(key) {
            UnitState::Waiting | UnitState::Leased { .. } => {}
            UnitState::Done { .. } | UnitState::SetAside | UnitState::Skipped => return,
        }
        // In a second run the plan is made already.
        if self.was_counted(key).is_none() {
            self.listings.entry((key, attempt)).or_default().take(listed.piece, &listed.units);
        }
    }

    fn was_counted(&self, key: UnitKey) -> Option<u64> {
        self.troubles.get(&key).and_then(|trouble| trouble.counted_digest)
    }

    fn done(
        &mut self,
        told: Told,
        workers: &mut Workers,
        (key, attempt): (UnitKey, u32),
        (report, done): (&Report, &Done),
        effects: &mut Vec<Effect>,
    ) {
        let digest = short_digest(&done.digest);
        match self.state(key) {
            UnitState::Waiting | UnitState::Leased { .. } => {}
            UnitState::Done { digest: first } => {
                return self.compare(key.attempt(attempt), first, digest, effects);
            }
            UnitState::SetAside | UnitState::Skipped => return,
        }
        if let Some(first) = self.was_counted(key)
            && self.is_stale(key.attempt(attempt))
        {
            return self.compare(key.attempt(attempt), first, digest, effects);
        }
        if let Some(error) = done.accounting.as_ref().and_then(imbalance) {
            return self.reject(told, workers, key.attempt(attempt), key, error, effects);
        }
        if let Some(first) = self.was_counted(key) {
            self.compare(key.attempt(attempt), first, digest, effects);
            self.trouble(key).repaired = Some(told.now);
        } else {
            if !self.keep_listing(key, attempt) {
                let failed = Failure {
                    kind: FailureKind::Retry,
                    error: "a piece of its listing never came".to_owned(),
                };
                if self.is_running(key, attempt) {
                    self.failed(told, workers, (key, attempt), &failed, effects);
                }
                return;
            }
            self.stage_mut(key.stage).totals.add(done);
        }
        let slower: Vec<Running> =
            self.running(key).filter(|copy| copy.attempt != attempt).collect();
        for copy in slower {
            workers.no_longer_want(copy.worker_id, key.attempt(copy.attempt));
        }
        self.unhold(workers, key);
        self.outage.ended(told.now);
        let cost_bytes = self.cost_bytes(key);
        let table = self.stage_mut(key.stage);
        table.cpu_millis = table.cpu_millis.saturating_add(report.cpu_millis);
        table.wall_millis = table.wall_millis.saturating_add(report.wall_millis);
        table.pace.learn(cost_bytes, report.wall_millis);
        table.step(key.ordinal, Step::Finish { digest }, cost_bytes);
    }

    /// Whether what the attempt planned is whole; it is then the unit's plan.
    fn keep_listing(&mut self, key: UnitKey, attempt: u32) -> bool {
        match key.stage {
            Stage::List | Stage::Layout => {}
            Stage::Lines
            | Stage::ResolveLines
            | Stage::Prepare
            | Stage::ResolveDocuments
            | Stage::Publish
            | Stage::Seal => return true,
        }
        if self.listings.get(&(key, attempt)).is_some_and(|listing| !listing.is_complete()) {
            return false;
        }
        self.listings.retain(|(listed, from), _| *listed != key || *from == attempt);
        true
    }

    fn compare(&mut self, unit: AttemptRef, first: u64, digest: u64, effects: &mut Vec<Effect>) {
        if first != digest {
            let text = format!(
                "`{unit}` wrote other bytes than an earlier attempt: digest {:016x}, not {:016x}",
                digest.swap_bytes(),
                first.swap_bytes(),
            );
            self.alarm(unit, text, effects);
        }
    }

    /// An attempt whose accounting can't be right: it would not be right next time either.
    fn reject(
        &mut self,
        told: Told,
        workers: &mut Workers,
        unit: AttemptRef,
        key: UnitKey,
        error: String,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_running(key, unit.attempt) {
            let failed = Failure { kind: FailureKind::Fatal, error };
            self.failed(told, workers, (key, unit.attempt), &failed, effects);
        } else {
            let worker_id = told.worker_id;
            effects.push(Effect::ReportRefused { worker_id, unit, reason: error });
        }
    }

    fn failed(
        &mut self,
        told: Told,
        workers: &mut Workers,
        (key, attempt): (UnitKey, u32),
        failed: &Failure,
        effects: &mut Vec<Effect>,
    ) {
        self.listings.remove(&(key, attempt));
        self.stage_mut(key.stage).retries += 1;
        let error = bounded(&failed.error);
        let trouble = self.trouble(key);
        trouble.remember(attempt, error.clone());
        trouble.failed_attempt = attempt;
        match failed.kind {
            FailureKind::Fatal => return self.give_up_on(told.now, workers, key, error, effects),
            FailureKind::Blocked => {
                let reason = format!("{}: {error}", workers.describe(told.worker_id));
                self.refused = true;
                self.bar(told.now, reason, effects);
            }
            FailureKind::Unanswered => match self.unanswered(told.now, key, attempt) {
                Unanswered::OnlyIt => self.trouble(key).failures += 1,
                Unanswered::Everybody => {}
                Unanswered::TooLong => {
                    let reason = format!("{}: {error}", workers.describe(told.worker_id));
                    self.bar(told.now, reason, effects);
                }
            },
            FailureKind::Damaged { producer } => match self.repair(key, producer) {
                Repair::Begun | Repair::Running => {}
                Repair::Impossible => self.trouble(key).failures += 1,
                Repair::Exhausted => {
                    let error = format!("{error}; repaired {MAX_REPAIRS} times already");
                    return self.give_up_on(told.now, workers, key, error, effects);
                }
            },
            FailureKind::Retry => self.trouble(key).failures += 1,
        }
        if self.trouble(key).failures >= self.plan.limits.retries {
            return self.give_up_on(told.now, workers, key, error, effects);
        }
        effects.push(Effect::AttemptFailed { unit: key.attempt(attempt), error });
        self.end_copy(workers, key, attempt);
    }

    /// Sends the unit whose output is damaged back to run again.
    fn repair(&mut self, consumer: UnitKey, producer: UnitKey) -> Repair {
        let Some(producer) = self.find(producer).filter(|producer| producer.stage < consumer.stage)
        else {
            return Repair::Impossible;
        };
        let began = match self.state(consumer) {
            UnitState::Leased { since, .. } => since,
            UnitState::Waiting
            | UnitState::Done { .. }
            | UnitState::SetAside
            | UnitState::Skipped => return Repair::Impossible,
        };
        let attempt = self.attempt(producer);
        match self.state(producer) {
            UnitState::Done { digest } => {
                let trouble = self.trouble(producer);
                if trouble.repaired.is_some_and(|repaired| began <= repaired) {
                    return Repair::Running;
                }
                if trouble.repairs >= MAX_REPAIRS {
                    return Repair::Exhausted;
                }
                trouble.repairs += 1;
                trouble.damaged_attempt = attempt;
                trouble.counted_digest.get_or_insert(digest);
                self.wait(producer, Step::Reopen);
                Repair::Begun
            }
            UnitState::Waiting | UnitState::Leased { .. } => Repair::Running,
            UnitState::SetAside | UnitState::Skipped => Repair::Impossible,
        }
    }
}

/// What became of a request to make an output again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    Begun,
    /// Another consumer asked for it before; this one may have read what was there before.
    Running,
    /// There is nobody who could.
    Impossible,
    /// It was made again too often.
    Exhausted,
}
