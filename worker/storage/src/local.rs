//! Reads inputs on a file system.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::StorageError;

pub(super) fn open(path: &Path) -> Result<File, StorageError> {
    // Opening a pipe would wait until somebody writes to it.
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path);
    let file = file.map_err(|error| classify(path, error))?;
    // A directory can be opened; only its first read would fail, with a confusing message.
    regular(path, &file.metadata().map_err(|error| classify(path, error))?)?;
    Ok(file)
}

/// Opens the bytes of `range` that the file has.
pub(super) fn open_range(
    path: &Path,
    range: Range<u64>,
) -> Result<impl Read + Send + 'static, StorageError> {
    let mut file = open(path)?;
    let fail = |error| classify(path, error);
    if file.metadata().map_err(fail)?.len() < range.start {
        let detail = format!("it ends before byte {}", range.start);
        return Err(StorageError::Refused { location: path.display().to_string(), detail });
    }
    file.seek(SeekFrom::Start(range.start)).map_err(fail)?;
    Ok(file.take(range.end.saturating_sub(range.start)))
}

pub(super) fn size(path: &Path) -> Result<u64, StorageError> {
    let metadata = std::fs::metadata(path).map_err(|error| classify(path, error))?;
    regular(path, &metadata)?;
    Ok(metadata.len())
}

/// Returns the paths of all files below `folder` of `root`, relative to `root`, in order.
pub(super) fn names_below(root: &Path, folder: &str) -> Result<Vec<String>, StorageError> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let fail = |error| classify(&folder, error);
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

fn regular(path: &Path, metadata: &Metadata) -> Result<(), StorageError> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
    let detail = format!("it is {what}");
    Err(StorageError::Refused { location: path.display().to_string(), detail })
}

fn classify(path: &Path, source: io::Error) -> StorageError {
    let location = path.display().to_string();
    if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
        return StorageError::NotFound { location };
    }
    if source.kind() == ErrorKind::PermissionDenied {
        return StorageError::Denied { location, detail: source.to_string() };
    }
    StorageError::Io { location, source }
}

#[cfg(test)]
mod tests {
    use super::super::{Location, ReadOptions, Remedy, open, open_range, size};
    use super::StorageError;
    use std::io::Read;

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
}
