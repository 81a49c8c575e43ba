//! The size of what a job publishes, in all of its forms.

use thresher_job::{DroppedRows, OutputSpec};

/// Returns the bytes of shards, token files and the texts of dropped documents. `shard_bytes` are
/// those of compressed JSON lines, which Parquet needs too; `json_bytes` are theirs before.
pub(super) fn published_bytes(
    output: &OutputSpec,
    (shard_bytes, json_bytes, record_bytes): (u64, u64, u64),
) -> u64 {
    let shards = shard_bytes * output.shard_formats().len() as u64;
    // A token has some four bytes of text, and two or four bytes in a file.
    let tokens = json_bytes / 2 * output.tokens.formats.len() as u64;
    let dropped = match output.dropped {
        DroppedRows::Texts => record_bytes.saturating_sub(json_bytes) / 3,
        DroppedRows::Reasons => 0,
    };
    shards + tokens + dropped
}
