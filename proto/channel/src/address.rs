//! `coordinator.json`: the address of a state directory's coordinator.
//!
//! It holds no secret, but it is private all the same, because anybody who could change it could
//! send workers elsewhere. The caller finds out by connecting whether the coordinator still runs;
//! the file of the epoch decides which of two coordinators is valid.
//!
//! **Invariant:** a reader sees a whole file or none: it is written under another name and renamed.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::identity::{self, Found, IdentityError};
use super::private_file::{
    PrivateFileError, create_private_file, read_private_file, sync_directory,
};
use super::process::process_name;

/// The file's name in the state directory.
pub const ADDRESS_FILE: &str = "coordinator.json";

const MAX_ADDRESS_FILE_BYTES: u64 = 64 << 10;

/// The address of a coordinator, and its identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorAddress {
    /// Path of the Unix socket, for processes on `host`.
    pub unix: Option<PathBuf>,
    /// TCP address, for processes elsewhere.
    pub tcp: Option<SocketAddr>,
    /// The epoch, which grows with each coordinator of this state directory.
    pub epoch: u64,
    /// Process id of the coordinator on `host`.
    pub pid: u32,
    /// Name of the node on which it runs.
    pub host: String,
    /// The process, so that another one with its number is not taken for it; empty if unknown.
    #[serde(default)]
    pub process: String,
    /// Identity of the state directory; empty if unknown.
    #[serde(default)]
    pub identity: String,
    /// Version of Thresher that wrote this.
    pub version: String,
}

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "no coordinator has left its address in `{path}`\n\
         hint: check that the coordinator is running and that this is its state directory"
    )]
    Missing { path: PathBuf },
    #[error("failed to trust the coordinator's address: {0}")]
    Private(#[source] PrivateFileError),
    #[error(
        "`{path}` is not a valid coordinator address: {source}\nhint: start the coordinator again"
    )]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(
        "`{state}` is a copy of the state directory `{original}`, and no coordinator runs in the \
         copy\nhint: use `--state {original}` for the job that the original runs",
        state = state.display(), original = original.display()
    )]
    Copy { state: PathBuf, original: PathBuf },
    #[error("failed to write the coordinator's address to `{path}`: {source}")]
    Write { path: PathBuf, source: io::Error },
}

impl AddressError {
    /// Returns whether a coordinator that starts later would fix it.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Missing { .. } => true,
            // An I/O error of a parallel file system may pass; a wrong mode does not.
            Self::Private(PrivateFileError::Io { .. }) => true,
            Self::Private(_)
            | Self::Malformed { .. }
            | Self::Identity(_)
            | Self::Copy { .. }
            | Self::Write { .. } => false,
        }
    }
}

impl CoordinatorAddress {
    /// Reads the address from a file.
    pub fn read(path: &Path) -> Result<Self, AddressError> {
        let bytes = read_private_file(path, MAX_ADDRESS_FILE_BYTES).map_err(|error| {
            if error.is_not_found() {
                AddressError::Missing { path: path.into() }
            } else {
                AddressError::Private(error)
            }
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|source| AddressError::Malformed { path: path.into(), source })
    }

    /// Reads the address from the state directory. The address in a copy of a state directory is
    /// the original's, and is refused.
    pub fn read_in(state: &Path) -> Result<Self, AddressError> {
        let path = state.join(ADDRESS_FILE);
        let address = Self::read(&path)?;
        match identity::find(state)? {
            Found::CopyOf(original) => {
                Err(AddressError::Copy { state: state.to_owned(), original: original.path })
            }
            // It was written before the directory got its present identity.
            Found::Own(own) if own.id != address.identity => Err(AddressError::Missing { path }),
            Found::Own(_) | Found::Missing => Ok(address),
        }
    }

    /// Returns whether the process of the coordinator lives, if that can be seen from here: it is
    /// on this host.
    pub fn is_alive(&self) -> Option<bool> {
        let is_here = self.host == host_name() && !self.process.is_empty();
        is_here.then(|| process_name(self.pid).is_some_and(|name| name == self.process))
    }

    /// Writes the address into the state directory.
    pub fn write_in(&self, state: &Path) -> Result<(), AddressError> {
        let path = state.join(ADDRESS_FILE);
        let write_error = |source| AddressError::Write { path: path.clone(), source };
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| write_error(error.into()))?;
        text.push(b'\n');
        let beside = state.join(format!(".{ADDRESS_FILE}.{}", std::process::id()));
        match fs::remove_file(&beside) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(write_error(error)),
        }
        create_private_file(&beside, &text).map_err(AddressError::Private)?;
        fs::rename(&beside, &path).map_err(write_error)?;
        sync_directory(state).map_err(AddressError::Private)
    }
}

