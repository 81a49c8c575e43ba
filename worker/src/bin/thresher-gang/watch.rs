//! Ends a rank that nobody waits for any more: a collective whose partner is gone never returns, so
//! no rank may rely on coming to its own end.
//!
//! A rank ends when its deadline has passed, when its task file is gone (the leader has given the
//! step up), and, where the launcher passes its input on, when the leader is gone. Ranks that do
//! work are left alone.
//!
//! Invariant: ending takes no lock, runs no exit handler and asks nobody.

use std::io::BufRead;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use thresher_storage::clock;
use thresher_worker::gang::HELLO;

/// Between two looks. Each rank makes a call to the file system, which may be one for thousands.
const PAUSE: Duration = Duration::from_secs(2);

/// Starts watching.
pub(crate) fn start(task: PathBuf, deadline: Duration) -> std::io::Result<()> {
    thread::Builder::new().name("leader".to_owned()).spawn(wait_for_leader)?;
    let began = clock::now();
    let watch = move || {
        loop {
            thread::sleep(PAUSE);
            if clock::now().duration_since(began) > deadline {
                end_now("the step's deadline has passed");
            }
            if matches!(task.try_exists(), Ok(false)) {
                end_now("the leader has given the step up");
            }
        }
    };
    thread::Builder::new().name("watch".to_owned()).spawn(watch)?;
    Ok(())
}

/// Reads the launcher's input to its end, if it is the leader's at all: some give ranks none.
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
    tracing::warn!(why, "the rank ends itself");
    // Nothing comes after it.
    let _ = kill_process(getpid(), Signal::KILL);
}
