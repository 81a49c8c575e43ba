//! File operations of a job, as a parallel file system sees them: they grow with units and key
//! ranges, never with the product of the two, and are as many as `plan` expects.

use std::collections::BTreeMap;
use std::path::Path;

use thresher_domain::{MAX_GROUP_UNITS, MemberGroups};
use thresher_tests::job::JobText;
use thresher_tests::operations::{Counter, Operations, write_inputs, write_similar_inputs};
use thresher_tests::process::{output, thresher};

use crate::oracle::{places, published, run};

/// Inputs, each of which is a unit.
const UNITS: u64 = 1000;
/// With a MiB of memory there are two dozen key ranges for the lines of all units.
const LINES_PER_UNIT: u64 = 250;
/// Lines of a unit for a thousand key ranges.
const MANY_LINES_PER_UNIT: u64 = 11_300;

/// A job with this memory for keys.
struct Counted {
    operations: Operations,
    ranges: u64,
    published: BTreeMap<String, String>,
    /// What `plan` expects.
    planned: u64,
}

impl Counted {
    /// Runs a job. Its key ranges are those of the stage `resolve`.
    fn run(job: &JobText, counter: &Counter, memory: &str, resolve: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (corpus, state) = places(folder.path());
        let log = folder.path().join("operations");
        let text = job.clone().append(&format!("[dedup]\nmemory = \"{memory}\"\n"));
        let text = text.write(folder.path());
        let plan = output(thresher().arg("plan").arg(&text).arg("--json"));
        let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
        let stages = plan["stages"].as_array().unwrap().iter();
        let planned = stages.map(|stage| stage["operations"].as_u64().unwrap()).sum();

        let mut command = run(&text, &state);
        counter.watch(command.args(["--slots", "2"]), &log);
        let ended = output(&mut command);
        assert!(ended.status.success(), "{ended:?}");
        let report = std::fs::read(corpus.join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        let mut stages = report["stages"].as_array().unwrap().iter();
        let resolve = stages.find(|stage| stage["stage"] == resolve).unwrap();
        Self {
            operations: Operations::read(&log).unwrap(),
            ranges: resolve["units"].as_u64().unwrap(),
            published: published(&corpus),
            planned,
        }
    }

    /// Checks the operations of each stage folder.
    fn check(&self) {
        let Self { operations, ranges, planned, .. } = self;
        let at_most = |kind: &str, stage: &str, most: u64| self.at_most(kind, stage, most);
        // A LINES unit writes two files and a PREPARE unit three; each is synced, and their folder.
        at_most("sync", "lines", 3 * UNITS + 20);
        at_most("sync", "prepare", 4 * UNITS + 20);
        for kind in ["create", "name"] {
            at_most(kind, "lines", 2 * UNITS + 20);
            at_most(kind, "prepare", 3 * UNITS + 20);
        }
        // Private names, and all files at the end.
        at_most("remove", "lines", 3 * UNITS + 20);
        at_most("remove", "prepare", 6 * UNITS + 20);
        // What LINES wrote is opened by what resolves it and by PREPARE, whatever the ranges.
        at_most("open", "lines", 5 * UNITS + 20);
        at_most("open", "prepare", 9 * UNITS + 20);
        for stage in ["gather-lines", "resolve-lines", "combine-lines"] {
            let (found, most) = (operations.in_stage(stage), 3 * UNITS + 40 * ranges);
            assert!(found <= most, "{found} in {stage}: {operations:?}");
        }
        // Each range has a folder, which its ranks look for before they make it.
        for stage in ["lines", "prepare", "resolve-lines", "resolve-documents"] {
            at_most("stat", stage, 20 + 5 * ranges);
        }
        at_most("open", "inputs", 2 * UNITS);
        // The verdicts are opened once by a worker, and not by each unit. The folder of a group's
        // file is opened to sync it.
        let groups = UNITS.div_ceil((*ranges).clamp(16, MAX_GROUP_UNITS.into()));
        at_most("open", "combine-lines", 20 + 2 * groups);
        at_most("open", "resolve-documents", 20);
        let made = operations.all();
        assert!(planned.abs_diff(made) * 4 <= made, "{planned} are planned, {made} were made");
    }

    /// Checks the stages of near-duplicates, beside the same job without them.
    fn check_near(&self, without: &Self) {
        let Self { operations, ranges, .. } = self;
        // A SIGN unit writes two files; each is synced, and their folder. They have private names
        // first. The exchange and COLLECT open them.
        let each = [("create", 2), ("name", 2), ("sync", 3), ("remove", 4), ("open", 4)];
        each.iter().for_each(|(kind, files)| self.at_most(kind, "sign", files * UNITS + 20));
        self.at_most("open", "prepare", 12 * UNITS + 20);
        for stage in ["gather-bands", "resolve-bands"] {
            let (found, most) = (operations.in_stage(stage), 2 * UNITS + 40 * ranges);
            assert!(found <= most, "{found} in {stage}: {operations:?}");
        }
        // Every part opens a file of every group, and every group one of every part.
        let groups = u64::from(MemberGroups::of(UNITS as u32).groups());
        self.at_most("open", "collect", groups * (groups + 2) + 20);
        self.at_most("open", "compare", groups * (groups + 3) + 20);
        // Labels are opened by each group, and decisions by each worker once or twice.
        self.at_most("open", "connect", 3 * groups + 20);
        self.at_most("open", "decide", 4 * groups + 20);
        let made = operations.all() - without.operations.all();
        let planned = self.planned - without.planned;
        assert!(planned.abs_diff(made) * 10 <= made, "{planned} are planned, {made} were made");
    }

    fn at_most(&self, kind: &str, stage: &str, most: u64) {
        let operations = &self.operations;
        let found = operations.of(kind, stage);
        assert!(found <= most, "{found} {kind} in {stage}, at most {most}: {operations:?}");
    }
}

#[test]
fn file_operations_grow_with_units_and_ranges_and_not_with_their_product() {
    let folder = tempfile::tempdir().unwrap();
    let counter = Counter::build(folder.path()).unwrap();
    let job = job(folder.path(), LINES_PER_UNIT);
    let one = Counted::run(&job, &counter, "8GiB", "resolve-lines");
    let many = Counted::run(&job, &counter, "1MiB", "resolve-lines");
    assert_eq!(one.ranges, 1);
    assert!((20..30).contains(&many.ranges), "{} ranges", many.ranges);
    assert_eq!(one.published, many.published);
    one.check();
    many.check();
    let (few, more) = (one.operations.all(), many.operations.all());
    let most = few + 2 * UNITS + 60 * many.ranges;
    assert!(more <= most, "{few} with one range, {more} with {}", many.ranges);
    // Keys are copied once into the files of groups, and read again from there.
    let bytes =
        |counted: &Counted| counted.operations.bytes("read") + counted.operations.bytes("write");
    let keys = one.operations.of("write", "lines");
    let (few, more) = (bytes(&one), bytes(&many));
    assert!(keys > 0 && more <= few + 4 * keys, "{few} bytes with one range, {more} with more");
}

#[test]
fn a_thousand_key_ranges_make_a_bounded_number_of_file_operations_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let counter = Counter::build(folder.path()).unwrap();
    let job = job(folder.path(), MANY_LINES_PER_UNIT);
    let one = Counted::run(&job, &counter, "8GiB", "resolve-lines");
    let thousand = Counted::run(&job, &counter, "1MiB", "resolve-lines");
    assert_eq!(one.ranges, 1);
    assert!((1000..1050).contains(&thousand.ranges), "{} ranges", thousand.ranges);
    assert_eq!(one.published, thousand.published);
    thousand.check();
    let (few, more) = (one.operations.all(), thousand.operations.all());
    let most = few + 2 * UNITS + 60 * thousand.ranges;
    assert!(more <= most, "{few} with one range, {more} with {}", thousand.ranges);
}

