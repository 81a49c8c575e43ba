//! The status as JSON, for other programs: it has the field names of `control.proto`, and names of
//! enum values.
//!
//! Counts are those of the text form: nothing is leased or held if the job is over, or if its
//! coordinator is dead.
//!
//! **Invariant:** every field is always present, and none is renamed; new ones may be added.

use std::collections::BTreeMap;

use serde::Serialize;
use thresher_proto::pb::{self, JobState};
use thresher_proto::stage_name;

use super::Exit;
use super::allocations::Allocations;
use super::liveness::Coordinator;
use super::status_text::is_blocked;
use thresher_coordinator::figures::{counters_by_name, held, waiting_and_leased};

/// What is shown: a status, and whether the coordinator lives.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) status: &'a pb::StatusResponse,
    pub(super) coordinator: &'a Coordinator,
}

/// Returns the status of a job that has ended as JSON on several lines.
pub(super) fn render(status: &pb::StatusResponse) -> anyhow::Result<String> {
    let coordinator = &Coordinator::default();
    let status = Status::from(Shown { status, coordinator });
    Ok(format!("{}\n", serde_json::to_string_pretty(&status)?))
}

/// Returns the status with the job's allocations; on one line if it is one of a series.
pub(super) fn render_with(
    shown: Shown<'_>,
    allocations: &Allocations,
    one_line: bool,
) -> anyhow::Result<String> {
    let both = WithAllocations { status: Status::from(shown), allocations };
    let text = match one_line {
        true => serde_json::to_string(&both)?,
        false => serde_json::to_string_pretty(&both)?,
    };
    Ok(format!("{text}\n"))
}

/// State of a job whose coordinator ended without stopping it.
const INTERRUPTED: &str = "interrupted";
/// State of a job that stopped for a reason that a person has to remove.
const BLOCKED: &str = "blocked";

#[derive(Serialize)]
struct WithAllocations<'a> {
    #[serde(flatten)]
    status: Status<'a>,
    #[serde(flatten)]
    allocations: &'a Allocations,
}

#[derive(Serialize)]
struct Status<'a> {
    job_name: &'a str,
    state: &'static str,
    reason: &'a str,
    epoch: u64,
    version: &'a str,
    now_millis: u64,
    submitted_millis: u64,
    finished_millis: u64,
    stages: Vec<Stage<'a>>,
    workers: Vec<Worker<'a>>,
    accounting: Accounting<'a>,
    set_aside: Vec<SetAside<'a>>,
    alarms: &'a [String],
    attention: &'a [String],
    exit_status: u8,
    output: &'a str,
    coordinator: &'a Coordinator,
}

#[derive(Serialize)]
struct Stage<'a> {
    stage: &'static str,
    planned: bool,
    units: u32,
    waiting: u32,
    leased: u32,
    done: u32,
    set_aside: u32,
    retries: u32,
    bytes: u64,
    bytes_done: u64,
    cpu_millis: u64,
    started_millis: u64,
    ended_millis: u64,
    accounting: Accounting<'a>,
    counts: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Worker<'a> {
    worker_id: u32,
    host: &'a str,
    pid: u32,
    slots: u32,
    held: u32,
    last_seen_millis: u64,
    lost: bool,
    /// Why it gets no units; empty if it may have some.
    excluded: &'a str,
}

#[derive(Default, Serialize)]
struct Accounting<'a> {
    records_in: u64,
    kept: u64,
    dropped: BTreeMap<&'a str, u64>,
    quarantined: BTreeMap<&'a str, u64>,
    bytes_in: u64,
    bytes_kept: u64,
}

#[derive(Serialize)]
struct SetAside<'a> {
    unit: String,
    attempts: u32,
    class: &'a str,
    host: &'a str,
    error: &'a str,
}

impl<'a> From<Shown<'a>> for Status<'a> {
    fn from(Shown { status, coordinator }: Shown<'a>) -> Self {
        let live = !status.state().is_over() && coordinator.may_work();
        Self {
            job_name: &status.job_name,
            state: if coordinator.is_dead() {
                INTERRUPTED
            } else if is_blocked(status) {
                BLOCKED
            } else {
                state_word(status.state())
            },
            reason: &status.reason,
            epoch: status.epoch,
            version: &status.version,
            now_millis: status.now_millis,
            submitted_millis: status.submitted_millis,
            finished_millis: status.finished_millis,
            stages: status.stages.iter().map(|stage| Stage::of(stage, live)).collect(),
            workers: status.workers.iter().map(|worker| Worker::of(worker, live)).collect(),
            accounting: accounting(status.accounting.as_ref()),
            set_aside: status.set_aside.iter().map(SetAside::from).collect(),
            alarms: &status.alarms,
            attention: &status.attention,
            exit_status: Exit::of_job(status) as u8,
            output: &status.output,
            coordinator,
        }
    }
}

