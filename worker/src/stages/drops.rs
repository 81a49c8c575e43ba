//! Decides which prepared documents of a source are excluded from its shards, and why.
//!
//! LAYOUT writes what the verdicts of RESOLVE-DOCUMENTS do not contain, and PUBLISH reads it. Both
//! ask `UnitDrops::reason` about each document, so that they cannot answer differently. `near`,
//! `simhash`, `addresses` and the dedup modules reach the verdicts.

use thresher_clusters::{Decision, Outcome};
use thresher_job::NearAction;
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{KeyGroups, LayoutUnit, PublishUnit, Stage};

use super::duplicates::Duplicates;
use super::excluded::Excluded;
use super::near::Decisions;
use super::sampled::{self, NOT_CHOSEN, Sampled};
use super::{JobContext, Task, addresses, simhash};
use thresher_dedup::verdicts::VerdictSet;
use thresher_unit::UnitError;
use thresher_unit::staging::{DocumentFile, DocumentSummary};

const DUPLICATE: &str = "dedup/duplicate_document";
const NEAR_DUPLICATE: &str = "dedup/near_duplicate";

/// The documents of one source that are not published.
pub(super) struct Drops {
    exact: Exact,
    near: Near,
    /// The end of the sample, if the source is sampled by number.
    sampled: Option<Sampled>,
}

enum Near {
    /// By SimHash, within the source.
    Signatures(Excluded),
    /// By bands, over all sources.
    Bands { decisions: Decisions, action: NearAction },
}

impl Near {
    /// Returns what is decided by bands, if that is how the source is compared.
    fn by_bands(
        context: &JobContext,
        source: u32,
        (band_groups, units): (Option<KeyGroups>, u32),
    ) -> Result<Option<Self>, UnitError> {
        let is_decided = key_groups(band_groups).ranges > 0;
        let compares = is_decided && context.recipe(source)?.compares_bands;
        Ok(compares.then(|| Self::Bands {
            decisions: Decisions::of_job(units),
            action: context.job.near.action,
        }))
    }
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
        let by_bands = Near::by_bands(context, unit.source, (unit.band_groups, unit.job_units))?;
        let near = match (by_bands, simhash::decide(context, unit)?) {
            (Some(near), _) => near,
            (None, Some(excluded)) => {
                hashes.push(excluded.leave(context, task, unit.source, simhash::SUFFIX)?);
                Near::Signatures(excluded)
            }
            (None, None) => Near::Signatures(Excluded::default()),
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

    /// Reads what LAYOUT decided for the source of a shard.
    pub(super) fn read(context: &JobContext, unit: &PublishUnit) -> Result<Self, UnitError> {
        let (source, groups) = (unit.source, key_groups(unit.groups));
        let exact = if context.recipe(source)?.keeps_urls {
            Exact::Addresses(Excluded::read(context, source, addresses::SUFFIX)?)
        } else {
            Exact::Verdicts(Duplicates::new(context, groups))
        };
        let by_bands = Near::by_bands(context, source, (unit.band_groups, unit.job_units))?;
        let near = match by_bands {
            Some(near) => near,
            None if context.recipe(source)?.compares_signatures => {
                Near::Signatures(Excluded::read(context, source, simhash::SUFFIX)?)
            }
            None => Near::Signatures(Excluded::default()),
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
        let near = match &self.near {
            Near::Signatures(excluded) => UnitNear::Places(excluded.of(unit)),
            Near::Bands { decisions, action } => {
                UnitNear::Decisions(decisions.of(context, unit)?, *action)
            }
        };
        Ok(UnitDrops { exact, near, unit, sampled: self.sampled })
    }
}

/// The documents of one PREPARE unit that are not published.
pub(super) struct UnitDrops<'a> {
    exact: UnitExact<'a>,
    near: UnitNear<'a>,
    unit: u32,
    sampled: Option<Sampled>,
}

enum UnitNear<'a> {
    Places(&'a [u32]),
    /// By place.
    Decisions(Vec<Decision>, NearAction),
}

enum UnitExact<'a> {
    Verdicts(Option<VerdictSet>),
    Addresses(&'a [u32]),
}

#[cfg(test)]
impl<'a> UnitDrops<'a> {
    /// Drops exactly the documents at `places`, which are sorted.
    pub(super) fn of_places(places: &'a [u32]) -> Self {
        Self {
            exact: UnitExact::Addresses(places),
            near: UnitNear::Places(&[]),
            unit: 0,
            sampled: None,
        }
    }
}

impl UnitDrops<'_> {
    /// Returns whether the documents of the unit were compared by bands.
    pub(super) fn has_clusters(&self) -> bool {
        matches!(self.near, UnitNear::Decisions(..))
    }

    /// Returns what was decided about the document at a place and its near-duplicates, if it has
    /// any.
    pub(super) fn decision(&self, place: u32) -> Option<&Decision> {
        let UnitNear::Decisions(decisions, _) = &self.near else { return None };
        let found = decisions.binary_search_by_key(&place, |decision| decision.document.place);
        found.ok().map(|at| &decisions[at])
    }

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
        let is_near = match &self.near {
            UnitNear::Places(places) => places.binary_search(&place).is_ok(),
            UnitNear::Decisions(_, NearAction::Annotate) => false,
            UnitNear::Decisions(_, NearAction::Drop) => {
                let decision = self.decision(place);
                decision.is_some_and(|it| matches!(it.outcome, Outcome::Removed(_)))
            }
        };
        if is_near {
            return Some(NEAR_DUPLICATE);
        }
        let (sampled, choice) = self.sampled.zip(summary.choice)?;
        (!sampled.includes(choice, self.unit, place)).then_some(NOT_CHOSEN)
    }
}
