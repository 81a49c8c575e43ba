//! Shows the allocations of a job in `status`, from the records and from one query to the batch
//! system. If the batch system does not answer, only its part is missing.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use thresher_proto::pb::{Stage, StageStatus, StatusResponse};
use thresher_proto::stage_name;

use super::status_text::columns;
use thresher_coordinator::amounts::{share, span, utc};
use thresher_coordinator::batch::{
    Allocation, Answer, History, Now, Phase, Records, States, ask, batch_system, cause_in_log,
};
use thresher_coordinator::clock;
use thresher_coordinator::figures::Pace;

const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Number of allocations that are shown, the latest ones.
const SHOWN: usize = 20;
/// Longest error of the batch system that is shown.
const ERROR_CHARS_MAX: usize = 600;
const MILLIS_PER_HOUR: f64 = 3_600_000.0;

/// What `status` adds about allocations.
#[derive(Debug, Default, Serialize)]
pub(super) struct Allocations {
    pub(super) allocations: Vec<Row>,
    pub(super) node_hours: Option<NodeHours>,
    /// Why the batch system did not answer; empty if it did, or if it was not asked.
    #[serde(rename = "unheard")]
    pub(super) query_error: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    id: String,
    #[serde(serialize_with = "phase_name")]
    state: Phase,
    nodes: u32,
    runs: usize,
    began_millis: u64,
    ends_millis: u64,
    node_hours: f64,
    why: String,
}

/// Whether a coordinator of the job answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    Yes,
    No,
}

/// Node-hours of all allocations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct NodeHours {
    used: f64,
    /// Node-hours in units that were done, from their time and the workers' slots.
    in_done_units: f64,
    /// The rest: waiting, starting, and units that were lost. It is not known while an allocation
    /// runs, because running units may need it.
    wasted: Option<f64>,
}

/// Asks the batch system for the states of allocations that may run, now or again.
pub(super) fn ask_states(history: &History) -> Answer {
    let Some(submission) = &history.submission else { return Answer::default() };
    let ids = history.to_ask(clock::now().millis() / 1000);
    ask(&*batch_system(&submission.site), &ids, ASK_LIMIT)
}

fn phase_name<S: serde::Serializer>(phase: &Phase, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(phase.name())
}

impl Allocations {
    /// Returns the allocations that a state directory has records of.
    pub(super) fn look(
        state: &Path,
        status: &StatusResponse,
        answers: Answers,
    ) -> anyhow::Result<Self> {
        let history = History::of(&Records::of(state).read()?);
        if history.allocations.is_empty() {
            return Ok(Self::default());
        }
        let Answer { states, error } = ask_states(&history);
        let unix_seconds = clock::now().millis() / 1000;
        let alive_unix_seconds = match answers {
            Answers::Yes => unix_seconds,
            Answers::No => last_sign_of_life(status) / 1000,
        };
        let now = Now { unix_seconds, alive_unix_seconds };
        let mut shown = Self::of(&history, &states, status, now);
        shown.query_error = error.unwrap_or_default();
        let latest = shown.allocations.iter_mut().zip(&history.allocations).rev().take(SHOWN);
        for (row, allocation) in latest {
            if allocation.lacks_cause(states.get(&row.id)) {
                let cause = cause_in_log(state, &row.id);
                row.why += if row.why.is_empty() || cause.is_empty() { "" } else { "; " };
                row.why += &cause;
            }
        }
        // A coordinator that answers runs in the allocation that started last.
        let last = shown.allocations.iter_mut().max_by_key(|row| row.began_millis);
        if let Some(last) =
            last.filter(|row| answers == Answers::Yes && row.state == Phase::Unknown)
        {
            (last.state, last.why) = (Phase::Running, String::new());
            if let Some(node_hours) = &mut shown.node_hours {
                node_hours.wasted = None;
            }
        }
        Ok(shown)
    }

    fn of(history: &History, states: &States, status: &StatusResponse, now: Now) -> Self {
        let rows: Vec<Row> =
            history.allocations.iter().map(|allocation| row(allocation, states, now)).collect();
        let cores = history.submission.as_ref().map_or(0, |s| s.site.cores_per_node);
        let slots = match (cores, status.workers.iter().map(|worker| worker.slots).max()) {
            (0, Some(slots)) => slots,
            (cores, _) => cores,
        };
        // Without knowing a node's slots, the time of units says nothing about nodes.
        let node_hours = (slots > 0).then(|| NodeHours::of(&rows, &status.stages, slots));
        Self { allocations: rows, node_hours, query_error: String::new() }
    }

