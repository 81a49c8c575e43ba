//! What whole-system tests share: the built binaries, jobs over the sample crawl, running and
//! killing processes, a proxy that injects faults. No crate depends on this package.
//!
//! **Invariant:** a test sees what a user sees: processes, exit statuses, files.

pub mod bucket;
pub mod gate;
pub mod job;
pub mod operations;
pub mod process;
pub mod proxy;
