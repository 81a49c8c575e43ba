//! The coordinator: schedules units, keeps the journal, answers people. It never touches a document byte.

mod amounts;
pub mod cli;
mod figures;
pub mod report;
pub mod run;
pub mod transport;
pub mod journal;
pub mod scheduler;
