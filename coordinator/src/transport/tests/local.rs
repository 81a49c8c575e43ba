//! The Unix socket: its location, its folder, its user, and coordinators that share it.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use thresher_channel::private_file::own_uid;
use tokio::net::UnixStream;

use super::super::unix::{Admission, SocketError};
use super::super::{ListenError, parse_listen_address};
use super::*;

const NOBODY: u32 = 65534;

async fn bind_unix(state: &Path) -> Result<Listener, ListenError> {
    let config = ListenConfig { state: state.into(), tcp: None, limits: Limits::default() };
    Listener::bind(config).await
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[tokio::test]
async fn the_socket_is_in_a_private_folder_and_removed_with_its_server() {
    let state = tempfile::tempdir().unwrap();
    let running = Running::start_in(state, Limits::default()).await;
    let socket = running.address.unix.clone().unwrap();
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
    let channel = running.connect_unix().await.unwrap();
    check_health(&channel, "").await.unwrap();
    drop(channel);
    let state = running.stop().await;
    assert!(!socket.try_exists().unwrap());
    let listener = bind_unix(state.path()).await.unwrap();
    assert_eq!(listener.unix_path(), socket);
}

#[tokio::test]
async fn a_folder_open_to_others_is_refused_by_server_and_client() {
    let running = Running::start(Limits::default()).await;
    let folder = running.address.unix.as_deref().unwrap().parent().unwrap().to_owned();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let error = running.connect_unix().await.unwrap_err();
    assert!(matches!(error, ConnectError::SocketDirectory(_)), "{error}");
    let state = running.stop().await;
    let error = bind_unix(state.path()).await.err().expect("refused").to_string();
    assert!(error.contains("mode 0755") && error.contains("chmod 700"), "{error}");
}

#[tokio::test]
async fn a_long_state_directory_gets_a_short_private_folder_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("scratch".repeat(20));
    fs::create_dir(&state).unwrap();
    let first = bind_unix(&state).await.unwrap();
    let socket = first.unix_path().to_owned();
    let folder = socket.parent().unwrap().to_owned();
    assert!(!socket.starts_with(&state) && socket.as_os_str().len() <= 107, "{socket:?}");
    assert_eq!(mode(&folder), 0o700);
    let error = bind_unix(&state).await.err().expect("one at a time");
    assert!(matches!(error, ListenError::Socket(SocketError::Alive { .. })), "{error}");
    drop(first);

    let other = home.path().join("scratch".repeat(21));
    fs::create_dir(&other).unwrap();
    let second = bind_unix(&other).await.unwrap();
    assert_ne!(second.unix_path(), socket, "each state directory has its own");
    let second_folder = second.unix_path().parent().unwrap().to_owned();
    drop(second);
    fs::remove_dir(second_folder).unwrap();
    fs::remove_dir(folder).unwrap();
}

#[tokio::test]
async fn a_live_coordinators_socket_is_left_alone_and_a_dead_ones_replaced() {
    let state = tempfile::tempdir().unwrap();
    let alive = bind_unix(state.path()).await.unwrap();
    let error = bind_unix(state.path()).await.err().expect("one coordinator at a time");
    assert!(matches!(error, ListenError::Socket(SocketError::Alive { .. })), "{error}");
    let socket = alive.unix_path().to_owned();
    drop(alive);

    // A killed process leaves an entry that no process listens on.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.try_exists().unwrap());
    bind_unix(state.path()).await.expect("a stale socket is replaced");
}

#[tokio::test]
async fn without_a_coordinator_the_error_says_so() {
    let running = Running::start(Limits::default()).await;
    let address = running.address.clone();
    let keys = running.keys();
    let _state = running.stop().await;
    for credentials in [Credentials::Unix, Credentials::in_directory(&keys, Role::Viewer)] {
        let error = connect(&address, &credentials).await.unwrap_err();
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("check that the coordinator is running"), "{error}");
    }
}

#[tokio::test]
async fn a_peer_with_another_user_id_is_not_admitted() {
    let (stream, _other_end) = UnixStream::pair().unwrap();
    assert_eq!(Admission::user(own_uid()).peer(&stream).unwrap().roles, Role::ALL);
    let error = Admission::user(own_uid() + 1).peer(&stream).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
}

/// Tests the real check if this process may change its user: one of its threads becomes `nobody`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_with_access_to_the_socket_is_refused_by_user_id() {
    if own_uid() != 0 {
        println!("not root: only the check itself was tested");
        return;
    }
    let running = Running::start(Limits::default()).await;
    let socket = running.address.unix.clone().unwrap();
    // Remove the other protection first, so that only the check of the peer is left.
    for path in [running.state.path(), socket.parent().unwrap(), &socket] {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    let answer = std::thread::spawn(move || {
        let nobody = rustix::fs::Uid::from_raw(NOBODY);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut first = [0; 1];
        stream.read(&mut first).unwrap_or(0)
    });
    assert_eq!(answer.join().unwrap(), 0, "not one byte of HTTP/2");
    running.assert_serves_a_worker().await;
}

#[tokio::test]
async fn one_interface_is_chosen_and_never_all() {
    assert_eq!(parse_listen_address("10.0.0.3").unwrap(), "10.0.0.3:0".parse().unwrap());
    assert_eq!(parse_listen_address("[fd00::3]:7070").unwrap(), "[fd00::3]:7070".parse().unwrap());
    for text in ["0.0.0.0:7070", "::", "hsn0", "", "10.0.0.3:99999"] {
        let error = parse_listen_address(text).unwrap_err().to_string();
        assert!(error.contains("hint:"), "{text}: {error}");
    }
    let state = tempfile::tempdir().unwrap();
    let tcp = Some("0.0.0.0:0".parse().unwrap());
    let config = ListenConfig { state: state.path().into(), tcp, limits: Limits::default() };
    let error = Listener::bind(config).await.err().expect("refused");
    assert!(matches!(error, ListenError::EveryInterface(_)), "{error}");
}