#[test]
fn operations_of_near_duplicates_are_as_planned_and_not_a_product_of_units_and_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let counter = Counter::build(folder.path()).unwrap();
    let inputs = folder.path().join("inputs");
    std::fs::create_dir(&inputs).unwrap();
    write_similar_inputs(&inputs, UNITS).unwrap();
    // Many bands make many keys.
    let near = JobText::similar_pages(&inputs, "\"documents\", \"near\"")
        .append("[near]\npreset = \"fineweb\"\nbands = 100\n");
    let plain = JobText::similar_pages(&inputs, "\"documents\"");
    let without = Counted::run(&plain, &counter, "8GiB", "resolve-documents");
    let one = Counted::run(&near, &counter, "8GiB", "resolve-bands");
    let many = Counted::run(&near, &counter, "1MiB", "resolve-bands");
    assert_eq!(one.ranges, 1);
    assert!((5..20).contains(&many.ranges), "{} ranges", many.ranges);
    assert_eq!(one.published, many.published);
    // One page of four is left, so there was something to compare.
    assert_ne!(one.published, without.published);
    one.check_near(&without);
    many.check_near(&without);
    let (made, planned) = (without.operations.all(), without.planned);
    assert!(planned.abs_diff(made) * 10 <= made, "{planned} are planned, {made} were made");
}

/// Returns a job whose units have this number of lines, and publish them.
fn job(folder: &Path, lines_per_unit: u64) -> JobText {
    let inputs = folder.join("inputs");
    std::fs::create_dir(&inputs).unwrap();
    write_inputs(&inputs, UNITS, lines_per_unit).unwrap();
    JobText::over(&inputs, "*.warc.wet.gz")
        .set("slice", "\"commoncrawl\"\nsteps = [\"lines\", \"documents\"]")
        .set("model", "\"none\"")
        .set("target_bytes", "\"1B\"")
}
