//! Writes `REPORT.md`: the report in sentences and tables.
//!
//! **Invariant:** names and errors, which may come from inputs or other programs, are escaped: they
//! are no markup.

use std::collections::BTreeMap;
use std::fmt::Write;

use thresher_domain::escape::{code, line, page as words};

use super::{Report, slices};
use crate::amounts::{bytes, count, counted, first_names, left_out_words, rate, share, span, utc};
use crate::figures::by_size;

/// Number of languages with their own row; the others are summed up.
const LANGUAGES_SHOWN: usize = 30;

pub(super) fn render(report: &Report<'_>) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(&mut page, report);
    page
}

fn write_page(page: &mut String, report: &Report<'_>) -> std::fmt::Result {
    head(page, report)?;
    records(page, report)?;
    slices::write(page, &report.slices)?;
    languages(page, report)?;
    lines(page, report)?;
    report.scores.write(page)?;
    stages(page, report)?;
    report.failed.write(page)?;
    check_it(page, report)
}

fn head(page: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let (job, inputs) = (&report.job, &report.inputs);
    writeln!(page, "# Report of {}\n", code(job.name))?;
    if !job.complete {
        writeln!(
            page,
            "**Incomplete:** {} failed permanently, see below; their records are not in the \
             output.\n",
            counted(report.failed.total as u64, "unit")
        )?;
    }
    for alarm in report.alarms {
        writeln!(page, "**Alarm:** {}\n", words(alarm))?;
    }
    let sources: Vec<String> = inputs.sources.iter().map(|name| code(name)).collect();
    writeln!(page, "| | |\n|---|---|")?;
    writeln!(page, "| preset | {} |", code(job.preset))?;
    writeln!(page, "| Thresher | {} |", job.thresher)?;
    writeln!(page, "| sources | {} |", sources.join(", "))?;
    writeln!(
        page,
        "| inputs | {} in {} units, {} |",
        count(inputs.inputs),
        count(inputs.units.into()),
        bytes(inputs.bytes)
    )?;
    if inputs.left_out_total > 0 {
        let left_out = left_out_words(inputs.left_out_total, &inputs.left_out, code);
        writeln!(page, "| left out | {left_out} |")?;
    }
    if inputs.damaged_total > 0 {
        let all = inputs.damaged_total;
        let names = first_names(all, &inputs.damaged, code);
        writeln!(page, "| damaged or cut off | {}: {names} |", counted(all, "input"))?;
    }
    writeln!(page, "| output | {} |", code(job.output))?;
    writeln!(page, "| submitted | {} |", utc(job.submitted_millis))?;
    writeln!(page, "| reported | {} |", utc(job.reported_millis))?;
    let wall = job.reported_millis.saturating_sub(job.submitted_millis);
    writeln!(page, "| took | {}, {} of CPU |", span(wall), span(job.cpu_millis))?;
    writeln!(page, "| coordinators | {} |\n", job.coordinators)
}

fn records(page: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let records = &report.records;
    let all = records.records_in;
    writeln!(page, "## Records\n\n| | records | share |\n|---|---:|---:|")?;
    writeln!(page, "| records in | {} | {} |", count(all), share(all, all))?;
    let published = records.published;
    writeln!(page, "| **published** | **{}** | {} |", count(published), share(published, all))?;
    reasons(page, "dropped", &records.dropped, all)?;
    reasons(page, "quarantined", &records.quarantined, all)?;
    if records.unpublished > 0 {
        let lost = records.unpublished;
        writeln!(page, "| in missing shards | {} | {} |", count(lost), share(lost, all))?;
    }
    let (dropped, quarantined) = (records.dropped_total, records.quarantined_total);
    let (published, dropped, quarantined) = (count(published), count(dropped), count(quarantined));
    write!(page, "\n{published} published + {dropped} dropped + {quarantined} quarantined")?;
    if records.unpublished > 0 {
        write!(page, " + {} in missing shards", count(records.unpublished))?;
    }
    writeln!(page, " = {} records in.", count(all))?;
    writeln!(
        page,
        "{} of record bodies came in; {} of JSON lines were published.\n",
        bytes(records.bytes_in),
        bytes(records.published_json_bytes)
    )?;
    if records.missing_files > 0 {
        let missing = count(records.missing_files);
        writeln!(page, "Files to which documents refer and that are not there: {missing}.\n")?;
    }
    if records.omitted_files > 0 {
        let omitted = count(records.omitted_files);
        writeln!(page, "References to files beyond the limit of a document: {omitted}.\n")?;
    }
    if records.not_compared > 0 {
        let documents = count(records.not_compared);
        writeln!(
            page,
            "{documents} documents are shorter than one shingle of `[near]`, so they were compared \
             with no other document. Text without spaces has few words: shingles of characters \
             compare it.\n"
        )?;
    }
    if records.damaged_characters > 0 {
        let damaged = count(records.damaged_characters);
        writeln!(page, "Damaged characters that U+FFFD replaces: {damaged}.\n")?;
    }
    Ok(())
}

