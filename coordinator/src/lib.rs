//! The coordinator: schedules units, keeps the journal, answers people. It never touches a document
//! byte: what needs one is a unit, or a verb of the worker's.

pub mod allocation;
pub mod amounts;
pub mod batch;
mod children;
pub mod clock;
mod command_files;
pub mod driver;
pub mod event_record;
pub mod figures;
pub mod interface;
mod job_changes;
pub mod job_plan;
pub mod journal;
mod offline;
mod repairs;
pub mod report;
mod restart;
pub mod run;
mod second;
pub mod service;
mod signals;
pub mod transport;
mod wake;
mod work_folders;

pub use thresher_scheduler as scheduler;
