//! How the job stands, for people and programs. It reads the state and changes nothing.

use thresher_proto::pb;

use super::job::{Job, Phase};
use super::stage::StageTable;
use super::unit::UnitState;
use super::{Scheduler, Timestamp};

/// Set-aside units listed in one answer; the stages' counts have them all.
const MAX_LISTED: usize = 1000;

impl Scheduler {
    /// Everything that can be said about the job.
    pub fn status(&self, now: Timestamp) -> pb::StatusResponse {
        let common = pb::StatusResponse {
            epoch: self.epoch,
            version: thresher_proto::VERSION.to_owned(),
            now_millis: now.millis(),
            workers: self.workers.status(),
            allocation: self.allocation.clone(),
            ..pb::StatusResponse::default()
        };
        let Some(job) = &self.job else { return common };
        let barred = job.barred.as_deref().unwrap_or_default();
        let (state, reason, finished) = match &job.phase {
            Phase::Running | Phase::Draining { .. } => (pb::JobState::Running, barred, None),
            Phase::Drained => (pb::JobState::Drained, barred, None),
            Phase::Over { state, reason, finished } => (*state, reason.as_str(), Some(*finished)),
        };
        let accounting = job
            .stage(pb::Stage::Prepare)
            .totals
            .accounting_less(&job.stage(pb::Stage::Publish).totals);
        pb::StatusResponse {
            job_name: job.plan.name.clone(),
            state: state.into(),
            reason: reason.to_owned(),
            submitted_millis: job.submitted.millis(),
            finished_millis: finished.map_or(0, Timestamp::millis),
            stages: job.stages.iter().map(stage_status).collect(),
            accounting: Some(accounting),
            set_aside: set_aside(job),
            alarms: job.alarms.clone(),
            draining: matches!(job.phase, Phase::Draining { .. }),
            refused: job.refused,
            output: job.plan.output.clone(),
            ..common
        }
    }
}

fn stage_status(stage: &StageTable) -> pb::StageStatus {
    pb::StageStatus {
        stage: stage.stage.into(),
        units: stage.to_run(),
        waiting: stage.tally.waiting,
        leased: stage.tally.leased,
        done: stage.tally.done,
        set_aside: stage.tally.set_aside,
        bytes: stage.bytes,
        bytes_done: stage.bytes_done,
        cpu_millis: stage.cpu_millis,
        wall_millis: stage.wall_millis,
        started_millis: stage.started.map_or(0, Timestamp::millis),
        ended_millis: stage.ended.filter(|_| stage.to_run() > 0).map_or(0, Timestamp::millis),
        retries: stage.retries,
        accounting: Some(stage.totals.accounting()),
        counts: stage.totals.counts.to_pb(),
        planned: stage.planned,
    }
}

fn set_aside(job: &Job) -> Vec<pb::SetAside> {
    job.troubles
        .iter()
        .filter(|(key, _)| job.state(**key) == UnitState::SetAside)
        .map(|(key, trouble)| pb::SetAside {
            unit: Some(key.attempt(0)),
            error: trouble.set_aside.clone().unwrap_or_default(),
            attempts: job.attempt(*key),
        })
        .take(MAX_LISTED)
        .collect()
}
