//! The status as text, for people. These are pure functions of a status.

use std::collections::BTreeSet;

use thresher_domain::escape;
use thresher_proto::pb::{self, JobState, Stage, StageStatus, StatusResponse};
use thresher_proto::stage_name;

use super::liveness::Coordinator;
use thresher_coordinator::amounts::{
    bytes, count, counted, first_names, left_out_words, rate, share, span, utc,
};
use thresher_coordinator::figures::{Counted, Pace, Totals, by_size, held, waiting_and_leased};

/// Number of reasons that are listed; the others are summed up.
const REASONS_SHOWN: usize = 8;
/// Number of failed units that are listed.
const FAILED_UNITS_SHOWN: usize = 10;
const WORKERS_SHOWN: usize = 20;

/// Returns the whole status: stages, workers, records, failures. Only the age of the coordinator's
/// last sign of life refers to `now_millis`.
pub(super) fn table(status: &StatusResponse, coordinator: &Coordinator, now_millis: u64) -> String {
    let mut text = headline(status, &coordinator.words(now_millis), coordinator.is_dead());
    if !status.reason.is_empty() {
        text += &format!("  {}\n", status.reason.replace('\n', "\n  "));
    }
    text.push('\n');
    let live = !status.state().is_over() && coordinator.may_work();
    text += &stages(status, live);
    text += &workers(status, live);
    text += &attention(status);
    text += &left_out(status);
    text += &damaged(status);
    text += &records(status);
    text += &failures(status);
    text
}

/// Returns the text that is printed when a run ends. `again` names the command that resumes a
/// drained job; why a job is blocked is an error, which is printed elsewhere.
pub(super) fn ending(status: &StatusResponse, again: &str) -> String {
    let mut text = headline(status, "", false);
    text += &attention(status);
    text += &left_out(status);
    text += &damaged(status);
    text += &records(status);
    text += &failures(status);
    let output = &status.output;
    match status.state() {
        JobState::Complete | JobState::CompleteWithGaps => {
            text += &format!("\noutput  {output}\nreport  {output}/REPORT.md\n");
            text += &format!("check   thresher verify {output}\n");
        }
        JobState::Drained if is_blocked(status) => {}
        JobState::Drained => text += &format!("\n{again} resumes the job\n"),
        JobState::None | JobState::Running | JobState::Failed | JobState::Cancelled => {}
    }
    text
}

/// Returns whether the job stopped for a reason that a person has to remove.
pub(super) fn is_blocked(status: &StatusResponse) -> bool {
    status.state() == JobState::Drained && !status.reason.is_empty()
}

/// Returns the first line; `coordinator` is what it says about a coordinator that does not answer.
fn headline(status: &StatusResponse, coordinator: &str, is_dead: bool) -> String {
    if status.state() == JobState::None {
        return "no job has started here yet\n".to_owned();
    }
    let state = if is_dead {
        "not running"
    } else if is_blocked(status) {
        "blocked"
    } else {
        status.state().name()
    };
    let mut text = format!("job `{}` is {state}", escape::line(&status.job_name));
    if status.output_lost {
        text += ", but its output is gone or damaged";
    } else if status.state().is_complete() && !status.attention.is_empty() {
        text += ", but look at its output";
    }
    if !coordinator.is_empty() {
        text += &format!(": {coordinator}");
    }
    let (started, ended) = (status.submitted_millis, status.finished_millis);
    if started > 0 {
        let until = if ended > 0 { ended } else { status.now_millis };
        text += &format!(" ({}, submitted {})", span(until.saturating_sub(started)), utc(started));
    }
    text.push('\n');
    text
}

fn stages(status: &StatusResponse, live: bool) -> String {
    let mut rows = vec![
        [
            "stage",
            "units",
            "waiting",
            "leased",
            "done",
            "failed",
            "retries",
            "bytes",
            "rate",
            "left (took)",
        ]
        .map(str::to_owned),
    ];
    rows.extend(status.stages.iter().map(|stage| stage_row(stage, status.now_millis, live)));
    columns(&rows)
}

