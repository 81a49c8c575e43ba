//! Whom a failure is to be blamed on: the unit, the worker that ran it, or what all of them use.
//!
//! ```text
//!  many units fail on one worker, others succeed ──▶ the worker: it gets no more for a while
//!  one unit fails on many workers that are sound ──▶ the unit: it fails permanently
//!  everything fails everywhere ───────────────────▶ nobody: the job waits, then stops as blocked
//! ```
//! Invariant: a unit fails permanently only for what repeated on sound workers, and on two hosts
//! if there are two. A worker is a witness against a unit if it succeeded with others right before
//! and after; what a broken node says of its units counts against none.

use std::collections::BTreeSet;

use thresher_domain::{AttemptRef, FailureClass, Timestamp};

use crate::attempts::Attempts;
use crate::effect::Effect;
use crate::failure_history::FailedPlace;
use crate::outage::Outage;
use crate::plan::Limits;
use crate::trouble::FailureOnWorker;

/// With nothing done yet, the job stops after as many failures of programs as a unit has attempts,
/// but not before this many.
const FIRST_FAILURES: u32 = 3;
/// This many failures of programs in a row stop the job, if no unit succeeds in between.
const MANY_FAILURES: u32 = 100;
/// How long a program may fail in the last units of a stage. Nothing is left to run that could
/// show whether it works at all, and it worked before.
const LAST_UNITS_MILLIS: u64 = 30_000;

/// A failure that need not be the data's.
pub(crate) struct Blamed<'a> {
    pub(crate) unit: AttemptRef,
    pub(crate) worker_id: u32,
    pub(crate) class: FailureClass,
    pub(crate) error: &'a str,
}

/// What follows from a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The unit is tried again, after some time.
    TryAgain,
    /// The unit fails permanently.
    FailUnit,
    /// The job stops until somebody acts. `refused` says that the next coordinator would stop too.
    Block { reason: String, refused: bool },
}

