//! Reads the duplicates that RESOLVE-DOCUMENTS found, unit by unit.

use std::path::PathBuf;

use thresher_job::DedupPolicy;
use thresher_proto::pb::Stage;

use super::JobContext;
use super::resolve::verdict_files;
use thresher_dedup::verdicts::VerdictSet;
use thresher_unit::UnitError;

/// The verdicts of RESOLVE-DOCUMENTS.
pub(super) struct Duplicates {
    files: Option<Vec<PathBuf>>,
}

impl Duplicates {
    pub(super) fn new(context: &JobContext, ranges: u32) -> Result<Self, UnitError> {
        if context.job.dedup.documents.policy == DedupPolicy::Off {
            return Ok(Self { files: None });
        }
        verdict_files(context, Stage::ResolveDocuments, ranges)
            .map(|files| Self { files: Some(files) })
    }

    /// Returns the duplicates of one PREPARE unit.
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