/// Returns the name of this node, for comparison with [`CoordinatorAddress::host`].
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn address(epoch: u64) -> CoordinatorAddress {
        CoordinatorAddress {
            unix: Some("/run/user/7/thresher/coordinator.sock".into()),
            tcp: Some("10.1.2.3:4567".parse().unwrap()),
            epoch,
            pid: 42,
            host: host_name(),
            process: process_name(std::process::id()).unwrap(),
            identity: String::new(),
            version: "0.1.0".into(),
        }
    }

    #[test]
    fn a_written_address_is_read_back_and_replaced_and_private() {
        let state = tempfile::tempdir().unwrap();
        for epoch in [1, 2] {
            address(epoch).write_in(state.path()).unwrap();
            assert_eq!(CoordinatorAddress::read_in(state.path()).unwrap(), address(epoch));
        }
        let metadata = fs::metadata(state.path().join(ADDRESS_FILE)).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1, "no other file is left");
    }

    #[test]
    fn a_process_with_the_coordinators_number_is_not_taken_for_it() {
        let own = CoordinatorAddress { pid: std::process::id(), ..address(1) };
        assert_eq!(own.is_alive(), Some(true));
        let started_later = format!("{}0", own.process);
        assert_eq!(
            CoordinatorAddress { process: started_later, ..own.clone() }.is_alive(),
            Some(false)
        );
        assert_eq!(CoordinatorAddress { host: "other".into(), ..own.clone() }.is_alive(), None);
        assert_eq!(CoordinatorAddress { process: String::new(), ..own }.is_alive(), None);
    }

    #[test]
    fn the_address_in_a_copy_of_a_state_directory_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        [&first, &second].iter().for_each(|state| fs::create_dir(state).unwrap());
        let identity = identity::establish(&first, false).unwrap().id;
        CoordinatorAddress { identity, ..address(1) }.write_in(&first).unwrap();
        for file in fs::read_dir(&first).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), second.join(file.file_name())).unwrap();
        }
        assert!(CoordinatorAddress::read_in(&first).is_ok());
        let error = CoordinatorAddress::read_in(&second).unwrap_err();
        let hint = format!("hint: use `--state {}`", first.canonicalize().unwrap().display());
        assert!(error.to_string().contains(&hint) && !error.may_pass(), "{error}");
        identity::establish(&second, false).unwrap();
        let error = CoordinatorAddress::read_in(&second).unwrap_err();
        assert!(matches!(error, AddressError::Missing { .. }), "the original's: {error}");
    }

    #[test]
    fn missing_invalid_and_public_files_have_different_errors() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(ADDRESS_FILE);
        let error = CoordinatorAddress::read(&path).unwrap_err();
        assert!(matches!(error, AddressError::Missing { .. }) && error.may_pass(), "{error}");

        create_private_file(&path, b"{\"unix\": 3}").unwrap();
        let error = CoordinatorAddress::read(&path).unwrap_err();
        assert!(matches!(error, AddressError::Malformed { .. }) && !error.may_pass(), "{error}");

        address(1).write_in(state.path()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let error = CoordinatorAddress::read(&path).unwrap_err();
        assert!(matches!(error, AddressError::Private(_)) && !error.may_pass(), "{error}");
    }
}
