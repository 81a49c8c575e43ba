//! `identity.json`: the identity of a state directory, which every call carries, so that a call
//! that is meant for one directory never reaches the coordinator of another.
//!
//! The file also says where the directory was when it was made. A copy has another path and another
//! inode, so whoever uses it notices that the address in it is the original's. A renamed directory
//! keeps its inode, and a restored or differently mounted one its path or its inode.
//!
//! **Invariant:** two directories in which coordinators have opened have different identities.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::private_file::{
    PrivateFileError, create_private_file, read_private_file, sync_directory,
};

/// The file's name in the state directory.
pub const IDENTITY_FILE: &str = "identity.json";
/// The metadata of a call that has the identity.
pub const IDENTITY_METADATA: &str = "thresher-state";

const MAX_FILE_BYTES: u64 = 64 << 10;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("failed to trust the identity of the state directory: {0}")]
    Private(#[from] PrivateFileError),
    #[error(
        "`{path}` is not a valid identity: {source}\n\
         hint: remove the file; the next coordinator makes another"
    )]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("failed to find or replace the identity of the state directory `{path}`: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// The identity of a state directory, and the directory that it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateIdentity {
    /// Random, in hexadecimal digits.
    pub id: String,
    /// The directory's path when the identity was made, without symbolic links.
    pub path: PathBuf,
    /// The directory's number in its file system.
    pub inode: u64,
}

/// What a directory is to the identity in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The identity is the directory's own.
    Own(StateIdentity),
    /// The directory is a copy of another, which had this identity.
    CopyOf(StateIdentity),
    /// No coordinator has opened in it, or one of an earlier version.
    Missing,
}

impl Found {
    /// Returns the directory's own identity; empty if it has none.
    pub fn id(&self) -> &str {
        match self {
            Self::Own(identity) => &identity.id,
            Self::CopyOf(_) | Self::Missing => "",
        }
    }
}

impl StateIdentity {
    /// Returns the identity of a directory, with this id.
    fn new(id: String, state: &Path) -> io::Result<Self> {
        Ok(Self { id, path: fs::canonicalize(state)?, inode: fs::metadata(state)?.ino() })
    }

    /// Returns whether this was made for the directory.
    fn is_of(&self, state: &Path) -> io::Result<bool> {
        Ok(self.path == fs::canonicalize(state)? || self.inode == fs::metadata(state)?.ino())
    }

    /// Returns whether the directory that this was made for still exists and still has it.
    pub fn has_original(&self) -> bool {
        match find(&self.path) {
            Ok(Found::Own(original)) => original.id == self.id,
            Ok(Found::CopyOf(_) | Found::Missing) | Err(_) => false,
        }
    }
}

/// Reads the identity of a state directory.
pub fn find(state: &Path) -> Result<Found, IdentityError> {
    let path = state.join(IDENTITY_FILE);
    let bytes = match read_private_file(&path, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(Found::Missing),
        Err(error) => return Err(error.into()),
    };
    let identity: StateIdentity = serde_json::from_slice(&bytes)
        .map_err(|source| IdentityError::Malformed { path: path.clone(), source })?;
    match identity.is_of(state) {
        Ok(true) => Ok(Found::Own(identity)),
        Ok(false) => Ok(Found::CopyOf(identity)),
        Err(source) => Err(IdentityError::Io { path: state.to_owned(), source }),
    }
}

/// Returns the identity of a state directory in which a coordinator opens, and makes one if it has
/// none of its own. With `renew`, calls that were meant for earlier coordinators are refused.
pub fn establish(state: &Path, renew: bool) -> Result<StateIdentity, IdentityError> {
    let io_error = |source| IdentityError::Io { path: state.to_owned(), source };
    let own = match find(state)? {
        Found::Own(identity) if !renew => Some(identity),
        Found::Own(_) | Found::CopyOf(_) | Found::Missing => None,
    };
    let id = own.as_ref().map_or_else(|| random_id(state), |own| own.id.clone());
    let identity = StateIdentity::new(id, state).map_err(io_error)?;
    if own.as_ref() == Some(&identity) {
        return Ok(identity);
    }
    // If the directory was renamed, its new place is remembered: a copy of it may get the old name.
    let path = state.join(IDENTITY_FILE);
    let mut text = serde_json::to_vec_pretty(&identity).map_err(|e| io_error(e.into()))?;
    text.push(b'\n');
    let beside = state.join(format!(".{IDENTITY_FILE}.{}", std::process::id()));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        Ok(()) | Err(_) => {}
    }
    create_private_file(&beside, &text)?;
    fs::rename(&beside, &path).map_err(io_error)?;
    sync_directory(state)?;
    Ok(identity)
}

fn random_id(state: &Path) -> String {
    let random = || RandomState::new().hash_one(state);
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn copy(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        fs::copy(from.join(IDENTITY_FILE), to.join(IDENTITY_FILE)).unwrap();
    }

    #[test]
    fn an_identity_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        assert_eq!(find(state).unwrap(), Found::Missing);
        let identity = establish(state, false).unwrap();
        assert_eq!(identity.id.len(), 32);
        assert_eq!(establish(state, false).unwrap(), identity);
        assert_eq!(find(state).unwrap(), Found::Own(identity.clone()));
        let mode = fs::metadata(state.join(IDENTITY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(establish(state, true).unwrap().id, identity.id, "renewed");
    }

    #[test]
    fn a_copy_is_noticed_and_gets_its_own_identity_when_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        fs::create_dir(&first).unwrap();
        let identity = establish(&first, false).unwrap();
        copy(&first, &second);
        assert_eq!(find(&second).unwrap(), Found::CopyOf(identity.clone()));
        assert_eq!(find(&second).unwrap().id(), "", "it has none of its own");
        assert!(identity.has_original());
        assert_ne!(establish(&second, false).unwrap().id, identity.id);
        assert_eq!(find(&first).unwrap(), Found::Own(identity), "the original keeps its own");
    }

    #[test]
    fn a_copy_under_the_old_name_of_a_renamed_directory_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        fs::create_dir(&first).unwrap();
        let id = establish(&first, false).unwrap().id;
        fs::rename(&first, &second).unwrap();
        assert_eq!(establish(&second, false).unwrap().id, id);
        copy(&second, &first);
        assert!(matches!(find(&first).unwrap(), Found::CopyOf(_)));
    }

    #[test]
    fn a_renamed_directory_and_a_restored_one_keep_their_identity() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        fs::create_dir(&first).unwrap();
        let identity = establish(&first, false).unwrap();
        fs::rename(&first, &second).unwrap();
        assert_eq!(find(&second).unwrap(), Found::Own(identity.clone()));
        assert!(!identity.has_original(), "nothing is left under the old name");
        copy(&second, &first);
        fs::remove_dir_all(&second).unwrap();
        assert_eq!(find(&first).unwrap(), Found::Own(identity));
    }
}