impl<'a> Stage<'a> {
    fn of(stage: &'a pb::StageStatus, live: bool) -> Self {
        let (waiting, leased) = waiting_and_leased(stage, live);
        Self {
            stage: stage_name(stage.stage()),
            planned: stage.planned,
            units: stage.units,
            waiting,
            leased,
            done: stage.done,
            set_aside: stage.set_aside,
            retries: stage.retries,
            bytes: stage.bytes,
            bytes_done: stage.bytes_done,
            cpu_millis: stage.cpu_millis,
            started_millis: stage.started_millis,
            ended_millis: stage.ended_millis,
            accounting: accounting(stage.accounting.as_ref()),
            counts: counters_by_name(stage),
        }
    }
}

impl<'a> Worker<'a> {
    fn of(worker: &'a pb::WorkerStatus, live: bool) -> Self {
        Self {
            worker_id: worker.worker_id,
            host: &worker.host,
            pid: worker.pid,
            slots: worker.slots,
            held: held(worker, live),
            last_seen_millis: worker.last_seen_millis,
            lost: worker.lost,
            excluded: &worker.excluded,
        }
    }
}

impl<'a> From<&'a pb::SetAside> for SetAside<'a> {
    fn from(unit: &'a pb::SetAside) -> Self {
        let name = pb::UnitRef { attempt: 0, ..unit.unit.unwrap_or_default() };
        Self {
            unit: name.to_string(),
            attempts: unit.attempts,
            class: &unit.class,
            host: &unit.host,
            error: &unit.error,
        }
    }
}

fn accounting(accounting: Option<&pb::Accounting>) -> Accounting<'_> {
    accounting.map_or_else(Accounting::default, |accounting| Accounting {
        records_in: accounting.records_in,
        kept: accounting.kept,
        dropped: counts(&accounting.dropped),
        quarantined: counts(&accounting.quarantined),
        bytes_in: accounting.bytes_in,
        bytes_kept: accounting.bytes_kept,
    })
}

fn counts(counts: &[pb::Count]) -> BTreeMap<&str, u64> {
    counts.iter().map(|count| (count.name.as_str(), count.value)).collect()
}

const fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::None => "none",
        JobState::Running => "running",
        JobState::Drained => "drained",
        JobState::Complete => "complete",
        JobState::CompleteWithGaps => "complete-with-gaps",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::super::liveness::CoordinatorState;
    use super::*;
    use thresher_coordinator::figures::example;

    #[test]
    fn a_status_is_json_with_words_for_enums() {
        let coordinator = &Coordinator::default();
        let shown = Shown { status: &example(), coordinator };
        let text = render_with(shown, &Allocations::default(), true).unwrap();
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["state"], "complete-with-gaps");
        assert_eq!(value["exit_status"], 3);
        assert_eq!(value["stages"][2]["stage"], "prepare");
        assert_eq!(value["stages"][2]["accounting"]["dropped"]["language/low_score"], 8);
        assert_eq!(
            value["stages"][3]["counts"],
            serde_json::json!({
                "language/de/documents": 15,
                "language/de/json_bytes": 750_000,
                "language/de/tokens": 500,
                "language/en/documents": 40,
                "language/en/json_bytes": 2_000_000,
                "language/en/tokens": 1500,
                "slice/commoncrawl/documents": 55,
                "slice/commoncrawl/json_bytes": 2_750_000,
                "slice/commoncrawl/tokens": 2000,
            })
        );
        assert_eq!(value["set_aside"][0]["unit"], "prepare/1");
        assert_eq!(value["workers"][0]["host"], "node7");
        assert_eq!(value["accounting"]["records_in"], 0, "present even if the job has none");
    }

    #[test]
    fn a_blocked_job_is_not_called_drained() {
        let state = JobState::Drained.into();
        for (reason, word) in [("", "drained"), ("the disk is full", "blocked")] {
            let status = pb::StatusResponse { state, reason: reason.to_owned(), ..example() };
            let value: serde_json::Value = serde_json::from_str(&render(&status).unwrap()).unwrap();
            assert_eq!(value["state"], word);
        }
    }

    #[test]
    fn nothing_is_leased_or_held_when_the_job_is_over() {
        use CoordinatorState::{Answers, Dead, None};
        for (state, coordinator, word, waiting, leased, held) in [
            (JobState::Running, Answers, "running", 1, 2, 3),
            (JobState::Running, Dead, "interrupted", 3, 0, 0),
            (JobState::Cancelled, None, "cancelled", 3, 0, 0),
        ] {
            let coordinator = Coordinator { state: coordinator, ..Coordinator::default() };
            let mut status = pb::StatusResponse { state: state.into(), ..example() };
            (status.stages[2].waiting, status.stages[2].leased) = (1, 2);
            let shown = Shown { status: &status, coordinator: &coordinator };
            let text = render_with(shown, &Allocations::default(), false).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["state"], word);
            assert_eq!(value["stages"][2]["waiting"], waiting, "{state:?}");
            assert_eq!(value["stages"][2]["leased"], leased, "{state:?}");
            assert_eq!(value["workers"][0]["held"], held, "{state:?}");
        }
    }
}
