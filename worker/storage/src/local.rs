//! Reads inputs on a file system.
//!
//! A network file system fails now and then: a file handle is stale, a server does not answer, a
//! name is not yet visible on this node. An open or a read is therefore repeated a few times over
//! some seconds, after which another node may have better luck. Invariant: all bytes returned are
//! of one state of the file; if it was replaced between two attempts, the error says so.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StorageError;
use super::retry::{Backoff, Failure, ReadOptions};

/// Number of attempts in a row. The scheduler has more patience, and other nodes.
const ATTEMPTS: u32 = 3;
/// The first wait; the second is twice as long.
const WAIT_FIRST: Duration = Duration::from_secs(1);

/// A file that is read from an offset on, and opened again after an error.
pub(super) struct LocalReader {
    path: PathBuf,
    options: ReadOptions,
    file: File,
    state: State,
    backoff: Backoff,
    /// The bytes to return.
    range: Range<u64>,
}

/// What identifies the content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    bytes: u64,
    modified: (i64, i64),
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        Self { bytes: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// Opens the bytes of `range` that the file has.
pub(super) fn open(
    path: &Path,
    range: Range<u64>,
    options: &ReadOptions,
) -> Result<LocalReader, StorageError> {
    let options = patience(options);
    let mut backoff = Backoff::default();
    let (file, state) = repeated(path, &options, &mut backoff, || open_at(path, range.start))?;
    if state.bytes < range.start {
        let detail = format!("it ends before byte {}", range.start);
        return Err(StorageError::Refused { location: path.display().to_string(), detail });
    }
    Ok(LocalReader { path: path.to_owned(), options, file, state, backoff, range })
}

impl Read for LocalReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let room = left.min(buffer.len());
        loop {
            match self.file.read(&mut buffer[..room]) {
                Ok(count) => {
                    self.range.start += count as u64;
                    if count > 0 {
                        self.backoff.progress();
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.open_again(error)?,
            }
        }
    }
}

impl LocalReader {
    /// Waits after an error, and opens the file by its path: a stale handle stays stale.
    fn open_again(&mut self, error: io::Error) -> Result<(), StorageError> {
        let Self { path, options, backoff, range, .. } = self;
        wait(path, options, backoff, classify(path, error, options))?;
        let (file, state) = repeated(path, options, backoff, || open_at(path, range.start))?;
        if state != self.state {
            let detail = "it was replaced while it was read".to_owned();
            return Err(StorageError::Changed { location: path.display().to_string(), detail });
        }
        self.file = file;
        Ok(())
    }
}

fn open_at(path: &Path, offset: u64) -> io::Result<(File, State)> {
    // Opening a pipe would wait until somebody writes to it.
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut file = OpenOptions::new().read(true).custom_flags(no_wait).open(path)?;
    let metadata = file.metadata()?;
    // A directory can be opened; only its first read would fail, with a confusing message.
    regular(path, &metadata)?;
    if offset > 0 {
        file.seek(SeekFrom::Start(offset))?;
    }
    Ok((file, State::of(&metadata)))
}

pub(super) fn size(path: &Path, options: &ReadOptions) -> Result<u64, StorageError> {
    repeated(path, &patience(options), &mut Backoff::default(), || {
        let metadata = std::fs::metadata(path)?;
        regular(path, &metadata)?;
        Ok(metadata.len())
    })
}

/// Returns the paths of all files below `folder` of `root`, relative to `root`, in order.
pub(super) fn names_below(root: &Path, folder: &str) -> Result<Vec<String>, StorageError> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let fail = |error| StorageError::from_io(error, || folder.display().to_string());
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(fail(error)),
        };
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let path = entry.path();
            if entry.file_type().map_err(fail)?.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(root).unwrap_or(&path);
                found.push(below.to_string_lossy().into_owned());
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns the options with the patience for a file system.
fn patience(options: &ReadOptions) -> ReadOptions {
    let attempts_max = options.attempts_max.min(ATTEMPTS);
    ReadOptions { attempts_max, wait_first: WAIT_FIRST, ..options.clone() }
}

/// Makes a call until it succeeds or the patience ends.
fn repeated<T>(
    path: &Path,
    options: &ReadOptions,
    backoff: &mut Backoff,
    mut call: impl FnMut() -> io::Result<T>,
) -> Result<T, StorageError> {
    loop {
        match call() {
            Ok(value) => return Ok(value),
            Err(error) => wait(path, options, backoff, classify(path, error, options))?,
        }
    }
}

fn wait(
    path: &Path,
    options: &ReadOptions,
    backoff: &mut Backoff,
    failure: Failure,
) -> Result<(), StorageError> {
    options.sleeper.sleep(backoff.after(options, &path.display().to_string(), failure)?);
    Ok(())
}

fn regular(path: &Path, metadata: &Metadata) -> Result<(), StorageError> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
    let detail = format!("it is {what}");
    Err(StorageError::Refused { location: path.display().to_string(), detail })
}

