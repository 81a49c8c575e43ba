//! Signals and the end of an allocation: the job stops with status 5, resumes, and gives the bytes
//! of an undisturbed run.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use thresher_tests::job::JobText;
use thresher_tests::process::{
    Leftovers, eventually, output, signal, succeed, thresher, workers_of,
};

use crate::oracle::{places, published, run, verify};

pub(crate) const UNFINISHED: i32 = 5;

/// How many seconds each unit of `prepare` sleeps; else a fast machine is done before it is
/// disturbed.
pub(crate) const PACE: &str = "THRESHER_TEST_PACE";

/// A job over the sample whose units sleep as long as `PACE` says. It changes no byte.
pub(crate) fn paced(times: usize, inputs: &Path) -> JobText {
    let command = r#"[[command]]
name = "pace"
folder = "/"
run = ["sh", "-c", 'sleep "$THRESHER_TEST_PACE"; exec sed -u "s/.*/{\"keep\": true}/"']"#;
    JobText::sample_times(times, inputs)
        .set("slice", "\"commoncrawl\"\ncommands = [\"pace\"]")
        .append(command)
}

/// The bytes of the job when nobody disturbs it.
pub(crate) fn undisturbed(text: &JobText) -> BTreeMap<String, String> {
    let quiet = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(quiet.path());
    succeed(run(&text.write(quiet.path()), &state).env(PACE, "0"));
    published(&output_folder)
}

/// What the job that was started last said.
pub(crate) fn said(state: &Path) -> PathBuf {
    state.with_extension("said")
}

/// Runs the job until its coordinator listens.
pub(crate) fn start(job: &Path, state: &Path, pace: &str) -> Child {
    let _ = std::fs::remove_file(state.join("coordinator.json"));
    let child = run(job, state)
        .env(PACE, pace)
        .args(["--slots", "1", "--margin", "20s"])
        .stdout(Stdio::null())
        .stderr(File::create(said(state)).unwrap())
        .spawn()
        .unwrap();
    eventually("a coordinator", || state.join("coordinator.json").try_exists().unwrap());
    child
}

#[test]
fn after_every_signal_the_job_resumes_to_the_same_bytes() {
    let inputs = tempfile::tempdir().unwrap();
    let text = paced(3, inputs.path());
    let reference = undisturbed(&text);

    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = text.write(folder.path());
    let mut drained = 0;
    let signals = [Signal::TERM, Signal::INT, Signal::USR1, Signal::USR2, Signal::URG, Signal::HUP];
    for asked in signals {
        let mut child = start(&job, &state, "0.3");
        signal(child.id(), asked);
        let status = child.wait().unwrap();
        let said = || std::fs::read_to_string(said(&state)).unwrap();
        assert!(matches!(status.code(), Some(0 | UNFINISHED)), "{asked:?}: {status}: {}", said());
        drained += u32::from(status.code() == Some(UNFINISHED));
    }
    assert!(drained >= 4, "the job was complete after {drained} drains");
    succeed(run(&job, &state).env(PACE, "0"));
    verify(&output_folder);
    assert_eq!(published(&output_folder), reference);
}

/// The programs that a worker of this state directory runs.
fn commands_of(state: &Path) -> Vec<u32> {
    let workers = workers_of(state);
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before may have blanks in it.
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    pids.filter(|pid| parent(pid).is_some_and(|parent| workers.contains(&parent))).collect()
}

#[test]
fn a_signal_that_also_ends_commands_does_not_fail_their_units() {
    let inputs = tempfile::tempdir().unwrap();
    let text = paced(1, inputs.path());
    let reference = undisturbed(&text);

    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = text.write(folder.path());
    // As often as a unit may fail.
    for _ in 0..3 {
        let mut child = start(&job, &state, "60");
        eventually("a command", || !commands_of(&state).is_empty());
        // As Slurm does it: everybody, in no order.
        for pid in commands_of(&state) {
            // With what it runs itself.
            let group = Pid::from_raw(pid.try_into().unwrap()).unwrap();
            // It has its group a moment after it is there.
            eventually("its group", || kill_process_group(group, Signal::TERM).is_ok());
        }
        for pid in workers_of(&state) {
            signal(pid, Signal::TERM);
        }
        signal(child.id(), Signal::TERM);
        assert_eq!(child.wait().unwrap().code(), Some(UNFINISHED));
        expect_no_retries(&state);
    }
    succeed(run(&job, &state).env(PACE, "0"));
    verify(&output_folder);
    assert_eq!(published(&output_folder), reference);
}

/// Checks that no attempt of any unit counts as failed.
fn expect_no_retries(state: &Path) {
    let status = output(thresher().args(["status", "--json", "--state"]).arg(state));
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    for stage in status["stages"].as_array().unwrap() {
        assert_eq!(stage["retries"], 0, "{stage}");
    }
}

#[test]
fn a_job_in_several_short_allocations_gives_the_same_bytes() {
    let inputs = tempfile::tempdir().unwrap();
    let text = paced(4, inputs.path());
    let reference = undisturbed(&text);

    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let job = text.write(folder.path());
    let mut allocations = 0;
    for seconds in 1.. {
        let walltime = format!("{}ms", 400 * seconds);
        let limited = &mut run(&job, &state);
        limited.env(PACE, "0.1").args(["--slots", "1", "--walltime", &walltime]);
        let ended = output(limited);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        match ended.status.code() {
            Some(0) => break,
            Some(UNFINISHED) => allocations += 1,
            _ => panic!("{}: {said}", ended.status),
        }
    }
    assert!(allocations > 1, "it was complete after {allocations} allocations");
    verify(&output_folder);
    assert_eq!(published(&output_folder), reference);
}

#[test]
fn a_signal_gives_up_a_unit_in_the_middle_of_a_long_record() {
    let inputs = tempfile::tempdir().unwrap();
    let text = paced(1, inputs.path());
    let reference = undisturbed(&text);

    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = text.write(folder.path());
    // Outside of an allocation nothing limits the drain.
    let mut endless = run(&job, &state);
    endless.env(PACE, "3600").args(["--slots", "1"]);
    let mut child = endless.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("a record without end", || !commands_of(&state).is_empty());
    signal(child.id(), Signal::TERM);
    // The command itself would have failed its unit after a minute, which counts below.
    assert_eq!(child.wait().unwrap().code(), Some(UNFINISHED));
    expect_no_retries(&state);
    succeed(run(&job, &state).env(PACE, "0"));
    verify(&output_folder);
    assert_eq!(published(&output_folder), reference);
}

#[test]
fn a_coordinator_that_waits_for_a_job_stops_at_the_first_signal() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut serve = thresher();
    serve.arg("serve").arg("--state").arg(&state).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = serve.spawn().unwrap();
    eventually("a coordinator", || state.join("coordinator.json").try_exists().unwrap());
    signal(child.id(), Signal::TERM);
    eventually("its end", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(UNFINISHED));
}
