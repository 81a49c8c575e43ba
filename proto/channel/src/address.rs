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

use super::private_file::{
    PrivateFileError, create_private_file, read_private_file, sync_directory,
};

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
            Self::Private(_) | Self::Malformed { .. } | Self::Write { .. } => false,
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

    /// Reads the address from the state directory.
    pub fn read_in(state: &Path) -> Result<Self, AddressError> {
        Self::read(&state.join(ADDRESS_FILE))
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
