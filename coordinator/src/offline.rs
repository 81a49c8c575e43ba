//! Answers questions about a job from its journal, while no coordinator can be asked.

use std::path::Path;

use anyhow::Context;
use thresher_domain::{AttemptRef, Timestamp};
use thresher_job::JobSpec;
use thresher_proto::pb;

use crate::clock;
use crate::driver::read_scheduler;

/// The status of a job according to its journal.
pub struct JournalStatus {
    /// The status now.
    pub status: pb::StatusResponse,
    /// When the last record was written.
    pub written: Timestamp,
}

/// Returns the status of the job according to the journal.
pub fn journal_status(state: &Path) -> anyhow::Result<JournalStatus> {
    let recovered = read_scheduler(state)?;
    let status = recovered.scheduler.status(clock::now()).into();
    Ok(JournalStatus { status, written: recovered.last })
}

/// Does the same for callers that need only the status.
pub fn status_from_state(state: &Path) -> anyhow::Result<pb::StatusResponse> {
    Ok(journal_status(state)?.status)
}

/// Returns the job that the journal holds, if there is one.
pub fn job_from_state(state: &Path) -> anyhow::Result<Option<JobSpec>> {
    let scheduler = read_scheduler(state)?.scheduler;
    Ok(scheduler.job_toml().map(JobSpec::from_resolved).transpose()?)
}

/// Explains a unit's state from the journal; also returns the status of the job.
pub fn explain_from_state(
    state: &Path,
    unit: &str,
) -> anyhow::Result<(pb::ExplainResponse, JournalStatus)> {
    let unit = unit.parse::<AttemptRef>()?.key;
    let recovered = read_scheduler(state)?;
    let (now, scheduler) = (clock::now(), recovered.scheduler);
    let explained = scheduler.explain(now, unit);
    let explained = explained.with_context(|| format!("the job has no unit `{unit}`"))?;
    let status = scheduler.status(now).into();
    Ok((explained.into(), JournalStatus { status, written: recovered.last }))
}
