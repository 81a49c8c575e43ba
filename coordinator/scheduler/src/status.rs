//! The state of the job, for people and programs. It reads the state and changes nothing.

use thresher_domain::{AllocationEnd, FailedUnit, JobState, Stage, StageStatus, Status, Timestamp};

use crate::attention::attention;
use crate::job::Job;
use crate::lifecycle::Phase;
use crate::stage_table::StageTable;
use crate::workers::Workers;

/// Number of failed units listed in one answer; the stages' counts have all of them.
const MAX_LISTED: usize = 1000;

/// What a status is made of.
pub(crate) struct StatusView<'a> {
    pub(crate) now: Timestamp,
    pub(crate) epoch: u64,
    pub(crate) allocation: Option<&'a AllocationEnd>,
    pub(crate) workers: &'a Workers,
    pub(crate) job: Option<&'a Job>,
}

impl StatusView<'_> {
    pub(crate) fn status(&self) -> Status {
        let common = Status {
            epoch: self.epoch,
            now: self.now,
            workers: self.workers.status(),
            allocation: self.allocation.cloned(),
            ..Status::default()
        };
        let Some(job) = self.job else { return common };
        let blocked = job.lifecycle.blocked.as_deref().unwrap_or_default();
        let (state, reason, finished) = match &job.lifecycle.phase {
            Phase::Running | Phase::Draining { .. } => (JobState::Running, blocked, None),
            Phase::Drained => (JobState::Drained, blocked, None),
            Phase::Over { state, reason, finished } => (*state, reason.as_str(), Some(*finished)),
        };
        let attention = match state.is_complete() {
            true => attention(&job.units, &job.plan.sources, &job.plan.limits),
            false => Vec::new(),
        };
        let published = &job.units.table(Stage::Publish).totals;
        let accounting = job.units.table(Stage::Prepare).totals.accounting_less(published);
        Status {
            job_name: job.plan.name.clone(),
            state,
            reason: reason.to_owned(),
            submitted: Some(job.submitted),
            finished,
            stages: job.units.tables().iter().map(stage_status).collect(),
            accounting: Some(accounting),
            failed_units: failed_units(job),
            alarms: job.alarms.clone(),
            draining: job.lifecycle.is_draining(),
            refused: job.lifecycle.refused,
            attention,
            output: job.plan.output.clone(),
            ..common
        }
    }
}

fn stage_status(table: &StageTable) -> StageStatus {
    StageStatus {
        stage: table.stage,
        units: table.to_run(),
        waiting: table.tally.waiting,
        leased: table.tally.leased,
        done: table.tally.done,
        failed: table.tally.failed,
        bytes: table.bytes,
        bytes_done: table.bytes_done,
        cpu_millis: table.cpu_millis,
        wall_millis: table.wall_millis,
        started: table.started,
        ended: table.ended.filter(|_| table.to_run() > 0),
        retries: table.retries,
        accounting: table.totals.accounting(),
        counters: table.totals.counters(),
        planned: table.planned,
    }
}

fn failed_units(job: &Job) -> Vec<FailedUnit> {
    let failed = job.units.failed().take(MAX_LISTED);
    failed
        .map(|(unit, history)| {
            let last = history.latest.last();
            FailedUnit {
                unit,
                error: history.permanent_error.clone().unwrap_or_default(),
                attempts: job.units.newest(unit).attempt,
                class: last.and_then(|last| last.class),
                host: last.map_or_else(String::new, |last| last.host.clone()),
            }
        })
        .collect()
}
