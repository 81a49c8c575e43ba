//! A status as people read it. Pure: a status in, text out.

use std::collections::BTreeSet;

use thresher_proto::pb::{self, JobState, Stage, StageStatus, StatusResponse};
use thresher_proto::stage_name;

use thresher_coordinator::amounts::{bytes, count, left_out_words, rate, share, span, utc};
use thresher_coordinator::figures::{
    Counted, Pace, Totals, by_size, held, waiting_and_leased,
};

/// Reasons that are named; the others are added up.
const REASONS_SHOWN: usize = 8;
/// Set-aside units that are named.
const SET_ASIDE_SHOWN: usize = 10;
const WORKERS_SHOWN: usize = 20;

/// Everything: stages, workers, accounting, what went wrong.
pub(super) fn table(status: &StatusResponse) -> String {
    let mut text = headline(status);
    text.push('\n');
    text += &stages(status);
    text += &workers(status);
    text += &left_out(status);
    text += &records(status);
    text += &troubles(status);
    text
}

/// What is left to say when a run ends; `again` is what goes on with a job that was drained.
pub(super) fn ending(status: &StatusResponse, again: &str) -> String {
    let mut text = headline(status);
    text += &left_out(status);
    text += &records(status);
    text += &troubles(status);
    let output = &status.output;
    match status.state() {
        JobState::Complete | JobState::CompleteWithGaps => {
            text += &format!("\nshards  {output}/documents\nreport  {output}/REPORT.md\n");
            text += &format!("check   thresher verify {output}\n");
        }
        JobState::Drained => text += &format!("\n{again} goes on from here\n"),
        JobState::None | JobState::Running | JobState::Failed | JobState::Cancelled => {}
    }
    text
}

fn headline(status: &StatusResponse) -> String {
    if status.state() == JobState::None {
        return "no job has begun here yet\n".to_owned();
    }
    let mut text = format!("job `{}` is {}", status.job_name, status.state().name());
    let (began, ended) = (status.submitted_millis, status.finished_millis);
    if began > 0 {
        let until = if ended > 0 { ended } else { status.now_millis };
        text += &format!(" ({}, submitted {})", span(until.saturating_sub(began)), utc(began));
    }
    text.push('\n');
    if !status.reason.is_empty() {
        text += &format!("  {}\n", status.reason.replace('\n', "\n  "));
    }
    text
}

fn stages(status: &StatusResponse) -> String {
    let mut rows = vec![
        [
            "stage",
            "units",
            "waiting",
            "leased",
            "done",
            "aside",
            "retries",
            "bytes",
            "rate",
            "left (took)",
        ]
        .map(str::to_owned),
    ];
    let live = !status.state().is_over();
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
        Some(left) => span(left),
        None if stage.ended_millis > 0 => format!("({})", span(pace.elapsed_millis)),
        None => dash(),
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

fn workers(status: &StatusResponse) -> String {
    if status.workers.is_empty() {
        return String::new();
    }
    let live = !status.state().is_over();
    let mut rows = vec![["worker", "host", "pid", "slots", "held", "heard"].map(str::to_owned)];
    let heard = |worker: &pb::WorkerStatus| match (worker.lost, live) {
        (true, _) => "lost".to_owned(),
        (false, true) => {
            format!("{} ago", span(status.now_millis.saturating_sub(worker.last_seen_millis)))
        }
        (false, false) => "gone".to_owned(),
    };
    rows.extend(status.workers.iter().take(WORKERS_SHOWN).map(|worker| {
        [
            worker.worker_id.to_string(),
            worker.host.clone(),
            worker.pid.to_string(),
            worker.slots.to_string(),
            held(worker, live).to_string(),
            heard(worker),
        ]
    }));
    let mut text = format!("\n{}{}", crew(&status.workers, live), columns(&rows));
    if let Some(more) = more(status.workers.len(), WORKERS_SHOWN) {
        text += &format!("{more} more workers\n");
    }
    text
}

/// All of them in a line: one table shows the first only.
fn crew(workers: &[pb::WorkerStatus], live: bool) -> String {
    let (lost, there): (Vec<_>, Vec<_>) = workers.iter().partition(|worker| worker.lost);
    let nodes: BTreeSet<&str> = there.iter().map(|worker| worker.host.as_str()).collect();
    let slots: u64 = there.iter().map(|worker| u64::from(worker.slots)).sum();
    let [workers, nodes, lost] = [there.len(), nodes.len(), lost.len()].map(|n| count(n as u64));
    let when = if live { "" } else { "at the end: " };
    format!("{when}workers {workers}, nodes {nodes}, slots {}, lost {lost}\n", count(slots))
}

/// What the job does not read though it is listed: nobody must take a part for the whole.
fn left_out(status: &StatusResponse) -> String {
    let listed = Counted::of(status, Stage::List);
    let (all, names) = (listed.excluded_inputs, &listed.excluded_input_names);
    if all == 0 { String::new() } else { format!("\nleft out {}\n", left_out_words(all, names)) }
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
        let fate = match status.state() {
            JobState::CompleteWithGaps | JobState::Complete => "in shards set aside",
            JobState::Cancelled | JobState::Failed => "prepared, never published",
            JobState::None | JobState::Running | JobState::Drained => "prepared, not yet published",
        };
        row(fate, totals.unpublished);
    }
    row("dropped", totals.dropped_sum());
    let dropped = by_size(&totals.dropped);
    for (reason, value) in dropped.iter().take(REASONS_SHOWN) {
        row(&format!("  {reason}"), *value);
    }
    if let Some(more) = more(dropped.len(), REASONS_SHOWN) {
        let rest = dropped[REASONS_SHOWN..].iter().map(|(_, value)| value).sum();
        row(&format!("  {more} more reasons"), rest);
    }
    row("quarantined", totals.quarantined_sum());
    for (reason, value) in by_size(&totals.quarantined) {
        row(&format!("  {reason}"), value);
    }
    format!("\n{}", columns(&rows))
}

