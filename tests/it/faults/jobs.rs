//! Jobs that cannot succeed report the cause and a hint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use thresher_tests::job::JobText;
use thresher_tests::process::{output, succeed, thresher};

use super::{fail, job_over, member, page};

const UNFINISHED: i32 = 5;

#[test]
fn a_missing_input_is_named_and_the_job_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let job = job_over(folder.path(), "inputs.txt", b"gone.warc.wet.gz\n");
    let (code, said) = fail(folder.path(), &job);
    assert_eq!(code, UNFINISHED, "{said}");
    assert!(said.contains("gone.warc.wet.gz") && said.contains("on_missing"), "{said}");
    assert!(!is_published(folder.path()), "a source is missing");
    std::fs::write(folder.path().join("gone.warc.wet.gz"), member(&page(1))).unwrap();
    let (code, said) = fail(folder.path(), &job);
    assert_eq!(code, 0, "{said}");
}

fn is_published(folder: &Path) -> bool {
    folder.join("corpus/manifest.json").try_exists().unwrap()
}

#[test]
fn a_pattern_that_matches_nothing_publishes_nothing() {
    let (inputs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let job = job_over(inputs.path(), "a.warc.wet.gz", b"").set("listing", "\"*.nope.gz\"");
    let (code, said) = fail(folder.path(), &job);
    assert_eq!(code, UNFINISHED, "{said}");
    assert!(said.contains("`listing = \"*.nope.gz\"` matches nothing"), "{said}");
    assert!(!is_published(folder.path()));
}

#[test]
fn the_corpus_of_another_job_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let job = job_over(folder.path(), "a.warc.wet.gz", &member(&page(1)));
    let run = |job: &JobText, state: &str| {
        let mut command = thresher();
        command.arg("run").arg(job.write(folder.path())).arg("--state");
        output(command.arg(folder.path().join(state)))
    };
    assert!(run(&job, "first").status.success());
    let before = files(&folder.path().join("corpus"));
    let refused = run(&job.set("shard_bytes", "\"300kB\""), "second");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("belongs to another corpus, of the job `test`"), "{said}");
    assert_eq!(files(&folder.path().join("corpus")), before);
}

/// Every file below a folder, with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => BTreeMap::from([(path.clone(), std::fs::read(&path).unwrap())]),
    };
    entries.flat_map(read).collect()
}

#[test]
fn a_full_disk_stops_the_job_which_resumes_when_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = tempfile::tempdir().unwrap();
    let inputs = tempfile::tempdir().unwrap();
    let job = JobText::sample_times(1, inputs.path());
    let run = |folder: &Path| {
        let mut command = thresher();
        command.arg("run").arg(job.write(folder)).arg("--state");
        output(command.arg(folder.join("state")))
    };
    assert!(run(quiet.path()).status.success());
    let Some(disk) = Disk::new(&folder.path().join("corpus"), "300k") else {
        eprintln!("no tmpfs can be mounted here");
        return;
    };
    for _ in 0..2 {
        let stopped = run(folder.path());
        let said = String::from_utf8_lossy(&stopped.stderr);
        assert_eq!(stopped.status.code(), Some(UNFINISHED), "{said}");
        assert!(said.contains("no space") || said.contains("No space"), "{said}");
        assert!(said.contains("corpus/documents/") && said.contains("hint: "), "{said}");
    }
    disk.resize("50m");
    let ended = run(folder.path());
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let manifest = |folder: &Path| std::fs::read(folder.join("corpus/manifest.json")).unwrap();
    assert_eq!(manifest(folder.path()), manifest(quiet.path()));
}

/// A small file system in memory.
struct Disk(PathBuf);

impl Disk {
    /// None without the right to mount one.
    fn new(place: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(place);
        let mounted = mount.status().is_ok_and(|status| status.success());
        mounted.then(|| Self(place.to_owned()))
    }

    fn resize(&self, size: &str) {
        let mut mount = Command::new("mount");
        succeed(mount.args(["-o", &format!("remount,size={size}")]).arg(&self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_unit_that_keeps_failing_fails_permanently_and_the_others_complete() {
    let folder = tempfile::tempdir().unwrap();
    let good = [member(&page(1)), member(&page(2))].concat();
    std::fs::write(folder.path().join("good.warc.wet.gz"), good).unwrap();
    std::fs::write(folder.path().join("bad.warc.wet.gz"), member(&page(7))).unwrap();
    let listing = b"bad.warc.wet.gz\ngood.warc.wet.gz\n";
    // A program that fails at one page.
    let command = r#"[[command]]
name = "picky"
folder = "/"
run = ["sh", "-c", '''while read -r page; do
case $page in *example/7*) exit 1;; esac
echo '{"keep": true}'
done''']"#;
    let job = job_over(folder.path(), "inputs.txt", listing)
        .set("target_bytes", "\"1B\"\non_failed_units = \"continue\"\noutage = \"1s\"")
        .set("slice", "\"commoncrawl\"\ncommands = [\"picky\"]")
        .append(command);
    let (code, said) = fail(folder.path(), &job);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("prepare/0") && said.contains("`picky` failed"), "{said}");
    let manifest = std::fs::read(folder.path().join("corpus/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["accounting"]["published"], 2, "{manifest}");
    assert_eq!(manifest["absent_units"], serde_json::json!([0]), "{manifest}");
}

#[test]
fn a_missing_model_is_reported_with_a_source_for_it() {
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
fn a_late_change_of_the_job_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let job = job_over(folder.path(), "a.warc.wet.gz", &member(&page(1)));
    let state = folder.path().join("state");
    succeed(thresher().arg("run").arg(job.write(folder.path())).arg("--state").arg(&state));
    let other = job.set("shard_bytes", "\"300kB\"");
    let (code, said) = fail(folder.path(), &other);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("differs from that of the job") && said.contains("300000B"), "{said}");
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
