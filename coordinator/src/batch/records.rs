//! The records of a job's allocations: a small file for each event, in `allocations/` of the state
//! directory.
//!
//! Files are numbered in the order of the events and created by link: whole or not at all, and
//! never over another. Several hosts may do so at once, without a lock. `history` interprets the
//! records.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thresher_channel::private_file::{PrivateFileError, ensure_private_directory};
use thresher_site::SiteProfile;

use crate::clock;

/// Name of the folder in the state directory.
const FOLDER: &str = "allocations";
const RECORD: &str = ".json";
/// Limit of records; a folder with more was not written by this program.
const MAX_RECORDS: usize = 100_000;
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// A request for allocations, with everything needed to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// The site, with all settings applied.
    pub site: SiteProfile,
    /// Nodes of each allocation.
    pub nodes: u32,
    /// Time limit of each allocation.
    pub walltime_seconds: u64,
    /// Number of allocations in the chain.
    pub allocations: u32,
    /// Name of the job.
    pub job_name: String,
    /// Path of the copy of the job file.
    pub job: PathBuf,
    /// Path of the script.
    pub script: PathBuf,
}

impl Submission {
    /// Returns the time limit of each allocation.
    pub fn walltime(&self) -> Duration {
        Duration::from_secs(self.walltime_seconds)
    }
}

/// An event in the life of a job's allocations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Record {
    /// A person requested allocations; the records that follow belong to this request.
    Requested(Box<Submission>),
    /// The batch system accepted an allocation.
    Submitted { id: String },
    /// The script of an allocation started, for the first time or again.
    #[serde(rename = "begun")]
    Started { id: String, nodes: u32, ends_unix_seconds: Option<u64>, units_done: u64 },
    /// The script of an allocation ended.
    Ended {
        id: String,
        status: i32,
        asked: String,
        units_done: u64,
        /// What stopped the job, if something did.
        #[serde(default)]
        reason: String,
        /// Whether the same cause would stop the next allocation too.
        #[serde(default)]
        refused: bool,
    },
    /// An allocation was withdrawn before it started, or must do nothing when it starts.
    Withdrawn { id: String, why: String },
    /// A person wants the job to stop for now.
    HeldByHand,
}

/// A record with its number and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Number of the record, from the name of its file.
    #[serde(skip)]
    pub number: u64,
    /// When the event happened.
    pub at_unix_seconds: u64,
    /// The event.
    #[serde(flatten)]
    pub record: Record,
}

/// Why records cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    #[error("failed to use the folder of allocations: {0}")]
    Private(#[from] PrivateFileError),
    #[error("failed to use `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "`{}` is not a valid record of an allocation: {source}\nhint: move it away",
        path.display()
    )]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("`{}` holds more than {MAX_RECORDS} records", .0.display())]
    TooMany(PathBuf),
}

