//! Coordinators that are killed or suspended, and state directories that are copied: what is shown
//! is true, what a hint names works, and nothing is lost.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use thresher_tests::process::{
    Leftovers, eventually, kill, output, signal, succeed, suspend, thresher,
};

use super::of_stage;
use super::signals::{PACE, UNFINISHED, paced, said, start, undisturbed};
use crate::oracle::{places, published, run, verify};

/// Longer than the lease of the jobs here.
const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(5);

fn status(state: &Path) -> serde_json::Value {
    let shown = output(thresher().args(["status", "--json", "--state"]).arg(state));
    serde_json::from_slice(&shown.stdout).unwrap()
}

fn text(command: &mut Command) -> String {
    let output = output(command);
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn status_text(state: &Path) -> String {
    text(thresher().args(["status", "--state"]).arg(state))
}

fn done(state: &Path, stage: &str) -> u64 {
    of_stage(&status(state), stage, "done")
}

#[test]
fn a_killed_coordinator_is_shown_as_dead_and_the_hint_resumes_its_job() {
    let inputs = tempfile::tempdir().unwrap();
    let text_of_job = paced(1, inputs.path());
    let reference = undisturbed(&text_of_job);
    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = text_of_job.write(folder.path());
    let mut child = start(&job, &state, "60");
    eventually("a running unit", || of_stage(&status(&state), "prepare", "leased") != 0);
    assert!(status_text(&state).starts_with("job `test` is running ("));
    let unit = |unit: &str| text(thresher().args(["explain", unit, "--state"]).arg(&state));
    assert!(unit("prepare/0").starts_with("prepare/0"));
    kill(child.id());
    child.wait().unwrap();

    let shown = status_text(&state);
    let first = shown.lines().next().unwrap();
    assert!(first.starts_with("job `test` is not running: its coordinator (pid "), "{first}");
    assert!(first.contains("is dead, last heard "), "{first}");
    assert!(!shown.contains("is running"), "{shown}");
    assert!(shown.contains("hint: the same `thresher run`"), "{shown}");
    let shown = status(&state);
    assert_eq!(
        (&shown["state"], &shown["coordinator"]["state"]),
        (&"interrupted".into(), &"dead".into())
    );
    for stage in shown["stages"].as_array().unwrap() {
        assert_eq!(stage["leased"], 0, "{stage}");
    }
    assert!(
        unit("prepare/0")
            .contains(": held by a dead worker\n  nothing runs until the same `thresher run`")
    );
    succeed(run(&job, &state).env(PACE, "0"));
    verify(&output_folder);
    assert_eq!(published(&output_folder), reference);
    assert_eq!(status(&state)["coordinator"]["state"], "none");
}

#[test]
fn a_coordinator_that_is_suspended_for_longer_than_a_lease_loses_no_unit() {
    let inputs = tempfile::tempdir().unwrap();
    let text_of_job = paced(2, inputs.path());
    let reference = undisturbed(&text_of_job);
    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let mut child = start(&text_of_job.write(folder.path()), &state, "0.5");
    eventually("a prepared unit", || done(&state, "prepare") > 0);
    suspend(child.id());
    let since = state.join("since");
    std::fs::write(&since, "").unwrap();
    let age = || since.metadata().unwrap().modified().unwrap().elapsed().unwrap();
    eventually("the end of a lease", || age() > LONGER_THAN_A_LEASE);
    signal(child.id(), Signal::CONT);
    let ended = child.wait().unwrap();
    let said = std::fs::read_to_string(said(&state)).unwrap();
    assert!(ended.success(), "{said}");
    assert!(said.contains("leases last that much longer"), "{said}");
    for stage in status(&state)["stages"].as_array().unwrap() {
        assert_eq!(stage["retries"], 0, "{stage}");
    }
    for worker in status(&state)["workers"].as_array().unwrap() {
        assert_eq!(worker["lost"], false, "{worker}");
    }
    verify(&output_folder);
    assert_eq!(published(&output_folder), reference);
}

#[test]
fn cancelling_a_copy_of_a_state_directory_leaves_the_running_original_alone() {
    let inputs = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = paced(1, inputs.path()).write(folder.path());
    let mut child = start(&job, &state, "0.5");
    eventually("the first stages", || done(&state, "lines") > 0);
    let copy = folder.path().join("copy");
    // Files in the work directory come and go, so it may complain.
    output(Command::new("cp").arg("-a").args([&state, &copy]));
    let said = text(thresher().args(["cancel", "--state"]).arg(&copy));
    assert!(said.contains("is a copy of the state directory"), "{said}");
    assert!(said.contains("the job is cancelled"), "{said}");
    assert_eq!(status(&copy)["state"], "cancelled");
    let again = text(&mut run(&job, &copy));
    assert!(again.contains("error: "), "{again}");

    let mut joined = thresher()
        .args(["worker", "connect", "--slots", "1", "--state"])
        .arg(&copy)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success(), "the original completes");
    kill(joined.id());
    joined.wait().unwrap();
    verify(&output_folder);
    let workers = status(&state)["workers"].as_array().unwrap().len();
    assert_eq!(workers, 1, "no worker of the copy worked for the original");
}