fn reasons(
    page: &mut String,
    verdict: &str,
    reasons: &BTreeMap<String, u64>,
    all: u64,
) -> std::fmt::Result {
    for (reason, records) in by_size(reasons) {
        let part = share(records, all);
        writeln!(page, "| {verdict}: {} | {} | {part} |", code(reason), count(records))?;
    }
    Ok(())
}

fn languages(page: &mut String, report: &Report<'_>) -> std::fmt::Result {
    if report.languages.is_empty() {
        return Ok(());
    }
    let all: u64 = report.languages.iter().map(|language| language.documents).sum();
    writeln!(
        page,
        "## Languages\n\n| language | documents | share | JSON |\n|---|---:|---:|---:|"
    )?;
    let shown = report.languages.len().min(LANGUAGES_SHOWN);
    let (first, rest) = report.languages.split_at(shown);
    for row in first {
        let (documents, part) = (count(row.documents), share(row.documents, all));
        writeln!(
            page,
            "| {} | {documents} | {part} | {} |",
            code(&row.language),
            bytes(row.json_bytes)
        )?;
    }
    if !rest.is_empty() {
        let documents: u64 = rest.iter().map(|row| row.documents).sum();
        let json: u64 = rest.iter().map(|row| row.json_bytes).sum();
        let (documents, part) = (count(documents), share(documents, all));
        writeln!(page, "| {} more | {documents} | {part} | {} |", rest.len(), bytes(json))?;
    }
    writeln!(page)
}

fn lines(page: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let lines = &report.lines;
    if lines.lines_in == 0 {
        return Ok(());
    }
    writeln!(page, "## Lines\n\n| | lines | share |\n|---|---:|---:|")?;
    writeln!(page, "| lines in | {} | 100.0 % |", count(lines.lines_in))?;
    let mut row = |name: &str, some: u64| {
        writeln!(page, "| {name} | {} | {} |", count(some), share(some, lines.lines_in))
    };
    row("duplicates dropped", lines.duplicate)?;
    for (rule, removed) in by_size(&lines.removed) {
        row(&format!("removed by {}", code(rule)), removed)?;
    }
    writeln!(page)
}

fn stages(page: &mut String, report: &Report<'_>) -> std::fmt::Result {
    writeln!(page, "## Stages\n")?;
    writeln!(page, "| stage | units done | bytes | wall | CPU | rate | retries | failed |")?;
    writeln!(page, "|---|---:|---:|---:|---:|---:|---:|---:|")?;
    // The report is written by the last stage, which is never done by then.
    for stage in report.stages.iter().filter(|stage| stage.stage != "seal") {
        writeln!(
            page,
            "| `{}` | {} of {} | {} | {} | {} | {} | {} | {} |",
            stage.stage,
            count(stage.done.into()),
            count(stage.units.into()),
            bytes(stage.bytes),
            span(stage.wall_millis),
            span(stage.cpu_millis),
            rate(stage.bytes, stage.wall_millis),
            count(stage.retries.into()),
            count(stage.set_aside.into())
        )?;
    }
    writeln!(page)
}

fn check_it(page: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let output = line(report.job.output);
    let [verify, trace] = [format!("verify {output}"), format!("trace {output} URL")];
    writeln!(
        page,
        "## Check it\n\n{} hashes every shard again and recounts its records.\n{} shows where a \
         page was read and why it was kept or dropped.",
        code(&format!("thresher {verify}")),
        code(&format!("thresher {trace}"))
    )
}
