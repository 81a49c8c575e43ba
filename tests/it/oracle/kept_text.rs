//! The text of WARC files, which LINES keeps for PREPARE, changes no byte: with or without it,
//! whatever of it is lost or damaged, and whatever is killed in between.

use std::fs;
use std::path::{Path, PathBuf};

use thresher_tests::job::{JobText, sample};
use thresher_tests::process::{Leftovers, output, succeed};

use super::kills::run_under_fire;
use super::{clean, places, published, run, verify};

/// Names a file without which PREPARE fails.
const GATE: &str = "THRESHER_TEST_GATE";
/// Exit status of a blocked job.
const BLOCKED: i32 = 5;

/// A job over the sample's four WARC files, each of which is a unit.
fn warc() -> JobText {
    JobText::over(&sample(), "crawl-data/CC-MAIN-2024-10/warc.paths.gz")
        .set("target_bytes", "\"1B\"\noutage = \"1s\"")
}

fn gated() -> JobText {
    let command = r#"[[command]]
name = "gate"
folder = "/"
run = ["sh", "-c", 'test -e "$THRESHER_TEST_GATE" || exit 1; exec sed -u "s/.*/{\"keep\": true}/"']"#;
    warc().set("slice", "\"commoncrawl\"\ncommands = [\"gate\"]").append(command)
}

/// Returns the files of kept text, in the order of their units.
fn kept(state: &Path) -> Vec<PathBuf> {
    let folder = state.join("work/lines/00000");
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|name| name == "records")).collect();
    files.sort();
    files
}

#[test]
fn text_that_is_kept_missing_or_damaged_gives_the_same_bytes() {
    let inputs = tempfile::tempdir().unwrap();
    let open = inputs.path().join("open");
    fs::write(&open, b"").unwrap();
    let never = tempfile::tempdir().unwrap();
    let (corpus, state) = places(never.path());
    let text = gated().append("[dedup.lines]\nkeep_text = \"never\"");
    succeed(run(&text.write(never.path()), &state).env(GATE, &open));
    let reference = published(&corpus);
    assert!(reference.len() > 2, "{reference:?}");

    let folder = tempfile::tempdir().unwrap();
    let (corpus, state) = places(folder.path());
    let job = gated().write(folder.path());
    let ended = output(run(&job, &state).env(GATE, inputs.path().join("shut")));
    assert_eq!(ended.status.code(), Some(BLOCKED), "{ended:?}");
    let files = kept(&state);
    assert_eq!(files.len(), 4, "{files:?}");
    fs::remove_file(&files[1]).unwrap();
    let mut bytes = fs::read(&files[2]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&files[2], bytes).unwrap();
    // SEAL cannot replace a folder by its report, so the work files stay.
    fs::create_dir_all(corpus.join("report.json/full")).unwrap();
    let ended = output(run(&job, &state).env(GATE, &open));
    assert_eq!(ended.status.code(), Some(BLOCKED), "{ended:?}");
    assert_eq!(kept(&state), Vec::<PathBuf>::new(), "text is kept that nobody needs");
    fs::remove_dir_all(corpus.join("report.json")).unwrap();
    succeed(run(&job, &state).env(GATE, &open));
    verify(&corpus);
    assert_eq!(published(&corpus), reference);
}

#[test]
fn kills_while_text_is_kept_change_no_byte() {
    let quiet = tempfile::tempdir().unwrap();
    let (corpus, state) = places(quiet.path());
    let text = warc().append("[dedup.lines]\nkeep_text = \"never\"");
    succeed(&mut run(&text.write(quiet.path()), &state));
    let reference = published(&corpus);
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let (corpus, state) = places(folder.path());
        let _leftovers = Leftovers(state.clone());
        run_under_fire(&warc().write(folder.path()), &state, seed, 200);
        verify(&corpus);
        clean(&corpus);
        assert_eq!(published(&corpus), reference, "seed {seed}");
    }
}
