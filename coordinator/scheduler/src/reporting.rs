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
use crate::attention::too_much_quarantined;
use crate::blaming::{Blamed, Blaming, Verdict};
use crate::draining::Draining;
use crate::effect::Effect;
use crate::failed_units::FailedUnits;
use crate::failure_history::FailedAttempt;
use crate::lifecycle::Lifecycle;
use crate::outage::Outage;
use crate::plan::{Limits, SourcePlan};
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
    pub(crate) sources: &'a [SourcePlan],
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
        if self.attempts.units.is_of_earlier_plan(unit)
            || unit.attempt > self.attempts.units.newest(unit.key).attempt
        {
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
        if unit.key.stage == Stage::List && counted.is_some_and(|first| first != digest) {
            return self.refuse_other_listing(unit);
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
            self.attempts.units.add_result(unit.key, done);
        }
        self.finish(report, digest);
        self.stop_if_quarantined(unit.key);
    }

    /// Stops the job when too much of a source cannot be read: it is cheaper to look now.
    fn stop_if_quarantined(&mut self, key: UnitKey) {
        let Some(source) = self.attempts.units.source_of(key) else { return };
        let found = too_much_quarantined(self.attempts.units, source, self.sources, self.limits);
        if let Some(reason) = found.filter(|_| key.stage == Stage::Prepare) {
            self.lifecycle.refused = true;
            self.failed_units().draining.block(reason);
        }
    }

    fn finish(&mut self, report: &Report, digest: u64) {
        let key = report.unit.key;
        self.attempts.cancel_duplicates(report.unit);
        self.attempts.release_all(key);
        self.outage.end();
        let worker = self.attempts.workers.get_mut(self.context.worker_id);
        if worker.is_some_and(|worker| worker.succeed(self.context.now)) {
            self.attempts.workers.wake();
        }
        let units = &mut self.attempts.units;
        units.forgive_unit(key);
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
            self.failed(unit, &Failure { class: FailureClass::Defect, error });
        }
    }

    /// Refuses what LIST found when it ran again, because units were made of what it found first.
    fn refuse_other_listing(&mut self, unit: AttemptRef) {
        if !self.attempts.units.is_running(unit) {
            return;
        }
        let source = self.sources.get(unit.key.ordinal as usize);
        let error = format!(
            "the list of inputs of source `{}` was lost from the work directory, and the inputs \
             that are there now are others, or have other sizes\nhint: put back the inputs that \
             were removed or changed, then run the same command again; or start over with \
             `--fresh`",
            source.map_or_else(String::new, |source| source.name.clone())
        );
        self.lifecycle.refused = true;
        self.end_failed(unit, FailureClass::JobFile, &error, Some(Verdict::FailUnit));
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

    /// Refuses an accounting that does not add up, which is a defect of ours.
    fn reject(&mut self, unit: AttemptRef, error: String) {
        if self.attempts.units.is_running(unit) {
            self.end_failed(unit, FailureClass::Defect, &error, Some(Verdict::FailUnit));
        } else {
            self.refuse(unit, error);
        }
    }

    fn failed(&mut self, unit: AttemptRef, failure: &Failure) {
        self.end_failed(unit, failure.class, &failure.error, None);
    }

    /// Ends an attempt that failed. Without a verdict the class decides.
    fn end_failed(
        &mut self,
        unit: AttemptRef,
        class: FailureClass,
        error: &str,
        verdict: Option<Verdict>,
    ) {
        let key = unit.key;
        let error = bounded(error);
        let worker = self.attempts.workers.get(self.context.worker_id);
        let host = worker.map_or_else(String::new, |worker| worker.host.clone());
        let units = &mut self.attempts.units;
        units.listings.forget(unit);
        units.table_mut(key.stage).retries += 1;
        let history = units.history_mut(key);
        history.failed_attempt = unit.attempt;
        let (attempt, text) = (unit.attempt, error.clone());
        history.remember(FailedAttempt { attempt, class: Some(class), host, error: text });
        match verdict.unwrap_or_else(|| self.verdict(unit, class, &error)) {
            Verdict::FailUnit => return self.failed_units().fail_permanently(unit, error),
            Verdict::Block { reason, refused } => {
                self.lifecycle.refused |= refused;
                self.failed_units().draining.block(reason);
            }
            Verdict::TryAgain => {}
        }
        self.effects.push(Effect::AttemptFailed { unit, error });
        self.attempts.end(unit);
    }

    /// Returns what follows for the unit, after what the class asks for beyond it.
    fn verdict(&mut self, unit: AttemptRef, class: FailureClass, error: &str) -> Verdict {
        match class {
            FailureClass::Data => Verdict::FailUnit,
            FailureClass::Damaged { producer } => match self.repair(unit.key, producer) {
                Repair::Started | Repair::Running => Verdict::TryAgain,
                // Perhaps only this node reads nonsense.
                Repair::Impossible => self.judge(unit, class, error),
                Repair::Exhausted => {
                    let error = format!("{error}; already repaired {MAX_REPAIRS} times");
                    self.judge(unit, class, &error)
                }
            },
            FailureClass::JobFile
            | FailureClass::Node
            | FailureClass::Storage
            | FailureClass::Service
            | FailureClass::Program
            | FailureClass::Defect => self.judge(unit, class, error),
        }
    }

    fn judge(&mut self, unit: AttemptRef, class: FailureClass, error: &str) -> Verdict {
        let ReportContext { now, worker_id } = self.context;
        let mut blaming = Blaming {
            now,
            limits: self.limits,
            goes_on_without: self.lifecycle.failed_units_accepted
                || !self.limits.stop_at_failed_units,
            attempts: self.attempts.reborrow(),
            outage: self.outage,
            effects: self.effects,
        };
        let verdict = blaming.judge(&Blamed { unit, worker_id, class, error });
        self.attempts.units.wait_after_failure(now, unit.key);
        verdict
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
        | Stage::GatherLines
        | Stage::ResolveLines
        | Stage::CombineLines
        | Stage::Prepare
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
        | Stage::Publish
        | Stage::Seal => false,
    }
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