fn stage_row(stage: &StageStatus, now_millis: u64, live: bool) -> [String; 10] {
    let name = stage_name(stage.stage()).to_owned();
    let dash = || "-".to_owned();
    if !stage.planned {
        let [a, b, c, d, e, f, g, h, i] = std::array::from_fn(|_| dash());
        return [name, a, b, c, d, e, f, g, h, i];
    }
    let number = |value: u32| count(value.into());
    let pace = Pace::of(stage, now_millis);
    let left = match pace.left_millis {
        Some(left) if live => span(left),
        Some(_) | None if stage.ended_millis > 0 => format!("({})", span(pace.elapsed_millis)),
        Some(_) | None => dash(),
    };
    let (waiting, leased) = waiting_and_leased(stage, live);
    let (done, all) = (stage.bytes_done, stage.bytes);
    let amount = match (done, all) {
        (0, 0) => dash(),
        (done, all) if done >= all => bytes(done),
        (done, all) => format!("{} of {}", bytes(done), bytes(all)),
    };
    let speed = if done > 0 { rate(done, pace.elapsed_millis) } else { dash() };
    [
        name,
        number(stage.units),
        number(waiting),
        number(leased),
        number(stage.done),
        number(stage.set_aside),
        number(stage.retries),
        amount,
        speed,
        left,
    ]
}

fn workers(status: &StatusResponse, live: bool) -> String {
    if status.workers.is_empty() {
        return String::new();
    }
    let mut rows = vec![["worker", "host", "pid", "slots", "held", "seen"].map(str::to_owned)];
    let seen = |worker: &pb::WorkerStatus| match (worker.lost, live) {
        (true, _) => "lost".to_owned(),
        (false, true) => {
            format!("{} ago", span(status.now_millis.saturating_sub(worker.last_seen_millis)))
        }
        (false, false) => "gone".to_owned(),
    };
    rows.extend(status.workers.iter().take(WORKERS_SHOWN).map(|worker| {
        [
            worker.worker_id.to_string(),
            escape::line(&worker.host).into_owned(),
            worker.pid.to_string(),
            worker.slots.to_string(),
            held(worker, live).to_string(),
            seen(worker),
        ]
    }));
    let mut text = format!("\n{}{}", summary(&status.workers, live), columns(&rows));
    if let Some(more) = more(status.workers.len(), WORKERS_SHOWN) {
        text += &format!("{more} more workers\n");
    }
    text
}

/// Returns one line about all workers, because the table shows only the first ones.
fn summary(workers: &[pb::WorkerStatus], live: bool) -> String {
    let (lost, there): (Vec<_>, Vec<_>) = workers.iter().partition(|worker| worker.lost);
    let nodes: BTreeSet<&str> = there.iter().map(|worker| worker.host.as_str()).collect();
    let slots: u64 = there.iter().map(|worker| u64::from(worker.slots)).sum();
    let [workers, nodes, lost] = [there.len(), nodes.len(), lost.len()].map(|n| count(n as u64));
    let when = if live { "" } else { "at the end: " };
    format!("{when}workers {workers}, nodes {nodes}, slots {}, lost {lost}\n", count(slots))
}

/// Returns what a person should look at before the output is used.
fn attention(status: &StatusResponse) -> String {
    let indented = |text: &String| format!("\nlook at this: {}\n", text.replace('\n', "\n  "));
    status.attention.iter().map(indented).collect()
}

/// Returns what is listed but not read, because a reader must not take a part for the whole.
fn left_out(status: &StatusResponse) -> String {
    let listed = Counted::of(status, Stage::List);
    let (all, names) = (listed.excluded_inputs, &listed.excluded_input_names);
    if all == 0 {
        String::new()
    } else {
        format!("\nleft out {}\n", left_out_words(all, names, quoted))
    }
}

/// Returns which inputs are damaged: a record counts for each, however much is missing.
fn damaged(status: &StatusResponse) -> String {
    let prepared = Counted::of(status, Stage::Prepare);
    let all = prepared.damaged_inputs;
    if all == 0 {
        return String::new();
    }
    let inputs = counted(all, "input");
    let names = first_names(all, &prepared.damaged_input_names, quoted);
    format!("\ndamaged or cut off: {inputs}: {names}\n")
}

