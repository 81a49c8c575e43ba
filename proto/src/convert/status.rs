//! The state of a job, for people and programs.

use thresher_domain::{
    AllocationEnd, Explanation, FailedUnit, FailureClass, JobState, StageStatus, Status, Timestamp,
    WorkerStatus,
};

use super::counter::counters_to_wire;
use crate::{VERSION, pb};

impl From<JobState> for pb::JobState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::None => Self::None,
            JobState::Running => Self::Running,
            JobState::Drained => Self::Drained,
            JobState::Complete => Self::Complete,
            JobState::CompleteWithGaps => Self::CompleteWithGaps,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<pb::JobState> for JobState {
    fn from(state: pb::JobState) -> Self {
        match state {
            pb::JobState::None => Self::None,
            pb::JobState::Running => Self::Running,
            pb::JobState::Drained => Self::Drained,
            pb::JobState::Complete => Self::Complete,
            pb::JobState::CompleteWithGaps => Self::CompleteWithGaps,
            pb::JobState::Failed => Self::Failed,
            pb::JobState::Cancelled => Self::Cancelled,
        }
    }
}

/// The predicates of [`JobState`], for code that uses messages.
impl pb::JobState {
    /// Returns whether the coordinator that reports this state has nothing left to do.
    pub fn is_over(self) -> bool {
        JobState::from(self).is_over()
    }

    /// Returns whether no coordinator can change the job any more.
    pub fn is_final(self) -> bool {
        JobState::from(self).is_final()
    }

    /// Returns whether the output is sealed.
    pub fn is_complete(self) -> bool {
        JobState::from(self).is_complete()
    }

    /// Returns the state in words, for people.
    pub fn name(self) -> &'static str {
        JobState::from(self).name()
    }
}

impl From<Status> for pb::StatusResponse {
    fn from(status: Status) -> Self {
        Self {
            job_name: status.job_name,
            state: pb::JobState::from(status.state).into(),
            reason: status.reason,
            epoch: status.epoch,
            version: VERSION.to_owned(),
            now_millis: status.now.millis(),
            submitted_millis: millis(status.submitted),
            finished_millis: millis(status.finished),
            stages: status.stages.into_iter().map(pb::StageStatus::from).collect(),
            workers: status.workers.into_iter().map(pb::WorkerStatus::from).collect(),
            accounting: status.accounting.map(pb::Accounting::from),
            set_aside: status.failed_units.into_iter().map(pb::SetAside::from).collect(),
            alarms: status.alarms,
            output: status.output,
            allocation: status.allocation.map(pb::AllocationEnd::from),
            draining: status.draining,
            refused: status.refused,
            attention: status.attention,
            output_lost: false,
        }
    }
}

impl From<AllocationEnd> for pb::AllocationEnd {
    fn from(end: AllocationEnd) -> Self {
        let AllocationEnd { allocation, ends, margin_millis } = end;
        Self { allocation, ends_millis: millis(ends), margin_millis }
    }
}

impl From<StageStatus> for pb::StageStatus {
    fn from(stage: StageStatus) -> Self {
        Self {
            stage: pb::Stage::from(stage.stage).into(),
            units: stage.units,
            waiting: stage.waiting,
            leased: stage.leased,
            done: stage.done,
            set_aside: stage.failed,
            bytes: stage.bytes,
            bytes_done: stage.bytes_done,
            cpu_millis: stage.cpu_millis,
            started_millis: millis(stage.started),
            ended_millis: millis(stage.ended),
            retries: stage.retries,
            accounting: Some(stage.accounting.into()),
            planned: stage.planned,
            wall_millis: stage.wall_millis,
            counters: counters_to_wire(stage.counters),
        }
    }
}

impl From<WorkerStatus> for pb::WorkerStatus {
    fn from(worker: WorkerStatus) -> Self {
        Self {
            worker_id: worker.worker_id,
            host: worker.host,
            pid: worker.pid,
            slots: worker.slots,
            held: worker.held,
            last_seen_millis: worker.last_seen.millis(),
            lost: worker.lost,
            excluded: worker.excluded.unwrap_or_default(),
        }
    }
}

impl From<FailedUnit> for pb::SetAside {
    fn from(failed: FailedUnit) -> Self {
        let FailedUnit { unit, error, attempts, class, host } = failed;
        let class = class.map_or("", FailureClass::name).to_owned();
        Self { unit: Some(unit.attempt(0).into()), error, attempts, class, host }
    }
}

impl From<Explanation> for pb::ExplainResponse {
    fn from(explanation: Explanation) -> Self {
        let Explanation { unit, condition, because } = explanation;
        Self { unit: Some(unit.into()), state: condition.name().to_owned(), because }
    }
}

/// Converts a moment for the wire, where 0 means none.
fn millis(moment: Option<Timestamp>) -> u64 {
    moment.map_or(0, Timestamp::millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_state_survives_the_wire() {
        for number in 0..7 {
            let wire = pb::JobState::try_from(number).unwrap();
            assert_eq!(pb::JobState::from(JobState::from(wire)), wire);
        }
        assert!(pb::JobState::try_from(7).is_err(), "a new state must be converted too");
    }
}
