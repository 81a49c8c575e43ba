//! Objects on S3 and on other stores with its protocol.
//!
//! ```text
//! slot (thread) ← S3Reader ← bounded channel ← fetch (task) ─┐
//! slot (thread) → Upload → part (task) ──────────────────────┴ engine: one runtime, one client
//! ```
//! Every request waits for a turn at the job's rate, and is retried here, not in the SDK, so that
//! one place decides when a retry is useful. Keys come from the environment, a profile or the
//! instance role; the SDK reads them, and this code does not see them.
//!
//! Invariant: no more than a few parts of an object are in memory.

mod commit_record;
mod connection;
mod engine;
mod error;
mod list;
mod object;
mod read;
mod unfinished;
mod upload;

pub(super) use commit_record::stored_hash;
pub use engine::configure;
pub use list::Listed;
pub(super) use list::list;
pub(super) use read::{open, size};
pub use unfinished::{Unfinished, remove_object, unfinished};
pub use upload::Upload;
pub(super) use upload::probe;

/// Returns the location as people write it.
fn name(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}
