//! Reads the duplicates that RESOLVE-DOCUMENTS found, unit by unit.

use thresher_domain::KeyGroups;
use thresher_job::DedupPolicy;

use super::JobContext;
use super::resolve::DOCUMENTS;
use super::verdicts::verdicts_on;
use thresher_dedup::verdicts::VerdictSet;
use thresher_unit::UnitError;

/// The verdicts of RESOLVE-DOCUMENTS.
#[derive(Clone, Copy)]
pub(super) struct Duplicates {
    /// `None` if documents are not compared.
    groups: Option<KeyGroups>,
}

impl Duplicates {
    pub(super) fn new(context: &JobContext, groups: KeyGroups) -> Self {
        let compared = context.job.dedup.documents.policy != DedupPolicy::Off;
        Self { groups: compared.then_some(groups) }
    }

    /// Returns the duplicates of one PREPARE unit.
    pub(super) fn of(
        self,
        context: &JobContext,
        unit: u32,
    ) -> Result<Option<VerdictSet>, UnitError> {
        let Some(groups) = self.groups else { return Ok(None) };
        verdicts_on::<u128>(context, DOCUMENTS, groups, unit).map(Some)
    }
}
