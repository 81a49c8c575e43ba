//! The text and JSON of a plan, and of its refusal.

use super::estimate::Plan;
use crate::status_text::{columns, quoted};
use thresher_coordinator::amounts::{bytes, count, left_out_words, rate, share, span};

pub(super) fn json(plan: &Plan) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(plan)?))
}

pub(super) fn render(plan: &Plan) -> String {
    let mut text = format!("plan of job `{}`\n\n", plan.job_name);
    text += &sources(plan);
    for source in plan.sources.iter().filter(|source| !source.left_out.is_empty()) {
        let left_out = left_out_words(source.left_out.len() as u64, &source.left_out, quoted);
        text += &format!("{}: left out {left_out}\n", source.name);
    }
    text.push('\n');
    text += &samples(plan);
    text.push('\n');
    text += &stages(plan);
    text += &format!(
        "\n{} core-hours, about {} on {} slots here\n",
        core_hours(plan.cpu_millis),
        span(plan.wall_millis),
        plan.machine.slots
    );
    text +=
        &format!("memory  {} of {}\n", bytes(plan.memory_bytes), bytes(plan.machine.memory_bytes));
    text += &format!(
        "        usually {}, and {} for the coordinator\n",
        bytes(plan.usual_worker_bytes),
        bytes(plan.coordinator_bytes)
    );
    for disk in &plan.disks {
        let paths: Vec<String> = disk.paths.iter().map(|p| p.display().to_string()).collect();
        text += &format!(
            "disk    {} of {} free for {}\n",
            bytes(disk.needs_bytes),
            bytes(disk.free_bytes),
            paths.join(", ")
        );
    }
    for need in plan.keys.iter().filter(|need| need.ranges > 1) {
        text += &format!(
            "keys    {} for `{}`: {} key ranges on one node like this, one on {} nodes\n",
            bytes(need.memory_bytes),
            need.stage,
            count(need.ranges),
            count(need.nodes)
        );
    }
    let sampled: u64 = plan.sources.iter().map(|source| source.sample.bytes).sum();
    text += &format!(
        "\nestimated from {} of {} ({}); memory is the most that may be needed\n",
        bytes(sampled),
        bytes(plan.bytes),
        share(sampled, plan.bytes)
    );
    text += &reading(plan);
    plan.attention.iter().for_each(|look| text += &format!("look at this: {look}\n"));
    text
}

/// Returns a line that says whether the inputs are read once or twice, if lines are compared.
fn reading(plan: &Plan) -> String {
    let mut text = String::new();
    if plan.whole.kept_text_bytes > 0 {
        text += &format!(
            "pages are read once: {} of text are kept in the work directory from `lines` to \
             `prepare` (`dedup.lines.keep_text`)\n",
            bytes(plan.whole.kept_text_bytes)
        );
    }
    if plan.whole.read_twice_bytes > 0 {
        text += &format!(
            "inputs are read twice, by `lines` and by `prepare`: {} (`dedup.lines.keep_text`)\n",
            bytes(plan.whole.read_twice_bytes)
        );
    }
    text
}

/// Returns why the job cannot run here, or `None` if it can.
pub(super) fn refusal(plan: &Plan) -> Option<String> {
    if plan.shortfalls.is_empty() {
        return None;
    }
    let mut text = "the job does not fit".to_owned();
    let mut hints = String::new();
    for shortfall in &plan.shortfalls {
        text += &format!(
            "\n  {}: {} needed, {} available",
            shortfall.what,
            bytes(shortfall.needs_bytes),
            bytes(shortfall.has_bytes)
        );
        hints += &format!("\nhint: {}", shortfall.hint);
    }
    Some(text + &hints)
}

fn sources(plan: &Plan) -> String {
    let mut rows = vec![
        ["source", "inputs", "missing", "bytes", "units", "expands", "pages", "kept", "new lines"]
            .map(str::to_owned),
    ];
    for source in &plan.sources {
        let sample = &source.sample;
        let guessed = if source.of_unknown_size > 0 { "~" } else { "" };
        let expands = sample.record_bytes as f64 / sample.bytes.max(1) as f64;
        rows.push([
            source.name.clone(),
            count(source.inputs),
            count(source.missing),
            format!("{guessed}{}", bytes(source.bytes)),
            count(source.units),
            format!("{expands:.1} x"),
            share(sample.pages, sample.records),
            share(sample.documents, sample.records),
            share(sample.distinct_lines, sample.lines),
        ]);
    }
    columns(&rows)
}

