//! How the job stands, for people and programs. It reads the state and changes nothing.

use thresher_domain::{FailedUnit, JobState, Stage, StageStatus, Status, Timestamp};

use crate::Scheduler;
use crate::job::{Job, Phase};
use crate::stage::StageTable;
use crate::unit::UnitState;

/// Failed units listed in one answer; the stages' counts have them all.
const MAX_LISTED: usize = 1000;

impl Scheduler {
    /// Everything that can be said about the job.
    pub fn status(&self, now: Timestamp) -> Status {
        let common = Status {
            epoch: self.epoch,
            now,
            workers: self.workers.status(),
            allocation: self.allocation.clone(),
            ..Status::default()
        };
        let Some(job) = &self.job else { return common };
        let barred = job.barred.as_deref().unwrap_or_default();
        let (state, reason, finished) = match &job.phase {
            Phase::Running | Phase::Draining { .. } => (JobState::Running, barred, None),
            Phase::Drained => (JobState::Drained, barred, None),
            Phase::Over { state, reason, finished } => (*state, reason.as_str(), Some(*finished)),
        };
        let accounting =
            job.stage(Stage::Prepare).totals.accounting_less(&job.stage(Stage::Publish).totals);
        Status {
            job_name: job.plan.name.clone(),
            state,
            reason: reason.to_owned(),
            submitted: Some(job.submitted),
            finished,
            stages: job.stages.iter().map(stage_status).collect(),
            accounting: Some(accounting),
            failed_units: failed_units(job),
            alarms: job.alarms.clone(),
            draining: matches!(job.phase, Phase::Draining { .. }),
            refused: job.refused,
            output: job.plan.output.clone(),
            ..common
        }
    }
}

fn stage_status(stage: &StageTable) -> StageStatus {
    StageStatus {
        stage: stage.stage,
        units: stage.to_run(),
        waiting: stage.tally.waiting,
        leased: stage.tally.leased,
        done: stage.tally.done,
        failed: stage.tally.set_aside,
        bytes: stage.bytes,
        bytes_done: stage.bytes_done,
        cpu_millis: stage.cpu_millis,
        wall_millis: stage.wall_millis,
        started: stage.started,
        ended: stage.ended.filter(|_| stage.to_run() > 0),
        retries: stage.retries,
        accounting: stage.totals.accounting(),
        counters: stage.totals.counters(),
        planned: stage.planned,
    }
}

fn failed_units(job: &Job) -> Vec<FailedUnit> {
    job.troubles
        .iter()
        .filter(|(key, _)| job.state(**key) == UnitState::SetAside)
        .map(|(key, trouble)| FailedUnit {
            unit: *key,
            error: trouble.set_aside.clone().unwrap_or_default(),
            attempts: job.attempt(*key),
        })
        .take(MAX_LISTED)
        .collect()
}
