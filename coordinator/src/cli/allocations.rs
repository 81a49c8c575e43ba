//! The allocations of a job in `status`: from the records, and from one question to the batch
//! system. One that is not there, or does not answer, costs only what it would have said.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use thresher_proto::batch::AllocationId;
use thresher_proto::pb::StatusResponse;

use super::status_text::columns;
use crate::amounts::{share, span, utc};
use crate::batch::{Allocation, History, Records, States, batch_system, run_command};
use crate::clock;

const ASK_LIMIT: Duration = Duration::from_secs(5);
/// The latest ones.
const SHOWN: usize = 20;
const MILLIS_PER_HOUR: f64 = 3_600_000.0;

/// What `status` adds about allocations.
#[derive(Debug, Default, Serialize)]
pub(super) struct Allocations {
    pub(super) allocations: Vec<Row>,
    pub(super) node_hours: Option<NodeHours>,
    /// Why the batch system was not heard; empty when it was, or was not asked.
    pub(super) unheard: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    id: String,
    state: &'static str,
    nodes: u32,
    runs: usize,
    began_millis: u64,
    ends_millis: u64,
    node_hours: f64,
    why: String,
}

/// Of all allocations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct NodeHours {
    used: f64,
    /// In units that were done, by their CPU time and the workers' slots.
    in_done_units: f64,
    /// The rest: waiting, starting, and units that were lost.
    wasted: f64,
}

/// What the batch system says about allocations whose end was not recorded.
pub(super) fn ask_states(history: &History) -> anyhow::Result<States> {
    let ids = history.unsettled().filter_map(|a| AllocationId::parse(&a.id).ok());
    let ids: Vec<AllocationId> = ids.collect();
    let Some(submission) = &history.submission else { return Ok(States::new()) };
    let system = batch_system(&submission.site);
    let Some(line) = system.status(&ids) else { return Ok(States::new()) };
    let states = system.parse_status(&run_command(&line, ASK_LIMIT)?)?;
    Ok(states.into_iter().map(|(id, state)| (id.to_string(), state)).collect())
}

impl Allocations {
    /// Of a state directory; without any, there is nothing to show.
    pub(super) fn look(state: &Path, status: &StatusResponse) -> anyhow::Result<Self> {
        let history = History::of(&Records::of(state).read()?);
        if history.allocations.is_empty() {
            return Ok(Self::default());
        }
        let (states, unheard) = match ask_states(&history) {
            Ok(states) => (states, String::new()),
            Err(error) => (States::new(), error.to_string()),
        };
        Ok(Self { unheard, ..Self::of(&history, &states, status, clock::now().millis() / 1000) })
    }

    fn of(history: &History, states: &States, status: &StatusResponse, now: u64) -> Self {
        let rows: Vec<Row> =
            history.allocations.iter().map(|allocation| row(allocation, states, now)).collect();
        let used: f64 = rows.iter().map(|row| row.node_hours).sum();
        let cores = history.submission.as_ref().map_or(0, |s| s.site.cores_per_node);
        let slots = match (cores, status.workers.iter().map(|worker| worker.slots).max()) {
            (0, Some(slots)) => slots,
            (cores, _) => cores,
        };
        let cpu: u64 = status.stages.iter().map(|stage| stage.cpu_millis).sum();
        // Without knowing a node's slots, CPU time says nothing about nodes.
        let node_hours = (slots > 0).then(|| {
            let done = cpu as f64 / MILLIS_PER_HOUR / f64::from(slots);
            NodeHours { used, in_done_units: done.min(used), wasted: (used - done).max(0.0) }
        });
        Self { allocations: rows, node_hours, unheard: String::new() }
    }

    /// As people read it; empty without allocations.
    pub(super) fn text(&self) -> String {
        if self.allocations.is_empty() {
            return String::new();
        }
        let head = ["allocation", "state", "nodes", "runs", "began", "ends"].map(str::to_owned);
        let skipped = self.allocations.len().saturating_sub(SHOWN);
        let shown = &self.allocations[skipped..];
        let mut rows = vec![head];
        rows.extend(shown.iter().map(|row| {
            [
                row.id.clone(),
                row.state.to_owned(),
                row.nodes.to_string(),
                row.runs.to_string(),
                utc(row.began_millis),
                if row.state == "running" { utc(row.ends_millis) } else { "-".to_owned() },
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
        if let Some(NodeHours { used, in_done_units, wasted }) = self.node_hours {
            let thousandths = |hours: f64| (hours * 1000.0).round() as u64;
            text += &format!(
                "node-hours {used:.2} used, {in_done_units:.2} in done units, {wasted:.2} wasted \
                 ({})\n",
                share(thousandths(wasted), thousandths(used))
            );
        }
        if !self.unheard.is_empty() {
            let first = self.unheard.lines().next().unwrap_or_default();
            text += &format!("the batch system was not heard: {first}\n");
        }
        text
    }

    /// Of the allocation that runs: what is left of its walltime.
    pub(super) fn time_left(&self, now_millis: u64) -> Option<String> {
        let running = self.allocations.iter().find(|row| row.state == "running")?;
        let left = running.ends_millis.checked_sub(now_millis).filter(|_| running.ends_millis > 0);
        left.map(|left| format!("walltime left {}\n", span(left)))
    }
}

fn row(allocation: &Allocation, states: &States, now: u64) -> Row {
    let told = states.get(&allocation.id);
    let (state, why) = allocation.standing(told);
    let last = allocation.runs.last();
    let seconds = allocation.node_seconds(told, now);
    Row {
        id: allocation.id.clone(),
        state,
        nodes: last.map_or(allocation.nodes, |run| run.nodes),
        runs: allocation.runs.len(),
        began_millis: last.map_or(0, |run| run.began_unix_seconds * 1000),
        ends_millis: last.and_then(|run| run.ends_unix_seconds).unwrap_or(0) * 1000,
        node_hours: seconds as f64 / 3600.0,
        why,
    }
}
