//! The worker: runs work units and nothing else. It knows no batch system and no schedule.

pub mod agent;
pub mod clean;
pub mod executor;
pub mod gang;
pub mod inspect;
pub mod launch;
pub mod signals;
pub mod stages;