/// Judges failures.
pub(crate) struct Blaming<'a> {
    pub(crate) now: Timestamp,
    pub(crate) limits: &'a Limits,
    /// Whether a person prefers an output without some units to none.
    pub(crate) goes_on_without: bool,
    pub(crate) attempts: Attempts<'a>,
    pub(crate) outage: &'a mut Outage,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Blaming<'_> {
    /// Records the failure for its unit and its worker, and decides what follows.
    pub(crate) fn judge(&mut self, failure: &Blamed<'_>) -> Verdict {
        let (now, key) = (self.now, failure.unit.key);
        let mut running = self.attempts.units.running(key);
        let started = running.find(|one| one.attempt == failure.unit.attempt);
        let started = started.map_or(now, |one| one.since);
        drop(running);
        let is_units_fault = self.failed_on_sound_workers(failure);
        let workers = &mut self.attempts.workers;
        let Some(worker) = workers.get(failure.worker_id) else { return Verdict::TryAgain };
        let place = FailedPlace {
            worker_id: failure.worker_id,
            host: worker.host.clone(),
            at: now,
            was_sound: worker.is_sound(),
        };
        self.attempts.units.history_mut(key).fail_on(place);
        self.outage.fail(now);
        if !is_units_fault {
            self.blame_worker(failure, started);
        }
        self.verdict(failure)
    }

    /// Whether the unit failed on other workers too, which succeeded with others since.
    fn failed_on_sound_workers(&self, failure: &Blamed<'_>) -> bool {
        let Attempts { units, workers } = &self.attempts;
        units.history(failure.unit.key).is_some_and(|history| {
            let elsewhere = |place: &&FailedPlace| place.worker_id != failure.worker_id;
            history.failed_on.iter().filter(elsewhere).any(|place| workers.is_sound_since(place))
        })
    }

    fn blame_worker(&mut self, failure: &Blamed<'_>, started: Timestamp) {
        let workers = &mut self.attempts.workers;
        let Some(worker) = workers.get(failure.worker_id) else { return };
        let others_succeed = workers.others_succeed(failure.worker_id, &worker.trouble, self.now);
        let Some(worker) = workers.get_mut(failure.worker_id) else { return };
        let was_excluded = worker.trouble.excluded;
        worker.trouble.add(&FailureOnWorker {
            now: self.now,
            worker_id: failure.worker_id,
            unit: failure.unit.key,
            started,
            class: Some(failure.class),
            error: failure.error,
            others_succeed,
        });
        let exclusion = worker.trouble.exclusion().filter(|_| !was_excluded);
        if let Some(reason) = exclusion {
            let worker = workers.describe(failure.worker_id);
            self.effects.push(Effect::WorkerExcluded { worker, reason });
        }
    }

    fn verdict(&self, failure: &Blamed<'_>) -> Verdict {
        let everybody_fails = self.attempts.workers.all_in_trouble();
        let is_programs = matches!(failure.class, FailureClass::Program | FailureClass::Defect);
        let table = self.attempts.units.table(failure.unit.key.stage);
        let nothing_done = table.tally.done == 0;
        let first = self.limits.retries.max(FIRST_FAILURES);
        if failure.class == FailureClass::JobFile {
            return self.refuse_job_file(failure);
        }
        if everybody_fails && failure.class == FailureClass::Storage {
            return self.block(failure, "", true);
        }
        if everybody_fails && is_programs && nothing_done && self.outage.failures() >= first {
            return self.block(failure, "every unit so far failed; the last: ", true);
        }
        if everybody_fails && is_programs && self.outage.failures() >= MANY_FAILURES {
            let failures = self.outage.failures();
            return self.block(failure, &format!("{failures} failures in a row; the last: "), true);
        }
        if !(is_programs && nothing_done) && self.unit_is_to_blame(failure, is_programs) {
            return Verdict::FailUnit;
        }
        let nothing_else = self.only_failing_units_are_left(failure);
        let is_last_of_program = is_programs && !nothing_done && nothing_else;
        let outage_millis = self.limits.outage_millis;
        let patience = if is_last_of_program { LAST_UNITS_MILLIS } else { outage_millis };
        let lasts = self.outage.lasts(self.now);
        // An idle worker without trouble shows nothing if only failing units are left for it.
        if (everybody_fails || nothing_else) && lasts >= patience.min(outage_millis) {
            if is_last_of_program && self.goes_on_without {
                return Verdict::FailUnit;
            }
            let text = match patience < outage_millis {
                true => format!("nothing succeeded for {} s; the last: ", lasts / 1000),
                false => {
                    let seconds = outage_millis / 1000;
                    format!("nothing succeeded for {seconds} s (`units.outage`); the last: ")
                }
            };
            return self.block(failure, &text, false);
        }
        Verdict::TryAgain
    }

    /// Whether enough sound workers failed with the unit, on two hosts if there are two. What may
    /// heal by itself, such as a file that another node does not see yet, is given as long as an
    /// outage.
    fn unit_is_to_blame(&self, failure: &Blamed<'_>, is_programs: bool) -> bool {
        let Attempts { units, workers } = &self.attempts;
        let Some(history) = units.history(failure.unit.key) else { return false };
        let (mut witnesses, mut hosts) = (0, BTreeSet::new());
        for place in &history.failed_on {
            let is_this = place.worker_id == failure.worker_id && place.at == self.now;
            if place.was_sound && (is_this || workers.succeeded_since(place)) {
                witnesses += 1;
                hosts.insert(place.host.as_str());
            }
        }
        let needed_hosts = if is_programs { workers.hosts().min(2) } else { 2 };
        let since = history.failing_since.unwrap_or(self.now);
        let patient = is_programs || self.now.millis_since(since) >= self.limits.outage_millis;
        witnesses >= self.limits.retries && hosts.len() >= needed_hosts && patient
    }

    /// Whether nothing is left of the stage but units that fail. Nothing can then show any more
    /// that their workers are sound.
    fn only_failing_units_are_left(&self, failure: &Blamed<'_>) -> bool {
        let table = self.attempts.units.table(failure.unit.key.stage);
        let left = table.tally.waiting + table.tally.leased;
        left <= table.backoff.len() + 1
    }

    /// What a job file names may be missing on one node only, so another host is asked first.
    fn refuse_job_file(&self, failure: &Blamed<'_>) -> Verdict {
        let Attempts { units, workers } = &self.attempts;
        let places = units.history(failure.unit.key).map(|history| history.failed_on.as_slice());
        if workers.has_other_host(places.unwrap_or_default(), self.now) {
            return Verdict::TryAgain;
        }
        Verdict::Block { reason: failure.error.to_owned(), refused: true }
    }

    fn block(&self, failure: &Blamed<'_>, prefix: &str, refused: bool) -> Verdict {
        let worker = self.attempts.workers.describe(failure.worker_id);
        let reason = format!("{prefix}{worker}, `{}`: {}", failure.unit.key, failure.error);
        Verdict::Block { reason, refused }
    }
}
