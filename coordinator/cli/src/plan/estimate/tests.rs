//! Tests of the estimates, with a survey that others use too.

use super::*;
use std::path::Path;

pub(in crate::plan) fn job() -> JobSpec {
    let text = "[job]\nname = \"small\"\n[[source]]\nslice = \"commoncrawl\"\n\
                listing = \"*.wet.gz\"\n[language]\nmodel = \"none\"\n\
                [dedup]\nmemory = \"1GiB\"\n[output]\npath = \"out\"\n";
    JobSpec::parse(text, Path::new("/")).unwrap()
}

/// A thousand times as much as its sample.
pub(in crate::plan) fn survey() -> Survey {
    let sample = Sample {
        inputs: 2,
        bytes: 8_000_000,
        records: 2000,
        quarantined: 0,
        record_bytes: 24_000_000,
        pages: 1800,
        page_bytes: 20_000_000,
        kept_text_bytes: 0,
        lines: 400_000,
        distinct_lines: 300_000,
        documents: 900,
        json_bytes: 8_000_000,
        shard_bytes: 3_000_000,
        lines_cpu_micros: 200_000,
        prepare_cpu_micros: 1_500_000,
        publish_cpu_micros: 50_000,
    };
    let source = SourceSurvey {
        name: "commoncrawl".to_owned(),
        inputs: 90,
        bytes: 8_000_000_000,
        units: 90,
        sample,
        ..SourceSurvey::default()
    };
    Survey { sources: vec![source], model_bytes: 1_000_000 }
}

pub(in crate::plan) fn machine() -> Machine {
    let disk = |path: &str, device, free_bytes| Disk { path: path.into(), device, free_bytes };
    Machine {
        slots: 8,
        cores: 8,
        memory_bytes: 16 << 30,
        state: disk("/out.state", 1, 1 << 40),
        work: disk("/out.state/work", 1, 1 << 40),
        output: Some(disk("/out", 2, 1 << 40)),
    }
}

fn stage(plan: &Plan, stage: Stage) -> &StagePlan {
    plan.stages.iter().find(|plan| plan.stage == stage_name(stage)).unwrap()
}

#[test]
fn a_sample_is_scaled_to_the_whole() {
    let plan = Plan::new(&job(), &survey(), &machine());
    assert_eq!(plan.whole.line_keys, 300_000_000);
    let resolve = stage(&plan, Stage::ResolveLines);
    assert_eq!(resolve.units, (300_000_000 * 93_u64).div_ceil(1 << 30));
    assert_eq!(resolve.memory_bytes, 1 << 30);
    assert_eq!(stage(&plan, Stage::Lines).disk_bytes, 300_000_000 * 13);
    let lines = stage(&plan, Stage::Lines);
    let overhead = overhead_millis(lines.operations, lines.units);
    assert!(overhead > 0 && lines.cpu_millis == 200_000 + overhead, "{lines:?}");
    assert_eq!(stage(&plan, Stage::Publish).units, 8_000_000_000_u64.div_ceil(256 << 20));
    assert_eq!(plan.disks.len(), 2, "work and state share a file system");
    assert_eq!(plan.shortfalls, []);
}

#[test]
fn only_sources_whose_lines_are_compared_are_read_for_them() {
    let text = "[job]\nname = \"two\"\n[[source]]\nslice = \"commoncrawl\"\n\
                listing = \"*.wet.gz\"\n[[source]]\nslice = \"books\"\nlisting = \"*.txt\"\n\
                [language]\nmodel = \"none\"\n[output]\npath = \"out\"\n";
    let job = JobSpec::parse(text, Path::new("/")).unwrap();
    let mut two = survey();
    two.sources.push(SourceSurvey { bytes: 5, units: 7, ..SourceSurvey::default() });
    let plan = Plan::new(&job, &two, &machine());
    let (lines, prepare) = (stage(&plan, Stage::Lines), stage(&plan, Stage::Prepare));
    assert_eq!((lines.units, prepare.units), (90, 97));
    assert_eq!((lines.bytes, prepare.bytes), (8_000_000_000, 8_000_000_005));
}

#[test]
fn a_job_that_compares_no_lines_is_planned_without_their_stages() {
    let text = "[job]\nname = \"one\"\n[[source]]\nslice = \"commoncrawl\"\n\
                listing = \"*.wet.gz\"\nsteps = [\"documents\"]\n[language]\nmodel = \"none\"\n\
                [output]\npath = \"out\"\n";
    let job = JobSpec::parse(text, Path::new("/")).unwrap();
    let plan = Plan::new(&job, &survey(), &machine());
    let stages: Vec<&str> = plan.stages.iter().map(|plan| plan.stage).collect();
    let expected = ["list", "prepare", "resolve-documents", "layout", "publish", "seal"];
    assert_eq!(stages, expected);
}

#[test]
fn text_that_is_kept_needs_disk_and_is_read_instead_of_the_inputs() {
    let mut kept = survey();
    let before = Plan::new(&job(), &kept, &machine());
    kept.sources[0].sample.kept_text_bytes = 9_000_000;
    let plan = Plan::new(&job(), &kept, &machine());
    let lines = |plan: &Plan| stage(plan, Stage::Lines).disk_bytes;
    assert_eq!(lines(&plan), lines(&before) + 9_000_000_000);
    assert_eq!(stage(&plan, Stage::Prepare).bytes, 9_000_000_000);
    assert!(plan.disks[0].needs_bytes >= before.disks[0].needs_bytes + 9_000_000_000);
}

#[test]
fn what_cannot_fit_is_refused_with_what_would() {
    let mut tight = machine();
    tight.memory_bytes = 1 << 30;
    tight.output = Some(Disk { path: "/out".into(), device: 2, free_bytes: 1000 });
    let plan = Plan::new(&job(), &survey(), &tight);
    let hints: Vec<&str> = plan.shortfalls.iter().map(|s| s.hint.as_str()).collect();
    assert_eq!(hints.len(), 2, "{hints:?}");
    assert!(hints[0].contains("--slots") || hints[0].contains("dedup.memory"), "{hints:?}");
    assert!(plan.shortfalls[1].what.contains("`/out`"));
    assert!(plan.shortfalls[1].needs_bytes > 3_000_000_000);
}

#[test]
fn fewer_slots_are_proposed_when_they_fit() {
    let mut small = machine();
    small.memory_bytes = 2 << 30;
    small.slots = 64;
    let plan = Plan::new(&job(), &survey(), &small);
    let hint = &plan.shortfalls[0].hint;
    let slots: u32 = hint.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    small.slots = slots;
    assert_eq!(Plan::new(&job(), &survey(), &small).shortfalls, [], "{hint}");
    small.slots = slots + 1;
    assert_ne!(Plan::new(&job(), &survey(), &small).shortfalls, [], "{hint}");
}

#[test]
fn nothing_to_read_needs_next_to_nothing() {
    let empty = Survey { sources: vec![SourceSurvey::default()], model_bytes: 0 };
    let plan = Plan::new(&job(), &empty, &machine());
    assert!(plan.bytes == 0 && plan.cpu_millis < 10, "{plan:?}");
}