    /// Returns the text for people; empty without allocations.
    pub(super) fn text(&self) -> String {
        if self.allocations.is_empty() {
            return String::new();
        }
        let head = ["allocation", "state", "nodes", "runs", "started", "ends"].map(str::to_owned);
        let skipped = self.allocations.len().saturating_sub(SHOWN);
        let shown = &self.allocations[skipped..];
        let mut rows = vec![head];
        rows.extend(shown.iter().map(|row| {
            [
                row.id.clone(),
                row.state.name().to_owned(),
                row.nodes.to_string(),
                row.runs.to_string(),
                utc(row.began_millis),
                utc(row.ends_millis),
            ]
        }));
        let mut text = "\n".to_owned();
        for (place, line) in columns(&rows).lines().enumerate() {
            text += line;
            match place.checked_sub(1).and_then(|place| shown.get(place)) {
                Some(row) if !row.why.is_empty() => text += &format!("  {}", row.why),
                Some(_) | None => {}
            }
            text.push('\n');
        }
        if skipped > 0 {
            text += &format!("{skipped} earlier allocations\n");
        }
        if let Some(node_hours) = self.node_hours {
            text += &node_hours.text();
        }
        if !self.query_error.is_empty() {
            text +=
                &format!("the batch system did not answer: {}\n", on_one_line(&self.query_error));
        }
        text
    }

    /// Returns the walltime that is left in the running allocation, and the time that the current
    /// stage needs.
    pub(super) fn time_left(&self, status: &StatusResponse) -> Option<String> {
        let running = self.allocations.iter().find(|row| row.state == Phase::Running)?;
        let left = running.ends_millis.checked_sub(status.now_millis)?;
        let mut text = format!("walltime left {}", span(left));
        let paces = status.stages.iter().map(|stage| (stage, Pace::of(stage, status.now_millis)));
        let mut needed = paces.filter_map(|(stage, pace)| Some((stage, pace.left_millis?)));
        if let Some((stage, needed)) = needed.next() {
            text += &format!(", `{}` needs {} of it", stage_name(stage.stage()), span(needed));
            if needed > left {
                text += ", which is more";
            }
        }
        Some(text + "\n")
    }
}

/// Returns an error on one line, because batch systems say the reason on any of several.
fn on_one_line(error: &str) -> String {
    let lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join("; ");
    match joined.char_indices().nth(ERROR_CHARS_MAX) {
        None => joined,
        Some((end, _)) => format!("{}…", &joined[..end]),
    }
}

impl NodeHours {
    fn of(rows: &[Row], stages: &[StageStatus], slots: u32) -> Self {
        // `sum` of an empty iterator is a negative zero.
        let used = rows.iter().fold(0.0, |sum, row| sum + row.node_hours);
        let done = stages.iter().fold(0.0, |sum, stage| sum + node_hours_of(stage, slots));
        // An allocation in an unknown state does not count: its end was probably not recorded.
        let running = rows.iter().any(|row| row.state.has_nodes());
        let wasted = (!running).then(|| (used - done).max(0.0));
        Self { used, in_done_units: done.min(used), wasted }
    }

    fn text(self) -> String {
        let Self { used, in_done_units, wasted } = self;
        let thousandths = |hours: f64| (hours * 1000.0).round() as u64;
        let (rest, word) = match wasted {
            Some(wasted) => (wasted, "wasted"),
            None => (used - in_done_units, "in running units, or wasted"),
        };
        format!(
            "node-hours {used:.2} used, {in_done_units:.2} in done units, {rest:.2} {word} ({})\n",
            share(thousandths(rest), thousandths(used))
        )
    }
}

/// Returns the node-hours of the done units of a stage, on nodes with this number of slots. A unit
/// that resolves a key range uses a whole node.
fn node_hours_of(stage: &StageStatus, slots: u32) -> f64 {
    let units_on_node = match stage.stage() {
        Stage::ResolveLines | Stage::ResolveDocuments | Stage::ResolveBands | Stage::Connect => 1,
        Stage::Unspecified
        | Stage::List
        | Stage::Lines
        | Stage::GatherLines
        | Stage::CombineLines
        | Stage::Prepare
        | Stage::GatherDocuments
        | Stage::CombineDocuments
        | Stage::Sign
        | Stage::GatherBands
        | Stage::Collect
        | Stage::Compare
        | Stage::Decide
        | Stage::Layout
        | Stage::Publish
        | Stage::Seal => slots,
    };
    stage.wall_millis as f64 / MILLIS_PER_HOUR / f64::from(units_on_node)
}

