//! Which prepared documents of a source are left out of its shards, and why.
//!
//! LAYOUT decides and leaves what the verdicts of RESOLVE-DOCUMENTS do not say; PUBLISH reads that.
//! Both ask the same question of each document, so they cannot answer it differently. How a verdict
//! comes about is for `near`, `addresses` and the dedup modules to know.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thresher_job::DedupPolicy;
use thresher_proto::pb::{LayoutUnit, Stage, UnitRef};

use super::resolve::verdict_files;
use super::{JobContext, Task, addresses, near};
use thresher_dedup::verdicts::VerdictSet;
use thresher_unit::UnitError;
use thresher_unit::staging::{create, hash_of, write_all};

const DUPLICATE: &str = "dedup/duplicate_document";
const NEAR_DUPLICATE: &str = "dedup/near_duplicate";

/// What is left out of one source.
pub(super) struct Drops {
    exact: Exact,
    near: LeftOut,
}

enum Exact {
    Verdicts(Duplicates),
    Addresses(LeftOut),
}

impl Drops {
    /// Decides on a LAYOUT unit's source; also gives the hashes of the files left for PUBLISH.
    pub(super) fn decide(
        context: &JobContext,
        task: &Task,
        unit: &LayoutUnit,
    ) -> Result<(Self, Vec<blake3::Hash>), UnitError> {
        let (duplicates, mut hashes) = (Duplicates::new(context, unit.ranges)?, Vec::new());
        let exact = if context.recipe(unit.source)?.keeps_urls {
            let left_out = addresses::decide(context, unit, &duplicates)?;
            hashes.push(left_out.leave(context, task, unit.source, addresses::SUFFIX)?);
            Exact::Addresses(left_out)
        } else {
            Exact::Verdicts(duplicates)
        };
        let near = match near::decide(context, unit)? {
            Some(left_out) => {
                hashes.push(left_out.leave(context, task, unit.source, near::SUFFIX)?);
                left_out
            }
            None => LeftOut::default(),
        };
        Ok((Self { exact, near }, hashes))
    }

    /// What LAYOUT decided on a source.
    pub(super) fn read(context: &JobContext, source: u32, ranges: u32) -> Result<Self, UnitError> {
        let exact = if context.recipe(source)?.keeps_urls {
            Exact::Addresses(LeftOut::read(context, source, addresses::SUFFIX)?)
        } else {
            Exact::Verdicts(Duplicates::new(context, ranges)?)
        };
        let near = if context.recipe(source)?.compares_near {
            LeftOut::read(context, source, near::SUFFIX)?
        } else {
            LeftOut::default()
        };
        Ok(Self { exact, near })
    }

    /// What is left out of one PREPARE unit.
    pub(super) fn of(&self, context: &JobContext, unit: u32) -> Result<UnitDrops<'_>, UnitError> {
        let exact = match &self.exact {
            Exact::Verdicts(duplicates) => UnitExact::Verdicts(duplicates.of(context, unit)?),
            Exact::Addresses(left_out) => UnitExact::Addresses(left_out.of(unit)),
        };
        Ok(UnitDrops { exact, near: self.near.of(unit) })
    }
}

/// What is left out of one PREPARE unit.
pub(super) struct UnitDrops<'a> {
    exact: UnitExact<'a>,
    near: &'a [u32],
}

enum UnitExact<'a> {
    Verdicts(Option<VerdictSet>),
    Addresses(&'a [u32]),
}

impl UnitDrops<'_> {
    /// Why the document at a place of the unit is left out, if it is.
    pub(super) fn reason(&self, place: u32) -> Option<&'static str> {
        let exact = match &self.exact {
            UnitExact::Verdicts(verdicts) => {
                verdicts.as_ref().is_some_and(|verdicts| verdicts.is_dropped(place))
            }
            UnitExact::Addresses(places) => places.binary_search(&place).is_ok(),
        };
        if exact {
            return Some(DUPLICATE);
        }
        self.near.binary_search(&place).is_ok().then_some(NEAR_DUPLICATE)
    }
}

/// The verdicts of RESOLVE-DOCUMENTS.
pub(super) struct Duplicates {
    files: Option<Vec<PathBuf>>,
}

impl Duplicates {
    fn new(context: &JobContext, ranges: u32) -> Result<Self, UnitError> {
        if context.job.dedup.documents.policy == DedupPolicy::Off {
            return Ok(Self { files: None });
        }
        verdict_files(context, Stage::ResolveDocuments, ranges)
            .map(|files| Self { files: Some(files) })
    }

    /// The duplicates of one PREPARE unit.
    pub(super) fn of(
        &self,
        context: &JobContext,
        unit: u32,
    ) -> Result<Option<VerdictSet>, UnitError> {
        let Some(files) = &self.files else { return Ok(None) };
        let keys = context.work.unit_file(Stage::Prepare, unit, "keys");
        VerdictSet::load::<u128>(files, unit, &keys)
            .map(Some)
            .map_err(|error| UnitError::verdicts(Stage::Prepare, &error))
    }
}

/// The places of documents in each unit of a source that LAYOUT leaves out, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeftOut {
    units: BTreeMap<u32, Vec<u32>>,
}

impl LeftOut {
    pub(super) fn push(&mut self, unit: u32, place: u32) {
        self.units.entry(unit).or_default().push(place);
    }

    /// Brings the places of each unit into order.
    pub(super) fn sort(&mut self) {
        for places in self.units.values_mut() {
            places.sort_unstable();
        }
    }

    fn of(&self, unit: u32) -> &[u32] {
        self.units.get(&unit).map_or(&[], Vec::as_slice)
    }

    /// Leaves the places for PUBLISH and gives the file's hash.
    fn leave(
        &self,
        context: &JobContext,
        task: &Task,
        source: u32,
        suffix: &str,
    ) -> Result<blake3::Hash, UnitError> {
        leave(&context.work.unit_file(Stage::Layout, source, suffix), &task.tag, self)
    }

    fn read(context: &JobContext, source: u32, suffix: &str) -> Result<Self, UnitError> {
        let path = context.work.unit_file(Stage::Layout, source, suffix);
        let read = std::fs::read(&path).ok();
        read.and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(|| {
            let error = format!("`{}` is missing or damaged", path.display());
            let producer = UnitRef { stage: Stage::Layout.into(), ordinal: source, attempt: 0 };
            UnitError::Damaged { producer, error }
        })
    }
}

/// Leaves a small JSON file for a later stage. A damaged one that is there already is replaced.
pub(super) fn leave<T>(path: &Path, tag: &str, content: &T) -> Result<blake3::Hash, UnitError>
where
    T: Serialize + for<'a> Deserialize<'a>,
{
    let mut file = create(path, tag)?;
    let text = serde_json::to_vec(content).map_err(|error| UnitError::Fatal(error.to_string()))?;
    write_all(&mut file, &text)?;
    let old = std::fs::read(path).ok();
    let sound = old.is_none_or(|old| serde_json::from_slice::<T>(&old).is_ok());
    Ok(hash_of(if sound { file.commit()? } else { file.commit_replacing()? }))
}
