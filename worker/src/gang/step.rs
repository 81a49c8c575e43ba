//! One call of a launcher. It is started in its own process group, watched, and killed if it
//! exceeds its deadline or is not needed any more.
//!
//! The launcher's standard input is a pipe from this process, which every launcher passes on to
//! rank 0: if the worker dies, that rank reads the end of the pipe and exits too.
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

/// The first line of the pipe. Without it a rank does not take the end of its input for the end of
/// this worker.
pub const HELLO: &str = "leader";
/// Name of the file with the output of launcher and ranks, beside the task.
pub(super) const OUTPUT: &str = "output.txt";
/// Time between asking the launcher to exit and killing it.
const GRACE: Duration = Duration::from_secs(5);
/// Size of the end of the output that is part of an error.
const TAIL_BYTES: u64 = 2048;

/// The end of a step.
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
            // The step may have ended in the meantime.
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

/// Runs the command until it exits.
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
    // The thread ends with the launcher. A launcher that cannot be killed is not waited for.
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

/// Prefixes of the variables that a launcher sets for its processes, including this worker. They
/// are removed, because another launcher would take itself or its ranks for parts of that world.
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
        // A Ctrl-C at the terminal drains the worker, and its units may finish.
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

/// Sends TERM, which launchers pass on to their ranks, and KILL if that does not help.
fn kill(group: Option<Pid>, events: &Receiver<Event>) {
    for signal in [Signal::TERM, Signal::KILL] {
        // It may have ended in the meantime.
        let _ = group.map(|group| kill_process_group(group, signal));
        while let Ok(event) = events.recv_timeout(GRACE) {
            if matches!(event, Event::Exited(_)) {
                return;
            }
        }
    }
}

/// Returns the end of the output.
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
                write!(
                    f,
                    "the launcher did not exit within `{}` s and was killed",
                    deadline.as_secs()
                )
            }
            Self::Abandoned => f.write_str("the worker exits"),
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
    fn the_status_and_the_last_output_of_a_launcher_are_returned() {
        let end = shell("echo first; echo no such node >&2; exit 3", LONG, &Stopper::default());
        let StepEnd::Exited { status, tail } = &end else { panic!("{end}") };
        assert_eq!((status.code(), tail.as_str()), (Some(3), "first\nno such node"));
        assert!(end.to_string().contains("no such node"));
    }

    #[test]
    fn the_launcher_gets_the_leaders_line_on_its_standard_input() {
        let end = shell("read word; echo $word", LONG, &Stopper::default());
        assert!(matches!(&end, StepEnd::Exited { tail, .. } if tail == HELLO), "{end}");
    }

    #[test]
    fn a_step_beyond_its_deadline_is_killed_with_its_children() {
        let start = clock::now();
        let end = shell("sleep 60 & wait", Duration::from_millis(50), &Stopper::default());
        assert!(matches!(end, StepEnd::TooLate { .. }), "{end}");
        assert!(clock::now().duration_since(start) < LONG);
    }

    #[test]
    fn an_abandoned_step_ends_and_no_other_starts() {
        let stopper = Arc::new(Stopper::default());
        let other = Arc::clone(&stopper);
        // The stop may come before, while or after the step starts; the step ends in each case.
        let stopping = thread::spawn(move || other.stop());
        let end = shell("sleep 60", LONG, &stopper);
        stopping.join().unwrap();
        assert!(matches!(end, StepEnd::Abandoned), "{end}");
        assert!(matches!(shell("true", LONG, &stopper), StepEnd::Abandoned));
    }

    #[test]
    fn variables_of_the_workers_own_launcher_are_not_passed_on() {
        for name in ["PMI_RANK", "PMIX_SERVER_URI2", "OMPI_COMM_WORLD_SIZE"] {
            assert!(is_of_a_world(name), "{name}");
        }
        for name in ["SLURM_JOB_ID", "OMPI_MCA_btl", "PMIX_MCA_gds", "PATH", "LSB_JOBID"] {
            assert!(!is_of_a_world(name), "{name}");
        }
    }

    #[test]
    fn a_missing_launcher_is_named() {
        let words = [OsString::from("no-such-launcher")];
        let dir = tempfile::tempdir().unwrap();
        let end = run(&words, &dir.path().join(OUTPUT), LONG, &Stopper::default());
        assert!(end.to_string().contains("`no-such-launcher`"), "{end}");
    }
}
