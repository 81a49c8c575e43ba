//! What is published, counted and missing is the same in every world of a job.

use thresher_coordinator::scheduler::{Scheduler, Timestamp};
use thresher_proto::pb::{JobState, Stage, StageStatus, UnitRef};

use crate::sim::files::Files;
use crate::sim::world::Told;

/// How a job ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    state: JobState,
    published: Vec<(u32, [u8; 32])>,
    seal: Vec<(u32, [u8; 32])>,
    stages: Vec<StageStatus>,
    set_aside: Vec<UnitRef>,
    pub(crate) told: Told,
}

impl Outcome {
    pub(crate) fn of(scheduler: &Scheduler, files: &Files, told: Told) -> Self {
        let status = scheduler.status(Timestamp::default());
        let set_aside: Vec<_> = status.set_aside.iter().filter_map(|s| s.unit).collect();
        let expected = match set_aside.is_empty() {
            true => JobState::Complete,
            false => JobState::CompleteWithGaps,
        };
        assert_eq!(status.state(), expected, "the job ended: {}", status.reason);
        assert_eq!(status.alarms, Vec::<String>::new());
        Self {
            state: status.state(),
            published: files.of_stage(Stage::Publish),
            seal: files.of_stage(Stage::Seal),
            stages: status.stages.into_iter().map(without_times).collect(),
            set_aside,
            told,
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.state == other.state
            && self.published == other.published
            && self.seal == other.seal
            && self.stages == other.stages
            && self.set_aside == other.set_aside
    }
}

/// The row without what depends on how it went.
fn without_times(row: StageStatus) -> StageStatus {
    let timeless = StageStatus { cpu_millis: 0, wall_millis: 0, retries: 0, ..row };
    StageStatus { started_millis: 0, ended_millis: 0, ..timeless }
}
