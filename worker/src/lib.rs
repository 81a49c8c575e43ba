//! The worker runs work units, and the verbs that read documents. It does not depend on a batch
//! system, and does not schedule.

pub mod agent;
pub mod clean;
pub mod connect;
pub mod executor;
pub mod gang;
pub mod inspect;
pub mod launch;
pub mod node_memory;
mod reports;
pub mod signals;
pub mod stages;
pub mod train;
