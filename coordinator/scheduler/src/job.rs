//! The job's state, and the few moves that everything else is made of: give up a lease, stop the
//! job.
//!
//! Invariant: every change of a unit keeps three things in step: its stage's table, its worker's
//! `held`, and its trouble.

use std::collections::BTreeMap;
use std::ops::Range;

use thresher_domain::{AttemptRef, JobState, Stage, UnitKey};

use crate::horizon::Horizon;
use crate::outage::Outage;
use crate::payload::{Listing, Payloads};
use crate::stage::{StageTable, Turn};
use crate::twins::Copies;
use crate::unit::{Step, Trouble, UnitState, bounded};
use crate::worker::Workers;
use crate::{Effect, JobPlan, Timestamp};

/// Alarms that are remembered; later ones are only told.
const MAX_ALARMS: usize = 100;

/// Whether the job goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
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
pub(crate) struct Job {
    pub(crate) plan: JobPlan,
    pub(crate) job_toml: String,
    pub(crate) submitted: Timestamp,
    pub(crate) phase: Phase,
    /// Why nothing can go on until somebody acts; the next coordinator tries again.
    pub(crate) barred: Option<String>,
    /// It would be the same for the next coordinator, if nobody acted.
    pub(crate) refused: bool,
    /// Whether somebody wants the output without what was set aside.
    pub(crate) gaps_accepted: bool,
    pub(crate) outage: Outage,
    /// Of the allocation that the coordinator runs in.
    pub(crate) horizon: Option<Horizon>,
    pub(crate) stages: Vec<StageTable>,
    /// Payloads of LINES and PREPARE.
    pub(crate) inputs: Payloads,
    /// Which units of LINES and PREPARE belong to each source.
    pub(crate) spans: Vec<Range<u32>>,
    /// Payloads of PUBLISH.
    pub(crate) shards: Payloads,
    /// What attempts of LIST and LAYOUT units have planned, until their stage is over.
    pub(crate) listings: BTreeMap<(UnitKey, u32), Listing>,
    pub(crate) troubles: BTreeMap<UnitKey, Trouble>,
    /// Of leased units that have had a second copy since they last waited.
    pub(crate) copies: BTreeMap<UnitKey, Copies>,
    pub(crate) alarms: Vec<String>,
    /// Whether something became leaseable since the last effects.
    pub(crate) stirred: bool,
}

impl Job {
    pub(crate) fn new(plan: JobPlan, job_toml: String, now: Timestamp) -> Self {
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
            stages: Stage::ALL.into_iter().map(StageTable::new).collect(),
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

    pub(crate) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Running | Phase::Draining { .. } | Phase::Drained => false,
            Phase::Over { .. } => true,
        }
    }

    pub(crate) fn stage(&self, stage: Stage) -> &StageTable {
        &self.stages[stage.index()]
    }

    pub(crate) fn stage_mut(&mut self, stage: Stage) -> &mut StageTable {
        &mut self.stages[stage.index()]
    }

    /// The unit, if there is such a unit.
    pub(crate) fn find(&self, key: UnitKey) -> Option<UnitKey> {
        self.stage(key.stage).unit(key.ordinal).map(|_| key)
    }

    pub(crate) fn state(&self, key: UnitKey) -> UnitState {
        self.unit(key).state
    }

    pub(crate) fn attempt(&self, key: UnitKey) -> u32 {
        self.unit(key).attempt
    }

    fn unit(&self, key: UnitKey) -> crate::unit::Unit {
        self.stage(key.stage).unit(key.ordinal).expect("keys are made by `find` or from a table")
    }

    pub(crate) fn cost_bytes(&self, key: UnitKey) -> u64 {
        match key.stage {
            Stage::Lines | Stage::Prepare => self.inputs.cost_bytes(key.ordinal),
            Stage::Publish => self.shards.cost_bytes(key.ordinal),
            Stage::List
            | Stage::ResolveLines
            | Stage::ResolveDocuments
            | Stage::Layout
            | Stage::Seal => 0,
        }
    }

    pub(crate) fn trouble(&mut self, key: UnitKey) -> &mut Trouble {
        self.troubles.entry(key).or_default()
    }

    /// Whether the attempt wrote what was found damaged since: its result is of no use.
    pub(crate) fn is_stale(&self, unit: AttemptRef) -> bool {
        self.troubles.get(&unit.key).is_some_and(|trouble| unit.attempt <= trouble.damaged_attempt)
    }

    /// Whether the attempt's failure was counted already. A registration that was long on its way
    /// may still name it as held; the failure that is then told again must not count again.
    pub(crate) fn has_failed(&self, unit: AttemptRef) -> bool {
        self.troubles.get(&unit.key).is_some_and(|trouble| unit.attempt == trouble.failed_attempt)
    }

    /// Takes the unit off the workers that it is leased to, if it is.
    pub(crate) fn unhold(&mut self, workers: &mut Workers, key: UnitKey) {
        self.running(key).for_each(|copy| workers.release(copy.worker_id, key));
        self.copies.remove(&key);
    }

    /// Ends a lease without a result; the unit waits for its next turn.
    pub(crate) fn release(&mut self, workers: &mut Workers, key: UnitKey) {
        self.unhold(workers, key);
        self.wait(key, Step::Release);
    }

    pub(crate) fn wait(&mut self, key: UnitKey, step: Step) {
        let suspect = self.troubles.get(&key).is_some_and(Trouble::is_suspect);
        let turn = if suspect { Turn::Alone } else { Turn::Next };
        let cost_bytes = self.cost_bytes(key);
        self.stage_mut(key.stage).wait(key.ordinal, step, turn, cost_bytes);
        self.stirred = true;
    }

    /// Ends the job for good.
    pub(crate) fn end(
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

    pub(crate) fn alarm(&mut self, unit: AttemptRef, text: String, effects: &mut Vec<Effect>) {
        if self.alarms.len() < MAX_ALARMS {
            self.alarms.push(bounded(&text));
        }
        effects.push(Effect::Alarm { unit, text });
    }

    pub(crate) fn leased(&self) -> u32 {
        self.stages.iter().map(|stage| stage.tally.leased).sum()
    }
}