/// Returns when the journal last saw a worker or a change: a coordinator that does not answer did
/// not live much longer.
fn last_sign_of_life(status: &StatusResponse) -> u64 {
    let seen = status.workers.iter().map(|worker| worker.last_seen_millis);
    let stages = status.stages.iter().flat_map(|s| [s.started_millis, s.ended_millis]);
    seen.chain(stages).chain([status.finished_millis]).max().unwrap_or(0)
}

fn row(allocation: &Allocation, states: &States, now: Now) -> Row {
    let known = states.get(&allocation.id);
    let (state, why) = allocation.describe(known);
    let last = allocation.runs.last();
    let seconds = allocation.node_seconds(known, now);
    Row {
        id: allocation.id.clone(),
        state,
        nodes: last.map_or(allocation.nodes, |run| run.nodes),
        runs: allocation.runs.len(),
        began_millis: last.map_or(0, |run| run.started_unix_seconds * 1000),
        ends_millis: allocation.ends(known, now).unwrap_or(0) * 1000,
        node_hours: seconds as f64 / 3600.0,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(state: Phase) -> Row {
        Row {
            id: "7".to_owned(),
            state,
            nodes: 2,
            runs: 1,
            began_millis: 1_772_366_400_000,
            ends_millis: 1_772_366_460_000,
            node_hours: 1.5,
            why: String::new(),
        }
    }

    fn shown(row: Row) -> Allocations {
        Allocations { allocations: vec![row], node_hours: None, query_error: String::new() }
    }

    /// Half of a stage is done after `elapsed` milliseconds, 20 s after the allocation started.
    fn status(elapsed: u64) -> StatusResponse {
        let now_millis = 1_772_366_420_000;
        let prepare = StageStatus {
            stage: Stage::Prepare.into(),
            units: 8,
            done: 4,
            leased: 4,
            bytes: 80,
            bytes_done: 40,
            started_millis: now_millis - elapsed,
            wall_millis: 7_200_000,
            planned: true,
            ..StageStatus::default()
        };
        StatusResponse { now_millis, stages: vec![prepare], ..StatusResponse::default() }
    }

    #[test]
    fn the_walltime_left_is_shown_with_the_time_needed() {
        let running = shown(row_of(Phase::Running));
        let left = running.time_left(&status(10_000)).unwrap();
        assert_eq!(left, "walltime left 40 s, `prepare` needs 10 s of it\n");
        let left = running.time_left(&status(90_000)).unwrap();
        assert_eq!(left, "walltime left 40 s, `prepare` needs 1m 30s of it, which is more\n");
        for phase in [Phase::Ended, Phase::Suspended, Phase::Unreachable] {
            assert_eq!(shown(row_of(phase)).time_left(&status(10_000)), None, "{phase:?}");
        }
    }

    #[test]
    fn every_line_of_the_batch_systems_error_is_shown() {
        let mut silent = shown(row_of(Phase::Unknown));
        silent.query_error =
            "`sacct` ended with exit status: 1: \nstorage is disabled\nhint: `records`".to_owned();
        let expected = "did not answer: `sacct` ended with exit status: 1:; storage is disabled; \
                        hint: `records`\n";
        assert!(silent.text().ends_with(expected), "{}", silent.text());
        silent.query_error = "é".repeat(10_000);
        assert!(silent.text().len() < 2000);
    }

    #[test]
    fn an_ended_allocation_shows_its_end() {
        let text = shown(row_of(Phase::Ended)).text();
        assert!(text.contains("2026-03-01 12:00:00 UTC  2026-03-01 12:01:00 UTC"), "{text}");
    }

    #[test]
    fn wasted_node_hours_are_known_if_no_allocation_runs() {
        let text = |state| NodeHours::of(&[row_of(state)], &status(1000).stages, 4).text();
        let ended = text(Phase::Ended);
        assert_eq!(ended, "node-hours 1.50 used, 0.50 in done units, 1.00 wasted (66.7 %)\n");
        let at_work = "1.00 in running units, or wasted (66.7 %)\n";
        for phase in [Phase::Running, Phase::Suspended] {
            assert!(text(phase).ends_with(at_work), "{}", text(phase));
        }
        let nothing = NodeHours::of(&[], &[], 4).text();
        assert_eq!(nothing, "node-hours 0.00 used, 0.00 in done units, 0.00 wasted (-)\n");
    }

    #[test]
    fn a_done_unit_uses_a_slot_and_a_key_range_a_node() {
        let prepare = &status(1000).stages[0];
        assert_eq!(node_hours_of(prepare, 4), 0.5);
        let resolve = StageStatus { stage: Stage::ResolveLines.into(), ..prepare.clone() };
        assert_eq!(node_hours_of(&resolve, 4), 2.0);
    }
}
