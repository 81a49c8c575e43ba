//! Stages begin and end here, and the units of each are made when those before it are over.
//!
//! A stage begins when all earlier ones have no unit left to run. It may end more than once: a
//! repair reopens it, and later stages stop being leased until it is over again. Invariant: a
//! stage's units are made once.

use thresher_domain::{JobState, Stage, key_ranges};

use crate::job::Job;
use crate::payload::Payloads;
use crate::unit::Step;
use crate::{Effect, Timestamp};

/// More units than this in one stage are refused: 100 bytes each must fit in memory.
const MAX_UNITS: usize = 1 << 27;

impl Job {
    /// Begins and ends stages, and the job, as far as they have come.
    pub(crate) fn advance(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for stage in Stage::ALL {
            if self.is_over() {
                return;
            }
            if !self.stage(stage).planned
                && let Err(reason) = self.plan_stage(stage)
            {
                return self.end(now, JobState::Failed, reason, effects);
            }
            let table = self.stage_mut(stage);
            let units = table.to_run();
            let began = !std::mem::replace(&mut table.begun, true);
            if began && units > 0 {
                effects.push(Effect::StageBegan { stage, units });
                self.stirred = true;
            }
            let table = self.stage_mut(stage);
            if !table.is_over() {
                return;
            }
            if table.ended.is_none() {
                if self.stops_at_gaps(now, stage, effects) {
                    return;
                }
                let table = self.stage_mut(stage);
                table.ended = Some(now);
                self.stirred = true;
                if units > 0 {
                    effects.push(Effect::StageEnded { stage });
                }
            }
        }
        let gaps = self.stages.iter().any(|stage| stage.tally.set_aside > 0);
        let state = if gaps { JobState::CompleteWithGaps } else { JobState::Complete };
        self.end(now, state, String::new(), effects);
    }

    /// The stage whose units may be leased: the first that is not over.
    pub(crate) fn current_stage(&self) -> Option<Stage> {
        self.stages.iter().find(|stage| !stage.is_over()).map(|stage| stage.stage)
    }

    fn plan_stage(&mut self, stage: Stage) -> Result<(), String> {
        match stage {
            Stage::List | Stage::Layout => self.plan_units(stage, self.plan.sources.len(), 0),
            Stage::Lines => self.plan_inputs(),
            Stage::Publish => {
                self.shards = Payloads::concat(self.take_listings(Stage::Layout));
                let bytes = self.shards.total_cost_bytes();
                self.plan_units(stage, self.shards.len(), bytes)
            }
            Stage::ResolveLines => {
                self.plan_ranges(stage, Stage::Lines, self.plan.limits.bytes_per_line_key)
            }
            Stage::ResolveDocuments => {
                self.plan_ranges(stage, Stage::Prepare, self.plan.limits.bytes_per_document_key)
            }
            Stage::Seal => self.plan_units(stage, 1, 0),
            Stage::Prepare => {
                unreachable!("PREPARE is planned with LINES")
            }
        }
    }

    fn plan_units(&mut self, stage: Stage, units: usize, bytes: u64) -> Result<(), String> {
        if units > MAX_UNITS {
            return Err(format!(
                "{units} units of one stage are more than {MAX_UNITS}\n\
                 hint: let each unit have more bytes of input"
            ));
        }
        let order = self.plan.lease_order;
        self.stages[stage.index()].plan(units as u32, bytes, order);
        Ok(())
    }

    /// LINES and PREPARE: what all sources listed, in the order of the sources.
    fn plan_inputs(&mut self) -> Result<(), String> {
        let parts = self.take_listings(Stage::List);
        let mut end = 0_u64;
        let ends = parts.iter().map(|part| {
            end += part.len() as u64;
            u32::try_from(end).unwrap_or(u32::MAX)
        });
        let ends: Vec<u32> = ends.collect();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        self.spans = starts.zip(&ends).map(|(start, end)| start..*end).collect();
        self.inputs = Payloads::concat(parts);
        let bytes = self.inputs.total_cost_bytes();
        self.plan_units(Stage::Lines, self.inputs.len(), bytes)?;
        self.plan_units(Stage::Prepare, self.inputs.len(), bytes)?;
        for (source, span) in self.plan.sources.iter().zip(&self.spans) {
            if source.needs_lines {
                continue;
            }
            for ordinal in span.clone() {
                let cost_bytes = self.inputs.cost_bytes(ordinal);
                self.stages[Stage::Lines.index()].step(ordinal, Step::Skip, cost_bytes);
            }
        }
        Ok(())
    }

    /// What each unit of the stage planned.
    fn take_listings(&mut self, stage: Stage) -> Vec<Payloads> {
        let mut parts = vec![Payloads::default(); self.stage(stage).len() as usize];
        let listings = std::mem::take(&mut self.listings);
        for ((key, attempt), listing) in listings {
            if key.stage == stage {
                parts[key.ordinal as usize] = listing.units;
            } else {
                self.listings.insert((key, attempt), listing);
            }
        }
        parts
    }

    /// As many gang units as bring the keys of one below the budget; none when nothing was hashed.
    fn plan_ranges(&mut self, stage: Stage, keyed: Stage, key_bytes: u64) -> Result<(), String> {
        let keyed = self.stage(keyed);
        if keyed.tally.done == 0 {
            return self.plan_units(stage, 0, 0);
        }
        let limits = &self.plan.limits;
        let ranges = key_ranges(keyed.totals.keys, key_bytes, limits.dedup_budget_bytes);
        if ranges > u64::from(limits.max_ranges) {
            return Err(format!(
                "{} keys would need {ranges} key ranges of {} bytes, more than {}\n\
                 hint: give the dedup more memory",
                keyed.totals.keys, limits.dedup_budget_bytes, limits.max_ranges,
            ));
        }
        self.plan_units(stage, ranges as usize, 0)
    }
}
