//! Units that fail permanently: what continues without them, and what does not.
//!
//! Without a unit of LINES, PREPARE or PUBLISH the output lacks what it would have given; the job
//! continues, or stops at the stage's end and retries the unit when it is resumed. Without a unit
//! of any other stage there is no output, so the job stops.

use thresher_domain::{AttemptRef, Stage, UnitKey};

use crate::attempts::Attempts;
use crate::draining::Draining;
use crate::effect::Effect;
use crate::lifecycle::Lifecycle;
use crate::plan::Limits;
use crate::unit::{Step, UnitState};
use crate::units::Units;

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
