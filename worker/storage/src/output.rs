//! The output of a job: a directory, or a prefix of a bucket, with the same interface.
//!
//! Invariant: a name appears whole or not at all, and an existing file is compared, not replaced,
//! unless a replacement is requested.

use std::io::{self, Write};
use std::path::Path;

use super::commit::{AttemptFile, CommitError, Committed, make_folder};
use super::retry::ReadOptions;
use super::{Location, StorageError, s3};

/// Folder in the output with the commit records of large objects.
pub const COMMIT_FOLDER: &str = ".commits";

/// The root of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    root: Location,
}

/// A file or object that is being written. Nothing is left of it if it is dropped without `commit`.
pub enum OutputFile {
    /// A file in a directory.
    Disk(Box<AttemptFile>),
    /// An object in a bucket.
    S3(Box<s3::Upload>),
}

impl Output {
    /// Returns the output at a location, which must be writable storage.
    pub fn new(path: &str) -> Result<Self, StorageError> {
        let root = path.parse()?;
        if matches!(root, Location::Http(_)) {
            let detail = "output cannot be written to this kind of location".to_owned();
            return Err(StorageError::Refused { location: path.to_owned(), detail });
        }
        Ok(Self { root })
    }

    /// Returns the location of the output.
    pub fn root(&self) -> &Location {
        &self.root
    }

    /// Checks that files can be published here, before a job's work is done in vain. The tag
    /// distinguishes this call from all others that run at the same time.
    pub fn probe(&self, tag: &str) -> Result<(), StorageError> {
        match self.root.join(".probe") {
            Location::S3 { bucket, key } => s3::probe(&bucket, &key, &ReadOptions::default()),
            Location::Path(path) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                probe_folder(folder, tag).map_err(|error| StorageError::Blocked {
                    location: self.root.to_string(),
                    detail: error.to_string(),
                })
            }
            Location::Http(_) => Ok(()),
        }
    }

    /// Starts a file below the root that only this attempt sees.
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
                let detail = "output cannot be written to this kind of location".to_owned();
                Err(StorageError::Refused { location, detail }.into())
            }
        }
    }
}

/// Checks that a file can be published in a folder, by publishing one and removing it.
pub fn probe_folder(folder: &Path, tag: &str) -> Result<(), CommitError> {
    make_folder(folder)?;
    // The name of an unfinished file: if this process is killed here, `thresher clean` removes it.
    let path = folder.join(format!(".probe-{tag}.part"));
    let committed = AttemptFile::create(&path, "probe")?.commit();
    let removed = std::fs::remove_file(&path);
    committed?;
    removed.map_err(|source| CommitError::Io { path, source })
}

impl OutputFile {
    /// Makes it durable under its final name, unless an equal file has the name.
    pub fn commit(self) -> Result<Committed, CommitError> {
        match self {
            Self::Disk(file) => file.commit(),
            Self::S3(upload) => upload.commit(false),
        }
    }

    /// Does the same as `commit`, but replaces an existing file.
    pub fn commit_replacing(self) -> Result<Committed, CommitError> {
        match self {
            Self::Disk(file) => file.commit_replacing(),
            Self::S3(upload) => upload.commit(true),
        }
    }

    /// Classifies an error of writing to this file.
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