/// Returns a name as it is shown in a sentence.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", escape::line(name))
}

fn records(status: &StatusResponse) -> String {
    let totals = Totals::of(status);
    let all = totals.records_in;
    if all == 0 {
        return String::new();
    }
    let mut rows = vec![["records", "", ""].map(str::to_owned)];
    let mut row = |name: &str, value: u64| {
        rows.push([format!("  {name}"), count(value), share(value, all)]);
    };
    row("in", all);
    row("published", totals.published);
    if totals.unpublished > 0 {
        let name = match status.state() {
            JobState::CompleteWithGaps | JobState::Complete => "in missing shards",
            JobState::Cancelled | JobState::Failed => "prepared, never published",
            JobState::None | JobState::Running | JobState::Drained => "prepared, not yet published",
        };
        row(name, totals.unpublished);
    }
    row("dropped", totals.dropped_sum());
    let dropped = by_size(&totals.dropped);
    for (reason, value) in dropped.iter().take(REASONS_SHOWN) {
        row(&format!("  {}", escape::line(reason)), *value);
    }
    if let Some(more) = more(dropped.len(), REASONS_SHOWN) {
        let rest = dropped[REASONS_SHOWN..].iter().map(|(_, value)| value).sum();
        row(&format!("  {more} more reasons"), rest);
    }
    row("quarantined", totals.quarantined_sum());
    for (reason, value) in by_size(&totals.quarantined) {
        row(&format!("  {}", escape::line(reason)), value);
    }
    format!("\n{}", columns(&rows))
}

fn failures(status: &StatusResponse) -> String {
    let mut text = String::new();
    if !status.set_aside.is_empty() {
        text +=
            &format!("\nfailed permanently: {}\n", counted(status.set_aside.len() as u64, "unit"));
    }
    for unit in status.set_aside.iter().take(FAILED_UNITS_SHOWN) {
        let name = pb::UnitRef { attempt: 0, ..unit.unit.unwrap_or_default() };
        let error = unit.error.replace('\n', "\n    ");
        text += &format!("  {name} after {} attempts\n    {error}\n", unit.attempts);
    }
    if let Some(more) = more(status.set_aside.len(), FAILED_UNITS_SHOWN) {
        text += &format!("  {more} more; `thresher status --json` lists all\n");
    }
    for alarm in &status.alarms {
        text += &format!("\nALARM: {alarm}\n");
    }
    text
}

fn more(all: usize, shown: usize) -> Option<usize> {
    all.checked_sub(shown).filter(|more| *more > 0)
}

