//! The documents of a source that LAYOUT excludes from its shards, in a file that PUBLISH reads.
//!
//! **Invariant:** the places of each unit are sorted, so that a place is found by bisection.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thresher_proto::pb::{Stage, UnitRef};

use super::{JobContext, Task};
use thresher_unit::UnitError;
use thresher_unit::staging::{leave, recall};

/// The places of the documents that LAYOUT excludes, sorted, by the unit that holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Excluded {
    units: BTreeMap<u32, Vec<u32>>,
}

impl Excluded {
    pub(super) fn push(&mut self, unit: u32, place: u32) {
        self.units.entry(unit).or_default().push(place);
    }

    /// Sorts the places of each unit.
    pub(super) fn sort(&mut self) {
        for places in self.units.values_mut() {
            places.sort_unstable();
        }
    }

    /// Returns the excluded places of one unit.
    pub(super) fn of(&self, unit: u32) -> &[u32] {
        self.units.get(&unit).map_or(&[], Vec::as_slice)
    }

    /// Writes the places for PUBLISH and returns the file's hash.
    pub(super) fn leave(
        &self,
        context: &JobContext,
        task: &Task,
        source: u32,
        suffix: &str,
    ) -> Result<blake3::Hash, UnitError> {
        leave(&context.work.unit_file(Stage::Layout, source, suffix), &task.tag, self)
    }

    /// Reads what LAYOUT wrote.
    pub(super) fn read(context: &JobContext, source: u32, suffix: &str) -> Result<Self, UnitError> {
        let path = context.work.unit_file(Stage::Layout, source, suffix);
        let producer = UnitRef { stage: Stage::Layout.into(), ordinal: source, attempt: 0 };
        recall(&path, producer)
    }
}
