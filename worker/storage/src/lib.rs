//! Storage: opens inputs by location and publishes outputs atomically.
//!
//! ```text
//! open · open_range · size · list_objects ← Location: path, http(s), s3
//! Output → create → OutputFile: AttemptFile (disk) or Upload (S3) → commit
//! ```
//!
//! Only this crate knows paths, URLs and their protocols. What the bytes hold is left to `formats`.
//! Invariant: every failure says whether a retry can help.

pub mod clock;
pub mod commit;
mod http;
mod local;
mod location;
mod naming;
mod output;
mod rate;
mod retry;
pub mod s3;

use std::io::{self, Read};
use std::ops::Range;

pub use location::Location;
pub use output::{COMMIT_FOLDER, Output, OutputFile, Present, probe_folder};
pub use rate::set_request_rate;
pub use retry::{Known, Pause, ReadOptions, Sleeper};

/// What the caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same call may succeed later, or on another node.
    Retry,
    /// The same call may succeed later, but the server has not answered for long, and may be down.
    Wait,
    /// The call fails again until somebody changes something.
    GiveUp,
    /// All calls fail until somebody changes something, whatever they are about.
    Stop,
    /// The name is wrong; the job file, or the listing that it names, must be corrected.
    Correct,
}

/// Why a location cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("`{location}` does not exist")]
    NotFound { location: String },
    /// A file that was there when it was listed. Another node may see it.
    #[error(
        "`{location}` was there when it was listed, and is not there now\n\
         hint: see whether its file system is mounted on this node; inputs must not be removed \
         while a job runs"
    )]
    Gone { location: String },
    #[error("access to `{location}` is denied: {detail}")]
    Denied { location: String, detail: String },
    /// Access to anything in this place fails until somebody changes something elsewhere.
    #[error("`{location}` cannot be accessed by this job: {detail}")]
    Blocked { location: String, detail: String },
    #[error("`{location}` cannot be used: {detail}")]
    Refused { location: String, detail: String },
    #[error(
        "`{location}` changed: {detail}\n\
         hint: inputs must not change while a job runs; after it has stopped, the same command \
         continues with the new ones"
    )]
    Changed { location: String, detail: String },
    #[error("`{location}` is not a location: {detail}")]
    BadLocation { location: String, detail: String },
    #[error("`{location}`, after {attempts} attempts: {detail}")]
    Unreachable { location: String, detail: String, attempts: u32 },
    #[error("failed to read `{location}`: {source}{}", hint_for(source))]
    Io { location: String, source: io::Error },
}

/// Returns what a person can do about an error of a file system, if it is always the same.
fn hint_for(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return "\nhint: let the user of the workers read it, and enter the folders above it";
    }
    if error.kind() == io::ErrorKind::StaleNetworkFileHandle {
        return "\nhint: the network file system of this node has lost the file; mount it again";
    }
    ""
}

impl StorageError {
    /// Returns what the caller can do about the error.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Unreachable { .. } => Remedy::Wait,
            Self::Io { .. } | Self::Gone { .. } => Remedy::Retry,
            Self::Blocked { .. } | Self::Denied { .. } => Remedy::Stop,
            Self::NotFound { .. } | Self::Refused { .. } | Self::Changed { .. } => Remedy::GiveUp,
            Self::BadLocation { .. } => Remedy::Correct,
        }
    }

    /// Returns the storage error inside a reader's or writer's error, or wraps the error in a new
    /// one.
    pub fn from_io(error: io::Error, location: impl FnOnce() -> String) -> Self {
        match error.downcast::<Self>() {
            Ok(known) => known,
            Err(source) => Self::Io { location: location(), source },
        }
    }

    /// Returns the storage error inside an error that a reader of `open` returned.
    pub fn of(error: &std::io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<StorageError> for io::Error {
    fn from(error: StorageError) -> Self {
        let kind = match error {
            StorageError::NotFound { .. } | StorageError::Gone { .. } => io::ErrorKind::NotFound,
            StorageError::Denied { .. } | StorageError::Blocked { .. } => {
                io::ErrorKind::PermissionDenied
            }
            StorageError::Refused { .. }
            | StorageError::Changed { .. }
            | StorageError::BadLocation { .. }
            | StorageError::Unreachable { .. }
            | StorageError::Io { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Returns whether nobody can write to the file system: it is full, or read-only, or its device
/// fails. A retry at once is useless, and continuing without what could not be written would lose
/// it.
pub fn is_full_or_broken(error: &io::Error) -> bool {
    let device = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    device || takes_nothing(error)
}

/// Returns whether a file system is full or read-only.
fn takes_nothing(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::ReadOnlyFilesystem,
    ];
    kinds.contains(&error.kind())
}

/// Opens an input for reading once from its start to its end.
///
/// Errors of the reader contain a `StorageError` if more is known than the system's error number.
pub fn open(
    location: &Location,
    options: &ReadOptions,
) -> Result<Box<dyn Read + Send>, StorageError> {
    match location {
        Location::Path(path) => Ok(Box::new(local::open(path, 0..u64::MAX, options)?)),
        Location::Http(url) => Ok(Box::new(http::open(url, 0..u64::MAX, options)?)),
        Location::S3 { bucket, key } => Ok(Box::new(s3::open(bucket, key, 0..u64::MAX, options)?)),
    }
}

/// Opens the bytes of `range` of an input, as far as the input has them. A range that starts after
/// the end of the input is refused.
pub fn open_range(
    location: &Location,
    range: Range<u64>,
    options: &ReadOptions,
) -> Result<Box<dyn Read + Send>, StorageError> {
    if range.is_empty() {
        return Ok(Box::new(std::io::empty()));
    }
    match location {
        Location::Path(path) => Ok(Box::new(local::open(path, range, options)?)),
        Location::Http(url) => Ok(Box::new(http::open(url, range, options)?)),
        Location::S3 { bucket, key } => Ok(Box::new(s3::open(bucket, key, range, options)?)),
    }
}

/// Returns the size in bytes, if the location reports it.
pub fn size(location: &Location, options: &ReadOptions) -> Result<Option<u64>, StorageError> {
    match location {
        Location::Path(path) => local::size(path, options).map(Some),
        Location::Http(url) => http::size(url, options),
        Location::S3 { bucket, key } => s3::size(bucket, key, options),
    }
}

/// Returns the names below a folder of an output, relative to the output, in order; `None` if the
/// location cannot list them.
pub fn names_below(
    output: &Location,
    folder: &str,
    options: &ReadOptions,
) -> Result<Option<Vec<String>>, StorageError> {
    match output {
        Location::Path(root) => local::names_below(root, folder).map(Some),
        Location::Http(_) => Ok(None),
        Location::S3 { bucket, key } => {
            let Location::S3 { key: prefix, .. } = output.join(&format!("{folder}/")) else {
                return Ok(None);
            };
            let root_bytes = match key.trim_end_matches('/') {
                "" => 0,
                key => key.len() + 1,
            };
            let found = s3::list(bucket, &prefix, options)?;
            let names = found
                .into_iter()
                .filter_map(|object| object.key.get(root_bytes..).map(str::to_owned));
            Ok(Some(names.collect()))
        }
    }
}

/// Returns the objects of a bucket whose keys start with `prefix`, in the order of their keys.
pub fn list_objects(
    bucket: &str,
    prefix: &str,
    options: &ReadOptions,
) -> Result<Vec<s3::Listed>, StorageError> {
    s3::list(bucket, prefix, options)
}