/// Returns the rows as a table, with the first column aligned to the left and the others to the
/// right.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (place, (cell, width)) in row.iter().zip(widths).enumerate() {
            if place == 0 {
                line += &format!("{cell:width$}");
            } else {
                line += &format!("  {cell:>width$}");
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::liveness::CoordinatorState;
    use super::*;
    use thresher_coordinator::figures::example;

    fn shown(status: &StatusResponse) -> String {
        let state = CoordinatorState::Answers;
        table(status, &Coordinator { state, ..Coordinator::default() }, status.now_millis)
    }

    #[test]
    fn nothing_runs_under_a_dead_coordinator() {
        let mut status = StatusResponse { state: JobState::Running.into(), ..example() };
        (status.stages[2].done, status.stages[2].leased, status.stages[2].ended_millis) = (0, 2, 0);
        let dead = Coordinator {
            state: CoordinatorState::Dead,
            host: "node\u{202e}1\n".to_owned(),
            pid: 7,
            heard_millis: status.now_millis,
        };
        let text = table(&status, &dead, status.now_millis + 34_000);
        let first = text.lines().next().unwrap();
        let expected = "job `small` is not running: its coordinator (pid 7 on `node\\u{202e}1\\u{a}`) \
                        is dead, last heard 34 s ago, at 2026-03-01 12:00:03 UTC";
        assert!(first.starts_with(expected), "{first}");
        assert!(!text.contains("is running") && text.contains("gone"), "{text}");
        let prepare = text.lines().find(|line| line.starts_with("prepare ")).unwrap();
        let cells: Vec<&str> = prepare.split_whitespace().collect();
        assert_eq!(cells[1..5], ["3", "2", "0", "0"], "{text}");
        assert_eq!(cells.last(), Some(&"-"), "no time left is shown: {text}");
    }

    #[test]
    fn a_blocked_job_is_not_called_drained() {
        let reason = "the disk is full\nhint: make room".to_owned();
        let state = JobState::Drained.into();
        let status = StatusResponse { state, reason, ..example() };
        let text = shown(&status);
        assert!(text.starts_with("job `small` is blocked"), "{text}");
        assert!(text.contains("\n  the disk is full\n  hint: make room\n"), "{text}");
        assert!(!ending(&status, "x").contains("resumes"), "its error says what to do first");
    }

    #[test]
    fn a_status_shows_stages_workers_records_and_failures() {
        let text = shown(&example());
        for line in [
            "job `small` is complete with missing units (3.0 s, submitted 2026-03-01 12:00:00 UTC)",
            "stage    units  waiting  leased  done  failed  retries    bytes       rate left \
             (took)",
            "prepare      3        0       0     2      1        5  10.0 MB  5.00 MB/s  (2.0 s)",
            "at the end: workers 1, nodes 1, slots 8, lost 0",
            "worker   host  pid  slots  held      seen",
            "1       node7   42      8     0  gone",
            "left out 3 of the listed: `a.example`, `b.example` and 1 more",
            "damaged or cut off: 2 inputs: `a.gz` and 1 more",
            "  in                             100  100.0 %",
            "  published                       55   55.0 %",
            "    gopher_quality/too_few_words   30   30.0 %",
            "failed permanently: 1 unit",
            "  prepare/1 after 3 attempts",
            "    failed to read the input `b.gz`",
            "    hint: look at it",
        ] {
            let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let found = text.lines().any(|found| squeeze(found) == squeeze(line));
            assert!(found, "no `{line}` in\n{text}");
        }
    }

    #[test]
    fn the_end_of_a_run_shows_where_the_output_is() {
        let text = ending(&example(), "`thresher run`");
        assert!(text.contains("report  /out/small/REPORT.md"), "{text}");
        assert!(text.contains("thresher verify /out/small"), "{text}");
        assert!(text.contains("\nleft out 3 of the listed: `a.example`,"), "{text}");
        let drained = StatusResponse { state: JobState::Drained.into(), ..example() };
        let text = ending(&drained, "`thresher resume`");
        assert!(text.ends_with("\n`thresher resume` resumes the job\n"), "{text}");
    }

    #[test]
    fn a_cancelled_job_has_no_leased_and_no_failed_units() {
        let mut status = StatusResponse { state: JobState::Cancelled.into(), ..example() };
        status.set_aside.clear();
        status.stages.retain(|stage| stage.stage() != pb::Stage::Publish);
        let prepare = status.stages.last_mut().unwrap();
        (prepare.units, prepare.set_aside, prepare.leased) = (5, 0, 3);
        let text = shown(&status);
        let line = |start: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(start)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(line("prepare ").starts_with("prepare 5 3 0 2 0"), "{text}");
        assert_eq!(line("prepared, never"), "prepared, never published 60 60.0 %");
        assert!(!text.contains("failed permanently") && !text.contains("missing shards"), "{text}");
        let running = StatusResponse { state: JobState::Running.into(), ..status };
        let text = shown(&running);
        assert!(text.contains("1.0 s ago") && text.contains("not yet published"), "{text}");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["a", "1"], ["long", "1000"]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), "a        1\nlong  1000\n");
    }

    #[test]
    fn a_directory_without_a_job_is_reported() {
        assert!(shown(&StatusResponse::default()).starts_with("no job has started here yet\n"));
    }
}
