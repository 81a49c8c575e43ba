//! Near-duplicates: which documents of a source are nearly equal to earlier ones.
//!
//! PREPARE leaves a signature for each document of a source that has the step, LAYOUT compares all
//! of them and leaves the verdicts, PUBLISH reads those. A signature is eight bytes, so those of
//! RedPajama's 200,000 books are 1.6 MB.
//!
//! **Invariant:** the verdicts are a function of the signatures in canonical order.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thresher_proto::job::Step;
use thresher_proto::pb::{LayoutUnit, Stage, UnitRef};

use super::{JobContext, Task, UnitError};
use crate::staging::{DOCUMENTS, DocumentFile, create, hash_of, write_all};
use crate::text::simhash::near_duplicates;

/// The places of near-duplicates in each unit of a source, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NearDuplicates {
    units: BTreeMap<u32, Vec<u32>>,
}

impl NearDuplicates {
    /// Compares the documents of a LAYOUT unit's source and leaves the verdicts for PUBLISH; also
    /// gives the file's hash, where the source has the step.
    pub(super) fn decide(
        context: &JobContext,
        task: &Task,
        unit: &LayoutUnit,
    ) -> Result<(Self, Option<blake3::Hash>), UnitError> {
        if !has_step(context, unit.source)? {
            return Ok((Self::default(), None));
        }
        let (mut signatures, mut places) = (Vec::new(), Vec::new());
        for number in unit.first_unit..unit.first_unit + unit.units {
            if unit.absent.binary_search(&number).is_ok() {
                continue;
            }
            let path = context.work.unit_file(Stage::Prepare, number, "documents");
            let facts = DocumentFile::open(&path, DOCUMENTS, number)?.facts()?;
            places.extend((0..facts.signatures.len() as u32).map(|place| (number, place)));
            signatures.extend(facts.signatures);
        }
        let mut near = Self::default();
        for ((number, place), is_near) in places.into_iter().zip(near_duplicates(&signatures)) {
            if is_near {
                near.units.entry(number).or_default().push(place);
            }
        }
        let hash = near.write(context, task, unit.source)?;
        Ok((near, Some(hash)))
    }

    /// The verdicts on a source; none where it lacks the step.
    pub(super) fn read(context: &JobContext, source: u32) -> Result<Self, UnitError> {
        if !has_step(context, source)? {
            return Ok(Self::default());
        }
        let path = path_of(context, source);
        let read = std::fs::read(&path).ok();
        read.and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(|| {
            let error = format!("`{}` is missing or damaged", path.display());
            let producer = UnitRef { stage: Stage::Layout.into(), ordinal: source, attempt: 0 };
            UnitError::Damaged { producer, error }
        })
    }

    pub(super) fn contains(&self, unit: u32, place: u32) -> bool {
        self.units.get(&unit).is_some_and(|places| places.binary_search(&place).is_ok())
    }

    fn write(
        &self,
        context: &JobContext,
        task: &Task,
        source: u32,
    ) -> Result<blake3::Hash, UnitError> {
        let path = path_of(context, source);
        let mut file = create(&path, &task.tag)?;
        let text = serde_json::to_vec(self).map_err(|error| UnitError::Fatal(error.to_string()))?;
        write_all(&mut file, &text)?;
        let old = std::fs::read(&path).ok();
        let sound = old.is_none_or(|old| serde_json::from_slice::<Self>(&old).is_ok());
        Ok(hash_of(if sound { file.commit()? } else { file.commit_replacing()? }))
    }
}

fn has_step(context: &JobContext, source: u32) -> Result<bool, UnitError> {
    Ok(context.job.has_step(context.source(source)?, Step::Near))
}

fn path_of(context: &JobContext, source: u32) -> PathBuf {
    context.work.unit_file(Stage::Layout, source, "near")
}
