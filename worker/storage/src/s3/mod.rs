//! Objects on S3, and on whatever else speaks its language.
//!
//! ```text
//! slot (thread) ← S3Reader ← bounded channel ← fetch (task) ─┐
//! slot (thread) → Upload → part (task) ──────────────────────┴ engine: one runtime, one client
//! ```
//! Every request takes a turn at the job's rate, and is tried again here, not in the SDK: one place
//! decides what is worth it. Keys to buckets come from the environment, a profile or the instance
//! role, by the SDK's own means, and are not seen by this code.
//!
//! Invariant: nothing larger than a few parts of an object is in memory.

mod commit_record;
mod connection;
mod engine;
mod error;
mod list;
mod object;
mod read;
mod unfinished;
mod upload;

pub use engine::configure;
pub use list::Listed;
pub(super) use list::list;
pub(super) use read::{open, size};
pub use unfinished::{Unfinished, remove_object, unfinished};
pub use upload::Upload;
pub(super) use upload::probe;

/// As people write it.
fn name(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}
