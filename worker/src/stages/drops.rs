//! Decides which prepared documents of a source are excluded from its shards, and why.
//!
//! LAYOUT writes what the verdicts of RESOLVE-DOCUMENTS do not contain, and PUBLISH reads it. Both
//! ask `UnitDrops::reason` about each document, so that they cannot answer differently. `near`,
//! `addresses` and the dedup modules reach the verdicts.

use thresher_domain::KeyGroups;
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{LayoutUnit, Stage};

use super::duplicates::Duplicates;
use super::excluded::Excluded;
use super::sampled::{self, NOT_CHOSEN, Sampled};
use super::{JobContext, Task, addresses, near};
use thresher_dedup::verdicts::VerdictSet;
use thresher_unit::UnitError;
use thresher_unit::staging::{DocumentFile, DocumentSummary};

const DUPLICATE: &str = "dedup/duplicate_document";
const NEAR_DUPLICATE: &str = "dedup/near_duplicate";

/// The documents of one source that are not published.
pub(super) struct Drops {
    exact: Exact,
    near: Excluded,
    /// The end of the sample, if the source is sampled by number.
    sampled: Option<Sampled>,
}

enum Exact {
    Verdicts(Duplicates),
    Addresses(Excluded),
}

impl Drops {
    /// Decides for a LAYOUT unit's source; also returns the hashes of the files written for
    /// PUBLISH.
    pub(super) fn decide(
        context: &JobContext,
        task: &Task,
        unit: &LayoutUnit,
    ) -> Result<(Self, Vec<blake3::Hash>), UnitError> {
        let duplicates = Duplicates::new(context, key_groups(unit.groups));
        let mut hashes = Vec::new();
        let exact = if context.recipe(unit.source)?.keeps_urls {
            let excluded = addresses::decide(context, unit, &duplicates)?;
            hashes.push(excluded.leave(context, task, unit.source, addresses::SUFFIX)?);
            Exact::Addresses(excluded)
        } else {
            Exact::Verdicts(duplicates)
        };
        let near = match near::decide(context, unit)? {
            Some(excluded) => {
                hashes.push(excluded.leave(context, task, unit.source, near::SUFFIX)?);
                excluded
            }
            None => Excluded::default(),
        };
        let mut drops = Self { exact, near, sampled: None };
        let sample = context.source(unit.source)?.sample.as_ref();
        if let Some(documents) = sample.and_then(|sample| sample.documents) {
            let each = |give: &mut dyn FnMut(u64, u32, u32)| drops.choices(context, unit, give);
            let sampled = sampled::decide(documents, &each)?;
            hashes.push(sampled.leave(context, task, unit.source)?);
            drops.sampled = Some(sampled);
        }
        Ok((drops, hashes))
    }

    /// Passes on the hash by which each document is chosen that is not excluded yet, with its unit
    /// and its place there, in order.
    fn choices(
        &self,
        context: &JobContext,
        unit: &LayoutUnit,
        give: &mut dyn FnMut(u64, u32, u32),
    ) -> Result<(), UnitError> {
        for number in unit.first_unit..unit.first_unit + unit.units {
            if unit.absent.binary_search(&number).is_ok() {
                continue;
            }
            let path = context.work.unit_file(Stage::Prepare, number, "documents");
            let summaries = DocumentFile::open(&path, number)?.summaries()?;
            let drops = self.of(context, number)?;
            for (place, summary) in (0..).zip(&summaries) {
                let is_left = !summary.is_withdrawn && drops.reason(place, summary).is_none();
                if let Some(hash) = summary.choice.filter(|_| is_left) {
                    give(hash, number, place);
                }
            }
        }
        Ok(())
    }

    /// Reads what LAYOUT decided for a source.
    pub(super) fn read(
        context: &JobContext,
        source: u32,
        groups: KeyGroups,
    ) -> Result<Self, UnitError> {
        let exact = if context.recipe(source)?.keeps_urls {
            Exact::Addresses(Excluded::read(context, source, addresses::SUFFIX)?)
        } else {
            Exact::Verdicts(Duplicates::new(context, groups))
        };
        let near = if context.recipe(source)?.compares_near {
            Excluded::read(context, source, near::SUFFIX)?
        } else {
            Excluded::default()
        };
        let by_number = context.source(source)?.sample.as_ref().and_then(|it| it.documents);
        let sampled = by_number.map(|_| Sampled::read(context, source)).transpose()?;
        Ok(Self { exact, near, sampled })
    }

    /// Returns the documents of one PREPARE unit that are not published.
    pub(super) fn of(&self, context: &JobContext, unit: u32) -> Result<UnitDrops<'_>, UnitError> {
        let exact = match &self.exact {
            Exact::Verdicts(duplicates) => UnitExact::Verdicts(duplicates.of(context, unit)?),
            Exact::Addresses(excluded) => UnitExact::Addresses(excluded.of(unit)),
        };
        Ok(UnitDrops { exact, near: self.near.of(unit), unit, sampled: self.sampled })
    }
}

/// The documents of one PREPARE unit that are not published.
pub(super) struct UnitDrops<'a> {
    exact: UnitExact<'a>,
    near: &'a [u32],
    unit: u32,
    sampled: Option<Sampled>,
}

enum UnitExact<'a> {
    Verdicts(Option<VerdictSet>),
    Addresses(&'a [u32]),
}

#[cfg(test)]
impl<'a> UnitDrops<'a> {
    /// Drops exactly the documents at `places`, which are sorted.
    pub(super) fn of_places(places: &'a [u32]) -> Self {
        Self { exact: UnitExact::Addresses(places), near: &[], unit: 0, sampled: None }
    }
}

impl UnitDrops<'_> {
    /// Returns why the document at a place of the unit is excluded, if it is.
    pub(super) fn reason(&self, place: u32, summary: &DocumentSummary) -> Option<&'static str> {
        let exact = match &self.exact {
            UnitExact::Verdicts(verdicts) => {
                verdicts.as_ref().is_some_and(|verdicts| verdicts.is_dropped(place))
            }
            UnitExact::Addresses(places) => places.binary_search(&place).is_ok(),
        };
        if exact {
            return Some(DUPLICATE);
        }
        if self.near.binary_search(&place).is_ok() {
            return Some(NEAR_DUPLICATE);
        }
        let (sampled, choice) = self.sampled.zip(summary.choice)?;
        (!sampled.includes(choice, self.unit, place)).then_some(NOT_CHOSEN)
    }
}
