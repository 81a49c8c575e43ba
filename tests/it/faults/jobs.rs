//! Jobs that cannot go well say so, with the offending thing and what to do.

use thresher_tests::job::JobText;
use thresher_tests::process::{output, succeed, thresher};

use super::{fail, job_over, member, page};

#[test]
fn a_missing_input_is_named_and_the_job_ends_with_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let job = job_over(folder.path(), "inputs.txt", b"gone.warc.wet.gz\n");
    let (code, said) = fail(folder.path(), &job);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("gone.warc.wet.gz") && said.contains("on_missing"), "{said}");
}

#[test]
fn a_unit_that_keeps_failing_is_set_aside_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let good = [member(&page(1)), member(&page(2))].concat();
    std::fs::write(folder.path().join("good.warc.wet.gz"), good).unwrap();
    // A folder in an input's place: it is there, but cannot be read.
    std::fs::create_dir(folder.path().join("bad.warc.wet.gz")).unwrap();
    let listing = b"bad.warc.wet.gz\ngood.warc.wet.gz\n";
    let job = job_over(folder.path(), "inputs.txt", listing).set("target_bytes", "\"1B\"");
    let (code, said) = fail(folder.path(), &job);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("bad.warc.wet.gz"), "{said}");
    let manifest = std::fs::read(folder.path().join("corpus/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["accounting"]["published"], 2, "{manifest}");
    assert_eq!(manifest["absent_units"], serde_json::json!([0]), "{manifest}");
}

#[test]
fn a_missing_model_is_named_with_where_it_may_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let job = job_over(folder.path(), "a.warc.wet.gz", &member(&page(1)))
        .set("model", "\"no/such/lid.176.ftz\"");
    let (code, said) = fail(folder.path(), &job);
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("no/such/lid.176.ftz") && said.contains("hint:"), "{said}");
}

#[test]
fn a_wrong_key_is_refused_with_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let job =
        job_over(folder.path(), "a.warc.wet.gz", b"").append("[dedup.lines]\npolcy = \"off\"");
    let (code, said) = fail(folder.path(), &job);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("dedup.lines.polcy") && said.contains("`policy`"), "{said}");
}

#[test]
fn another_job_on_the_same_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let job = job_over(folder.path(), "a.warc.wet.gz", &member(&page(1)));
    let state = folder.path().join("state");
    succeed(thresher().arg("run").arg(job.write(folder.path())).arg("--state").arg(&state));
    let other = job.set("shard_bytes", "\"300kB\"");
    let (code, said) = fail(folder.path(), &other);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("another job") && said.contains("300000B"), "{said}");
}

#[test]
fn a_finished_job_answers_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let job: JobText = job_over(folder.path(), "a.warc.wet.gz", &member(&page(1)));
    succeed(thresher().arg("run").arg(job.write(folder.path())).arg("--state").arg(&state));
    let status = succeed(thresher().arg("status").arg("--state").arg(&state));
    assert!(status.contains("prepare"), "{status}");
    let why = succeed(thresher().args(["explain", "prepare/0", "--state"]).arg(&state));
    assert!(why.contains("done"), "{why}");
    let corpus = folder.path().join("corpus");
    let empty = output(thresher().arg("trace").arg(&corpus).arg(""));
    assert!(!empty.status.success(), "an empty text traces nothing");
    let none = output(thresher().args(["explain", "prepare/9", "--state"]).arg(&state));
    assert!(!none.status.success());
}
