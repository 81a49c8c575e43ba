//! The worker: runs work units and nothing else. It knows no batch system and no schedule.
pub mod filters;
