//! Inputs on a file system.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::StorageError;

pub(super) fn open(path: &Path) -> Result<File, StorageError> {
    let file = File::open(path).map_err(|error| classify(path, error))?;
    // A directory opens, and only its first read fails, with a puzzling message.
    regular(path, &file)?;
    Ok(file)
}

pub(super) fn size(path: &Path) -> Result<u64, StorageError> {
    let metadata = std::fs::metadata(path).map_err(|error| classify(path, error))?;
    Ok(metadata.len())
}

fn regular(path: &Path, file: &File) -> Result<(), StorageError> {
    let metadata = file.metadata().map_err(|error| classify(path, error))?;
    if metadata.is_dir() {
        let detail = "it is a directory".to_owned();
        return Err(StorageError::Refused { location: path.display().to_string(), detail });
    }
    Ok(())
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
    use super::super::{Location, ReadOptions, Remedy, open, size};
    use super::*;
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
    fn what_is_missing_or_no_file_is_not_worth_a_retry() {
        let dir = tempfile::tempdir().unwrap();
        let missing = open(&dir.path().join("a").as_path().into(), &ReadOptions::default());
        let Err(missing) = missing else { panic!("opened nothing") };
        assert!(matches!(missing, StorageError::NotFound { .. }));
        assert_eq!(missing.remedy(), Remedy::GiveUp);
        let directory = open(&dir.path().into(), &ReadOptions::default());
        assert!(matches!(directory, Err(StorageError::Refused { .. })));
    }
}
