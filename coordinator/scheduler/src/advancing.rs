//! The starts and ends of stages. The units of a stage are made when the stages before it are over.
//!
//! A stage starts when all earlier ones have no unit left to run. It may end more than once: a
//! repair reopens it, and later stages are not leased until it is over again. Invariant: a stage's
//! units are made once.

use std::ops::Range;

use thresher_domain::{JobState, KeyGroups, MemberGroups, Stage, Timestamp, UnitKey, key_ranges};

use crate::attention::too_much_quarantined;
use crate::draining::Draining;
use crate::effect::Effect;
use crate::failed_units::must_stop_for_failed_units;
use crate::key_world::KeyWorld;
use crate::lifecycle::Lifecycle;
use crate::payloads::Payloads;
use crate::plan::JobPlan;
use crate::unit::Step;
use crate::units::Units;
use crate::walltime::Walltime;

/// More units than this in one stage are refused: 100 bytes each must fit in memory.
const MAX_UNITS: usize = 1 << 27;

/// Starts and ends stages, and the job.
pub(crate) struct Advancing<'a> {
    pub(crate) now: Timestamp,
    pub(crate) plan: &'a JobPlan,
    /// The ranks that are there to resolve keys.
    pub(crate) key_world: KeyWorld,
    pub(crate) walltime: Option<Walltime>,
    pub(crate) units: &'a mut Units,
    pub(crate) lifecycle: &'a mut Lifecycle,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Advancing<'_> {
    /// Starts and ends as many stages as have come so far, and at last the job.
    pub(crate) fn advance(&mut self) {
        if self.lifecycle.is_over() {
            return;
        }
        for stage in Stage::ALL {
            let mut planned = self.plan_stage_once(stage);
            // What fails in LINES fails in PREPARE, so the units of both are known together.
            if stage == Stage::Lines {
                planned = planned.and_then(|()| self.plan_stage_once(Stage::Prepare));
            }
            if let Err(reason) = planned {
                return self.lifecycle.end(self.now, JobState::Failed, reason, self.effects);
            }
            self.start_stage(stage);
            if !self.units.table(stage).is_over() || !self.end_stage(stage) {
                return;
            }
        }
        let failed = self.units.tables().iter().any(|table| table.tally.failed > 0);
        let state = if failed { JobState::CompleteWithGaps } else { JobState::Complete };
        self.lifecycle.end(self.now, state, String::new(), self.effects);
    }

    fn start_stage(&mut self, stage: Stage) {
        let table = self.units.table_mut(stage);
        let units = table.to_run();
        if !std::mem::replace(&mut table.started_once, true) && units > 0 {
            self.effects.push(Effect::StageStarted { stage, units });
            self.units.work_available = true;
        }
    }

    /// Ends a stage that has nothing left to run. Returns whether the next one may start.
    fn end_stage(&mut self, stage: Stage) -> bool {
        if self.units.table(stage).ended.is_some() {
            return true;
        }
        let limits = &self.plan.limits;
        if let Some(reason) = must_stop_for_failed_units(self.units, stage, self.lifecycle, limits)
        {
            let Self { now, walltime, .. } = *self;
            let (lifecycle, effects) = (&mut *self.lifecycle, &mut *self.effects);
            Draining { now, walltime, lifecycle, effects }.block(reason);
            return false;
        }
        if stage == Stage::Prepare
            && let Some(reason) = self.too_much_quarantined()
        {
            let Self { now, walltime, .. } = *self;
            self.lifecycle.refused = true;
            let (lifecycle, effects) = (&mut *self.lifecycle, &mut *self.effects);
            Draining { now, walltime, lifecycle, effects }.block(reason);
            return false;
        }
        let table = self.units.table_mut(stage);
        table.ended = Some(self.now);
        if table.to_run() > 0 {
            self.effects.push(Effect::StageEnded { stage });
        }
        self.units.work_available = true;
        true
    }

    fn too_much_quarantined(&self) -> Option<String> {
        let JobPlan { sources, limits, .. } = self.plan;
        let mut all = 0..sources.len();
        all.find_map(|source| too_much_quarantined(self.units, source, sources, limits))
    }

    fn plan_stage_once(&mut self, stage: Stage) -> Result<(), String> {
        if self.units.table(stage).planned { Ok(()) } else { self.plan_stage(stage) }
    }

    fn plan_stage(&mut self, stage: Stage) -> Result<(), String> {
        let limits = &self.plan.limits;
        match stage {
            Stage::List | Stage::Layout => self.plan_units(stage, self.plan.sources.len(), 0),
            Stage::Lines => self.plan_inputs(),
            Stage::Publish => {
                self.learn_shards();
                let bytes = self.units.shards.total_cost_bytes();
                self.plan_units(stage, self.units.shards.len(), bytes)
            }
            Stage::GatherLines => {
                let groups = self.choose_groups(Stage::Lines, limits.bytes_per_line_key)?;
                self.units.line_groups = groups;
                self.plan_groups(stage, Stage::Lines, groups)
            }
            Stage::GatherDocuments => {
                let groups = self.choose_groups(Stage::Prepare, limits.bytes_per_document_key)?;
                self.units.document_groups = groups;
                self.plan_groups(stage, Stage::Prepare, groups)
            }
            Stage::ResolveLines => {
                self.plan_units(stage, self.units.line_groups.ranges as usize, 0)
            }
            Stage::ResolveDocuments => {
                self.plan_units(stage, self.units.document_groups.ranges as usize, 0)
            }
            Stage::CombineLines => self.plan_groups(stage, Stage::Lines, self.units.line_groups),
            Stage::CombineDocuments => {
                self.plan_groups(stage, Stage::Prepare, self.units.document_groups)
            }
            Stage::Sign => self.plan_signatures(),
            Stage::GatherBands => {
                let groups = self.choose_groups(Stage::Sign, limits.bytes_per_band_key)?;
                self.units.band_groups = groups;
                self.plan_groups(stage, Stage::Sign, groups)
            }
            Stage::ResolveBands => {
                self.plan_units(stage, self.units.band_groups.ranges as usize, 0)
            }
            Stage::Connect => {
                let has_keys = self.units.band_groups.ranges > 0;
                self.plan_units(stage, usize::from(has_keys), 0)
            }
            Stage::Collect | Stage::Compare | Stage::Decide => self.plan_members(stage),
            Stage::Seal => self.plan_units(stage, 1, 0),
            Stage::Prepare => {
                let bytes = self.units.inputs.total_cost_bytes();
                self.plan_units(stage, self.units.inputs.len(), bytes)
            }
        }
    }

    fn plan_units(&mut self, stage: Stage, units: usize, bytes: u64) -> Result<(), String> {
        if units > MAX_UNITS {
            return Err(format!(
                "{units} units of one stage are more than {MAX_UNITS}\n\
                 hint: give each unit more bytes of input"
            ));
        }
        self.units.table_mut(stage).plan(units as u32, bytes, self.plan.lease_order);
        Ok(())
    }

    /// Plans LINES: what all sources listed, in the order of the sources. PREPARE reads the same.
    fn plan_inputs(&mut self) -> Result<(), String> {
        if !std::mem::replace(&mut self.units.inputs_known, true) {
            let parts = self.take_listings(Stage::List);
            self.units.spans = spans(&parts);
            self.units.inputs = Payloads::concat(parts);
        }
        let bytes = self.units.inputs.total_cost_bytes();
        self.plan_units(Stage::Lines, self.units.inputs.len(), bytes)?;
        for (position, source) in self.plan.sources.iter().enumerate() {
            if source.needs_lines {
                continue;
            }
            for ordinal in self.units.spans[position].clone() {
                self.units.step(UnitKey { stage: Stage::Lines, ordinal }, Step::Skip);
            }
        }
        Ok(())
    }

    /// Plans SIGN: the units of PREPARE, of which those without documents to compare are skipped.
    fn plan_signatures(&mut self) -> Result<(), String> {
        let sources = &self.plan.sources;
        if !sources.iter().any(|source| source.compares_near) {
            return self.plan_units(Stage::Sign, 0, 0);
        }
        let prepared = self.units.table(Stage::Prepare);
        let (units, bytes) = (prepared.len(), self.units.inputs.total_cost_bytes());
        let mut skipped = prepared.absent(0..units);
        for (source, span) in sources.iter().zip(&self.units.spans) {
            if !source.compares_near {
                skipped.extend(span.clone());
            }
        }
        skipped.sort_unstable();
        skipped.dedup();
        self.plan_units(Stage::Sign, units as usize, bytes)?;
        for ordinal in skipped {
            self.units.step(UnitKey { stage: Stage::Sign, ordinal }, Step::Skip);
        }
        Ok(())
    }

    /// Plans a stage of the members of components. There are none if no key was made.
    fn plan_members(&mut self, stage: Stage) -> Result<(), String> {
        if self.units.band_groups.ranges == 0 {
            return self.plan_units(stage, 0, 0);
        }
        let groups = MemberGroups::of(self.units.table(Stage::Sign).len());
        let units = if stage == Stage::Compare { groups.parts() } else { groups.groups() };
        self.plan_units(stage, units as usize, 0)
    }

    /// Takes what the units of LAYOUT planned, unless that is known since an earlier plan.
    fn learn_shards(&mut self) {
        if !std::mem::replace(&mut self.units.shards_known, true) {
            let parts = self.take_listings(Stage::Layout);
            self.units.shard_spans = spans(&parts);
            self.units.shards = Payloads::concat(parts);
        }
    }

    /// Takes what each unit of the stage planned.
    fn take_listings(&mut self, stage: Stage) -> Vec<Payloads> {
        let units = self.units.table(stage).len();
        self.units.listings.take_stage(stage, units)
    }

    /// Chooses as many key ranges as bring the keys of one below the memory of all ranks that are
    /// there, and none if nothing was hashed.
    fn choose_groups(&self, keyed: Stage, key_bytes: u64) -> Result<KeyGroups, String> {
        let keyed = self.units.table(keyed);
        if keyed.tally.done == 0 {
            return Ok(KeyGroups::NONE);
        }
        let (limits, keys) = (&self.plan.limits, keyed.totals.keys);
        let memory_bytes = self.key_world.with(limits).bytes();
        let ranges = key_ranges(keys, key_bytes, memory_bytes);
        match u32::try_from(ranges) {
            Ok(ranges) if ranges <= limits.max_ranges => {
                Ok(KeyGroups::choose(ranges, keyed.len(), keys))
            }
            Ok(_) | Err(_) => Err(format!(
                "{keys} keys would need {ranges} key ranges of {memory_bytes} bytes, more than {}\n\
                 hint: give the dedup more memory",
                limits.max_ranges,
            )),
        }
    }

    fn plan_groups(&mut self, stage: Stage, keyed: Stage, groups: KeyGroups) -> Result<(), String> {
        let units = self.units.table(keyed).len();
        self.plan_units(stage, groups.groups(units) as usize, 0)
    }
}

/// Returns the ordinals of each part, if the parts follow one another.
fn spans(parts: &[Payloads]) -> Vec<Range<u32>> {
    let mut end = 0_u64;
    let ends = parts.iter().map(|part| {
        end += part.len() as u64;
        u32::try_from(end).unwrap_or(u32::MAX)
    });
    let ends: Vec<u32> = ends.collect();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| start..*end).collect()
}
