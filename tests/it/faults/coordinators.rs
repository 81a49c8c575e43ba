//! Coordinators that do not answer, and others that replace them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use thresher_tests::job::JobText;
use thresher_tests::process::{
    Leftovers, eventually, kill, signal, succeed, suspend, thresher, worker, workers_of,
};

use crate::oracle::{places, published, run, verify};

fn serve(job: &Path, state: &Path, errors: &str) -> Child {
    thresher()
        .arg("serve")
        .arg(job)
        .arg("--state")
        .arg(state)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(state.with_extension(errors)).unwrap())
        .spawn()
        .unwrap()
}

fn attach(state: &Path) -> Command {
    let mut command = worker();
    command.arg("connect").arg("--state").arg(state).args(["--slots", "1"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Whether some unit has left a file for later stages.
fn has_worked(state: &Path) -> bool {
    let mut folders = vec![state.join("work")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                _ => return true,
            }
        }
    }
    false
}

/// The journal's files with their lengths.
fn segments(state: &Path) -> BTreeMap<OsString, u64> {
    let files = std::fs::read_dir(state.join("journal")).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name(), file.metadata().unwrap().len())).collect()
}

#[test]
fn a_second_coordinator_takes_over_from_a_suspended_one_which_stops_when_it_wakes() {
    let inputs = tempfile::tempdir().unwrap();
    let text = JobText::sample_times(4, inputs.path()).set("lease", "\"60s\"");
    let quiet = tempfile::tempdir().unwrap();
    let (output, state) = places(quiet.path());
    succeed(&mut run(&text.write(quiet.path()), &state));
    let reference = published(&output);

    let folder = tempfile::tempdir().unwrap();
    let (output, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = text.write(folder.path());
    let mut first = serve(&job, &state, "first");
    eventually("a coordinator", || state.join("coordinator.json").try_exists().unwrap());
    let mut worker = attach(&state).spawn().unwrap();
    eventually("the first unit", || has_worked(&state));
    suspend(first.id());

    let mut second = serve(&job, &state, "second");
    let status = second.wait().unwrap();
    let said = std::fs::read_to_string(state.with_extension("second")).unwrap();
    assert!(status.success(), "{status}: {said}");
    worker.wait().unwrap();
    let before = segments(&state);

    signal(first.id(), Signal::CONT);
    let status = first.wait().unwrap();
    let said = std::fs::read_to_string(state.with_extension("first")).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("epoch"), "it says that it was replaced: {said}");
    // What it was about to write may end up in its own segment, behind what counts.
    let after = segments(&state);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert_eq!(before.last_key_value(), after.last_key_value(), "it wrote where others write");
    succeed(&mut run(&job, &state));
    verify(&output);
    assert_eq!(published(&output), reference);
}

#[test]
fn a_worker_without_a_coordinator_exits_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (_, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = JobText::sample_times(4, folder.path()).write(folder.path());
    let mut first = serve(&job, &state, "first");
    eventually("a coordinator", || state.join("coordinator.json").try_exists().unwrap());
    let mut worker = attach(&state).spawn().unwrap();
    eventually("the first unit", || has_worked(&state));
    kill(first.id());
    first.wait().unwrap();
    eventually("the end of the worker", || workers_of(&state).is_empty());
    assert_eq!(worker.wait().unwrap().code(), Some(1));
}
