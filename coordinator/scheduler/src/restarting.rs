//! Stages that are planned again: the job file changed, units are missing, or the output is gone.
//!
//! Units are deterministic, so what was done before the first stage that changes is kept, and
//! everything from there on is forgotten. Invariant: the result is that of a job which was
//! submitted like this; only the numbers of attempts go on.

use thresher_domain::{Stage, Timestamp};

use crate::job::Job;
use crate::lifecycle::Lifecycle;
use crate::outage::Outage;
use crate::plan::JobPlan;
use crate::workers::Workers;

/// What changes.
pub(crate) struct Change<'a> {
    pub(crate) plan: &'a JobPlan,
    pub(crate) job_toml: &'a str,
    /// The first stage that is planned again.
    pub(crate) from: Option<Stage>,
    /// Whether its units that are done stay so.
    pub(crate) keep_done: bool,
}

/// Applies the change. Workers of before know the job's earlier text, so all register again, and
/// those exit that find another one.
pub(crate) fn restart(now: Timestamp, job: &mut Job, workers: &mut Workers, change: &Change<'_>) {
    job.plan = change.plan.clone();
    job.job_toml = change.job_toml.to_owned();
    let Some(from) = change.from else { return job.lifecycle.reopen() };
    for (worker_id, key) in workers.all_held() {
        job.attempts(workers).end_on(key, worker_id);
    }
    workers.forget_all();
    job.units.restart(from, change.keep_done);
    job.lifecycle = Lifecycle::new();
    job.lifecycle.directive_changed = true;
    job.outage = Outage::default();
    job.alarms.clear();
    job.retried.clear();
    job.submitted = if from == Stage::List { now } else { job.submitted };
}
