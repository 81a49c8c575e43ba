//! Ends a rank whose result is not needed any more. A collective whose partner is gone never
//! returns, so a rank cannot rely on reaching its own end.
//!
//! A rank exits if its deadline has passed, if its task file is gone (the leader has abandoned the
//! step), or if the leader is gone, provided that the launcher passes its input on.
//!
//! Invariant: the exit takes no lock, runs no exit handler and needs no other process.

use std::io::BufRead;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use thresher_storage::clock;
use thresher_worker::gang::HELLO;

/// Time between two checks. Each rank calls the file system for one, and there may be thousands of
/// ranks.
const PAUSE: Duration = Duration::from_secs(2);

/// Starts the watching threads.
pub(crate) fn start(task: PathBuf, deadline: Duration) -> std::io::Result<()> {
    thread::Builder::new().name("leader".to_owned()).spawn(wait_for_leader)?;
    let start = clock::now();
    let watch = move || {
        loop {
            thread::sleep(PAUSE);
            if clock::now().duration_since(start) > deadline {
                end_now("the step's deadline has passed");
            }
            if matches!(task.try_exists(), Ok(false)) {
                end_now("the leader has abandoned the step");
            }
        }
    };
    thread::Builder::new().name("watch".to_owned()).spawn(watch)?;
    Ok(())
}

/// Reads standard input to its end, if it comes from the leader: some launchers give ranks none.
fn wait_for_leader() {
    let mut input = std::io::stdin().lock();
    let mut line = String::new();
    if !matches!(input.read_line(&mut line), Ok(1..)) || line.trim_end() != HELLO {
        return;
    }
    let mut rest = [0; 64];
    while matches!(std::io::Read::read(&mut input, &mut rest), Ok(1..)) {}
    end_now("the leader is gone");
}

/// Ends this process at once.
pub(crate) fn end_now(why: &str) {
    tracing::warn!(why, "the rank exits");
    // Nothing runs after this.
    let _ = kill_process(getpid(), Signal::KILL);
}