/// The records of a state directory.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    /// Returns the records for reading; a state directory without the folder has none.
    pub fn of(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// Returns the records for writing too, and creates the folder, which only its owner may
    /// access.
    pub fn create(state: &Path) -> Result<Self, RecordsError> {
        if let Some(parent) = state.parent() {
            fs::create_dir_all(parent).map_err(|source| io_error(parent, source))?;
        }
        ensure_private_directory(state)?;
        let records = Self::of(state);
        ensure_private_directory(&records.folder)?;
        let logs = state.join("logs");
        fs::create_dir_all(&logs).map_err(|source| io_error(&logs, source))?;
        Ok(records)
    }

    /// Reads all records, in their order.
    pub fn read(&self) -> Result<Vec<Stamped>, RecordsError> {
        let mut records = Vec::new();
        for (number, path) in self.numbered(RECORD)? {
            let bytes = fs::read(&path).map_err(|source| io_error(&path, source))?;
            if bytes.len() as u64 > MAX_RECORD_BYTES {
                return Err(io_error(&path, ErrorKind::FileTooLarge.into()));
            }
            let stamped: Stamped = serde_json::from_slice(&bytes)
                .map_err(|source| RecordsError::Malformed { path, source })?;
            records.push(Stamped { number, ..stamped });
        }
        Ok(records)
    }

    /// Adds a record after all others, durably.
    pub fn add(&self, record: Record) -> Result<Stamped, RecordsError> {
        let at_unix_seconds = clock::now().millis() / 1000;
        let mut stamped = Stamped { number: 0, at_unix_seconds, record };
        let mut text = serde_json::to_vec_pretty(&stamped)
            .map_err(|source| RecordsError::Malformed { path: self.folder.clone(), source })?;
        text.push(b'\n');
        stamped.number = self.place(RECORD, &text)?.0;
        Ok(stamped)
    }

    /// Writes a file that is not a record, such as a script, under the next number.
    pub fn put(&self, ending: &str, bytes: &[u8]) -> Result<PathBuf, RecordsError> {
        Ok(self.place(ending, bytes)?.1)
    }

    /// Returns the path that the next file with this ending would have.
    pub fn next_path(&self, ending: &str) -> Result<PathBuf, RecordsError> {
        let last = self.numbered(ending)?.pop().map_or(0, |(number, _)| number);
        Ok(self.path(last + 1, ending))
    }

    /// Writes a temporary file, syncs it, and links it to the first free number.
    fn place(&self, ending: &str, bytes: &[u8]) -> Result<(u64, PathBuf), RecordsError> {
        let beside = self.folder.join(format!(
            ".{}-{}{ending}",
            thresher_channel::address::host_name(),
            std::process::id()
        ));
        let write = || -> io::Result<()> {
            let mut options = fs::OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|source| io_error(&beside, source))?;
        let mut number = self.numbered(ending)?.pop().map_or(0, |(number, _)| number);
        let placed = loop {
            number += 1;
            let path = self.path(number, ending);
            match fs::hard_link(&beside, &path) {
                Ok(()) => break Ok((number, path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(source) => break Err(io_error(&path, source)),
            }
        };
        // A file that is left behind is overwritten by the next process of this name.
        let _ = fs::remove_file(&beside);
        let synced = fs::File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| io_error(&self.folder, source))?;
        placed
    }

    fn path(&self, number: u64, ending: &str) -> PathBuf {
        self.folder.join(format!("{number:06}{ending}"))
    }

    fn numbered(&self, ending: &str) -> Result<Vec<(u64, PathBuf)>, RecordsError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io_error(&self.folder, source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| io_error(&self.folder, source))?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(ending));
            if let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) {
                found.push((number, entry.path()));
            }
            if found.len() > MAX_RECORDS {
                return Err(RecordsError::TooMany(self.folder.clone()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

fn io_error(path: &Path, source: io::Error) -> RecordsError {
    RecordsError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_their_order_whoever_wrote_them() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("below/state");
        assert_eq!(Records::of(&state).read().unwrap(), []);
        let records = Records::create(&state).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let state = &state;
                scope.spawn(move || {
                    // Writers in one process share the name of the temporary file; hosts do not.
                    let records = Records::of(state);
                    let id = writer.to_string();
                    let text =
                        format!("{{\"at_unix_seconds\":1,\"what\":\"submitted\",\"id\":\"{id}\"}}");
                    let beside = state.join("allocations").join(format!("x{writer}"));
                    fs::write(&beside, text).unwrap();
                    let path = records.path(1, RECORD);
                    let _ = fs::hard_link(&beside, path);
                });
            }
        });
        assert_eq!(records.read().unwrap().len(), 1, "one of four got the number");
        let added = records.add(Record::HeldByHand).unwrap();
        assert_eq!(added.number, 2);
        let read = records.read().unwrap();
        assert_eq!(read[1], added);
        assert!(matches!(&read[0].record, Record::Submitted { .. }));
    }

    #[test]
    fn a_damaged_record_is_reported_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let records = Records::create(&state).unwrap();
        fs::write(state.join("allocations/000007.json"), "{").unwrap();
        assert!(records.read().unwrap_err().to_string().contains("000007.json"));
    }
}
