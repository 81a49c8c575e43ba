//! Worker processes on this machine: starts them, watches them, and restarts them when they die.
//!
//! **Invariant:** the job does not depend on them: a worker that outlives its coordinator continues
//! until its lease ends, and the next coordinator accepts it again.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use thresher_channel::log_end::read_log_end;

use crate::clock;

/// A worker that exits sooner than this has not worked.
const TOO_SOON: Duration = Duration::from_secs(3);
/// Number of points in a row at which the run stops. A worker that exits by itself before it has
/// worked is misconfigured; a killed one was stopped by a person or the memory limit, and a new one
/// may succeed.
const MAX_EARLY_POINTS: u32 = 50;
const POINTS_ENDED: u32 = 10;
const POINTS_KILLED: u32 = 1;
/// Number of lines of a worker's log that are shown, and the size of its end that is read for them.
const TAIL_LINES: usize = 5;
const TAIL_BYTES: u64 = 64 << 10;
/// Length to which a worker's last line is cut.
const LAST_WORDS_BYTES: usize = 300;

/// The program that is a worker, and its first arguments.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// Path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// How to start workers.
#[derive(Debug, Clone)]
pub(crate) struct ChildOptions {
    pub(crate) worker: WorkerCommand,
    pub(crate) state: PathBuf,
    pub(crate) slots: u32,
    pub(crate) epoch: u64,
}

/// The workers of this run.
pub(crate) struct Children {
    options: ChildOptions,
    /// Number of workers that run at the same time.
    count: u32,
    running: Vec<Running>,
    early_points: u32,
    started: u32,
}

struct Running {
    child: Child,
    since: Instant,
    log: PathBuf,
}

/// A worker that exited.
pub(crate) struct Ended {
    pub(crate) pid: u32,
    pub(crate) how: String,
}

impl Children {
    pub(crate) fn start(options: ChildOptions, count: u32) -> anyhow::Result<Self> {
        let folder = options.state.join("logs");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make the folder `{}`", folder.display()))?;
        let running = Vec::new();
        let mut children = Self { options, count, running, early_points: 0, started: 0 };
        for _ in 0..count {
            children.spawn()?;
        }
        Ok(children)
    }

    fn spawn(&mut self) -> anyhow::Result<()> {
        let ChildOptions { worker, state, slots, epoch } = &self.options;
        self.started += 1;
        let log = state.join("logs").join(format!("worker-{epoch}-{}.log", self.started));
        let file = open_log(&log)?;
        let child = Command::new(&worker.program)
            .args(&worker.arguments)
            .arg("--state")
            .arg(state)
            .args(["--slots", &slots.to_string()])
            .args(["--node-workers", &self.count.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::from(file.try_clone()?))
            .stderr(Stdio::from(file))
            .spawn()
            .with_context(|| {
                format!("failed to start the worker `{}`", worker.program.display())
            })?;
        self.running.push(Running { child, since: clock::instant(), log });
        Ok(())
    }

    /// Returns the workers that exited since the last call; with `replace`, those that failed are
    /// replaced.
    pub(crate) fn reap(&mut self, replace: bool) -> anyhow::Result<Vec<Ended>> {
        let mut ended = Vec::new();
        let mut index = 0;
        let mut failed = 0;
        while index < self.running.len() {
            let Some(status) = self.running[index].child.try_wait()? else {
                index += 1;
                continue;
            };
            let gone = self.running.swap_remove(index);
            let lived = clock::instant().duration_since(gone.since);
            if status.success() {
                ended.push(Ended { pid: gone.child.id(), how: describe(status) });
                continue;
            }
            let how = format!("it {}; {}", describe(status), last_words(&gone.log));
            ended.push(Ended { pid: gone.child.id(), how });
            failed += 1;
            let points = if status.code().is_some() { POINTS_ENDED } else { POINTS_KILLED };
            self.early_points = if lived < TOO_SOON { self.early_points + points } else { 0 };
            if self.early_points >= MAX_EARLY_POINTS {
                anyhow::bail!(
                    "workers exit immediately after they start; the last one {}:\n{}\n\
                     hint: see `{}`",
                    describe(status),
                    tail(&gone.log),
                    gone.log.display()
                );
            }
        }
        if replace {
            for _ in 0..failed {
                self.spawn()?;
            }
        }
        Ok(ended)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Kills the workers that still run.
    pub(crate) fn kill(&mut self) {
        for running in &mut self.running {
            // It may have exited just now.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        self.running.clear();
    }
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("failed to open `{}`", path.display()))
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Returns the last line that says why it ended: evidence for units that crash their worker.
fn last_words(log: &Path) -> String {
    // Neither advice nor what Rust's runtime adds about backtraces is the cause.
    let says = |line: &&str| {
        !line.is_empty() && !line.starts_with("note: ") && !line.starts_with("hint: ")
    };
    match tail(log).lines().map(str::trim).rfind(says) {
        Some(line) if !line.is_empty() => {
            let end = line.floor_char_boundary(LAST_WORDS_BYTES);
            format!("its last line: `{}` (`{}`)", &line[..end], log.display())
        }
        Some(_) | None => format!("its log is empty (`{}`)", log.display()),
    }
}

/// Returns the last lines that it wrote.
fn tail(log: &Path) -> String {
    let text = read_log_end(log, TAIL_BYTES).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(TAIL_LINES).collect();
    lines.into_iter().rev().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