#[test]
fn a_drained_local_job_names_the_command_that_resumes_it() {
    let inputs = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let job = paced(1, inputs.path()).write(folder.path());
    let mut child = start(&job, &state, "0.3");
    eventually("the first stages", || done(&state, "lines") > 0);
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(UNFINISHED));
    let explained = text(thresher().args(["explain", "prepare/3", "--state"]).arg(&state));
    for shown in [explained, status_text(&state)] {
        assert!(shown.contains("the same `thresher run` or `thresher serve` resumes"), "{shown}");
        assert!(!shown.contains("thresher resume"), "{shown}");
    }
    succeed(run(&job, &state).env(PACE, "0"));
    verify(&output_folder);
}

#[test]
fn a_worker_that_waits_for_a_coordinator_says_so_and_names_another_version() {
    let inputs = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (_, state) = places(folder.path());
    let job = paced(1, inputs.path()).write(folder.path());
    let mut child = start(&job, &state, "0.3");
    signal(child.id(), Signal::TERM);
    child.wait().unwrap();
    let address = state.join("coordinator.json");
    let text = std::fs::read_to_string(&address).unwrap();
    let mut written: serde_json::Value = serde_json::from_str(&text).unwrap();
    written["version"] = "0.0.1".into();
    std::fs::write(&address, written.to_string()).unwrap();
    let log = folder.path().join("worker.log");
    let mut worker = thresher()
        .args(["worker", "connect", "--slots", "1", "--state"])
        .arg(&state)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(&log).unwrap();
    eventually("a message", || said().contains("waiting for the coordinator"));
    kill(worker.id());
    worker.wait().unwrap();
    assert!(said().contains("was of version `0.0.1`, and this worker is of version"), "{}", said());
}

#[test]
fn a_drained_local_job_can_be_cancelled() {
    let inputs = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (_, state) = places(folder.path());
    let job = paced(1, inputs.path()).write(folder.path());
    let mut child = start(&job, &state, "0.3");
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(UNFINISHED));
    succeed(thresher().args(["cancel", "--state"]).arg(&state));
    assert_eq!(status(&state)["state"], "cancelled");
}

#[test]
fn a_coordinator_without_a_job_can_be_drained() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut serve = thresher();
    serve.arg("serve").arg("--state").arg(&state).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = serve.spawn().unwrap();
    eventually("a coordinator", || state.join("coordinator.json").try_exists().unwrap());
    succeed(thresher().args(["drain", "--state"]).arg(&state));
    eventually("its end", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(UNFINISHED));
}

#[test]
fn a_missing_key_of_the_coordinator_is_an_error_whose_hint_works() {
    let inputs = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let job = paced(1, inputs.path()).write(folder.path());
    let mut child = start(&job, &state, "0.3");
    signal(child.id(), Signal::TERM);
    child.wait().unwrap();
    std::fs::remove_file(state.join("keys/server.pem")).unwrap();
    let said = text(run(&job, &state).env(PACE, "0"));
    assert!(said.contains("`server.pem`") && said.contains("hint: remove the folder"), "{said}");
    std::fs::remove_dir_all(state.join("keys")).unwrap();
    succeed(run(&job, &state).env(PACE, "0"));
    verify(&output_folder);
}
