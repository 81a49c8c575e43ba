//! The output of a job: a directory, or a prefix of a bucket, with the same interface.
//!
//! Invariant: a name appears whole or not at all, and an existing file is compared, not replaced,
//! unless a replacement is requested.

use std::io::{self, Read, Write};
use std::path::Path;

use super::commit::{AttemptFile, CommitError, Committed, make_folder};
use super::retry::ReadOptions;
use super::{Location, StorageError, s3};

/// Folder in the output with the commit records of large objects.
pub const COMMIT_FOLDER: &str = ".commits";

/// Size in bytes of the pieces in which a published file is read again.
const READ_BYTES: usize = 1 << 20;

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

    /// Looks for a published file without reading it.
    pub fn find(&self, name: &str) -> Result<Present, StorageError> {
        match super::size(&self.root.join(name), &ReadOptions::default()) {
            Ok(Some(bytes)) => Ok(Present::Bytes(bytes)),
            // A server that does not say how long an object is.
            Ok(None) => Ok(Present::Bytes(self.read(name, &mut |_| true)?.0)),
            Err(StorageError::NotFound { .. }) => Ok(Present::Missing),
            Err(error) => Err(error),
        }
    }

    /// Returns whether a published file has this content. A store keeps what it was sent together
    /// with its hash, so an object is read only if that hash is missing or another one. `goes_on`
    /// is called between two pieces, and stops the reading by returning false, which gives `None`.
    pub fn has_content(
        &self,
        name: &str,
        expected: &blake3::Hash,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<bool>, StorageError> {
        if let Location::S3 { bucket, key } = self.root.join(name) {
            let record = self.root.join(&format!("{COMMIT_FOLDER}/{name}.json"));
            let record = if let Location::S3 { key, .. } = record { key } else { String::new() };
            if s3::stored_hash(&bucket, &key, &record)?.as_ref() == Some(expected) {
                return Ok(Some(true));
            }
        }
        let mut stopped = false;
        let (_, hash) = self.read(name, &mut |_| {
            stopped = !goes_on();
            !stopped
        })?;
        Ok((!stopped).then_some(hash == *expected))
    }

    /// Reads a published file as far as `goes_on` returns true; returns its length and hash.
    fn read(
        &self,
        name: &str,
        goes_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(u64, blake3::Hash), StorageError> {
        let location = self.root.join(name);
        let mut reader = super::open(&location, &ReadOptions::default())?;
        let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; READ_BYTES]);
        loop {
            let count = reader
                .read(&mut buffer)
                .map_err(|error| StorageError::from_io(error, || location.to_string()))?;
            hasher.update(&buffer[..count]);
            if count == 0 || !goes_on(count) {
                return Ok((hasher.count(), hasher.finalize()));
            }
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

/// A published file, as far as it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// Nothing has the name.
    Missing,
    /// Its size in bytes.
    Bytes(u64),
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

    /// Returns the hash of what was written so far.
    pub fn hash(&self) -> blake3::Hash {
        match self {
            Self::Disk(file) => file.hash(),
            Self::S3(upload) => upload.hash(),
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
