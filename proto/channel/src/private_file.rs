//! Files and directories that only their owner may access: created so, and refused if they are not.
//!
//! What the bytes mean is left to others. Parallel file systems are shared by a whole site, so the
//! mode is the only protection; `umask`, a copy or a restore from backup may have changed it.
//!
//! **Invariant:** the checks examine the opened file, not its name, so nothing can be exchanged
//! between check and use; a symbolic link is not followed in the last component.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

const PRIVATE_DIRECTORY_MODE: u32 = 0o700;
const PRIVATE_FILE_MODE: u32 = 0o600;
const OTHERS_MASK: u32 = 0o077;
const PERMISSION_MASK: u32 = 0o7777;

/// Why a file or directory is not accepted as private.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    #[error("failed to open `{path}`: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "`{path}` belongs to user id {owner}, not to {expected}\n\
         hint: use a state directory of your own"
    )]
    WrongOwner { path: PathBuf, owner: u32, expected: u32 },
    #[error(
        "`{path}` has mode {mode:04o}, others than its owner may use it\n\
         hint: if nobody did, run `chmod {wanted:o} {path}`; \
         otherwise start with new keys in a new state directory"
    )]
    WrongMode { path: PathBuf, mode: u32, wanted: u32 },
    #[error("`{path}` is not {wanted}\nhint: move it away")]
    WrongKind { path: PathBuf, wanted: &'static str },
    #[error("`{path}` is larger than {max_bytes} bytes\nhint: this program did not write it")]
    TooLarge { path: PathBuf, max_bytes: u64 },
}

impl PrivateFileError {
    /// Returns whether the file does not exist (yet).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

/// Returns the effective user id of this process.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Creates a directory for the owner alone, or checks that an existing one is.
pub fn ensure_private_directory(path: &Path) -> Result<(), PrivateFileError> {
    match DirBuilder::new().mode(PRIVATE_DIRECTORY_MODE).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(io_error(path, source)),
    }
    check_private_directory(path)
}

/// Refuses a directory that other users may enter, or that belongs to another user.
pub fn check_private_directory(path: &Path) -> Result<(), PrivateFileError> {
    let metadata = fs::symlink_metadata(path).map_err(|source| io_error(path, source))?;
    if !metadata.is_dir() {
        return Err(PrivateFileError::WrongKind { path: path.into(), wanted: "a directory" });
    }
    check_owner_and_mode(path, &metadata, own_uid(), PRIVATE_DIRECTORY_MODE)
}

/// Reads a whole file of at most `max_bytes`, and refuses one that other users may read.
pub fn read_private_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>, PrivateFileError> {
    // Without NONBLOCK, opening a named pipe in the file's place would block for ever.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|source| io_error(path, source))?;
    let metadata = file.metadata().map_err(|source| io_error(path, source))?;
    if !metadata.is_file() {
        return Err(PrivateFileError::WrongKind { path: path.into(), wanted: "a regular file" });
    }
    check_owner_and_mode(path, &metadata, own_uid(), PRIVATE_FILE_MODE)?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|source| io_error(path, source))?;
    if bytes.len() as u64 > max_bytes {
        return Err(PrivateFileError::TooLarge { path: path.into(), max_bytes });
    }
    Ok(bytes)
}

/// Writes a new file for the owner alone, durably; an existing file of that name is an error.
pub fn create_private_file(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE_MODE).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| io_error(path, source))
}

/// Makes a rename or a new entry in this directory durable.
pub fn sync_directory(path: &Path) -> Result<(), PrivateFileError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|source| io_error(path, source))
}

fn check_owner_and_mode(
    path: &Path,
    metadata: &Metadata,
    expected: u32,
    wanted: u32,
) -> Result<(), PrivateFileError> {
    let owner = metadata.uid();
    if owner != expected {
        return Err(PrivateFileError::WrongOwner { path: path.into(), owner, expected });
    }
    let mode = metadata.mode() & PERMISSION_MASK;
    if mode & OTHERS_MASK != 0 {
        return Err(PrivateFileError::WrongMode { path: path.into(), mode, wanted });
    }
    Ok(())
}

fn io_error(path: &Path, source: io::Error) -> PrivateFileError {
    PrivateFileError::Io { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_made_here_can_be_read_here_and_is_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        create_private_file(&path, b"secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & PERMISSION_MASK, 0o600);
        assert_eq!(read_private_file(&path, 6).unwrap(), b"secret");
        let again = create_private_file(&path, b"other").unwrap_err();
        assert!(matches!(again, PrivateFileError::Io { .. }), "{again}");
        assert_eq!(fs::read(&path).unwrap(), b"secret");
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused_with_the_command_that_fixes_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        create_private_file(&path, b"secret").unwrap();
        for mode in [0o644, 0o640, 0o620, 0o602, 0o601] {
            chmod(&path, mode);
            let error = read_private_file(&path, 100).unwrap_err();
            assert!(matches!(error, PrivateFileError::WrongMode { .. }), "{mode:o}: {error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        chmod(&path, 0o400);
        assert!(read_private_file(&path, 100).is_ok());
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("keys");
        ensure_private_directory(&path).unwrap();
        ensure_private_directory(&path).expect("a private directory is accepted");
        for mode in [0o755, 0o710, 0o701, 0o750] {
            chmod(&path, mode);
            let error = ensure_private_directory(&path).unwrap_err();
            assert!(matches!(error, PrivateFileError::WrongMode { .. }), "{mode:o}: {error}");
            assert!(error.to_string().contains("chmod 700"), "{error}");
        }
    }

    #[test]
    fn files_of_another_user_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let metadata = fs::metadata(home.path()).unwrap();
        let another = own_uid() + 1;
        let error =
            check_owner_and_mode(home.path(), &metadata, another, PRIVATE_FILE_MODE).unwrap_err();
        assert!(matches!(error, PrivateFileError::WrongOwner { .. }), "{error}");
    }

    #[test]
    fn links_directories_pipes_and_large_files_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("target");
        create_private_file(&target, &[7; 100]).unwrap();
        let error = read_private_file(&target, 99).unwrap_err();
        assert!(matches!(error, PrivateFileError::TooLarge { .. }), "{error}");

        let link = home.path().join("link");
        symlink(&target, &link).unwrap();
        let error = read_private_file(&link, 1000).unwrap_err();
        assert!(matches!(error, PrivateFileError::Io { .. }), "{error}");

        let directory = home.path().join("directory");
        ensure_private_directory(&directory).unwrap();
        let error = read_private_file(&directory, 1000).unwrap_err();
        assert!(matches!(error, PrivateFileError::WrongKind { .. }), "{error}");
        symlink(&directory, home.path().join("linked")).unwrap();
        let error = check_private_directory(&home.path().join("linked")).unwrap_err();
        assert!(matches!(error, PrivateFileError::WrongKind { .. }), "{error}");

        let pipe = home.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_bits_retain(0o600))
            .unwrap();
        let error = read_private_file(&pipe, 1000).unwrap_err();
        assert!(matches!(error, PrivateFileError::WrongKind { .. }), "{error}");
    }
}
