//! Allocations of a batch system: asking for them, what runs in them, and what became of them.
//!
//! ```text
//! thresher submit → site + wish → script ─┐                       ┌→ `thresher serve`, launcher
//!                                systems ─┴→ sbatch/bsub → script ┤
//!                                                                 └→ `allocation begin | end`
//!          STATE/allocations/*.json ← records ← all of these;  history = the fold of them
//! ```
//! The adapters (`slurm/`, `lsf/`) turn values into command lines and text into values; here the
//! commands are run. Nothing of it is known to the scheduler.
//!
//! **Invariant:** what is recorded is never changed: each record is a file of its own, made whole
//! and exclusively, so several hosts may write at once.

mod command;
mod history;
mod launcher;
mod log;
mod records;
mod script;
mod submission;
mod systems;

pub use command::run_command;
pub use history::{Allocation, Beginning, History, Next, REFUSED, Run, States, is_over};
pub use log::cause_in_log;
pub use records::{Record, Records, Submission};
pub use script::gang_program;
pub use submission::{Prepared, submit_chain, withdraw, withdraw_waiting};
pub use systems::batch_system;
