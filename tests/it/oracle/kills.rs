//! SIGKILL of workers and of the coordinator at random, seeded moments of a real job.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use thresher_tests::job::JobText;
use thresher_tests::process::{Leftovers, kill, succeed, workers_of};

use super::{clean, places, published, run, verify};

/// After so many kills a job is left alone, so that it ends.
const MAX_KILLS: u32 = 14;

/// Kills until the job is complete, the next one after `most_millis` at the latest; says how many
/// coordinators and workers died.
pub(super) fn run_under_fire(job: &Path, state: &Path, seed: u64, most_millis: u64) -> (u32, u32) {
    verb_under_fire(|| run(job, state), state, seed, most_millis)
}

/// The same for any verb that runs a job, and is resumed by the same command.
pub(super) fn verb_under_fire(
    verb: impl Fn() -> Command,
    state: &Path,
    seed: u64,
    most_millis: u64,
) -> (u32, u32) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut coordinators, mut workers) = (0, 0);
    loop {
        let mut child = start(verb(), state);
        loop {
            let pause = Duration::from_millis(random.random_range(20..most_millis));
            if let Some(status) = wait(&mut child, pause) {
                let said = std::fs::read_to_string(errors_of(state)).unwrap_or_default();
                assert!(status.success(), "seed {seed}: {status}\n{said}");
                return (coordinators, workers);
            }
            if coordinators + workers >= MAX_KILLS {
                continue;
            }
            if random.random_bool(0.4) {
                kill(child.id());
                child.wait().unwrap();
                coordinators += 1;
                break;
            }
            let alive = workers_of(state);
            if !alive.is_empty() {
                kill(alive[random.random_range(0..alive.len())]);
                workers += 1;
            }
        }
    }
}

fn start(mut verb: Command, state: &Path) -> Child {
    verb.args(["--workers", "2", "--slots", "2"])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(errors_of(state)).unwrap())
        .spawn()
        .unwrap()
}

/// Where the coordinator's standard error goes.
fn errors_of(state: &Path) -> PathBuf {
    state.with_extension("errors")
}

/// Waits for the process to end, but no longer than the pause.
fn wait(child: &mut Child, pause: Duration) -> Option<std::process::ExitStatus> {
    let step = Duration::from_millis(10);
    for _ in 0..pause.as_millis() / step.as_millis() {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(step);
    }
    child.try_wait().unwrap()
}

#[test]
fn kills_at_any_moment_change_no_byte() {
    let inputs = tempfile::tempdir().unwrap();
    let text = JobText::sample_times(4, inputs.path());
    let quiet = tempfile::tempdir().unwrap();
    let (output, state) = places(quiet.path());
    succeed(&mut run(&text.write(quiet.path()), &state));
    let reference = published(&output);

    let (mut coordinators, mut workers) = (0, 0);
    for seed in 1..=24 {
        let folder = tempfile::tempdir().unwrap();
        let (output, state) = places(folder.path());
        let _leftovers = Leftovers(state.clone());
        // A fast machine ends the job between two kills, so they come ever closer together.
        let most_millis = (600 / seed).clamp(60, 400);
        let died = run_under_fire(&text.write(folder.path()), &state, seed, most_millis);
        println!("seed {seed}: {} coordinators and {} workers were killed", died.0, died.1);
        (coordinators, workers) = (coordinators + died.0, workers + died.1);
        verify(&output);
        clean(&output);
        verify(&output);
        assert_eq!(published(&output), reference, "seed {seed}");
        if seed >= 4 && coordinators > 5 && workers > 5 {
            return;
        }
    }
    panic!("too few died: {coordinators} coordinators, {workers} workers");
}
