//! What is known about a job's allocations: a small file for each thing that happened, in
//! `allocations/` of the state directory.
//!
//! Files are numbered in the order in which they came, and made by link: whole or not at all, and
//! never over another. Several hosts may do so at once, without a lock. What the records mean
//! together is `history`'s.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thresher_channel::private_file::{PrivateFileError, ensure_private_directory};
use thresher_site::SiteProfile;

use crate::clock;

/// The folder in the state directory.
const FOLDER: &str = "allocations";
const RECORD: &str = ".json";
/// No job has so many; a folder with more is not ours.
const MAX_RECORDS: usize = 100_000;
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// What somebody asked for: enough to ask again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    pub site: SiteProfile,
    pub nodes: u32,
    pub walltime_seconds: u64,
    /// In a chain.
    pub allocations: u32,
    pub job_name: String,
    pub job: PathBuf,
    pub script: PathBuf,
}

impl Submission {
    pub fn walltime(&self) -> Duration {
        Duration::from_secs(self.walltime_seconds)
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Record {
    /// Somebody asked for allocations; what follows belongs to it.
    Requested(Box<Submission>),
    /// The batch system took one.
    Submitted { id: String },
    /// Its script began, for the first time or again.
    Begun { id: String, nodes: u32, ends_unix_seconds: Option<u64>, units_done: u64 },
    /// Its script came to its end.
    Ended {
        id: String,
        status: i32,
        asked: String,
        units_done: u64,
        /// What stopped the job, when something did.
        #[serde(default)]
        reason: String,
        /// It would stop the next allocation too.
        #[serde(default)]
        refused: bool,
    },
    /// It was taken back before it began, or is to do nothing when it does.
    Withdrawn { id: String, why: String },
    /// A person wants the job to stop for now.
    HeldByHand,
}

/// A record with its place and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    #[serde(skip)]
    pub number: u64,
    pub at_unix_seconds: u64,
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
    #[error("`{}` is no record of an allocation: {source}\nhint: move it away", path.display())]
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
    /// For reading; a state directory without any has none.
    pub fn of(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// For writing too: the folder is made, private.
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

    /// All records, in their order.
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

    /// Adds a record behind all others; durable when this returns.
    pub fn add(&self, record: Record) -> Result<Stamped, RecordsError> {
        let at_unix_seconds = clock::now().millis() / 1000;
        let mut stamped = Stamped { number: 0, at_unix_seconds, record };
        let mut text = serde_json::to_vec_pretty(&stamped)
            .map_err(|source| RecordsError::Malformed { path: self.folder.clone(), source })?;
        text.push(b'\n');
        stamped.number = self.place(RECORD, &text)?.0;
        Ok(stamped)
    }

    /// Puts a file that is no record, like a script, under the next number.
    pub fn put(&self, ending: &str, bytes: &[u8]) -> Result<PathBuf, RecordsError> {
        Ok(self.place(ending, bytes)?.1)
    }

    /// Where the next file with this ending would be.
    pub fn next_path(&self, ending: &str) -> Result<PathBuf, RecordsError> {
        let last = self.numbered(ending)?.pop().map_or(0, |(number, _)| number);
        Ok(self.path(last + 1, ending))
    }

    /// Written beside, made durable, then linked to the first number that is free.
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
        // What is left behind is overwritten by the next process of this name.
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
                    // Of one process they share the name of the file beside; hosts do not.
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
    fn a_damaged_record_is_told_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let records = Records::create(&state).unwrap();
        fs::write(state.join("allocations/000007.json"), "{").unwrap();
        assert!(records.read().unwrap_err().to_string().contains("000007.json"));
    }
}
