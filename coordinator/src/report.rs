//! Renders the report of a job: `report.json` for programs, `REPORT.md` for people.
//!
//! Both are rendered from nothing but a status and the job; the unit of stage `seal` writes the
//! files. The report has times and rates, so unlike the manifest it differs between two runs of a
//! job.
//!
//! **Invariant:** both forms show the same numbers, and the records in are the sum of the
//! published, dropped, quarantined and unpublished ones. Each form is smaller than a message may
//! be, whatever failed and whatever names the inputs and programs invent.

mod failed;
mod markdown;
mod scores;
mod slices;

use std::collections::BTreeMap;

use serde::Serialize;
use thresher_job::JobSpec;
use thresher_proto::pb::{self, Stage, StageStatus};
use thresher_proto::stage_name;

use crate::figures::{self, Counted, Pace, Totals};

/// Version of the layout of `report.json`.
const FORMAT: u32 = 1;
/// Number of reasons, languages and rules with their own number; the rest is added up.
const NAMES_LISTED: usize = 1000;
/// The name under which the rest is added up.
const OTHER: &str = "other";

/// The content of both forms. Its field names are the keys of `report.json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    format: u32,
    job: Job<'a>,
    inputs: Inputs<'a>,
    records: Records,
    slices: Vec<slices::SliceReport>,
    languages: Vec<Language>,
    lines: Lines,
    scores: scores::Scores,
    stages: Vec<StageReport>,
    #[serde(flatten)]
    failed: failed::FailedUnits,
    alarms: &'a [String],
}

#[derive(Debug, Serialize)]
struct Job<'a> {
    name: &'a str,
    preset: &'a str,
    thresher: &'a str,
    output: &'a str,
    complete: bool,
    submitted_millis: u64,
    /// When the report was written, which is just before the manifest is.
    reported_millis: u64,
    /// Number of coordinators that the job has had.
    coordinators: u64,
    cpu_millis: u64,
}

#[derive(Debug, Serialize)]
struct Inputs<'a> {
    sources: Vec<&'a str>,
    inputs: u64,
    units: u32,
    /// Compressed size of the listed inputs.
    bytes: u64,
    /// Number of sites beyond `stackexchange.largest_sites`, and the names of the first ones.
    left_out_total: u64,
    left_out: Vec<String>,
    /// Number of inputs that end early or are damaged, and the paths of the first ones.
    damaged_total: u64,
    damaged: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Records {
    records_in: u64,
    bytes_in: u64,
    published: u64,
    published_json_bytes: u64,
    dropped_total: u64,
    dropped: BTreeMap<String, u64>,
    quarantined_total: u64,
    quarantined: BTreeMap<String, u64>,
    /// Number of records in shards that could not be written.
    unpublished: u64,
    /// Number of files to which documents refer, such as parts of papers, and which their inputs do
    /// not contain.
    missing_files: u64,
    /// Number of references to files, such as parts of papers, that documents would contain too
    /// often.
    omitted_files: u64,
    /// Number of damaged sequences in the UTF-8 of documents, which U+FFFD replaces.
    damaged_characters: u64,
    /// Number of documents that have no shingle, as those that are shorter than one, so that they
    /// were not compared with others to find near-duplicates.
    not_compared: u64,
}

