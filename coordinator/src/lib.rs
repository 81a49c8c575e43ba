//! The coordinator: schedules units, keeps the journal, answers people. It never touches a document
//! byte: what needs one is a unit, or a verb of the worker's binary.

pub mod allocation;
mod amounts;
mod batch;
mod children;
pub mod cli;
pub mod clock;
pub mod driver;
pub mod event_record;
mod figures;
mod interface;
pub mod job_plan;
pub mod journal;
mod log_tail;
pub mod report;
pub mod run;
pub mod service;
mod signals;
pub mod transport;
mod wake;

pub use thresher_scheduler as scheduler;
