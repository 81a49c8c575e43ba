//! Units that cannot succeed fail permanently, and no others.

use std::collections::BTreeSet;

use thresher_domain::{Stage, Timestamp, UnitKey};
use thresher_scheduler::{Effect, Scheduler};

use super::Seen;
use crate::sim::truth::Truth;
use crate::sim::world::is_healthy;

#[derive(Default)]
pub(crate) struct OnlyTheDoomed {
    failed: BTreeSet<UnitKey>,
}

impl OnlyTheDoomed {
    pub(crate) fn look(&mut self, seen: &Seen<'_>) {
        for effect in seen.effects {
            let Effect::UnitFailed { unit, error } = effect else { continue };
            assert!(is_doomed(seen.truth, unit.key), "`{unit}` failed permanently: {error}");
            assert!(self.failed.insert(unit.key), "`{unit}` failed permanently twice");
        }
    }

    pub(crate) fn at_end(&self, scheduler: &Scheduler, truth: &Truth, now: Timestamp) {
        let failed = scheduler.status(now).failed_units;
        let listed: BTreeSet<UnitKey> = failed.iter().map(|failed| failed.unit).collect();
        assert_eq!(listed, self.failed, "status lists the failed units");
        let stages = [Stage::List, Stage::Lines, Stage::Prepare, Stage::Publish];
        for stage in stages {
            for ordinal in 0..scheduler.units(stage) {
                let unit = UnitKey { stage, ordinal };
                let skipped = stage == Stage::Lines && !source_of(truth, ordinal).0;
                let failed = self.failed.contains(&unit);
                assert_eq!(
                    failed,
                    is_doomed(truth, unit) && !skipped,
                    "`{unit}` failed permanently"
                );
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.failed.len() as u64
    }
}

fn is_doomed(truth: &Truth, unit: UnitKey) -> bool {
    let ordinal = unit.ordinal;
    match unit.stage {
        Stage::Publish => !is_healthy(truth.fate(unit.attempt(1), &[])),
        Stage::Lines => !is_healthy(source_of(truth, ordinal).1.lines_fate),
        Stage::Prepare => {
            let (needs_lines, input) = source_of(truth, ordinal);
            !is_healthy(input.prepare_fate) || needs_lines && !is_healthy(input.lines_fate)
        }
        _ => false,
    }
}

/// Whether the input's source needs lines, and the input.
fn source_of(truth: &Truth, ordinal: u32) -> (bool, &crate::sim::truth::InputTruth) {
    let listed = truth.sources.iter();
    let mut inputs =
        listed.flat_map(|source| source.inputs.iter().map(|input| (source.needs_lines, input)));
    inputs.nth(ordinal as usize).expect("the stage has no more units than were listed")
}