#[derive(Debug, Serialize)]
struct Language {
    language: String,
    documents: u64,
    json_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Lines {
    lines_in: u64,
    duplicate: u64,
    /// Number of lines that filters removed from documents, by rule.
    removed: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct StageReport {
    stage: &'static str,
    units: u32,
    done: u32,
    set_aside: u32,
    retries: u32,
    bytes: u64,
    wall_millis: u64,
    cpu_millis: u64,
    bytes_per_second: Option<u64>,
}

/// Returns the text of `report.json`.
pub fn report_json(status: &pb::StatusResponse, job: &JobSpec) -> String {
    let report = Report::new(status, job);
    let mut text =
        serde_json::to_string_pretty(&report).expect("a report is plain structs with text keys");
    text.push('\n');
    text
}

/// Returns the text of `REPORT.md`.
pub fn report_markdown(status: &pb::StatusResponse, job: &JobSpec) -> String {
    markdown::render(&Report::new(status, job))
}

impl<'a> Report<'a> {
    fn new(status: &'a pb::StatusResponse, job: &'a JobSpec) -> Self {
        let prepared = Counted::of(status, Stage::Prepare);
        let published = Counted::of(status, Stage::Publish);
        Self {
            format: FORMAT,
            job: Job {
                name: &job.job.name,
                preset: &job.job.preset,
                thresher: thresher_proto::VERSION,
                output: &job.output.path,
                complete: status.set_aside.is_empty(),
                submitted_millis: status.submitted_millis,
                reported_millis: status.now_millis,
                coordinators: status.epoch,
                cpu_millis: status.stages.iter().map(|stage| stage.cpu_millis).sum(),
            },
            inputs: inputs(status, job, &prepared),
            records: records(Totals::of(status), &prepared, &Counted::of(status, Stage::Sign)),
            slices: slices::slices(&published),
            languages: languages(&published),
            scores: scores::Scores::of(&prepared, &published),
            lines: lines(prepared),
            stages: status.stages.iter().map(|stage| stage_report(stage, status)).collect(),
            failed: failed::FailedUnits::of(&status.set_aside, failed_in(status)),
            alarms: &status.alarms,
        }
    }
}

fn inputs<'a>(status: &'a pb::StatusResponse, job: &'a JobSpec, prepared: &Counted) -> Inputs<'a> {
    let listed = Counted::of(status, Stage::List);
    let prepare = figures::of_stage(status, Stage::Prepare);
    Inputs {
        sources: job.source.iter().map(|source| source.name.as_str()).collect(),
        inputs: listed.inputs,
        units: prepare.map(|stage| stage.units).unwrap_or_default(),
        bytes: prepare.map(|stage| stage.bytes).unwrap_or_default(),
        left_out_total: listed.excluded_inputs,
        left_out: listed.excluded_input_names,
        damaged_total: prepared.damaged_inputs,
        damaged: prepared.damaged_input_names.clone(),
    }
}

fn records(totals: Totals, prepared: &Counted, signed: &Counted) -> Records {
    let (dropped_total, quarantined_total) = (totals.dropped_sum(), totals.quarantined_sum());
    let Totals { records_in, bytes_in, published, bytes_published, .. } = totals;
    Records {
        records_in,
        bytes_in,
        published,
        published_json_bytes: bytes_published,
        dropped_total,
        dropped: largest(totals.dropped),
        quarantined_total,
        quarantined: largest(totals.quarantined),
        unpublished: totals.unpublished,
        missing_files: prepared.missing_files,
        omitted_files: prepared.omitted_files,
        damaged_characters: prepared.damaged_characters,
        not_compared: signed.unsigned_documents,
    }
}

/// Returns the languages of the published documents; most documents first.
fn languages(published: &Counted) -> Vec<Language> {
    // Tokens of documents without a language are counted under a language that has no documents.
    let language = |(language, measures): (&String, &figures::Measures)| {
        Some(Language {
            language: language.clone(),
            documents: measures.documents?,
            json_bytes: measures.json_bytes.unwrap_or_default(),
        })
    };
    let mut languages: Vec<_> = published.languages.iter().filter_map(language).collect();
    languages.sort_by(|a, b| b.documents.cmp(&a.documents).then(a.language.cmp(&b.language)));
    if languages.len() > NAMES_LISTED {
        let rest = languages.split_off(NAMES_LISTED);
        languages.push(Language {
            language: OTHER.to_owned(),
            documents: rest.iter().map(|it| it.documents).sum(),
            json_bytes: rest.iter().map(|it| it.json_bytes).sum(),
        });
    }
    languages
}

fn lines(prepared: Counted) -> Lines {
    Lines {
        lines_in: prepared.lines_in,
        duplicate: prepared.duplicate_lines,
        removed: largest(prepared.removed_lines),
    }
}

fn stage_report(stage: &StageStatus, status: &pb::StatusResponse) -> StageReport {
    let wall_millis = Pace::of(stage, status.now_millis).elapsed_millis;
    StageReport {
        stage: stage_name(stage.stage()),
        units: stage.units,
        done: stage.done,
        set_aside: stage.set_aside,
        retries: stage.retries,
        bytes: stage.bytes_done,
        wall_millis,
        cpu_millis: stage.cpu_millis,
        bytes_per_second: crate::amounts::per_second(stage.bytes_done, wall_millis),
    }
}

/// Returns the number of failed units of all stages; a status lists only the first ones.
fn failed_in(status: &pb::StatusResponse) -> usize {
    status.stages.iter().map(|stage| stage.set_aside as usize).sum()
}

/// Returns the names with the largest numbers, and the sum of the others.
fn largest(names: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    if names.len() <= NAMES_LISTED {
        return names;
    }
    let mut listed = BTreeMap::new();
    for (place, (name, value)) in figures::by_size(&names).into_iter().enumerate() {
        let name = if place < NAMES_LISTED { name } else { OTHER };
        *listed.entry(name.to_owned()).or_default() += value;
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn job() -> JobSpec {
        let text = "[job]\nname = \"small\"\n[[source]]\nslice = \"commoncrawl\"\n\
                    listing = \"*.wet.gz\"\n[language]\nmodel = \"none\"\n\
                    [output]\npath = \"out\"\n";
        JobSpec::parse(text, Path::new("/")).unwrap()
    }

    #[test]
    fn the_json_report_adds_up() {
        let text = report_json(&figures::example(), &job());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let records = &value["records"];
        let sum: u64 = ["published", "dropped_total", "quarantined_total", "unpublished"]
            .iter()
            .map(|key| records[key].as_u64().unwrap())
            .sum();
        assert_eq!(records["records_in"].as_u64(), Some(sum));
        assert_eq!(records["dropped"]["dedup/duplicate_document"], 5);
        assert_eq!(value["slices"][0]["slice"], "commoncrawl");
        assert_eq!(value["slices"][0]["redpajama_billion_tokens"], 878);
        assert_eq!(value["languages"][0]["language"], "en");
        assert_eq!(value["lines"]["duplicate"], 400);
        assert_eq!(value["scores"]["buckets"]["en"]["tail"], 7);
        assert_eq!(value["scores"]["tokens_total"], 2000);
        assert_eq!(value["stages"][2]["retries"], 5);
        assert_eq!(value["set_aside"][0]["unit"], "prepare/1");
        assert_eq!(value["job"]["complete"], false);
    }

    #[test]
    fn the_keys_that_counters_fill_do_not_change() {
        use thresher_domain::Counter;
        let mut status = figures::example();
        let rule = "c4_quality/lorem_ipsum".to_owned();
        let removed = Counter::RemovedLines { rule }.with(3);
        status.stages[0].counters.push(Counter::Inputs.with(9).into());
        status.stages[2].counters.push(removed.into());
        status.stages[2].counters.push(Counter::MissingFiles.with(2).into());
        status.stages[2].counters.push(Counter::OmittedFiles.with(3).into());
        status.stages[2].counters.push(Counter::DamagedCharacters.with(4).into());
        let value: serde_json::Value = serde_json::from_str(&report_json(&status, &job())).unwrap();
        let expected = serde_json::json!({
            "inputs": {
                "sources": ["commoncrawl"], "inputs": 9, "units": 3, "bytes": 10_000_000,
                "left_out_total": 3, "left_out": ["a.example", "b.example"],
                "damaged_total": 2, "damaged": ["a.gz"],
            },
            "slices": [{
                "slice": "commoncrawl", "documents": 55, "json_bytes": 2_750_000,
                "redpajama_billion_tokens": 878, "llama_billion_tokens": 852,
            }],
            "languages": [
                {"language": "en", "documents": 40, "json_bytes": 2_000_000},
                {"language": "de", "documents": 15, "json_bytes": 750_000},
            ],
            "lines": {
                "lines_in": 1000, "duplicate": 400, "removed": {"c4_quality/lorem_ipsum": 3},
            },
            "scores": {
                "buckets": {"en": {"head": 40, "middle": 20, "tail": 7}},
                "tokens_total": 2000,
                "tokens_by_slice": {"commoncrawl": 2000},
                "tokens_by_language": {"de": 500, "en": 1500},
            },
        });
        for (key, expected) in expected.as_object().unwrap() {
            assert_eq!(&value[key], expected, "{key}");
        }
        assert_eq!(value["records"]["missing_files"], 2);
        let line = "Files to which documents refer and that are not there: 2.";
        assert!(report_markdown(&status, &job()).contains(line));
        assert!(!report_markdown(&figures::example(), &job()).contains("that are not there"));
        assert_eq!(value["records"]["omitted_files"], 3);
        let line = "References to files beyond the limit of a document: 3.";
        assert!(report_markdown(&status, &job()).contains(line));
        assert_eq!(value["records"]["damaged_characters"], 4);
        let line = "Damaged characters that U+FFFD replaces: 4.";
        assert!(report_markdown(&status, &job()).contains(line));
        assert!(!report_markdown(&figures::example(), &job()).contains("U+FFFD"));
    }

    #[test]
    fn the_readable_report_shows_the_same_numbers() {
        let text = report_markdown(&figures::example(), &job());
        for line in [
            "# Report of `small`",
            "| left out | 3 of the listed: `a.example`, `b.example` and 1 more |",
            "| damaged or cut off | 2 inputs: `a.gz` and 1 more |",
            "| records in | 100 | 100.0 % |",
            "| **published** | **55** | 55.0 % |",
            "| dropped: `gopher_quality/too_few_words` | 30 | 30.0 % |",
            "| dropped: `dedup/duplicate_document` | 5 | 5.0 % |",
            "| quarantined: `gzip_damaged` | 2 | 2.0 % |",
            "| `commoncrawl` | 55 | 2.75 MB | 878 B | 852 B |",
            "| `en` | 40 | 72.7 % | 2.00 MB |",
            "| `en` | 67 | 40 | 20 | 7 | 0 |",
            "| `commoncrawl` | 2,000 | 100.0 % | 878 B | 852 B |",
            "| `books` | 0 | 0.0 % | 26 B | 25 B |",
            "| **total** | **2,000** | | 1.2 T | 1.25 T |",
            "| `de` | 500 | 25.0 % |",
            "| `prepare` | 2 of 3 | 10.0 MB | 2.0 s | 4.0 s | 5.00 MB/s | 5 | 1 |",
            "* `prepare/1`, after 3 attempts:",
            "  failed to read the input `b.gz`",
            "55 published + 43 dropped + 2 quarantined = 100 records in.",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
        assert!(text.contains("thresher verify"), "{text}");
    }

    #[test]
    fn names_and_errors_are_no_markup() {
        let mut status = figures::example();
        let hostile = "a|b`</code><script>alert(1)</script>\n# c\u{202e}";
        status.alarms = vec![hostile.to_owned()];
        status.set_aside[0].error = format!("{hostile}\n```\n<b>");
        let dropped = pb::Count { name: hostile.to_owned(), value: 1 };
        status.stages[2].accounting.as_mut().unwrap().dropped.push(dropped);
        let text = report_markdown(&status, &job());
        let fences = |line: &&str| line.trim_start().starts_with("````");
        assert_eq!(text.lines().filter(fences).count(), 2, "{text}");
        let (before, fenced) = text.split_once("  ````text").unwrap();
        let after = fenced.split_once("  ````\n").unwrap().1;
        for part in [before, after] {
            assert!(!part.contains("<script>") && !part.contains("\n# c"), "{part}");
        }
        assert!(!text.contains('\u{202e}'));
        let cells = |line: &&str| line.contains("script") && line.starts_with("| dropped");
        let row = text.lines().find(cells).unwrap();
        assert_eq!(row.matches('|').count(), 4, "{row}");
    }

    #[test]
    fn the_report_has_a_limit_in_bytes_whatever_failed_and_whatever_it_is_called() {
        let mut status = figures::example();
        status.set_aside = (0..50_000)
            .map(|ordinal| pb::SetAside {
                unit: Some(pb::UnitRef { stage: Stage::Prepare.into(), ordinal, attempt: 1 }),
                error: format!("{ordinal} {}", "long ".repeat(2000)),
                attempts: 3,
                ..pb::SetAside::default()
            })
            .collect();
        let reason = |n: usize| pb::Count { name: format!("{n:0200}"), value: 2 };
        let reasons = (0..4096).map(reason).collect();
        status.stages[2].accounting.as_mut().unwrap().dropped = reasons;
        status.stages[2].accounting.as_mut().unwrap().records_in = 55 + 2 + 2 * 4096 + 5;
        let json = report_json(&status, &job());
        let markdown = report_markdown(&status, &job());
        assert!(json.len() + markdown.len() < 2 << 20, "{} {}", json.len(), markdown.len());
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["set_aside_total"], 50_000);
        assert_eq!(value["records"]["dropped"].as_object().unwrap().len(), 1001);
        let dropped: u64 = value["records"]["dropped"]
            .as_object()
            .unwrap()
            .values()
            .map(|value| value.as_u64().unwrap())
            .sum();
        assert_eq!(value["records"]["dropped_total"], dropped);
    }

    #[test]
    fn a_job_without_a_record_has_a_report() {
        let text = report_markdown(&pb::StatusResponse::default(), &job());
        assert!(text.contains("| records in | 0 | - |"), "{text}");
    }
}
