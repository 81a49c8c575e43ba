//! Where bytes are: opening inputs by location, publishing outputs atomically.
//!
//! Only this folder names paths, URLs and their protocols. What the bytes hold is left to
//! `formats`. Invariant: every failure says whether trying again can help.

pub mod commit;
mod http;
mod local;
mod location;

use std::io::Read;

pub use http::{Pause, ReadOptions, Sleeper};
pub use location::Location;

/// What the caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same call may succeed later.
    Retry,
    /// It will fail again until somebody changes something.
    GiveUp,
}

/// Why a location cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("`{location}` does not exist")]
    NotFound { location: String },
    #[error("access to `{location}` is denied: {detail}")]
    Denied { location: String, detail: String },
    #[error("`{location}` cannot be read: {detail}")]
    Refused { location: String, detail: String },
    #[error("`{location}` changed while it was read: {detail}")]
    Changed { location: String, detail: String },
    #[error("`{location}` is not a location: {detail}")]
    BadLocation { location: String, detail: String },
    #[error("`{location}`: {detail}, after {attempts} attempts")]
    Unreachable { location: String, detail: String, attempts: u32 },
    #[error("failed to read `{location}`: {source}")]
    Io { location: String, source: std::io::Error },
}

impl StorageError {
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Unreachable { .. } | Self::Io { .. } => Remedy::Retry,
            Self::NotFound { .. }
            | Self::Denied { .. }
            | Self::Refused { .. }
            | Self::Changed { .. }
            | Self::BadLocation { .. } => Remedy::GiveUp,
        }
    }

    /// Finds the storage error inside an error that a reader of `open` gave.
    pub fn of(error: &std::io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Opens an input for one reading from its start to its end.
///
/// Errors of the reader carry a `StorageError` where more is known than the system's error number.
pub fn open(
    location: &Location,
    options: &ReadOptions,
) -> Result<Box<dyn Read + Send>, StorageError> {
    match location {
        Location::Path(path) => Ok(Box::new(local::open(path)?)),
        Location::Http(url) => Ok(Box::new(http::open(url, options)?)),
    }
}

/// The size in bytes, where the place tells it.
pub fn size(location: &Location, options: &ReadOptions) -> Result<Option<u64>, StorageError> {
    match location {
        Location::Path(path) => local::size(path).map(Some),
        Location::Http(url) => http::size(url, options),
    }
}
