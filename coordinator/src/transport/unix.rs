//! The Unix socket: its location, the replacement of a stale one, and the peers that it admits.
//!
//! It is in `<state>/socket/` if that path fits into a socket address (107 bytes). Paths of state
//! directories on parallel file systems are often longer, and some file systems do not support
//! sockets: then it is in a private folder of `/tmp`, named after user and state directory, else in
//! one of `$XDG_RUNTIME_DIR`. `/tmp` comes first because the other is removed when its user logs
//! out, while the coordinator continues. Clients read the path from the address file.
//!
//! **Invariant:** the folder is private before the socket is in it, and each peer is our user.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thresher_channel::Role;
use thresher_channel::private_file::{PrivateFileError, ensure_private_directory, own_uid};
use tokio::net::{UnixListener, UnixStream};

use super::Peer;

/// `sun_path` has 108 bytes, the last of them zero.
const MAX_SOCKET_PATH_BYTES: usize = 107;
const SOCKET_FILE: &str = "coordinator.sock";
const SHORT_FOLDERS: &str = "/tmp";

/// The kernel of a running coordinator answers at once; only a full queue causes a wait.
const LIVENESS_TIMEOUT: Duration = Duration::from_millis(500);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("failed to find the state directory `{path}`: {source}")]
    State { path: PathBuf, source: io::Error },
    #[error("failed to make a private folder for the coordinator's socket: {0}")]
    Folder(#[from] PrivateFileError),
    #[error(
        "a coordinator already listens on `{path}`\n\
         hint: `thresher status` shows it; end it before you start another"
    )]
    Alive { path: PathBuf },
    #[error("failed to listen on `{path}`: {source}")]
    Bind { path: PathBuf, source: io::Error },
}

/// A socket that is bound but does not accept yet.
pub(super) struct Bound {
    listener: UnixListener,
    file: SocketFile,
}

