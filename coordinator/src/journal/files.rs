//! The operations that the journal needs of a file system, as a trait, so that tests can make each
//! of them fail.
//!
//! It uses only operations on which every POSIX parallel file system is reliable: exclusive create,
//! write at the end, fdatasync, and a check whether a name exists. No locks, no mmap, no rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A directory of segments, one per epoch.
pub trait JournalFiles: Send {
    /// Returns the epochs that have a segment, smallest first.
    fn epochs(&self) -> io::Result<Vec<u64>>;
    /// Creates the segment of an epoch, durably, or fails with `AlreadyExists`.
    fn create(&self, epoch: u64) -> io::Result<Box<dyn SegmentWriter>>;
    /// Opens the segment of an epoch for reading.
    fn open(&self, epoch: u64) -> io::Result<Box<dyn SegmentBytes>>;
    /// Returns whether the epoch has a segment.
    fn exists(&self, epoch: u64) -> io::Result<bool>;
    /// Returns the name of the segment in messages.
    fn path(&self, epoch: u64) -> PathBuf;
}

/// The end of a segment, to which bytes are written.
pub trait SegmentWriter: Send {
    /// Writes some of the bytes and returns how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Returns when everything written is durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A segment as it was when it was opened.
pub trait SegmentBytes: Send {
    /// Returns its size at that time.
    fn size_bytes(&self) -> u64;
    /// Reads some bytes from an offset and returns how many; 0 at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
}

/// Segments as files `00000001.journal`, ... of a directory.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Returns the directory, which is created if it does not exist.
    pub fn create(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self::existing(path))
    }

    /// Returns the directory for reading; a missing one has no segments.
    pub fn existing(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl JournalFiles for Directory {
    fn epochs(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut epochs = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let epoch = name.to_str().and_then(|name| name.strip_suffix(".journal"));
            epochs.extend(epoch.and_then(|epoch| epoch.parse::<u64>().ok()));
        }
        epochs.sort_unstable();
        Ok(epochs)
    }

    fn create(&self, epoch: u64) -> io::Result<Box<dyn SegmentWriter>> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(self.path(epoch))?;
        File::open(&self.path)?.sync_all()?;
        Ok(Box::new(file))
    }

    fn open(&self, epoch: u64) -> io::Result<Box<dyn SegmentBytes>> {
        let file = File::open(self.path(epoch))?;
        let size_bytes = file.metadata()?.len();
        Ok(Box::new(OpenSegment { file, size_bytes }))
    }

    fn exists(&self, epoch: u64) -> io::Result<bool> {
        self.path(epoch).try_exists()
    }

    fn path(&self, epoch: u64) -> PathBuf {
        self.path.join(format!("{epoch:08}.journal"))
    }
}

impl SegmentWriter for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.sync_data()
    }
}

struct OpenSegment {
    file: File,
    size_bytes: u64,
}

impl SegmentBytes for OpenSegment {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }
}

impl SegmentBytes for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}
