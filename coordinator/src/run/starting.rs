//! How a coordinator starts with a job: a new one, the one of its state directory, or that one
//! restarted; or not at all, because the job is complete.

use std::path::Path;

use thresher_job::JobSpec;
use thresher_proto::pb;

use crate::clock;
use crate::driver::{Driver, read_scheduler};
use crate::restart::{JobTools, Known, Wanted, completed};
use crate::work_folders::empty;

/// The job with which a coordinator starts.
pub(super) struct StartedJob<'a> {
    /// `None` resumes the job of the state directory.
    job: Option<JobSpec>,
    /// Whether it was checked already.
    checked: bool,
    /// How the job may be restarted. `None`: a job that the state directory knows stays as it is.
    restarts: Option<(Wanted, &'a JobTools)>,
}

impl<'a> StartedJob<'a> {
    /// Returns the job as a person gives it. A job without a state directory is checked before
    /// anything is made.
    pub(super) fn given(
        job: Option<JobSpec>,
        state: &Path,
        wanted: Wanted,
        tools: &'a JobTools,
    ) -> anyhow::Result<Self> {
        let mut checked = false;
        let is_new = !state.try_exists()?;
        if let Some(job) = job.as_ref().filter(|_| is_new) {
            (tools.check)(&completed(job.clone(), state)?, None)?;
            checked = true;
        }
        Ok(Self { job, checked, restarts: Some((wanted, tools)) })
    }

    /// Returns the job without a right to restart the one that the state directory has.
    pub(super) fn unchanged(job: Option<JobSpec>) -> Self {
        Self { job, checked: false, restarts: None }
    }

    /// Restarts the job of the state directory, if that is necessary to continue as this one.
    /// Returns the job to submit if the state directory has none.
    pub(super) fn resume(
        self,
        driver: &mut Driver,
        state: &Path,
    ) -> anyhow::Result<Option<JobSpec>> {
        let Some(job) = self.job else { return Ok(None) };
        let job = completed(job, state)?;
        let Some(known) = driver.job().cloned() else {
            if let Some((_, tools)) = self.restarts.filter(|_| !self.checked) {
                (tools.check)(&job, None)?;
            }
            return Ok(Some(job));
        };
        if let Some((wanted, tools)) = self.restarts {
            let missing = driver.missing_units();
            let restart = Known { job: &known, status: driver.status(), missing };
            match restart.restart(job, wanted, tools)? {
                Some(restart) => restart.perform(driver, &known, tools)?,
                None if driver.status().state().is_final() => {}
                None => (tools.check)(&known, Some(&known))?,
            }
        }
        Ok(None)
    }
}

/// Returns the final status if an earlier run completed the job and its output is whole. Nothing is
/// written then: no epoch is taken, and no keys or addresses change. The journal is only read if
/// the output may be sealed.
pub(super) fn complete_already(
    job: &JobSpec,
    state: &Path,
    wanted: Wanted,
    tools: &JobTools,
) -> anyhow::Result<Option<pb::StatusResponse>> {
    let output = &job.output.path;
    if !output.contains("://") && !Path::new(output).join("manifest.json").try_exists()? {
        return Ok(None);
    }
    let scheduler = read_scheduler(state)?.scheduler;
    let status = pb::StatusResponse::from(scheduler.status(clock::now()));
    let Some(known) = scheduler.job_toml().filter(|_| status.state().is_complete()) else {
        return Ok(None);
    };
    let known = JobSpec::from_resolved(known)?;
    let given = completed(job.clone(), state)?;
    let restart = Known { job: &known, status: status.clone(), missing: scheduler.missing_units() };
    if restart.restart(given, wanted, tools)?.is_some() {
        return Ok(None);
    }
    // The run that sealed it may have been killed before it did this.
    if status.state() == pb::JobState::Complete {
        empty(Path::new(&known.job.work_dir));
    }
    Ok(Some(status))
}
