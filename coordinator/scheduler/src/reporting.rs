//! What a report does to its unit: results count once, failures only of running attempts, and a
//! damaged output makes its unit run again.
//!
//! A result does not depend on the attempt that gave it, so the first one counts and later ones are
//! compared with it. Invariant: a unit's accounting is added to its stage's totals once, however
//! often the unit runs.

use thresher_domain::{
    AttemptRef, Done, Failure, FailureClass, Listed, Outcome, Report, Stage, Timestamp, UnitKey,
};

use crate::attempts::Attempts;
use crate::draining::Draining;
use crate::effect::Effect;
use crate::failed_units::FailedUnits;
use crate::failure_history::FailedAttempt;
use crate::lifecycle::Lifecycle;
use crate::outage::{Outage, Unanswered};
use crate::plan::Limits;
use crate::totals::imbalance;
use crate::unit::{Step, UnitState, bounded, short_digest};
use crate::walltime::Walltime;

/// Number of times that one unit's output is made again because it was found damaged.
const MAX_REPAIRS: u32 = 3;
/// Number of alarms that are remembered; later ones are only effects.
const MAX_ALARMS: usize = 100;

/// The worker that reports, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportContext {
    pub(crate) now: Timestamp,
    pub(crate) worker_id: u32,
}

/// Applies the reports of one call.
pub(crate) struct Reporting<'a> {
    pub(crate) context: ReportContext,
    pub(crate) limits: &'a Limits,
    pub(crate) walltime: Option<Walltime>,
    pub(crate) attempts: Attempts<'a>,
    pub(crate) lifecycle: &'a mut Lifecycle,
    pub(crate) outage: &'a mut Outage,
    pub(crate) alarms: &'a mut Vec<String>,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Reporting<'_> {
    /// Applies one report.
    pub(crate) fn apply(&mut self, report: &Report) {
        let unit = report.unit;
        if !self.attempts.units.contains(unit.key) {
            return self.refuse(unit, "the job has no such unit".to_owned());
        }
        if unit.attempt == 0 || unit.attempt > self.attempts.units.newest(unit.key).attempt {
            return self.refuse(unit, "there was no such attempt".to_owned());
        }
        let is_running = self.attempts.units.is_running(unit);
        match &report.outcome {
            Outcome::Done(done) => self.done(report, done),
            Outcome::Failed(failure) if is_running => {
                let table = self.attempts.units.table_mut(unit.key.stage);
                table.cpu_millis = table.cpu_millis.saturating_add(report.cpu_millis);
                self.failed(unit, failure);
            }
            Outcome::Returned if is_running => self.attempts.end(unit),
            // The attempt is over: the report is repeated, or too late to matter.
            Outcome::Failed(_) | Outcome::Returned => {}
            Outcome::Listed(listed) => self.listed(unit, listed),
        }
    }

    fn refuse(&mut self, unit: AttemptRef, reason: String) {
        let worker_id = self.context.worker_id;
        self.effects.push(Effect::ReportRefused { worker_id, unit, reason });
    }

    fn listed(&mut self, unit: AttemptRef, listed: &Listed) {
        if !plans_units(unit.key.stage) {
            return self.refuse(unit, "units of this stage plan no others".to_owned());
        }
        let units = &mut self.attempts.units;
        match units.state(unit.key) {
            UnitState::Waiting | UnitState::Leased { .. } => {}
            UnitState::Done { .. } | UnitState::Failed | UnitState::Skipped => return,
        }
        // In a second run the plan is made already.
        if units.counted_digest(unit.key).is_none() {
            units.listings.add(unit, listed);
        }
    }

    fn done(&mut self, report: &Report, done: &Done) {
        let unit = report.unit;
        let digest = short_digest(&done.digest);
        match self.attempts.units.state(unit.key) {
            UnitState::Waiting | UnitState::Leased { .. } => {}
            UnitState::Done { digest: first } => return self.compare(unit, first, digest),
            UnitState::Failed | UnitState::Skipped => return,
        }
        let counted = self.attempts.units.counted_digest(unit.key);
        if let Some(first) = counted
            && self.attempts.units.is_stale(unit)
        {
            return self.compare(unit, first, digest);
        }
        if let Some(error) = done.accounting.as_ref().and_then(imbalance) {
            return self.reject(unit, error);
        }
        if let Some(first) = counted {
            self.compare(unit, first, digest);
            self.attempts.units.history_mut(unit.key).repaired = Some(self.context.now);
        } else {
            if plans_units(unit.key.stage) && !self.attempts.units.listings.choose(unit) {
                return self.fail_incomplete_listing(unit);
            }
            self.attempts.units.table_mut(unit.key.stage).totals.add(done);
        }
        self.finish(report, digest);
    }

    fn finish(&mut self, report: &Report, digest: u64) {
        let key = report.unit.key;
        self.attempts.cancel_duplicates(report.unit);
        self.attempts.release_all(key);
        self.outage.end(self.context.now);
        let units = &mut self.attempts.units;
        let cost_bytes = units.cost_bytes(key);
        let table = units.table_mut(key.stage);
        table.cpu_millis = table.cpu_millis.saturating_add(report.cpu_millis);
        table.wall_millis = table.wall_millis.saturating_add(report.wall_millis);
        table.durations.learn(cost_bytes, report.wall_millis);
        units.step(key, Step::Finish { digest });
    }

    fn fail_incomplete_listing(&mut self, unit: AttemptRef) {
        let error = "a piece of its listing never came".to_owned();
        if self.attempts.units.is_running(unit) {
            self.failed(unit, &Failure { class: FailureClass::Node, error });
        }
    }

    fn compare(&mut self, unit: AttemptRef, first: u64, digest: u64) {
        if first == digest {
            return;
        }
        let text = format!(
            "determinism violation: `{unit}` wrote other bytes than an earlier attempt: digest \
             {:016x}, not {:016x}",
            digest.swap_bytes(),
            first.swap_bytes(),
        );
        if self.alarms.len() < MAX_ALARMS {
            self.alarms.push(bounded(&text));
        }
        self.effects.push(Effect::Alarm { unit, text });
    }

    /// Refuses an accounting that does not add up: the next attempt's would not either.
    fn reject(&mut self, unit: AttemptRef, error: String) {
        if self.attempts.units.is_running(unit) {
            self.failed(unit, &Failure { class: FailureClass::Data, error });
        } else {
            self.refuse(unit, error);
        }
    }

    fn failed(&mut self, unit: AttemptRef, failure: &Failure) {
        let key = unit.key;
        let error = bounded(&failure.error);
        let worker = self.attempts.workers.get(self.context.worker_id);
        let host = worker.map_or_else(String::new, |worker| worker.host.clone());
        let units = &mut self.attempts.units;
        units.listings.forget(unit);
        units.table_mut(key.stage).retries += 1;
        let history = units.history_mut(key);
        history.remember(FailedAttempt {
            attempt: unit.attempt,
            class: Some(failure.class),
            host,
            error: error.clone(),
        });
        history.failed_attempt = unit.attempt;
        match self.consequence(unit, failure.class, &error) {
            Consequence::Retry { counts } => {
                let history = self.attempts.units.history_mut(key);
                history.failures += u32::from(counts);
                if history.failures >= self.limits.retries {
                    return self.failed_units().fail_permanently(key, error);
                }
            }
            Consequence::Fail { error } => {
                return self.failed_units().fail_permanently(key, error);
            }
        }
        self.effects.push(Effect::AttemptFailed { unit, error });
        self.attempts.end(unit);
    }

    /// Does what the class of a failure asks for beyond its unit. Returns what follows for the unit.
    fn consequence(&mut self, unit: AttemptRef, class: FailureClass, error: &str) -> Consequence {
        let counts = match class {
            FailureClass::Node | FailureClass::Program | FailureClass::Defect => true,
            FailureClass::Data => return Consequence::Fail { error: error.to_owned() },
            FailureClass::Storage | FailureClass::JobFile => {
                self.lifecycle.refused = true;
                self.block(error);
                false
            }
            FailureClass::Service => match self.unanswered(unit) {
                Unanswered::OneUnit => true,
                Unanswered::EveryUnit => false,
                Unanswered::TooLong => {
                    self.block(error);
                    false
                }
            },
            FailureClass::Damaged { producer } => match self.repair(unit.key, producer) {
                Repair::Started | Repair::Running => false,
                Repair::Impossible => true,
                Repair::Exhausted => {
                    let error = format!("{error}; already repaired {MAX_REPAIRS} times");
                    return Consequence::Fail { error };
                }
            },
        };
        Consequence::Retry { counts }
    }

    fn unanswered(&mut self, unit: AttemptRef) -> Unanswered {
        let mut running = self.attempts.units.running(unit.key);
        let started = running.find(|one| one.attempt == unit.attempt).map(|one| one.since);
        self.outage.classify(self.context.now, started, self.limits.outage_millis)
    }

    fn block(&mut self, error: &str) {
        let worker = self.attempts.workers.describe(self.context.worker_id);
        self.failed_units().draining.block(format!("{worker}: {error}"));
    }

    /// Makes the unit whose output is damaged run again.
    fn repair(&mut self, consumer: UnitKey, producer: UnitKey) -> Repair {
        let units = &mut self.attempts.units;
        if producer.stage >= consumer.stage || !units.contains(producer) {
            return Repair::Impossible;
        }
        let UnitState::Leased { since: started, .. } = units.state(consumer) else {
            return Repair::Impossible;
        };
        match units.state(producer) {
            UnitState::Done { digest } => {
                let damaged = units.newest(producer);
                let history = units.history_mut(producer);
                if history.repaired.is_some_and(|repaired| started <= repaired) {
                    return Repair::Running;
                }
                if history.repairs >= MAX_REPAIRS {
                    return Repair::Exhausted;
                }
                history.repairs += 1;
                history.damaged_attempt = damaged.attempt;
                history.counted_digest.get_or_insert(digest);
                units.requeue(producer, Step::Reopen);
                Repair::Started
            }
            UnitState::Waiting | UnitState::Leased { .. } => Repair::Running,
            UnitState::Failed | UnitState::Skipped => Repair::Impossible,
        }
    }

    fn failed_units(&mut self) -> FailedUnits<'_> {
        let Self { context: ReportContext { now, .. }, walltime, .. } = *self;
        let draining = Draining { now, walltime, lifecycle: self.lifecycle, effects: self.effects };
        FailedUnits { attempts: self.attempts.reborrow(), draining }
    }
}

/// Whether units of the stage plan units of later stages.
fn plans_units(stage: Stage) -> bool {
    match stage {
        Stage::List | Stage::Layout => true,
        Stage::Lines
        | Stage::ResolveLines
        | Stage::Prepare
        | Stage::ResolveDocuments
        | Stage::Publish
        | Stage::Seal => false,
    }
}

/// What a failure means for its unit.
enum Consequence {
    /// It is tried again, unless this failure `counts` and was the last allowed.
    Retry { counts: bool },
    /// It is not tried again.
    Fail { error: String },
}

/// The result of a request to make an output again.
enum Repair {
    Started,
    /// Another consumer asked for it before; this one may have read the earlier output.
    Running,
    /// There is no unit that could.
    Impossible,
    /// It was made again too often.
    Exhausted,
}
