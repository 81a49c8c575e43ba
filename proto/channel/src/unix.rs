//! The client's side of the Unix socket.
//!
//! **Invariant:** we connect only to a process of our own user, in a directory of our own, because
//! the first owner of a path in `/tmp` may listen there.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::net::UnixStream;

use super::ConnectError;
use super::private_file::{check_private_directory, own_uid};

pub(super) async fn dial(path: &Path) -> Result<UnixStream, ConnectError> {
    let endpoint = || path.display().to_string();
    let unreachable = |source| ConnectError::Unreachable { endpoint: endpoint(), source };
    if let Some(directory) = path.parent() {
        check_private_directory(directory).map_err(|error| {
            if error.is_not_found() {
                unreachable(io::ErrorKind::NotFound.into())
            } else {
                ConnectError::SocketDirectory(error)
            }
        })?;
    }
    let stream = UnixStream::connect(path).await.map_err(unreachable)?;
    let peer = stream.peer_cred().map_err(unreachable)?.uid();
    if peer != own_uid() {
        return Err(ConnectError::NotOurCoordinator {
            endpoint: endpoint(),
            reason: format!("it runs as user id {peer}, this process as {}", own_uid()),
        });
    }
    if await_first_byte(&stream).await.map_err(unreachable)? {
        Ok(stream)
    } else {
        let reason = "it closed the connection at once".into();
        Err(ConnectError::Refused { endpoint: endpoint(), reason })
    }
}

/// Waits for the first byte. An HTTP/2 server sends first, so the byte shows that it has accepted
/// us, and the end of the stream that it has not.
async fn await_first_byte(stream: &UnixStream) -> io::Result<bool> {
    loop {
        stream.readable().await?;
        let peeked = stream.try_io(tokio::io::Interest::READABLE, || {
            let mut byte = [0_u8; 1];
            let (received, _) = rustix::net::recv(stream, &mut byte, RecvFlags::PEEK)?;
            Ok(received > 0)
        });
        match peeked {
            Ok(any) => return Ok(any),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // A peer that closes with our bytes unread resets the connection.
            Err(error) if error.raw_os_error() == Some(Errno::CONNRESET.raw_os_error()) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}
