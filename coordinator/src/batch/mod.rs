//! Allocations of a batch system: submitting them, their scripts, and their records.
//!
//! ```text
//! thresher submit → site + wish → script ─┐                       ┌→ `thresher serve`, launcher
//!                                systems ─┴→ sbatch/… → script ───┤
//!                                                                 └→ `allocation begin | end`
//!          STATE/allocations/*.json ← records ← all of these;  history = the fold of them
//! ```
//! The adapters (`slurm/`, `lsf/`, `pbs/`, `flux/`) turn values into command lines and text into
//! values; this module runs the commands. The scheduler knows nothing of allocations.
//!
//! **Invariant:** a record never changes: each is a file of its own, created whole and exclusively,
//! so that several hosts may write at once.

mod ask;
mod command;
mod describe;
mod history;
mod launcher;
mod log;
mod records;
mod script;
mod search;
mod submission;
mod systems;

pub use ask::{Answer, States, ask};
pub use command::run_command;
pub use describe::{Now, Phase};
pub use history::{Allocation, History, Next, REFUSED, Run, RunEnd, StartDecision};
pub use log::cause_in_log;
pub use records::{Record, Records, Submission};
pub use script::gang_program;
pub use submission::{Prepared, submit_chain, withdraw, withdraw_waiting};
pub use systems::{batch_system, inside_any};
