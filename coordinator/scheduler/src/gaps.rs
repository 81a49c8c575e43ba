//! Units that cannot be done: what goes on without them, and what does not.
//!
//! A unit of LINES, PREPARE or PUBLISH is set aside, and the output lacks what it would have given;
//! the job goes on, or stops at the stage's end and tries it again when it is begun again. Without
//! a unit of any other stage there is no output, so the job stops.

use thresher_domain::{Stage, UnitKey};

use crate::job::Job;
use crate::stage::Turn;
use crate::unit::{Step, UnitState};
use crate::worker::Workers;
use crate::{Effect, Timestamp};

impl Job {
    /// Gives a unit up, and with it what can't be without it.
    pub(crate) fn give_up_on(
        &mut self,
        now: Timestamp,
        workers: &mut Workers,
        key: UnitKey,
        error: String,
        effects: &mut Vec<Effect>,
    ) {
        match key.stage {
            Stage::List
            | Stage::ResolveLines
            | Stage::ResolveDocuments
            | Stage::Layout
            | Stage::Seal => {
                self.trouble(key).forgive();
                self.listings.retain(|(listed, _), _| *listed != key);
                self.release(workers, key);
                self.bar(now, format!("`{}`: {error}", key.attempt(0)), effects);
            }
            Stage::Lines => {
                self.set_aside(workers, key, error.clone(), effects);
                let twin = twin_of(key);
                match self.state(twin) {
                    UnitState::Waiting | UnitState::Leased { .. } => {
                        let error = format!("`{}` was set aside: {error}", key.attempt(0));
                        self.set_aside(workers, twin, error, effects);
                    }
                    UnitState::Done { .. } | UnitState::SetAside | UnitState::Skipped => {}
                }
            }
            Stage::Prepare | Stage::Publish => {
                self.set_aside(workers, key, error, effects);
            }
        }
    }

    fn set_aside(
        &mut self,
        workers: &mut Workers,
        key: UnitKey,
        error: String,
        effects: &mut Vec<Effect>,
    ) {
        self.unhold(workers, key);
        let cost_bytes = self.cost_bytes(key);
        self.stage_mut(key.stage).step(key.ordinal, Step::SetAside, cost_bytes);
        let unit = key.attempt(self.attempt(key));
        self.trouble(key).set_aside = Some(error.clone());
        effects.push(Effect::UnitSetAside { unit, error });
    }

    /// Whether the stage, which has nothing left to run, may not end: the job then stops.
    pub(crate) fn stops_at_gaps(
        &mut self,
        now: Timestamp,
        stage: Stage,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let gaps = self.stage(stage).tally.set_aside;
        if gaps == 0 || self.gaps_accepted || !self.plan.limits.stop_at_gaps {
            return false;
        }
        let of_stage = self.troubles.iter().filter(|(key, _)| key.stage == stage);
        let first = of_stage.filter_map(|(key, trouble)| Some((key, trouble.set_aside.as_ref()?)));
        let first = first.map(|(key, error)| format!("`{}`: {error}", key.attempt(0))).next();
        let units = if gaps == 1 { "unit was" } else { "units were" };
        let reason = format!(
            "{gaps} {units} set aside, the first {}\nhint: mend the cause and begin again, which \
             tries them again; `--accept-gaps` goes on without them",
            first.unwrap_or_default()
        );
        self.bar(now, reason, effects);
        true
    }

    /// Another coordinator tries again what earlier ones set aside, where the job waits for it.
    pub(crate) fn retry_set_aside(&mut self) {
        if !self.plan.limits.stop_at_gaps || self.is_over() {
            return;
        }
        let is_open = |key: &&UnitKey| self.stage(key.stage).ended.is_none();
        let given_up = self.troubles.keys().filter(is_open);
        let given_up = given_up.filter(|key| self.state(**key) == UnitState::SetAside);
        for key in given_up.copied().collect::<Vec<_>>() {
            self.trouble(key).forgive();
            let cost_bytes = self.cost_bytes(key);
            let table = self.stage_mut(key.stage);
            table.wait(key.ordinal, Step::Retry, Turn::Next, cost_bytes);
            self.stirred = true;
        }
    }
}

/// What reads the same inputs later.
fn twin_of(lines: UnitKey) -> UnitKey {
    UnitKey { stage: Stage::Prepare, ordinal: lines.ordinal }
}
