//! Jobs that run again: with another job file, with missing units, or without their output.

use std::path::{Path, PathBuf};

use thresher_tests::job::JobText;
use thresher_tests::process::{output, succeed};

use super::{fail, job_over, member, page};
use crate::oracle::{places, published, run, verify};

const REFUSED: i32 = 1;
const MISSING_UNITS: i32 = 3;
const UNFINISHED: i32 = 5;
const ATTENTION: i32 = 7;

fn small(folder: &Path) -> JobText {
    job_over(folder, "a.warc.wet.gz", &[member(&page(1)), member(&page(2))].concat())
}

/// Runs the job and returns its exit status and what it printed.
fn ended(folder: &Path, job: &JobText, arguments: &[&str]) -> (i32, String) {
    let state = folder.join("state");
    let ended = output(run(&job.write(folder), &state).args(arguments));
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_corrected_listing_just_runs() {
    let folder = tempfile::tempdir().unwrap();
    let job = small(folder.path());
    let (code, said) =
        fail(folder.path(), &small(folder.path()).set("listing", "\"b.warc.wet.gz\""));
    assert_eq!(code, UNFINISHED, "{said}");
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the job file has changed: `source[0].listing`"), "{said}");
    verify(&folder.path().join("corpus"));
}

#[test]
fn a_late_change_is_refused_with_its_cost_and_fresh_starts_over_without_touching_others() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    let job = small(folder.path());
    assert_eq!(ended(folder.path(), &job, &[]).0, 0);
    let before = published(&corpus);
    let changed = small(folder.path()).set("shard_bytes", "\"300kB\"");
    let (code, said) = ended(folder.path(), &changed, &[]);
    assert_eq!(code, REFUSED, "{said}");
    assert!(said.contains("output.shard_bytes") && said.contains("300000B"), "{said}");
    assert!(said.contains("from layout on: ") && said.contains("`--fresh`"), "{said}");
    assert_eq!(published(&corpus), before);
    std::fs::write(corpus.join("documents/others.jsonl.zst"), "of another job").unwrap();
    let (code, said) = ended(folder.path(), &changed, &["--fresh"]);
    assert_eq!(code, 0, "{said}");
    assert!(corpus.join("documents/others.jsonl.zst").is_file());
    std::fs::remove_file(corpus.join("documents/others.jsonl.zst")).unwrap();
    verify(&corpus);
}

#[test]
fn an_output_that_is_gone_or_incomplete_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    let job = small(folder.path());
    assert_eq!(ended(folder.path(), &job, &[]).0, 0);
    let whole = published(&corpus);
    let shard = corpus.join("documents/commoncrawl-00000.jsonl.zst");
    let losses: [&dyn Fn(); 3] = [
        &|| std::fs::remove_dir_all(&corpus).unwrap(),
        &|| std::fs::remove_file(&shard).unwrap(),
        &|| std::fs::write(&shard, "half of it").unwrap(),
    ];
    for lose in losses {
        lose();
        let mut status = thresher_tests::process::thresher();
        let status = output(status.args(["status", "--state"]).arg(folder.path().join("state")));
        assert_eq!(status.status.code(), Some(ATTENTION), "{status:?}");
        let (code, said) = ended(folder.path(), &job, &[]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("the output is made again from stage list on"), "{said}");
        assert_eq!(published(&corpus), whole);
    }
}

/// A job over the sample with a filter of the user's, in a script beside the job file.
fn filtered(inputs: &Path, on_failed_units: &str) -> JobText {
    let command = "[[command]]\nname = \"mine\"\nrun = [\"sh\", \"mine.sh\"]";
    JobText::sample_times(2, inputs)
        .set("slice", "\"commoncrawl\"\ncommands = [\"mine\"]")
        .set(
            "target_bytes",
            &format!("\"256KiB\"\non_failed_units = \"{on_failed_units}\"\noutage = \"1s\""),
        )
        .append(command)
}

const KEEP_ALL: &str = "while read -r line; do echo '{\"keep\": true}'; done";
const BROKEN: &str = "echo 'no module named mine' >&2; exit 1";
const FAILS_AT_ONE: &str = "while read -r line; do case \"$line\" in \
    *7bbc5a82-6209-5ad7-8f3b-1fbd96051d89*) [ -e fixed ] || exit 7 ;; esac; \
    echo '{\"keep\": true}'; done";

fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("mine.sh");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_fixed_filter_script_continues_the_job_and_one_edited_late_is_refused() {
    let (folder, inputs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let job = filtered(inputs.path(), "stop");
    script(folder.path(), BROKEN);
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, UNFINISHED, "{said}");
    assert!(said.contains("no module named mine"), "{said}");
    script(folder.path(), KEEP_ALL);
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("`command[0].files.mine.sh`"), "{said}");
    script(folder.path(), &format!("{KEEP_ALL} # edited"));
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, REFUSED, "{said}");
    assert!(
        said.contains("command[0].files.mine.sh") && said.contains("from prepare on"),
        "{said}"
    );
}

#[test]
fn missing_units_are_made_again_with_the_bytes_of_a_run_without_failures() {
    let inputs = tempfile::tempdir().unwrap();
    let sound = tempfile::tempdir().unwrap();
    let job = filtered(inputs.path(), "continue");
    script(sound.path(), FAILS_AT_ONE);
    std::fs::write(sound.path().join("fixed"), b"").unwrap();
    let (whole, state) = places(sound.path());
    succeed(&mut run(&job.write(sound.path()), &state));

    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), FAILS_AT_ONE);
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, MISSING_UNITS, "{said}");
    std::fs::write(folder.path().join("fixed"), b"").unwrap();
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("of stage prepare is missing; stage prepare runs for it"), "{said}");
    verify(&folder.path().join("corpus"));
    assert_eq!(published(&folder.path().join("corpus")), published(&whole));
}

#[test]
fn a_source_whose_every_record_is_quarantined_is_not_a_success() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<u8> = (0..200).flat_map(|n| format!("not JSON {n}\n").into_bytes()).collect();
    let job =
        job_over(folder.path(), "c4-train.00000.json.gz", &member(&rows)).set("slice", "\"c4\"");
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, ATTENTION, "{said}");
    assert!(said.contains("look at this: nothing of source"), "{said}");
}
