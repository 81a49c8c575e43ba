//! One call of a launcher: started in a process group of its own, watched, and killed when it is
//! too late or unwanted.
//!
//! The launcher's standard input is a pipe from this process, which every launcher passes on to
//! rank 0: when the worker dies, that rank reads the end of it and ends too.
//!
//! **Invariant:** `run` returns at most [`GRACE`] twice after the deadline.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use thresher_channel::log_end::read_log_end;

/// The first line of the pipe: without it a rank does not take the end of its input for our end.
pub const HELLO: &str = "leader";
/// What launcher and ranks print, beside the task.
pub(super) const OUTPUT: &str = "output.txt";
/// Between asking the launcher to end and killing it.
const GRACE: Duration = Duration::from_secs(5);
/// Size of the end of the output that is part of an error.
const TAIL_BYTES: u64 = 2048;

/// How a step ended.
#[derive(Debug)]
pub enum StepEnd {
    Exited { status: ExitStatus, tail: String },
    NotStarted { program: OsString, error: std::io::Error },
    TooLate { deadline: Duration },
    Abandoned,
}

enum Event {
    Exited(std::io::Result<ExitStatus>),
    Stop,
}

/// Ends the running step from another thread.
#[derive(Debug, Default)]
pub(super) struct Stopper {
    state: Mutex<(bool, Option<Sender<Event>>)>,
}

impl Stopper {
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.0 = true;
        if let Some(running) = state.1.take() {
            // The step may have ended just now.
            let _ = running.send(Event::Stop);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().0
    }

    fn watch(&self, sender: Sender<Event>) -> bool {
        let mut state = self.lock();
        state.1 = Some(sender);
        !state.0
    }

    fn lock(&self) -> MutexGuard<'_, (bool, Option<Sender<Event>>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the command to its end.
pub(super) fn run(
    words: &[OsString],
    output: &Path,
    deadline: Duration,
    stopper: &Stopper,
) -> StepEnd {
    let (sender, events) = channel();
    if !stopper.watch(sender.clone()) {
        return StepEnd::Abandoned;
    }
    let mut child = match start(words, output) {
        Ok(child) => child,
        Err(error) => {
            let program = words.first().cloned().unwrap_or_default();
            return StepEnd::NotStarted { program, error };
        }
    };
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let mut tether = child.stdin.take();
    if let Some(pipe) = &mut tether {
        // A launcher that has already ended is known by its status.
        let _ = writeln!(pipe, "{HELLO}");
    }
    // It ends with the launcher; nobody waits for one that cannot even be killed.
    thread::spawn(move || sender.send(Event::Exited(child.wait())));
    let end = match events.recv_timeout(deadline) {
        Ok(Event::Exited(status)) => return exited(status, output),
        Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => StepEnd::Abandoned,
        Err(RecvTimeoutError::Timeout) => StepEnd::TooLate { deadline },
    };
    drop(tether);
    kill(group, &events);
    end
}

/// What a launcher sets for its own processes, this worker among them: another launcher would take
/// itself, or its ranks, for parts of that world.
const OF_A_WORLD: [&str; 9] = [
    "OMPI_COMM_",
    "OMPI_MCA_ess",
    "OMPI_MCA_orte",
    "PMIX_RANK",
    "PMIX_NAMESPACE",
    "PMIX_SERVER_",
    "PMI_",
    "PALS_",
    "JSM_NAMESPACE_",
];

fn is_of_a_world(name: &str) -> bool {
    OF_A_WORLD.iter().any(|prefix| name.starts_with(prefix))
}

fn start(words: &[OsString], output: &Path) -> std::io::Result<Child> {
    let empty = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "no launcher");
    let (program, arguments) = words.split_first().ok_or_else(empty)?;
    let file = File::create(output)?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_a_world) {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        // A Ctrl-C at the terminal means that units may end.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
}

fn exited(status: std::io::Result<ExitStatus>, output: &Path) -> StepEnd {
    match status {
        Ok(status) => StepEnd::Exited { status, tail: tail(output) },
        Err(error) => StepEnd::NotStarted { program: "wait".into(), error },
    }
}

