//! The Unix socket: where it lies, how a stale one is replaced, and whom it admits.
//!
//! It lies in `<state>/socket/` where that path fits into a socket address (107 bytes). State
//! directories on parallel file systems are often longer, and some file systems take no sockets:
//! then it lies in a private folder of `/tmp`, named after user and state directory, else in one
//! of `$XDG_RUNTIME_DIR`. `/tmp` comes first because the other is removed when its user logs out,
//! while the coordinator goes on. Clients learn the place from the address file.
//!
//! **Invariant:** the folder is ours alone before the socket is in it, and each peer is our user.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thresher_proto::channel::Role;
use thresher_proto::channel::private_file::{PrivateFileError, ensure_private_directory, own_uid};
use tokio::net::{UnixListener, UnixStream};

use super::Peer;

/// `sun_path` has 108 bytes, the last of them zero.
const MAX_SOCKET_PATH_BYTES: usize = 107;
const SOCKET_FILE: &str = "coordinator.sock";
const SHORT_FOLDERS: &str = "/tmp";

/// A live coordinator's kernel answers at once; only a full queue makes us wait.
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

/// A bound socket that accepts nobody yet.
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

/// The socket's entry in its folder, removed with the server that made it.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A coordinator that took our place has an entry of its own under the same name.
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

/// Tries one folder after the other; the error is that of the first, the one people expect.
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

/// A file system without sockets, and a name in `/tmp` that another user took first, are no reason
/// to give up. A live coordinator is, and so is a folder of our own that is open to others.
fn may_do_elsewhere(error: &SocketError) -> bool {
    match error {
        SocketError::Bind { source, .. } => {
            !matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::AddrInUse)
        }
        SocketError::Folder(error) => !matches!(error, PrivateFileError::WrongMode { .. }),
        SocketError::Alive { .. } | SocketError::State { .. } => false,
    }
}

/// Where the socket may lie, best first. Never empty: the folder in `/tmp` always fits.
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

/// The kernel refuses a connection to a socket whose process is gone. Anything else counts as life.
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

/// Whom the socket admits: the processes of one user, with every role. The kernel tells who they
/// were when they connected.
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
