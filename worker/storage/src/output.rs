//! Where a job publishes: a directory or a prefix of a bucket, the same to whoever writes.
//!
//! Invariant: a name appears whole or not at all, and an existing one is compared, not replaced,
//! unless that is asked for.

use std::io::{self, Write};

use super::commit::{AttemptFile, CommitError, Committed, make_folder};
use super::retry::ReadOptions;
use super::{Location, StorageError, s3};

/// Commit records of large objects are below this, beside the output's own folders.
pub const COMMIT_FOLDER: &str = ".commits";

/// The root of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    root: Location,
}

/// A file or object being written. Dropped without `commit`, it leaves nothing.
pub enum OutputFile {
    Disk(Box<AttemptFile>),
    S3(Box<s3::Upload>),
}

impl Output {
    pub fn new(path: &str) -> Result<Self, StorageError> {
        let root = path.parse()?;
        if matches!(root, Location::Http(_)) {
            let detail = "nothing can be written there".to_owned();
            return Err(StorageError::Refused { location: path.to_owned(), detail });
        }
        Ok(Self { root })
    }

    pub fn root(&self) -> &Location {
        &self.root
    }

    /// Finds out whether something can be written here, before a job's work is done in vain.
    pub fn probe(&self) -> Result<(), StorageError> {
        match self.root.join(".probe") {
            Location::S3 { bucket, key } => s3::probe(&bucket, &key, &ReadOptions::default()),
            Location::Path(path) => {
                let made = path.parent().map_or(Ok(()), make_folder);
                let tried = made.and_then(|()| AttemptFile::create(&path, "probe"));
                tried.map(drop).map_err(|error| StorageError::Barred {
                    location: self.root.to_string(),
                    detail: error.to_string(),
                })
            }
            Location::Http(_) => Ok(()),
        }
    }

    /// Begins a file below the root that only this attempt sees.
    pub fn create(&self, name: &str, attempt_tag: &str) -> Result<OutputFile, CommitError> {
        match self.root.join(name) {
            Location::S3 { bucket, key } => {
                let record = self.root.join(&format!("{COMMIT_FOLDER}/{name}.json"));
                let Location::S3 { key: record_key, .. } = record else {
                    unreachable!("a place below a bucket is in the bucket")
                };
                let options = ReadOptions::default();
                let upload = s3::Upload::new(&bucket, &key, record_key, &options)?;
                Ok(OutputFile::S3(Box::new(upload)))
            }
            Location::Path(path) => {
                if let Some(folder) = path.parent() {
                    make_folder(folder)?;
                }
                Ok(OutputFile::Disk(Box::new(AttemptFile::create(&path, attempt_tag)?)))
            }
            Location::Http(location) => {
                let detail = "nothing can be written there".to_owned();
                Err(StorageError::Refused { location, detail }.into())
            }
        }
    }
}

impl OutputFile {
    /// Makes it durable under its final name, unless an equal one has it.
    pub fn commit(self) -> Result<Committed, CommitError> {
        match self {
            Self::Disk(file) => file.commit(),
            Self::S3(upload) => upload.commit(false),
        }
    }

    /// Like `commit`, in place of whatever has the name.
    pub fn commit_replacing(self) -> Result<Committed, CommitError> {
        match self {
            Self::Disk(file) => file.commit_replacing(),
            Self::S3(upload) => upload.commit(true),
        }
    }

    /// The classified form of an error that writing gave.
    pub fn explain(&self, error: io::Error) -> CommitError {
        match self {
            Self::Disk(file) => file.explain(error),
            Self::S3(upload) => StorageError::from_io(error, || upload.location()).into(),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Disk(file) => file.write(buffer),
            Self::S3(upload) => upload.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.flush(),
            Self::S3(upload) => upload.flush(),
        }
    }
}
