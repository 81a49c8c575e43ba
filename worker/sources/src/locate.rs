//! Computes the location of an input from its path in the listing and the base of its source.

use thresher_job::SourceSpec;
use thresher_storage::{Location, StorageError};

/// Returns the location of an input of `source`: `path` itself if it is absolute or an address, and
/// otherwise `path` below the source's `base`.
pub fn locate(source: &SourceSpec, path: &str) -> Result<Location, StorageError> {
    let whole = if path.contains("://") || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", source.base.trim_end_matches('/'))
    };
    whole.parse()
}
