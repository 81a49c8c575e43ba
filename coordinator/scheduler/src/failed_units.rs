//! Units that fail permanently: what continues without them, and what does not.
//!
//! Without a unit of LINES, PREPARE or PUBLISH the output lacks what it would have given; the job
//! continues, or stops at the stage's end and retries the unit when it is resumed. Without a unit
//! of any other stage there is no output, so the job stops.

use thresher_domain::{AttemptRef, FailureClass, Stage, UnitKey};

use crate::attempts::Attempts;
use crate::draining::Draining;
use crate::effect::Effect;
use crate::failure_history::FailureHistory;
use crate::lifecycle::Lifecycle;
use crate::plan::Limits;
use crate::unit::{Step, UnitState};
use crate::units::Units;

/// A unit without which the output is incomplete, because it failed permanently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingUnit {
    /// The unit.
    pub key: UnitKey,
    /// The source that it belongs to, if it reads inputs of one.
    pub source: Option<usize>,
    /// The class of its latest failure; `None` if a worker was lost.
    pub class: Option<FailureClass>,
}

/// Returns the missing units of the first stage that has some: those that failed permanently,
/// those for which the job stopped and that are not done since, or those that wait after failures.
pub(crate) fn missing_units(units: &Units, retried: &[MissingUnit]) -> Vec<MissingUnit> {
    let missing = |(key, history): (UnitKey, &FailureHistory)| MissingUnit {
        key,
        source: units.source_read_by(key),
        class: history.latest.last().and_then(|failed| failed.class),
    };
    let first = units.first_missing_stage();
    let of_stage = units.failed().filter(|(key, _)| Some(key.stage) == first);
    let failed: Vec<MissingUnit> = of_stage.map(missing).collect();
    if !failed.is_empty() {
        return failed;
    }
    let is_open = |key| units.contains(key) && !matches!(units.state(key), UnitState::Done { .. });
    let retried: Vec<MissingUnit> =
        retried.iter().filter(|missing| is_open(missing.key)).copied().collect();
    if !retried.is_empty() {
        return retried;
    }
    let first = units.failed_so_far().map(|(key, _)| key.stage).min();
    let of_stage = units.failed_so_far().filter(|(key, _)| Some(key.stage) == first);
    of_stage.map(missing).collect()
}

/// Ends units that will not be tried again by this coordinator.
pub(crate) struct FailedUnits<'a> {
    pub(crate) attempts: Attempts<'a>,
    pub(crate) draining: Draining<'a>,
}

impl FailedUnits<'_> {
    /// Ends a unit without a result, and with it what cannot be done without it. `unit` is the
    /// attempt that decided it.
    pub(crate) fn fail_permanently(&mut self, unit: AttemptRef, error: String) {
        let key = unit.key;
        match key.stage {
            Stage::List
            | Stage::GatherLines
            | Stage::ResolveLines
            | Stage::CombineLines
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
            | Stage::Layout
            | Stage::Seal => {
                self.attempts.units.history_mut(key).reset();
                // Another attempt may run, and succeed.
                self.attempts.units.listings.forget(unit);
                self.attempts.end(unit);
                self.draining.block(format!("`{key}`: {error}"));
            }
            Stage::Lines => {
                self.fail(key, error.clone());
                // PREPARE reads the same inputs.
                let prepare = UnitKey { stage: Stage::Prepare, ordinal: key.ordinal };
                match self.attempts.units.state(prepare) {
                    UnitState::Waiting | UnitState::Leased { .. } => {
                        self.fail(prepare, format!("`{key}` failed permanently: {error}"));
                    }
                    UnitState::Done { .. } | UnitState::Failed | UnitState::Skipped => {}
                }
            }
            Stage::Prepare | Stage::Publish => self.fail(key, error),
        }
    }

    fn fail(&mut self, key: UnitKey, error: String) {
        self.attempts.release_all(key);
        let units = &mut self.attempts.units;
        units.step(key, Step::Fail);
        units.history_mut(key).permanent_error = Some(error.clone());
        let unit = units.newest(key);
        self.draining.effects.push(Effect::UnitFailed { unit, error });
    }
}

/// Returns why the job must stop at the end of a stage that has nothing left to run, if units of it
/// failed and nobody accepted that.
pub(crate) fn must_stop_for_failed_units(
    units: &Units,
    stage: Stage,
    lifecycle: &Lifecycle,
    limits: &Limits,
) -> Option<String> {
    let failed = units.table(stage).tally.failed;
    if failed == 0 || lifecycle.failed_units_accepted || !limits.stop_at_failed_units {
        return None;
    }
    let mut of_stage = units.failed().filter(|(key, _)| key.stage == stage);
    let first = of_stage.find_map(|(key, history)| {
        history.permanent_error.as_ref().map(|error| format!("`{key}`: {error}"))
    });
    Some(format!(
        "{failed} {} failed permanently, the first {}\nhint: fix the cause, then run the same \
         command again, which retries them; `--accept-missing` continues without them",
        if failed == 1 { "unit" } else { "units" },
        first.unwrap_or_default()
    ))
}

/// Lets the failed units of stages that have not ended wait again: the job stopped for them, and
/// another coordinator resumes it.
pub(crate) fn retry_failed_units(units: &mut Units) {
    let failed = units.failed().map(|(key, _)| key);
    let open: Vec<UnitKey> = failed.filter(|key| units.table(key.stage).ended.is_none()).collect();
    for key in open {
        units.history_mut(key).reset();
        units.requeue(key, Step::Retry);
    }
}
