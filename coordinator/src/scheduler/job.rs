//! The job's state, and the few moves that everything else is made of: give up a lease, stop the
//! job.
//!
//! Invariant: every change of a unit keeps three things in step: its stage's table, its worker's
//! `held`, and its trouble.

use std::collections::BTreeMap;
use std::ops::Range;

use thresher_proto::STAGES;
use thresher_proto::pb::{JobState, Stage, UnitRef};

use super::horizon::Horizon;
use super::outage::Outage;
use super::payload::{Listing, Payloads};
use super::stage::{StageTable, Turn};
use super::twins::Copies;
use super::unit::{Step, Trouble, UnitKey, UnitState, bounded};
use super::worker::Workers;
use super::{Effect, JobPlan, Timestamp};

/// Alarms that are remembered; later ones are only told.
const MAX_ALARMS: usize = 100;

/// Whether the job goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Nothing is leased any more; some units still run, until then at the longest.
    Draining {
        until: Option<Timestamp>,
    },
    /// Nothing runs. The next coordinator goes on.
    Drained,
    /// Final.
    Over {
        state: JobState,
        reason: String,
        finished: Timestamp,
    },
}

/// The one job of a coordinator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) plan: JobPlan,
    pub(super) job_toml: String,
    pub(super) submitted: Timestamp,
    pub(super) phase: Phase,
    /// Why nothing can go on until somebody acts; the next coordinator tries again.
    pub(super) barred: Option<String>,
    /// It would be the same for the next coordinator, if nobody acted.
    pub(super) refused: bool,
    /// Whether somebody wants the output without what was set aside.
    pub(super) gaps_accepted: bool,
    pub(super) outage: Outage,
    /// Of the allocation that the coordinator runs in.
    pub(super) horizon: Option<Horizon>,
    pub(super) stages: Vec<StageTable>,
    /// Payloads of LINES and PREPARE.
    pub(super) inputs: Payloads,
    /// Which units of LINES and PREPARE belong to each source.
    pub(super) spans: Vec<Range<u32>>,
    /// Payloads of PUBLISH.
    pub(super) shards: Payloads,
    /// What attempts of LIST and LAYOUT units have planned, until their stage is over.
    pub(super) listings: BTreeMap<(UnitKey, u32), Listing>,
    pub(super) troubles: BTreeMap<UnitKey, Trouble>,
    /// Of leased units that have had a second copy since they last waited.
    pub(super) copies: BTreeMap<UnitKey, Copies>,
    pub(super) alarms: Vec<String>,
    /// Whether something became leaseable since the last effects.
    pub(super) stirred: bool,
}

impl Job {
    pub(super) fn new(plan: JobPlan, job_toml: String, now: Timestamp) -> Self {
        Self {
            plan,
            job_toml,
            submitted: now,
            phase: Phase::Running,
            barred: None,
            refused: false,
            gaps_accepted: false,
            outage: Outage::default(),
            horizon: None,
            stages: STAGES.into_iter().map(StageTable::new).collect(),
            inputs: Payloads::default(),
            spans: Vec::new(),
            shards: Payloads::default(),
            listings: BTreeMap::new(),
            troubles: BTreeMap::new(),
            copies: BTreeMap::new(),
            alarms: Vec::new(),
            stirred: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Running | Phase::Draining { .. } | Phase::Drained => false,
            Phase::Over { .. } => true,
        }
    }

    pub(super) fn stage(&self, stage: Stage) -> &StageTable {
        &self.stages[place(stage)]
    }

    pub(super) fn stage_mut(&mut self, stage: Stage) -> &mut StageTable {
        &mut self.stages[place(stage)]
    }

    /// The unit that a message names, if there is such a unit.
    pub(super) fn find(&self, unit: &UnitRef) -> Option<UnitKey> {
        let stage = STAGES.into_iter().find(|stage| i32::from(*stage) == unit.stage)?;
        let ordinal = unit.ordinal;
        self.stage(stage).unit(ordinal).map(|_| UnitKey { stage, ordinal })
    }

    pub(super) fn state(&self, key: UnitKey) -> UnitState {
        self.unit(key).state
    }

    pub(super) fn attempt(&self, key: UnitKey) -> u32 {
        self.unit(key).attempt
    }

    fn unit(&self, key: UnitKey) -> super::unit::Unit {
        self.stage(key.stage).unit(key.ordinal).expect("keys are made by `find` or from a table")
    }

    pub(super) fn cost_bytes(&self, key: UnitKey) -> u64 {
        match key.stage {
            Stage::Lines | Stage::Prepare => self.inputs.cost_bytes(key.ordinal),
            Stage::Publish => self.shards.cost_bytes(key.ordinal),
            Stage::Unspecified
            | Stage::List
            | Stage::ResolveLines
            | Stage::ResolveDocuments
            | Stage::Layout
            | Stage::Seal => 0,
        }
    }

    pub(super) fn trouble(&mut self, key: UnitKey) -> &mut Trouble {
        self.troubles.entry(key).or_default()
    }

    /// Whether the attempt wrote what was found damaged since: its result is of no use.
    pub(super) fn is_stale(&self, unit: &UnitRef, key: UnitKey) -> bool {
        self.troubles.get(&key).is_some_and(|trouble| unit.attempt <= trouble.damaged_attempt)
    }

    /// Whether the attempt's failure was counted already. A registration that was long on its way
    /// may still name it as held; the failure that is then told again must not count again.
    pub(super) fn has_failed(&self, unit: &UnitRef, key: UnitKey) -> bool {
        self.troubles.get(&key).is_some_and(|trouble| unit.attempt == trouble.failed_attempt)
    }

    /// Takes the unit off the workers that it is leased to, if it is.
    pub(super) fn unhold(&mut self, workers: &mut Workers, key: UnitKey) {
        self.running(key).for_each(|copy| workers.release(copy.worker_id, key));
        self.copies.remove(&key);
    }

    /// Ends a lease without a result; the unit waits for its next turn.
    pub(super) fn release(&mut self, workers: &mut Workers, key: UnitKey) {
        self.unhold(workers, key);
        self.wait(key, Step::Release);
    }

    pub(super) fn wait(&mut self, key: UnitKey, step: Step) {
        let suspect = self.troubles.get(&key).is_some_and(Trouble::is_suspect);
        let turn = if suspect { Turn::Alone } else { Turn::Next };
        let cost_bytes = self.cost_bytes(key);
        self.stage_mut(key.stage).wait(key.ordinal, step, turn, cost_bytes);
        self.stirred = true;
    }

    /// Ends the job for good.
    pub(super) fn end(
        &mut self,
        now: Timestamp,
        state: JobState,
        reason: String,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_over() {
            return;
        }
        self.phase = Phase::Over { state, reason: reason.clone(), finished: now };
        self.stirred = true;
        effects.push(Effect::JobEnded { state, reason });
    }

    pub(super) fn alarm(&mut self, unit: UnitRef, text: String, effects: &mut Vec<Effect>) {
        if self.alarms.len() < MAX_ALARMS {
            self.alarms.push(bounded(&text));
        }
        effects.push(Effect::Alarm { unit, text });
    }

    pub(super) fn leased(&self) -> u32 {
        self.stages.iter().map(|stage| stage.tally.leased).sum()
    }
}

/// Where a stage stands among the job's stages.
pub(super) fn place(stage: Stage) -> usize {
    (stage as usize).checked_sub(1).expect("`find` names no unit of the unspecified stage")
}