fn troubles(status: &StatusResponse) -> String {
    let mut text = String::new();
    if !status.set_aside.is_empty() {
        text += &format!("\nset aside: {} units\n", count(status.set_aside.len() as u64));
    }
    for unit in status.set_aside.iter().take(SET_ASIDE_SHOWN) {
        let name = pb::UnitRef { attempt: 0, ..unit.unit.unwrap_or_default() };
        let error = unit.error.replace('\n', "\n    ");
        text += &format!("  {name} after {} attempts\n    {error}\n", unit.attempts);
    }
    if let Some(more) = more(status.set_aside.len(), SET_ASIDE_SHOWN) {
        text += &format!("  {more} more; `thresher status --json` names all\n");
    }
    for alarm in &status.alarms {
        text += &format!("\nALARM: {alarm}\n");
    }
    text
}

fn more(all: usize, shown: usize) -> Option<usize> {
    all.checked_sub(shown).filter(|more| *more > 0)
}

/// Rows under each other: the first column to the left, numbers to the right.
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
    use super::*;
    use thresher_coordinator::figures::example;

    #[test]
    fn a_status_shows_stages_workers_records_and_troubles() {
        let text = table(&example());
        for line in [
            "job `small` is complete with gaps (3.0 s, submitted 2026-03-01 12:00:00 UTC)",
            "stage    units  waiting  leased  done  aside  retries    bytes       rate left (took)",
            "prepare      3        0       0     2      1        5  10.0 MB  5.00 MB/s  (2.0 s)",
            "at the end: workers 1, nodes 1, slots 8, lost 0",
            "worker   host  pid  slots  held      heard",
            "1       node7   42      8     0  gone",
            "left out 3 of the listed: `a.example`, `b.example` and 1 more",
            "  in                             100  100.0 %",
            "  published                       55   55.0 %",
            "    gopher_quality/too_few_words   30   30.0 %",
            "set aside: 1 units",
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
    fn the_end_of_a_run_says_where_everything_is() {
        let text = ending(&example(), "`thresher run`");
        assert!(text.contains("report  /out/small/REPORT.md"), "{text}");
        assert!(text.contains("thresher verify /out/small"), "{text}");
        assert!(text.contains("\nleft out 3 of the listed: `a.example`,"), "{text}");
        let drained = StatusResponse { state: JobState::Drained.into(), ..example() };
        let text = ending(&drained, "`thresher resume`");
        assert!(text.ends_with("\n`thresher resume` goes on from here\n"), "{text}");
    }

    #[test]
    fn a_cancelled_job_has_nothing_leased_and_nothing_set_aside() {
        let mut status = StatusResponse { state: JobState::Cancelled.into(), ..example() };
        status.set_aside.clear();
        status.stages.retain(|stage| stage.stage() != pb::Stage::Publish);
        let prepare = status.stages.last_mut().unwrap();
        (prepare.units, prepare.set_aside, prepare.leased) = (5, 0, 3);
        let text = table(&status);
        let line = |start: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(start)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(line("prepare ").starts_with("prepare 5 3 0 2 0"), "{text}");
        assert_eq!(line("prepared, never"), "prepared, never published 60 60.0 %");
        assert!(!text.contains("aside:") && !text.contains("shards set aside"), "{text}");
        let running = StatusResponse { state: JobState::Running.into(), ..status };
        let text = table(&running);
        assert!(text.contains("1.0 s ago") && text.contains("not yet published"), "{text}");
    }

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["a", "1"], ["long", "1000"]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), "a        1\nlong  1000\n");
    }

    #[test]
    fn a_directory_without_a_job_says_so() {
        assert!(table(&StatusResponse::default()).starts_with("no job has begun here yet\n"));
    }
}