/// TERM, which launchers pass on to their ranks; KILL when that does not help.
fn kill(group: Option<Pid>, events: &Receiver<Event>) {
    for signal in [Signal::TERM, Signal::KILL] {
        // It may have ended just now.
        let _ = group.map(|group| kill_process_group(group, signal));
        while let Ok(event) = events.recv_timeout(GRACE) {
            if matches!(event, Event::Exited(_)) {
                return;
            }
        }
    }
}

/// The end of what was printed.
fn tail(output: &Path) -> String {
    // Open MPI prints NUL bytes in its version.
    read_log_end(output, TAIL_BYTES).unwrap_or_default().replace('\0', "").trim().to_owned()
}

impl std::fmt::Display for StepEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited { status, tail } if tail.is_empty() => {
                write!(f, "the launcher ended ({status}) and printed nothing")
            }
            Self::Exited { status, tail } => write!(f, "the launcher ended ({status}): {tail}"),
            Self::NotStarted { program, error } => {
                write!(f, "the launcher `{}` cannot be started: {error}", program.display())
            }
            Self::TooLate { deadline } => {
                write!(f, "no end within `{}` s, the launcher was killed", deadline.as_secs())
            }
            Self::Abandoned => f.write_str("the worker is ending"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use thresher_storage::clock;

    fn shell(script: &str, deadline: Duration, stopper: &Stopper) -> StepEnd {
        let dir = tempfile::tempdir().unwrap();
        let words = ["sh", "-c", script].map(OsString::from);
        run(&words, &dir.path().join(OUTPUT), deadline, stopper)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_end_and_the_last_words_of_a_launcher_are_told() {
        let end = shell("echo first; echo no such node >&2; exit 3", LONG, &Stopper::default());
        let StepEnd::Exited { status, tail } = &end else { panic!("{end}") };
        assert_eq!((status.code(), tail.as_str()), (Some(3), "first\nno such node"));
        assert!(end.to_string().contains("no such node"));
    }

    #[test]
    fn the_launcher_hears_of_its_leader_on_its_standard_input() {
        let end = shell("read word; echo $word", LONG, &Stopper::default());
        assert!(matches!(&end, StepEnd::Exited { tail, .. } if tail == HELLO), "{end}");
    }

    #[test]
    fn a_step_that_is_too_late_is_killed_with_its_children() {
        let began = clock::now();
        let end = shell("sleep 60 & wait", Duration::from_millis(50), &Stopper::default());
        assert!(matches!(end, StepEnd::TooLate { .. }), "{end}");
        assert!(clock::now().duration_since(began) < LONG);
    }

    #[test]
    fn a_step_is_ended_from_outside_and_no_other_begins() {
        let stopper = Arc::new(Stopper::default());
        let other = Arc::clone(&stopper);
        // Before, while or after the step starts: all of them end it.
        let stopping = thread::spawn(move || other.stop());
        let end = shell("sleep 60", LONG, &stopper);
        stopping.join().unwrap();
        assert!(matches!(end, StepEnd::Abandoned), "{end}");
        assert!(matches!(shell("true", LONG, &stopper), StepEnd::Abandoned));
    }

    #[test]
    fn what_this_workers_own_launcher_said_is_kept_from_the_next_one() {
        for name in ["PMI_RANK", "PMIX_SERVER_URI2", "OMPI_COMM_WORLD_SIZE"] {
            assert!(is_of_a_world(name), "{name}");
        }
        for name in ["SLURM_JOB_ID", "OMPI_MCA_btl", "PMIX_MCA_gds", "PATH", "LSB_JOBID"] {
            assert!(!is_of_a_world(name), "{name}");
        }
    }

    #[test]
    fn a_launcher_that_is_not_there_is_named() {
        let words = [OsString::from("no-such-launcher")];
        let dir = tempfile::tempdir().unwrap();
        let end = run(&words, &dir.path().join(OUTPUT), LONG, &Stopper::default());
        assert!(end.to_string().contains("`no-such-launcher`"), "{end}");
    }
}
