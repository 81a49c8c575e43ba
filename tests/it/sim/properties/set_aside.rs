//! Units that can't succeed are set aside, and no others.

use std::collections::BTreeSet;

use thresher_coordinator::scheduler::{Effect, Scheduler, Timestamp};
use thresher_proto::pb::{Stage, UnitRef};

use super::Seen;
use crate::sim::files::{Key, key};
use crate::sim::truth::Truth;
use crate::sim::world::is_healthy;

#[derive(Default)]
pub(crate) struct OnlyTheDoomed {
    set_aside: BTreeSet<Key>,
}

impl OnlyTheDoomed {
    pub(crate) fn look(&mut self, seen: &Seen<'_>) {
        for effect in seen.effects {
            let Effect::UnitSetAside { unit, error } = effect else { continue };
            assert!(is_doomed(seen.truth, key(unit)), "`{unit}` was set aside: {error}");
            assert!(self.set_aside.insert(key(unit)), "`{unit}` was set aside twice");
        }
    }

    pub(crate) fn at_end(&self, scheduler: &Scheduler, truth: &Truth, now: Timestamp) {
        let listed: BTreeSet<Key> = scheduler
            .status(now)
            .set_aside
            .iter()
            .filter_map(|s| s.unit.as_ref())
            .map(key)
            .collect();
        assert_eq!(listed, self.set_aside, "status lists what was set aside");
        let stages = [Stage::List, Stage::Lines, Stage::Prepare, Stage::Publish];
        for stage in stages {
            for ordinal in 0..scheduler.units(stage) {
                let unit = (stage, ordinal);
                let skipped = stage == Stage::Lines && !source_of(truth, ordinal).0;
                let given_up = self.set_aside.contains(&unit);
                assert_eq!(given_up, is_doomed(truth, unit) && !skipped, "{unit:?} set aside");
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.set_aside.len() as u64
    }
}

fn is_doomed(truth: &Truth, (stage, ordinal): Key) -> bool {
    match stage {
        Stage::Publish => {
            let unit = UnitRef { stage: stage.into(), ordinal, attempt: 1 };
            !is_healthy(truth.fate(&unit, &[]))
        }
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
