//! Starts processes of the system under test as a user would, watches and kills them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};

/// Returns the folder with the programs, built with the profile of this test.
fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let test = std::env::current_exe().expect("a test has a path");
        let folder = test.parent().expect("a test lies in target/<profile> or its `deps`");
        let folder = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
        let folder = folder.expect("`deps` lies in target/<profile>");
        // The variable says that `cargo build` has run; otherwise build here, or old programs are
        // tested.
        if std::env::var_os("THRESHER_TEST_BUILT").is_none() {
            let release = folder.ends_with("release").then_some("--release");
            let mut cargo = Command::new(env!("CARGO"));
            // Variables that cargo sets for a test make some build scripts run again each time.
            for (name, _) in std::env::vars_os() {
                if name.to_string_lossy().starts_with("CARGO_") {
                    cargo.env_remove(name);
                }
            }
            let built = cargo
                .args(["build", "--quiet", "--workspace", "--bins"])
                .args(release)
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()
                .expect("cargo can be run");
            assert!(built.success(), "the binaries do not build");
        }
        folder.to_owned()
    })
}

/// Returns the command `thresher`, without arguments.
pub fn thresher() -> Command {
    command("thresher")
}

/// Returns the command `thresher worker`, ready for arguments.
pub fn worker() -> Command {
    let mut command = thresher();
    command.arg("worker");
    command
}

/// `thresher-worker`, the alias, ready for arguments.
pub fn alias() -> Command {
    command("thresher-worker")
}

fn command(name: &str) -> Command {
    let mut command = Command::new(binaries().join(name));
    command.stdin(Stdio::null()).env_remove("THRESHER_LOG");
    command
}

/// Runs a command to its end.
pub fn output(command: &mut Command) -> Output {
    command.output().expect("the binary can be run")
}

/// Runs a command to its end and returns its output; panics if it fails.
pub fn succeed(command: &mut Command) -> String {
    let output = output(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}\n{errors}", output.status);
    text
}

/// Returns the running worker processes of a state directory.
pub fn workers_of(state: &Path) -> Vec<u32> {
    let state = state.to_string_lossy();
    let entries = std::fs::read_dir("/proc").expect("there is /proc");
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let [program, verb, ..] = words.as_slice() else { return false };
        program.ends_with("/thresher") && verb == "worker" && words.contains(&state)
    })
    .collect()
}

/// Waits until a condition holds; panics after two minutes.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let step = std::time::Duration::from_millis(20);
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        std::thread::sleep(step);
    }
    panic!("waited two minutes for {what}");
}

/// Kills a process with SIGKILL.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Sends a signal; the process may have exited already.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    let _ = kill_process(pid, signal);
}

/// Suspends a process, and waits until all its threads are stopped.
pub fn suspend(pid: u32) {
    signal(pid, Signal::STOP);
    let is_stopped = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name before it may contain blanks.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    eventually("a stopped process", || {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        threads.is_ok_and(|mut threads| threads.all(|thread| thread.is_ok_and(is_stopped)))
    });
}

/// Kills the processes that a failed test left running.
pub struct Leftovers(pub PathBuf);

impl Drop for Leftovers {
    fn drop(&mut self) {
        for pid in workers_of(&self.0) {
            kill(pid);
        }
    }
}
