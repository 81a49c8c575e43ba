//! Every hint that names a command names one that works: a test follows it in the state that shows
//! it.
//!
//! The hints are found in the sources. [`FOLLOWED`] names for each the test that follows it, or why
//! none can here, so a new hint without a test fails.

mod follow;

use std::path::{Path, PathBuf};

use regex::Regex;
use thresher_tests::job::root;

/// What follows a hint.
enum By {
    /// A test of this package.
    Test(&'static str),
    /// It needs something that tests here cannot have.
    Nothing(&'static str),
}

use By::{Nothing, Test};

/// A part of each hint that names a command, and what follows it.
const FOLLOWED: &[(&str, By)] = &[
    ("{head}\\nhint: undo the changes", Test("a_changed_job_file_is_undone_or_starts_over")),
    (
        "{head}\\nhint: choose another",
        Test("another_jobs_corpus_is_left_alone_by_a_job_of_another_name"),
    ),
    (
        "does not remove what another job has done",
        Test("another_jobs_corpus_is_left_alone_by_a_job_of_another_name"),
    ),
    (
        "failed to create temporary files in",
        Test("what_keeps_two_corpora_from_being_compared_is_shown"),
    ),
    (
        "`thresher verify` shows what is damaged",
        Test("what_keeps_two_corpora_from_being_compared_is_shown"),
    ),
    ("failed to use a temporary file", Nothing("needs a disk that fills up in between")),
    (
        "inputs {verb} early",
        Test("inputs_that_end_early_are_fetched_again_and_the_job_starts_over"),
    ),
    (
        "shows the largest clusters",
        Test("a_source_that_loses_most_of_its_documents_is_named_until_fewer_are_alike"),
    ),
    ("a coordinator already runs this job", Test("a_running_coordinator_is_shown_and_drained")),
    ("leaves nothing of the", Nothing("needs an allocation that is about to end")),
    (
        "journal `{}` is damaged",
        Test("a_job_with_a_damaged_journal_resumes_when_that_is_asked_for"),
    ),
    ("is a copy of the state directory", Test("a_copy_of_a_state_directory_names_the_original")),
    (
        "a coordinator already listens on",
        Nothing("another process must bind the socket in between"),
    ),
    (
        "which retries them; `--accept-missing`",
        Test("accepting_missing_units_gives_the_same_corpus"),
    ),
    ("{reason}\\nhint: fix the cause", Test("a_corrected_listing_just_runs")),
    ("raise `max_quarantined_share`", Test("a_source_that_is_mostly_quarantined_is_accepted")),
    ("of source `{}` was lost from", Test("a_job_of_which_a_part_was_purged_ends_whole")),
    ("the queue does not list it yet", Test("a_submission_without_an_id_is_found_by_name")),
    ("another process submits this job", Nothing("two submissions must overlap")),
    ("fix `modules` of the site", Nothing("needs a batch script whose modules are missing")),
    ("no job was submitted from", Test("a_job_that_was_never_submitted_is_run_here")),
    ("is not a directory\\nhint", Test("a_wrong_state_directory_is_corrected")),
    ("no job was named", Nothing("the command line refuses such arguments before")),
    (
        "cannot be read from its middle",
        Nothing("LIST looks at inputs before it cuts them, except the last of many on a server"),
    ),
    ("is not a local directory, so", Nothing("needs an output on S3: tests/s3/run")),
    ("the job was not cancelled", Nothing("the coordinator must end during the call")),
    ("nothing to stop: {}", Test("draining_a_complete_job_shows_where_to_look")),
    ("a coordinator is running this job", Test("a_running_coordinator_is_shown_and_drained")),
    ("this job was never submitted from", Test("a_job_that_was_never_submitted_is_run_here")),
    ("allocation `{}` of this job is {}", Test("a_job_whose_allocation_may_still_run_is_resumed")),
    (
        "the batch system does not say whether",
        Test("a_job_whose_allocation_may_still_run_is_resumed"),
    ),
    (
        "a coordinator of this job runs and answers",
        Test("a_running_coordinator_is_shown_and_drained"),
    ),
    ("use another `--state` and output", Nothing("needs a batch system: tests/cluster/run")),
    (
        "{loss}\\nhint: run the same command",
        Test("an_output_that_is_gone_or_incomplete_is_made_again"),
    ),
    (
        "has no manifest: a job may still work",
        Test("an_output_without_manifest_is_cleaned_if_abandoned"),
    ),
    ("was edited after the job started", Test("a_script_that_edits_itself_stops_the_job")),
    ("had other bytes\\nhint", Test("an_input_of_a_missing_unit_that_has_changed_is_listed_again")),
    ("changed: listed with", Test("an_input_of_a_missing_unit_that_has_changed_is_listed_again")),
    ("`{location}` changed: {detail}", Test("an_input_of_a_missing_unit_that_has_changed")),
    ("already exists and belongs to", Test("a_corpus_of_another_job_is_moved_away")),
    ("changed while the job ran: blake3", Nothing("a model must be replaced between two units")),
    ("already exists with different content", Test("a_shard_that_is_in_the_way_is_moved_away")),
    ("shows whether the job has ended, or", Test("an_output_that_is_gone_is_found")),
    ("free some space, or make it writable", Test("a_full_disk_stops_the_job_which_resumes")),
    ("the server may refuse those who ask often", Nothing("needs a server: tests/s3/run")),
    ("no word occurs", Nothing("a test of `train` follows it")),
    (
        "label `{}`: RedPajama's",
        Nothing("needs a classifier of another kind; a test of the models"),
    ),
    ("does not allow chained jobs here", Nothing("sites need a batch system: tests/cluster/run")),
    ("failed to reach the coordinator", Test("draining_a_dead_coordinator_names_what_starts_it")),
    ("shows the keys of `{table}`", Test("a_wrong_key_is_found_in_the_default_job")),
    ("shows every key", Test("a_wrong_key_is_found_in_the_default_job")),
    ("unknown site `{name}`", Nothing("sites need a batch system: tests/cluster/run")),
    ("is not a key and a value", Nothing("sites need a batch system: tests/cluster/run")),
    ("for a cause that a person must fix; then run", Nothing("a chain: tests/cluster/run")),
    ("it was drained by hand; run `thresher resume`", Nothing("a chain: tests/cluster/run")),
    ("allocations in a row; `thresher status`", Nothing("a chain: tests/cluster/run")),
    ("Written by `thresher submit`", Nothing("the head of a script, not a hint")),
    ("`thresher resume --state {}`", Test("an_allocation_that_was_requeued_after_its_end_is_seen")),
    ("`thresher run` or `thresher serve`", Test("a_drained_local_job_names_the_command")),
    ("then the coordinator stops; `thresher status`", Test("a_running_coordinator_is_shown")),
    ("`thresher resume` submits the job again", Test("draining_a_queued_job_removes_it")),
    ("`thresher status --json` lists all", Nothing("needs a table that is longer than a screen")),
    ("submitted; `thresher status --state {}`", Nothing("a batch system: tests/cluster/run")),
    ("the same `thresher run`", Test("a_killed_coordinator_is_shown_as_dead_and_the_hint")),
    ("was not read: `thresher verify", Test("a_complete_job_names_what_reads_its_files")),
    ("`thresher resume`", Nothing("a batch system: tests/cluster/run")),
    ("the same `thresher serve`", Test("a_running_coordinator_is_shown_and_drained")),
    ("is now `thresher worker`", Test("the_old_worker_program_warns_and_does_what_thresher")),
    ("the manifest of its corpus", Test("a_shard_that_differs_from_its_manifest_blocks_the_job")),
    (
        "the same `thresher sample`",
        Test("a_sample_that_was_blocked_is_resumed_by_the_same_command"),
    ),
    ("the same `thresher tokenize`", Nothing("resumes as a sample does")),
    ("the same `thresher mix`", Nothing("resumes as a sample does")),
    ("choose a side with `--split train`", Test("the_side_of_a_split_is_chosen_for_a_sample")),
    ("see `--dry-run` for what each part", Nothing("every part of a mix must give nothing")),
    (
        "leave out `--weights`",
        Nothing("without this option the mix is written, as another test does"),
    ),
    ("`thresher tokenize` writes them", Test("a_corpus_that_is_tokenised_later_has_the_pair")),
    ("the job writes a dataset card", Test("a_readme_that_no_job_wrote_is_not_replaced")),
    ("Made from manifest.json; `thresher", Nothing("the head of a card, not a hint")),
    ("`thresher verify` counts it again", Nothing("the text of a card, not a hint")),
    (
        "and the batch system would hold it at the next",
        Nothing("a unit test starts an allocation twenty times; others follow `thresher resume`"),
    ),
    ("an upload is left behind", Nothing("needs S3: tests/s3/run")),
    ("your own: `thresher train classifier`", Nothing("a test of `train` makes such a model")),
];

/// Returns all Rust files below a folder that are not only tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// Returns the string literals that have a hint with a command of this program.
fn hints() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in ["coordinator", "worker", "proto", "slurm", "lsf", "pbs", "flux"] {
        sources(&root().join(folder), &mut files);
    }
    let literal = Regex::new(r#"(?s)"((?:[^"\\]|\\.)*)""#).unwrap();
    let continued = Regex::new(r"\\\n\s*").unwrap();
    let command = Regex::new(r"`thresher [a-z]|`--[a-z]|same command").unwrap();
    let mut found = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        // Comments may hold a single quotation mark.
        let code: Vec<&str> =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for hint in literal.captures_iter(&code.join("\n")) {
            let hint = continued.replace_all(&hint[1], "").into_owned();
            // A hint may be written in parts, of which only the first has the word.
            let text = hint.split_once("hint: ").map_or(hint.as_str(), |(_, text)| text);
            let is_part = hint.contains("`thresher ") && !hint.contains("Examples:");
            if command.is_match(text) && (is_part || hint.contains("hint: ")) {
                found.push((path.clone(), hint));
            }
        }
    }
    found
}

#[test]
fn every_hint_that_names_a_command_is_followed_by_a_test() {
    let hints = hints();
    assert!(hints.len() > 35, "{}", hints.len());
    let unknown: Vec<_> = hints
        .iter()
        .filter(|(_, hint)| !FOLLOWED.iter().any(|(part, _)| hint.contains(part)))
        .collect();
    assert!(unknown.is_empty(), "hints that no test follows: {unknown:#?}");
    for (part, by) in FOLLOWED {
        assert!(hints.iter().any(|(_, hint)| hint.contains(part)), "no hint has `{part}`");
        match by {
            Nothing(why) => assert!(!why.is_empty(), "{part}"),
            Test(name) => assert!(has_test(name), "`{part}`: no test is called `{name}…`"),
        }
    }
}

/// Returns whether a test of this package has a name that starts like this.
fn has_test(name: &str) -> bool {
    let mut files = Vec::new();
    sources(&root().join("tests/it"), &mut files);
    let test = format!("#[test]\nfn {name}");
    files.iter().any(|path| std::fs::read_to_string(path).unwrap().contains(&test))
}
