//! The documents of a source that LAYOUT excludes from its shards, in a file that PUBLISH reads.
//!
//! **Invariant:** the places of each unit are sorted, so that a place is found by bisection.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thresher_proto::pb::{Stage, UnitRef};

use super::{JobContext, Task};
use thresher_unit::UnitError;
use thresher_unit::staging::{create, hash_of, write_all};

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
        let read = std::fs::read(&path).ok();
        read.and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(|| {
            let error = format!("`{}` is missing or damaged", path.display());
            let producer = UnitRef { stage: Stage::Layout.into(), ordinal: source, attempt: 0 };
            UnitError::Damaged { producer, error }
        })
    }
}

/// Writes a small JSON file for a later stage and returns its hash. An existing file is replaced
/// if it is damaged.
pub(super) fn leave<T>(path: &Path, tag: &str, content: &T) -> Result<blake3::Hash, UnitError>
where
    T: Serialize + for<'a> Deserialize<'a>,
{
    let mut file = create(path, tag)?;
    let text = serde_json::to_vec(content).map_err(|error| UnitError::Data(error.to_string()))?;
    write_all(&mut file, &text)?;
    let old = std::fs::read(path).ok();
    let sound = old.is_none_or(|old| serde_json::from_slice::<T>(&old).is_ok());
    Ok(hash_of(if sound { file.commit()? } else { file.commit_replacing()? }))
}
