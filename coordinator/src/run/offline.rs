//! What is done with a job while no coordinator runs it. What changes the job becomes its next
//! coordinator for a moment.

use std::path::Path;

use thresher_job::JobSpec;
use thresher_proto::pb;

use super::starting::StartedJob;
use super::{Coordinator, JobEnd};
use crate::allocation::Allocation;
use crate::clock;
use crate::driver::{Command, read_scheduler};
use crate::restart::{JobTools, Known, Wanted, completed};

/// Cancels a job whose coordinator cannot be reached, by becoming its next coordinator for a
/// moment. A job that no coordinator has started is written into the journal as `submitted`, so
/// that none starts it later. Returns the state of the job afterwards.
pub fn cancel_in_state(state: &Path, submitted: Option<JobSpec>) -> anyhow::Result<pb::JobState> {
    let job = StartedJob::unchanged(submitted);
    let coordinator = Coordinator::start(job, state, None, Allocation::default())?;
    coordinator.ask(Command::Cancel)?;
    let status = coordinator.status()?;
    coordinator.stop(JobEnd::unseen(status)).map(|status| status.state())
}

/// Writes into the journal, between two coordinators, that the job may continue without the units
/// that failed permanently.
pub fn accept_missing_in_state(state: &Path) -> anyhow::Result<()> {
    let job = StartedJob::unchanged(None);
    let coordinator = Coordinator::start(job, state, None, Allocation::default())?;
    coordinator.ask(Command::AcceptFailedUnits)?;
    let status = coordinator.status()?;
    coordinator.stop(JobEnd::unseen(status)).map(|_| ())
}

/// Decides before a submission how the job continues, so that a job file that was changed too late
/// is refused here and not in the queue, and writes a restart into the journal.
pub fn restart_in_state(
    job: &JobSpec,
    state: &Path,
    wanted: Wanted,
    tools: &JobTools,
) -> anyhow::Result<()> {
    let Ok(recovered) = read_scheduler(state) else {
        // There is no journal yet, or one that the coordinator refuses with a better message.
        return Ok(());
    };
    let scheduler = recovered.scheduler;
    let Some(known) = scheduler.job_toml() else { return Ok(()) };
    let known = JobSpec::from_resolved(known)?;
    let status = scheduler.status(clock::now()).into();
    let given = completed(job.clone(), state)?;
    let restart = Known { job: &known, status, missing: scheduler.missing_units() };
    if restart.restart(given, wanted, tools)?.is_none() {
        return Ok(());
    }
    let job = StartedJob::given(Some(job.clone()), state, wanted, tools)?;
    let coordinator = Coordinator::start(job, state, None, Allocation::default())?;
    let until = Some(clock::now());
    coordinator.ask(|reply| Command::Drain { until, reply })?;
    let status = coordinator.status()?;
    coordinator.stop(JobEnd::unseen(status)).map(|_| ())
}
