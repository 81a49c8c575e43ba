//! Numbered records in a file without a name, for what does not fit into memory.
//!
//! The file has no name in its folder, so the system removes it when the process ends, however it
//! ends. Offsets of the records are in memory, 8 bytes for each.
//!
//! **Invariant:** a record that changed since it was written is never returned.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

const CHECKSUM_BYTES: usize = 8;
/// Records are written together up to this many bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// Why a scratch file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The file system returned an error.
    #[error("failed to use a scratch file in `{}`: {source}", folder.display())]
    Io {
        /// Folder of the file.
        folder: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// The bytes differ from those that were written.
    #[error("a scratch file in `{}` is damaged at byte {offset}: wrong content", folder.display())]
    Damaged {
        /// Folder of the file.
        folder: PathBuf,
        /// Offset in the file at which the damaged record starts.
        offset: u64,
    },
}

/// Writes records one after the other.
#[derive(Debug)]
pub(crate) struct ScratchWriter {
    folder: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// The offset of each record, and the end of the last.
    offsets: Vec<u64>,
}

impl ScratchWriter {
    /// Creates the file in `folder`.
    pub(crate) fn create(folder: &Path) -> Result<Self, ScratchError> {
        let file = tempfile::tempfile_in(folder)
            .map_err(|source| ScratchError::Io { folder: folder.to_path_buf(), source })?;
        Ok(Self { folder: folder.to_path_buf(), file, buffer: Vec::new(), offsets: vec![0] })
    }

    /// Returns the number of records.
    pub(crate) fn count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Writes the next record.
    pub(crate) fn append(&mut self, record: &[u8]) -> Result<(), ScratchError> {
        self.buffer.extend_from_slice(&xxh3_64(record).to_le_bytes());
        self.buffer.extend_from_slice(record);
        let end = self.offsets[self.count()] + (CHECKSUM_BYTES + record.len()) as u64;
        self.offsets.push(end);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends the file, which can then be read.
    pub(crate) fn finish(mut self) -> Result<Scratch, ScratchError> {
        self.flush()?;
        Ok(Scratch { folder: self.folder, file: self.file, offsets: self.offsets })
    }

    fn flush(&mut self) -> Result<(), ScratchError> {
        let failed = |source| ScratchError::Io { folder: self.folder.clone(), source };
        self.file.write_all(&self.buffer).map_err(failed)?;
        self.buffer.clear();
        Ok(())
    }
}

/// A complete file of records, which are read by their numbers.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    file: File,
    offsets: Vec<u64>,
}

impl Scratch {
    /// Reads a record into `record`.
    ///
    /// # Panics
    /// Panics if there is no record with this number.
    pub(crate) fn read(&self, number: usize, record: &mut Vec<u8>) -> Result<(), ScratchError> {
        let (offset, end) = (self.offsets[number], self.offsets[number + 1]);
        let mut checksum = [0; CHECKSUM_BYTES];
        record.resize((end - offset) as usize, 0);
        self.file
            .read_exact_at(record, offset)
            .map_err(|source| ScratchError::Io { folder: self.folder.clone(), source })?;
        checksum.copy_from_slice(&record[..CHECKSUM_BYTES]);
        record.drain(..CHECKSUM_BYTES);
        if xxh3_64(record) == u64::from_le_bytes(checksum) {
            Ok(())
        } else {
            Err(self.damaged(number))
        }
    }

    /// Returns the error for a record that is not what was written.
    pub(crate) fn damaged(&self, number: usize) -> ScratchError {
        let offset = self.offsets.get(number).copied().unwrap_or_default();
        ScratchError::Damaged { folder: self.folder.clone(), offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Vec<u8>> {
        (0..600_usize).map(|at| vec![at as u8; at * 7 % 3000]).collect()
    }

    fn written(folder: &Path) -> Scratch {
        let mut writer = ScratchWriter::create(folder).unwrap();
        for record in records() {
            writer.append(&record).unwrap();
        }
        assert_eq!(writer.count(), 600);
        writer.finish().unwrap()
    }

    #[test]
    fn records_come_back_in_any_order_from_a_file_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = written(folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut record = Vec::new();
        for (number, expected) in records().iter().enumerate().rev() {
            scratch.read(number, &mut record).unwrap();
            assert_eq!(&record, expected);
        }
    }

    #[test]
    fn a_changed_record_and_a_missing_folder_are_reported_with_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = written(folder.path());
        scratch.file.write_at(b"?", scratch.offsets[9] + 20).unwrap();
        let name = folder.path().to_str().unwrap();
        let error = scratch.read(9, &mut Vec::new()).unwrap_err();
        assert!(matches!(&error, ScratchError::Damaged { .. }) && error.to_string().contains(name));
        assert!(scratch.read(10, &mut Vec::new()).is_ok());
        let error = ScratchWriter::create(&folder.path().join("none")).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