/// Only a name that no listing had is missing for certain. Everything else may be due to this
/// node, or to this moment.
fn classify(path: &Path, source: io::Error, options: &ReadOptions) -> Failure {
    let location = || path.display().to_string();
    let missing = matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    if missing && options.known.listed {
        return Failure::Doubtful(StorageError::Gone { location: location() });
    }
    if missing {
        return Failure::Lasting(StorageError::NotFound { location: location() });
    }
    let error = StorageError::from_io(source, location);
    if matches!(error, StorageError::Io { .. }) {
        return Failure::Doubtful(error);
    }
    Failure::Lasting(error)
}

#[cfg(test)]
mod tests {
    use super::super::retry::tests::Waits;
    use super::super::{Known, Location, Remedy, open, open_range, size};
    use super::*;

    #[test]
    fn a_file_is_read_and_measured() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"content").unwrap();
        let location = Location::Path(path);
        let options = ReadOptions::default();
        let mut text = String::new();
        open(&location, &options).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
        assert_eq!(size(&location, &options).unwrap(), Some(7));
    }

    #[test]
    fn a_part_of_a_file_is_read_as_far_as_the_file_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"0123456789").unwrap();
        let location = Location::Path(path);
        for (range, expected) in
            [(2..5, "234"), (8..20, "89"), (10..12, ""), (3..3, ""), (0..u64::MAX, "0123456789")]
        {
            let mut text = String::new();
            let reader = open_range(&location, range.clone(), &ReadOptions::default());
            reader.unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, expected, "{range:?}");
        }
        let beyond = open_range(&location, 11..12, &ReadOptions::default());
        assert!(matches!(beyond, Err(StorageError::Refused { .. })));
    }

    #[test]
    fn missing_and_special_files_are_not_retried() {
        let dir = tempfile::tempdir().unwrap();
        let missing = open(&dir.path().join("a").as_path().into(), &ReadOptions::default());
        let Err(missing) = missing else { panic!("it was opened") };
        assert!(matches!(missing, StorageError::NotFound { .. }));
        assert_eq!(missing.remedy(), Remedy::GiveUp);
        let directory = open(&dir.path().into(), &ReadOptions::default());
        assert!(matches!(directory, Err(StorageError::Refused { .. })));
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let location = pipe.as_path().into();
        let Err(opened) = open(&location, &ReadOptions::default()) else {
            panic!("the pipe was opened")
        };
        assert!(opened.to_string().contains("it is not a regular file"), "{opened}");
        assert!(size(&location, &ReadOptions::default()).is_err());
    }

    fn failing(number: rustix::io::Errno) -> io::Error {
        io::Error::from_raw_os_error(number.raw_os_error())
    }

    /// Fails as often as `failures` has numbers; returns the result and the number of waits.
    fn try_with(failures: &[rustix::io::Errno], known: Known) -> (Result<u8, StorageError>, usize) {
        let waits = std::sync::Arc::new(Waits::default());
        let options = ReadOptions { sleeper: waits.clone(), known, ..ReadOptions::default() };
        let mut failures = failures.iter();
        let call = || failures.next().map_or(Ok(7), |number| Err(failing(*number)));
        let path = Path::new("/in/a");
        let result = repeated(path, &patience(&options), &mut Backoff::default(), call);
        (result, waits.taken().len())
    }

    #[test]
    fn what_may_be_the_node_or_the_moment_is_tried_again_over_seconds() {
        use rustix::io::Errno;
        for number in
            [Errno::IO, Errno::STALE, Errno::ACCESS, Errno::MFILE, Errno::NOMEM, Errno::AGAIN]
        {
            let (result, waits) = try_with(&[number; 2], Known::default());
            assert_eq!((result.unwrap(), waits), (7, 2));
            let (result, waits) = try_with(&[number; 3], Known::default());
            let error = result.unwrap_err();
            assert_eq!((error.remedy(), waits), (Remedy::Retry, 2), "{error}");
            assert!(error.to_string().contains("`/in/a`"), "{error}");
        }
    }

    #[test]
    fn a_listed_file_that_is_not_visible_is_waited_for_and_then_said_to_be_gone() {
        use rustix::io::Errno;
        let listed = || Known { listed: true, ..Known::default() };
        assert_eq!(try_with(&[Errno::NOENT; 2], listed()).0.unwrap(), 7);
        let error = try_with(&[Errno::NOENT; 3], listed()).0.unwrap_err();
        assert!(matches!(error, StorageError::Gone { .. }), "{error}");
        assert_eq!(error.remedy(), Remedy::Retry);
        let (result, waits) = try_with(&[Errno::NOENT], Known::default());
        assert!(matches!(result, Err(StorageError::NotFound { .. })));
        assert_eq!(waits, 0);
    }

    #[test]
    fn a_read_continues_after_an_error_unless_the_file_was_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"0123456789").unwrap();
        let sleeper = std::sync::Arc::new(Waits::default());
        let options = ReadOptions { sleeper, ..ReadOptions::default() };
        let mut reader = super::open(&path, 2..9, &options).unwrap();
        let mut some = [0; 3];
        reader.read_exact(&mut some).unwrap();
        reader.open_again(failing(rustix::io::Errno::STALE)).unwrap();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!((&some[..], rest.as_str()), (&b"234"[..], "5678"));
        std::fs::write(&path, b"other").unwrap();
        let error = reader.open_again(failing(rustix::io::Errno::STALE)).unwrap_err();
        assert!(matches!(error, StorageError::Changed { .. }), "{error}");
    }
}
