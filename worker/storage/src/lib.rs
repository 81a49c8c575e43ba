//! Where bytes are: opening inputs by location, publishing outputs atomically.
//!
//! ```text
//! open · open_range · size · list_objects ← Location: path, http(s), s3
//! Output → create → OutputFile: AttemptFile (disk) or Upload (S3) → commit
//! ```
//!
//! Only this folder names paths, URLs and their protocols. What the bytes hold is left to
//! `formats`. Invariant: every failure says whether trying again can help.

pub mod clock;
pub mod commit;
mod http;
mod local;
mod location;
mod output;
mod rate;
mod retry;
pub mod s3;

use std::io::{self, Read};
use std::ops::Range;

pub use location::Location;
pub use output::{COMMIT_FOLDER, Output, OutputFile};
pub use rate::set_request_rate;
pub use retry::{Known, Pause, ReadOptions, Sleeper};

/// What the caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same call may succeed later.
    Retry,
    /// So may it, but the server has been asked for long already, and it may be away.
    Wait,
    /// It will fail again until somebody changes something.
    GiveUp,
    /// So will every other call, whatever it is about.
    Stop,
}

/// Why a location cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("`{location}` does not exist")]
    NotFound { location: String },
    #[error("access to `{location}` is denied: {detail}")]
    Denied { location: String, detail: String },
    /// Whatever is asked for, the answer will be no, until somebody changes something elsewhere.
    #[error("`{location}` is closed to this job: {detail}")]
    Barred { location: String, detail: String },
    #[error("`{location}` cannot be used: {detail}")]
    Refused { location: String, detail: String },
    #[error(
        "`{location}` changed: {detail}\nhint: inputs must not change while a job runs; begin again \
         with a new state directory"
    )]
    Changed { location: String, detail: String },
    #[error("`{location}` is not a location: {detail}")]
    BadLocation { location: String, detail: String },
    #[error("`{location}`, after {attempts} attempts: {detail}")]
    Unreachable { location: String, detail: String, attempts: u32 },
    #[error("failed to read `{location}`: {source}")]
    Io { location: String, source: std::io::Error },
}

impl StorageError {
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Unreachable { .. } => Remedy::Wait,
            Self::Io { .. } => Remedy::Retry,
            Self::Barred { .. } => Remedy::Stop,
            Self::NotFound { .. }
            | Self::Denied { .. }
            | Self::Refused { .. }
            | Self::Changed { .. }
            | Self::BadLocation { .. } => Remedy::GiveUp,
        }
    }

    /// The same where a refusal is about a whole bucket: whoever may not write one object of an
    /// output may write none.
    pub fn remedy_of_place(&self) -> Remedy {
        let denied = matches!(self, Self::Denied { location, .. } if location.starts_with("s3://"));
        if denied { Remedy::Stop } else { self.remedy() }
    }

    /// The storage error inside a reader's or writer's error, or a new one around it.
    pub fn from_io(error: io::Error, location: impl FnOnce() -> String) -> Self {
        match error.downcast::<Self>() {
            Ok(known) => known,
            Err(source) => Self::Io { location: location(), source },
        }
    }

    /// Finds the storage error inside an error that a reader of `open` gave.
    pub fn of(error: &std::io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<StorageError> for io::Error {
    fn from(error: StorageError) -> Self {
        let kind = match error {
            StorageError::NotFound { .. } => io::ErrorKind::NotFound,
            StorageError::Denied { .. } | StorageError::Barred { .. } => {
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

/// Whether a file system takes nothing from anybody: it is full, or read-only, or its device fails.
/// To try again at once is in vain, and to go on without what could not be written would lose it.
pub fn is_full_or_broken(error: &io::Error) -> bool {
    let device = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    device || takes_nothing(error)
}

/// Whether a file system is full or read-only.
fn takes_nothing(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::ReadOnlyFilesystem,
    ];
    kinds.contains(&error.kind())
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
        Location::Http(url) => Ok(Box::new(http::open(url, 0..u64::MAX, options)?)),
        Location::S3 { bucket, key } => Ok(Box::new(s3::open(bucket, key, 0..u64::MAX, options)?)),
    }
}

/// Opens a part of an input: the bytes of `range`, as far as the input has them. One that begins
/// beyond the input's end is refused.
pub fn open_range(
    location: &Location,
    range: Range<u64>,
    options: &ReadOptions,
) -> Result<Box<dyn Read + Send>, StorageError> {
    if range.is_empty() {
        return Ok(Box::new(std::io::empty()));
    }
    match location {
        Location::Path(path) => Ok(Box::new(local::open_range(path, range)?)),
        Location::Http(url) => Ok(Box::new(http::open(url, range, options)?)),
        Location::S3 { bucket, key } => Ok(Box::new(s3::open(bucket, key, range, options)?)),
    }
}

/// The size in bytes, where the place tells it.
pub fn size(location: &Location, options: &ReadOptions) -> Result<Option<u64>, StorageError> {
    match location {
        Location::Path(path) => local::size(path).map(Some),
        Location::Http(url) => http::size(url, options),
        Location::S3 { bucket, key } => s3::size(bucket, key, options),
    }
}

/// The names below a folder of an output, relative to the output, in order; none where the place
/// cannot tell.
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

/// The objects of a bucket whose keys begin with `prefix`, in the order of their keys.
pub fn list_objects(
    bucket: &str,
    prefix: &str,
    options: &ReadOptions,
) -> Result<Vec<s3::Listed>, StorageError> {
    s3::list(bucket, prefix, options)
}
