//! What is published, counted and missing is the same in every world of a job.

use thresher_domain::{JobState, Stage, StageStatus, Timestamp, UnitKey};
use thresher_scheduler::Scheduler;

use crate::sim::files::Files;
use crate::sim::world::Tally;

/// How a job ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    state: JobState,
    published: Vec<(u32, [u8; 32])>,
    seal: Vec<(u32, [u8; 32])>,
    stages: Vec<StageStatus>,
    failed_units: Vec<UnitKey>,
    pub(crate) tally: Tally,
}

impl Outcome {
    pub(crate) fn of(scheduler: &Scheduler, files: &Files, tally: Tally) -> Self {
        let status = scheduler.status(Timestamp::default());
        let failed_units: Vec<_> = status.failed_units.iter().map(|failed| failed.unit).collect();
        let expected = match failed_units.is_empty() {
            true => JobState::Complete,
            false => JobState::CompleteWithGaps,
        };
        assert_eq!(status.state, expected, "the job ended: {}", status.reason);
        assert_eq!(status.alarms, Vec::<String>::new());
        Self {
            state: status.state,
            published: files.of_stage(Stage::Publish),
            seal: files.of_stage(Stage::Seal),
            stages: status.stages.into_iter().map(without_times).collect(),
            failed_units,
            tally,
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.state == other.state
            && self.published == other.published
            && self.seal == other.seal
            && self.stages == other.stages
            && self.failed_units == other.failed_units
    }
}

/// The row without what depends on how it went.
fn without_times(row: StageStatus) -> StageStatus {
    let timeless = StageStatus { cpu_millis: 0, wall_millis: 0, retries: 0, ..row };
    StageStatus { started: None, ended: None, ..timeless }
}
