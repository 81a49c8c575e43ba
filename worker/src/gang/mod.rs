//! The leader's side of a gang unit over MPI: a launcher is called, a short step of ranks runs, and
//! ends well, badly or too late.
//!
//! ```text
//! stages::resolve ── ranks? ──▶ fallback      N, N, N/2, N/4 …, none: threads
//!        │── run_step ──▶ step ── srun/jsrun/mpiexec ──▶ thresher-gang × ranks
//! ```
//! What the ranks do, and how they say what came of it, is `stages::resolve`'s. This worker itself
//! never initialises MPI, so its life does not depend on a launcher.
//!
//! **Invariant:** no step outlives its deadline, or the worker that started it: the launcher is
//! killed, and ranks that are left behind end by themselves (see `thresher-gang`).

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

/// The least time that a step gets: the launcher of a large world needs some of it.
const LEAST_DEADLINE: Duration = Duration::from_secs(300);
/// A rank that moves fewer bytes in a second is stuck.
const SLOWEST_BYTES_PER_SECOND: u64 = 2_000_000;

/// How gang units are run over MPI.
#[derive(Debug, Clone)]
pub struct GangOptions {
    pub launcher: LauncherTemplate,
    /// Ranks to ask for.
    pub ranks: u32,
    /// `thresher-gang`, as the launcher finds it on every node.
    pub program: PathBuf,
    /// For every step; otherwise it follows from what the step has to move.
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
    pub fn new(options: GangOptions) -> Self {
        let fallback = Mutex::new(Fallback::new(options.ranks));
        Self { options, fallback, stopper: Stopper::default() }
    }

    /// How many ranks the next step is to have; none when the launcher is given up.
    pub fn ranks(&self) -> Option<u32> {
        self.fallback().ranks()
    }

    pub fn succeeded(&self) {
        self.fallback().succeeded();
    }

    /// The step died, came too late, or could not be started.
    pub fn failed(&self) {
        self.fallback().failed();
    }

    /// Launcher and library do not belong together: no other try goes better.
    pub fn refused(&self) {
        self.fallback().give_up();
    }

    /// How long a step may take whose ranks hold so many bytes.
    pub fn deadline(&self, bytes_per_rank: u64) -> Duration {
        let moving = Duration::from_secs(bytes_per_rank / SLOWEST_BYTES_PER_SECOND);
        self.options.deadline.unwrap_or(LEAST_DEADLINE + moving)
    }

    /// Starts the ranks and waits for their end.
    pub fn run_step(&self, task: &std::path::Path, ranks: u32, deadline: Duration) -> StepEnd {
        let mut words = self.options.launcher.words(ranks);
        words.push(self.options.program.clone().into());
        words.extend(["run".into(), "--task".into(), task.into()]);
        step::run(&words, &task.with_file_name(step::OUTPUT), deadline, &self.stopper)
    }

    /// Ends the step that is running, and lets no other begin: the worker is ending.
    pub fn abandon(&self) {
        self.stopper.stop();
    }

    pub fn is_abandoned(&self) -> bool {
        self.stopper.is_stopped()
    }

    fn fallback(&self) -> MutexGuard<'_, Fallback> {
        // One assignment at a time: poison says nothing.
        self.fallback.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
