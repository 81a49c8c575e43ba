//! A journal with a damaged middle: the hint names a way on, and the bytes are the same.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use thresher_tests::process::{Leftovers, eventually, output, signal, succeed, thresher};

use super::signals::{PACE, UNFINISHED, paced, start, undisturbed};
use crate::oracle::{places, published, run, verify};

/// The first segment of a journal.
fn segment(state: &Path) -> PathBuf {
    state.join("journal/00000001.journal")
}

#[test]
fn a_job_with_a_damaged_journal_resumes_when_that_is_asked_for() {
    let inputs = tempfile::tempdir().unwrap();
    let text = paced(2, inputs.path());
    let reference = undisturbed(&text);
    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = text.write(folder.path());
    let mut child = start(&job, &state, "0.2");
    eventually("a long journal", || segment(&state).metadata().unwrap().len() > 10_000);
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(UNFINISHED));
    let mut bytes = std::fs::read(segment(&state)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0);
    std::fs::write(segment(&state), &bytes).unwrap();

    let mut status = thresher();
    let mut commands = [run(&job, &state), {
        status.args(["status", "--state"]).arg(&state);
        status
    }];
    for command in &mut commands {
        let refused = output(command);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("is damaged at byte ") && said.contains("`--recover`"), "{said}");
    }
    let ended = output(run(&job, &state).env(PACE, "0").arg("--recover"));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("are lost, and these units run again"), "{said}");
    assert_eq!(std::fs::read(segment(&state)).unwrap(), bytes, "the damaged file is kept");
    verify(&output_folder);
    assert_eq!(published(&output_folder), reference);
    succeed(run(&job, &state).env(PACE, "0"));
}