impl Bound {
    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

/// The socket's entry in its folder, which is removed with the server that made it.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A coordinator that replaced this one has an entry of its own under the same name.
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds the socket of this state directory.
pub(super) async fn bind(state: &Path) -> Result<Bound, SocketError> {
    let state = fs::canonicalize(state)
        .map_err(|source| SocketError::State { path: state.into(), source })?;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    bind_in_first(&folders(&state, own_uid(), runtime.as_deref())).await
}

/// Tries one folder after the other; returns the error of the first, which is the one people
/// expect.
async fn bind_in_first(folders: &[PathBuf]) -> Result<Bound, SocketError> {
    let mut first_error = None;
    for folder in folders {
        match bind_in(folder).await {
            Ok(bound) => return Ok(bound),
            Err(error) if may_do_elsewhere(&error) => {
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(first_error.expect("the list of folders is never empty, and each gave an error"))
}

/// Returns whether to try the next folder: if the file system does not support sockets, or another
/// user took the name in `/tmp` first. A running coordinator is an error, and so is a folder of our
/// own that is open to others.
fn may_do_elsewhere(error: &SocketError) -> bool {
    match error {
        SocketError::Bind { source, .. } => {
            !matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::AddrInUse)
        }
        SocketError::Folder(error) => !matches!(error, PrivateFileError::WrongMode { .. }),
        SocketError::Alive { .. } | SocketError::State { .. } => false,
    }
}

/// Returns the possible folders, best first. There is always one, because the folder in `/tmp`
/// always fits.
fn folders(state: &Path, uid: u32, runtime: Option<&Path>) -> Vec<PathBuf> {
    let digest = blake3::hash(state.as_os_str().as_bytes()).to_hex();
    let short = &digest[..16];
    let beside_state = state.join("socket");
    let in_tmp = Path::new(SHORT_FOLDERS).join(format!("thresher-{uid}-{short}"));
    let in_runtime = runtime
        .filter(|runtime| runtime.is_absolute())
        .map(|runtime| runtime.join(format!("thresher-{short}")));
    [Some(beside_state), Some(in_tmp), in_runtime]
        .into_iter()
        .flatten()
        .filter(|folder| folder.join(SOCKET_FILE).as_os_str().len() <= MAX_SOCKET_PATH_BYTES)
        .collect()
}

async fn bind_in(folder: &Path) -> Result<Bound, SocketError> {
    ensure_private_directory(folder)?;
    let path = folder.join(SOCKET_FILE);
    let bind_error = |source| SocketError::Bind { path: path.clone(), source };
    let listener = match UnixListener::bind(&path) {
        Ok(listener) => listener,
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if is_alive(&path).await {
                return Err(SocketError::Alive { path });
            }
            fs::remove_file(&path).map_err(bind_error)?;
            UnixListener::bind(&path).map_err(bind_error)?
        }
        Err(source) => return Err(bind_error(source)),
    };
    let identity = identity(&path);
    Ok(Bound { listener, file: SocketFile { path, identity } })
}

/// Returns whether a process listens: the kernel refuses a connection if it is gone. Any other
/// result counts as alive.
async fn is_alive(path: &Path) -> bool {
    match tokio::time::timeout(LIVENESS_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Ok(_stream)) => true,
        Ok(Err(error)) => error.kind() != ErrorKind::ConnectionRefused,
        Err(_elapsed) => true,
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The peers that the socket admits: the processes of one user, with every role. The kernel reports
/// the user id of a peer at the time of its connection.
pub(super) struct Admission {
    uid: u32,
}

impl Admission {
    pub(super) fn own_user() -> Self {
        Self { uid: own_uid() }
    }

    #[cfg(test)]
    pub(super) fn user(uid: u32) -> Self {
        Self { uid }
    }

    pub(super) fn peer(&self, stream: &UnixStream) -> io::Result<Peer> {
        let credentials = stream.peer_cred()?;
        let uid = credentials.uid();
        if uid != self.uid {
            let text = format!("user id {uid} on the Unix socket of user id {}", self.uid);
            return Err(io::Error::new(ErrorKind::PermissionDenied, text));
        }
        let pid = credentials.pid().map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
        Ok(Peer { roles: Role::ALL, who: format!("user id {uid}, process {pid}").into() })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn is_short(folder: &Path) -> bool {
        folder.join(SOCKET_FILE).as_os_str().len() <= MAX_SOCKET_PATH_BYTES
    }

    #[test]
    fn the_state_directory_is_preferred_then_tmp_then_the_runtime_directory() {
        let runtime = Path::new("/run/user/7");
        let [beside, tmp, run] = &folders(Path::new("/s"), 7, Some(runtime))[..] else {
            panic!("three places")
        };
        assert_eq!(beside, Path::new("/s/socket"));
        assert!(tmp.starts_with("/tmp") && tmp.to_string_lossy().contains("thresher-7-"));
        assert!(run.starts_with(runtime));

        let long = PathBuf::from(format!("/lustre/{}", "x".repeat(90)));
        assert_eq!(folders(&long, u32::MAX, Some(Path::new("relative"))).len(), 1);
        let very_long_runtime = PathBuf::from(format!("/{}", "r".repeat(100)));
        for folder in folders(&long, u32::MAX, Some(&very_long_runtime)) {
            assert!(is_short(&folder), "{folder:?}");
        }
    }

    #[test]
    fn a_path_of_107_bytes_is_the_longest_that_is_used() {
        let rest = "/".len() + "/socket/".len() + SOCKET_FILE.len();
        let fits = PathBuf::from(format!("/{}", "x".repeat(MAX_SOCKET_PATH_BYTES - rest)));
        assert_eq!(folders(&fits, 7, None).len(), 2);
        let too_long = PathBuf::from(format!("{}x", fits.display()));
        assert_eq!(folders(&too_long, 7, None).len(), 1);
    }

    #[tokio::test]
    async fn a_name_that_is_taken_is_skipped_but_an_open_folder_of_ours_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let taken = home.path().join("taken");
        fs::write(&taken, b"").unwrap();
        let free = home.path().join("free");
        let bound = bind_in_first(&[taken.clone(), free.clone()]).await.unwrap();
        assert!(bound.path().starts_with(&free));
        drop(bound);

        let error =
            bind_in_first(std::slice::from_ref(&taken)).await.err().expect("no folder is left");
        assert!(error.to_string().contains("taken"), "{error}");

        let open = home.path().join("open");
        ensure_private_directory(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        let error = bind_in_first(&[open, free]).await.err().expect("others had access");
        assert!(error.to_string().contains("0755"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_ends_late_keeps_its_successors_socket() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("socket");
        let old = bind_in(&folder).await.unwrap();
        fs::remove_file(old.path()).unwrap();
        let new = bind_in(&folder).await.unwrap();
        drop(old);
        assert!(new.path().try_exists().unwrap());
    }
}
