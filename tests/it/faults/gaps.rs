//! Units that fail by themselves: the job continues without them, or stops until the cause is fixed
//! and then publishes the bytes of a run in which nothing failed.

use std::path::Path;

use thresher_tests::job::JobText;
use thresher_tests::process::{output, succeed};

use crate::oracle::{places, published, run, verify};

const UNFINISHED: i32 = 5;
const MISSING_UNITS: i32 = 3;

/// A job over the sample with a step of the user's, which fails at one page until the file `fixed`
/// is in the job's folder.
fn fragile(on_failed_units: &str, inputs: &Path) -> JobText {
    let command = r#"[[command]]
name = "fragile"
run = ["sh", "-c", '''while read -r line; do
    case "$line" in *7bbc5a82-6209-5ad7-8f3b-1fbd96051d89*) [ -e fixed ] || exit 7 ;; esac
    echo '{"keep": true}'
done''']"#;
    JobText::sample_times(2, inputs)
        .set("slice", "\"commoncrawl\"\ncommands = [\"fragile\"]")
        .set(
            "target_bytes",
            &format!("\"256KiB\"\non_failed_units = \"{on_failed_units}\"\noutage = \"1s\""),
        )
        .append(command)
}

#[test]
fn a_job_that_stopped_for_failed_units_completes_after_the_cause_is_fixed() {
    let inputs = tempfile::tempdir().unwrap();
    let fixed = tempfile::tempdir().unwrap();
    std::fs::write(fixed.path().join("fixed"), b"").unwrap();
    let (whole, state) = places(fixed.path());
    let job = fragile("continue", inputs.path()).write(fixed.path());
    succeed(&mut run(&job, &state));

    let folder = tempfile::tempdir().unwrap();
    let (corpus, state) = places(folder.path());
    let job = fragile("stop", inputs.path()).write(folder.path());
    for _ in 0..2 {
        let stopped = output(&mut run(&job, &state));
        let said = String::from_utf8_lossy(&stopped.stderr);
        assert_eq!(stopped.status.code(), Some(UNFINISHED), "{said}");
        assert!(said.contains("error: the job is blocked: "), "{said}");
        assert!(said.contains("exit status: 7"), "{said}");
        assert!(!corpus.join("manifest.json").try_exists().unwrap());
    }
    std::fs::write(folder.path().join("fixed"), b"").unwrap();
    succeed(&mut run(&job, &state));
    verify(&corpus);
    assert_eq!(published(&corpus), published(&whole));
}

#[test]
fn accepting_missing_units_gives_the_same_corpus_as_continuing_without_them() {
    let inputs = tempfile::tempdir().unwrap();
    let corpus_of = |on_failed_units, steps: &[(&[&str], i32)]| {
        let folder = tempfile::tempdir().unwrap();
        let (corpus, state) = places(folder.path());
        let job = fragile(on_failed_units, inputs.path()).write(folder.path());
        for (arguments, status) in steps {
            let ended = output(run(&job, &state).args(*arguments));
            assert_eq!(ended.status.code(), Some(*status), "{ended:?}");
        }
        published(&corpus)
    };
    let accepted = corpus_of(
        "stop",
        &[
            (&[], UNFINISHED),
            (&["--accept-missing"], MISSING_UNITS),
            (&["--accept-missing"], MISSING_UNITS),
        ],
    );
    assert_eq!(accepted, corpus_of("continue", &[(&[], MISSING_UNITS)]));
}
