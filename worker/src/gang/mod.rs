//! The leader's part of a gang unit over MPI: it calls a launcher, which runs a short step of
//! ranks, and handles success, failure and timeout.
//!
//! ```text
//! stages::resolve ── ranks? ──▶ fallback      N, N, N/2, N/4 …, none: threads
//!        │── run_step ──▶ step ── srun/jsrun/mpiexec ──▶ thresher-gang × ranks
//! ```
//! `stages::resolve` defines what the ranks do and how they report. This worker itself never
//! initialises MPI, so a failing launcher cannot end it.
//!
//! **Invariant:** no step outlives its deadline, or the worker that started it: the launcher is
//! killed, and ranks that are left behind exit by themselves (see `thresher-gang`).

mod fallback;
mod launcher;
mod step;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::fallback::Fallback;
pub use self::launcher::{LauncherError, LauncherTemplate};
use self::step::Stopper;
pub use self::step::{HELLO, StepEnd};

/// Shortest deadline of a step. The launcher of a large world needs some of it.
const LEAST_DEADLINE: Duration = Duration::from_secs(300);
/// Smallest rate of a rank, in bytes per second. A slower one is stuck.
const SLOWEST_BYTES_PER_SECOND: u64 = 2_000_000;

/// The options for gang units over MPI.
#[derive(Debug, Clone)]
pub struct GangOptions {
    /// The command line of the launcher.
    pub launcher: LauncherTemplate,
    /// Number of ranks to start.
    pub ranks: u32,
    /// Path of `thresher-gang` on every node.
    pub program: PathBuf,
    /// Deadline of every step. `None` derives it from the bytes that the step moves.
    pub deadline: Option<Duration>,
}

/// The launcher of this worker, and what is known about its failures.
#[derive(Debug)]
pub struct Gang {
    options: GangOptions,
    fallback: Mutex<Fallback>,
    stopper: Stopper,
}

impl Gang {
    /// Creates the state of a launcher that has not failed.
    pub fn new(options: GangOptions) -> Self {
        let fallback = Mutex::new(Fallback::new(options.ranks));
        Self { options, fallback, stopper: Stopper::default() }
    }

    /// Returns the number of ranks of the next step, or `None` if no further step is started.
    pub fn ranks(&self) -> Option<u32> {
        self.fallback().ranks()
    }

    /// Records that a step succeeded.
    pub fn succeeded(&self) {
        self.fallback().succeeded();
    }

    /// Records that a step failed, exceeded its deadline, or could not be started.
    pub fn failed(&self) {
        self.fallback().failed();
    }

    /// Records that launcher and MPI library do not fit together, so that a retry cannot help.
    pub fn refused(&self) {
        self.fallback().give_up();
    }

    /// Returns the deadline of a step whose ranks hold this number of bytes.
    pub fn deadline(&self, bytes_per_rank: u64) -> Duration {
        let moving = Duration::from_secs(bytes_per_rank / SLOWEST_BYTES_PER_SECOND);
        self.options.deadline.unwrap_or(LEAST_DEADLINE + moving)
    }

    /// Starts the ranks and waits until they exit.
    pub fn run_step(&self, task: &std::path::Path, ranks: u32, deadline: Duration) -> StepEnd {
        let mut words = self.options.launcher.words(ranks);
        words.push(self.options.program.clone().into());
        words.extend(["run".into(), "--task".into(), task.into()]);
        step::run(&words, &task.with_file_name(step::OUTPUT), deadline, &self.stopper)
    }

    /// Ends the running step and prevents further ones, because the worker exits.
    pub fn abandon(&self) {
        self.stopper.stop();
    }

    /// Returns whether the worker exits, so that no step may start.
    pub fn is_abandoned(&self) -> bool {
        self.stopper.is_stopped()
    }

    fn fallback(&self) -> MutexGuard<'_, Fallback> {
        // Only single assignments happen under the lock, so a poisoned lock is still valid.
        self.fallback.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