/// Returns the table of the samples. Rates are compressed bytes per second of one core.
fn samples(plan: &Plan) -> String {
    let mut rows =
        vec![["sample", "read", "lines/MB", "lines", "prepare", "publish"].map(str::to_owned)];
    for source in &plan.sources {
        let sample = &source.sample;
        let per_core = |micros: u64| rate(sample.bytes, micros.div_ceil(1000));
        let per_mb = (sample.lines * 1_000_000).checked_div(sample.bytes);
        rows.push([
            source.name.clone(),
            bytes(sample.bytes),
            count(per_mb.unwrap_or_default()),
            per_core(sample.lines_cpu_micros),
            per_core(sample.prepare_cpu_micros),
            per_core(sample.publish_cpu_micros),
        ]);
    }
    columns(&rows)
}

fn stages(plan: &Plan) -> String {
    let mut rows = vec![
        ["stage", "units", "reads", "memory", "disk", "core-hours", "file ops"].map(str::to_owned),
    ];
    for stage in &plan.stages {
        let amount = |value: u64| if value == 0 { "-".to_owned() } else { bytes(value) };
        rows.push([
            stage.stage.to_owned(),
            count(stage.units),
            amount(stage.bytes),
            amount(stage.memory_bytes),
            amount(stage.disk_bytes),
            core_hours(stage.cpu_millis),
            count(stage.operations),
        ]);
    }
    columns(&rows)
}

fn core_hours(cpu_millis: u64) -> String {
    let hours = cpu_millis as f64 / 3_600_000.0;
    if hours < 10.0 { format!("{hours:.3}") } else { format!("{hours:.0}") }
}

#[cfg(test)]
mod tests {
    use super::super::estimate::tests::{job, machine, survey};
    use super::*;

    #[test]
    fn a_plan_shows_sources_stages_and_what_is_needed() {
        let mut survey = survey();
        survey.sources[0].left_out = vec!["a.example".to_owned(), "b.example".to_owned()];
        let text = render(&Plan::new(&job(), &survey, &machine()));
        let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        for line in [
            "commoncrawl 90 0 8.00 GB 90 3.0 x 90.0 % 45.0 % 75.0 %",
            "commoncrawl: left out 2 of the listed: `a.example`, `b.example`",
            "commoncrawl 8.00 MB 50,000 40.0 MB/s 5.33 MB/s 160 MB/s",
            "lines 90 8.00 GB 1.88 GB 3.90 GB 0.056 990",
            "resolve-lines 26 3.90 GB 1.07 GB 400 MB 0.042 884",
            "keys 27.9 GB for `resolve-lines`: 26 key ranges on one node like this, one on 26 nodes",
            "estimated from 8.00 MB of 8.00 GB (0.1 %); memory is the most that may be needed",
        ] {
            assert!(text.lines().any(|found| squeeze(found) == line), "no `{line}` in\n{text}");
        }
    }

    #[test]
    fn a_plan_says_whether_pages_are_read_once() {
        let mut survey = survey();
        let again = render(&Plan::new(&job(), &survey, &machine()));
        assert!(!again.contains("read once"), "{again}");
        assert!(
            again.contains("inputs are read twice, by `lines` and by `prepare`: 8.00 GB"),
            "{again}"
        );
        survey.sources[0].sample.kept_text_bytes = 9_000_000;
        let once = render(&Plan::new(&job(), &survey, &machine()));
        assert!(once.contains("pages are read once: 9.00 GB of text"), "{once}");
        assert!(!once.contains("read twice"), "{once}");
    }

    #[test]
    fn what_needs_a_look_is_said_last() {
        let mut survey = survey();
        survey.sources[0].sample.documents = 0;
        let text = render(&Plan::new(&job(), &survey, &machine()));
        let last = text.lines().last().unwrap_or_default();
        assert!(last.starts_with("look at this: none of the "), "{text}");
    }

    #[test]
    fn a_refusal_has_the_numbers_and_the_hints_last() {
        let mut tight = machine();
        let output = tight.output.as_mut().unwrap();
        output.free_bytes = 1000;
        let plan = Plan::new(&job(), &survey(), &tight);
        let text = refusal(&plan).unwrap();
        assert!(text.starts_with("the job does not fit\n  free space for `/out`: 3."), "{text}");
        assert!(text.contains("needed, 1.00 kB available\nhint: free some space"), "{text}");
        assert_eq!(refusal(&Plan::new(&job(), &survey(), &machine())), None);
    }
}
