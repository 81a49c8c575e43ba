//! Units that fail by themselves: the job goes on without them, or stops for somebody to mend what
//! made them fail, and then has the bytes of a run in which nothing failed.

use std::path::Path;

use thresher_tests::job::JobText;
use thresher_tests::process::{output, succeed};

use crate::oracle::{places, published, run, verify};

const UNFINISHED: i32 = 5;
const GAPS: i32 = 3;

/// A job over the sample with a step of the user's, which fails at one page until the file `mended`
/// lies beside the job.
fn fragile(on_set_aside: &str, inputs: &Path) -> JobText {
    let command = r#"[[command]]
name = "fragile"
run = ["sh", "-c", '''while read -r line; do
    case "$line" in *7bbc5a82-6209-5ad7-8f3b-1fbd96051d89*) [ -e mended ] || exit 7 ;; esac
    echo '{"keep": true}'
done''']"#;
    JobText::sample_times(2, inputs)
        .set("slice", "\"commoncrawl\"\ncommands = [\"fragile\"]")
        .set("target_bytes", &format!("\"256KiB\"\non_set_aside = \"{on_set_aside}\""))
        .append(command)
}

#[test]
fn a_job_that_stops_at_gaps_is_whole_once_their_cause_is_mended() {
    let inputs = tempfile::tempdir().unwrap();
    let mended = tempfile::tempdir().unwrap();
    std::fs::write(mended.path().join("mended"), b"").unwrap();
    let (whole, state) = places(mended.path());
    let job = fragile("go-on", inputs.path()).write(mended.path());
    succeed(&mut run(&job, &state));

    let folder = tempfile::tempdir().unwrap();
    let (corpus, state) = places(folder.path());
    let job = fragile("stop", inputs.path()).write(folder.path());
    for _ in 0..2 {
        let stopped = output(&mut run(&job, &state));
        let said = String::from_utf8_lossy(&stopped.stdout);
        assert_eq!(stopped.status.code(), Some(UNFINISHED), "{said}");
        assert!(said.contains("failed permanently, the first `prepare/"), "{said}");
        assert!(said.contains("exit status: 7"), "{said}");
        assert!(!corpus.join("manifest.json").try_exists().unwrap());
    }
    std::fs::write(folder.path().join("mended"), b"").unwrap();
    succeed(&mut run(&job, &state));
    verify(&corpus);
    assert_eq!(published(&corpus), published(&whole));
}

#[test]
fn accepted_gaps_give_the_corpus_that_a_job_gives_that_goes_on() {
    let inputs = tempfile::tempdir().unwrap();
    let gaps_of = |on_set_aside, steps: &[(&[&str], i32)]| {
        let folder = tempfile::tempdir().unwrap();
        let (corpus, state) = places(folder.path());
        let job = fragile(on_set_aside, inputs.path()).write(folder.path());
        for (arguments, status) in steps {
            let ended = output(run(&job, &state).args(*arguments));
            assert_eq!(ended.status.code(), Some(*status), "{ended:?}");
        }
        published(&corpus)
    };
    let accepted = gaps_of("stop", &[(&[], UNFINISHED), (&["--accept-gaps"], GAPS), (&[], GAPS)]);
    assert_eq!(accepted, gaps_of("go-on", &[(&[], GAPS)]));
}
