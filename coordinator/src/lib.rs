//! The coordinator: schedules units, keeps the journal, answers people. It never touches a document byte.

pub mod journal;
pub mod scheduler;
