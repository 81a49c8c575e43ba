//! The transport of the coordinator: listens, authenticates peers, and lets each role call its
//! methods.
//!
//! ```text
//!   Unix socket, 0700 folder ──peer's user id──┐
//!                                              ├─▶ Incoming ─▶ tonic ─▶ RoleLayer ─▶ services
//!   one TCP address ──half-open──TLS 1.3───────┘   (Peer)      limits   table
//! ```
//!
//! The services implement the calls, and their table says who may call what. `thresher_channel` is
//! the client's side.
//!
//! **Invariant:** a connection that reaches a service is authenticated; before that it takes one of
//! a bounded number of places for a bounded time.

mod accept;
pub mod certificates;
mod connection;
mod half_open;
pub mod roles;
mod tls;
mod unix;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;
use tonic::transport::Server;
use tower::layer::util::{Identity, Stack};

pub use connection::{Connection, Peer};
pub use roles::{MethodRoles, RoleLayer, RolePolicy};
pub use thresher_channel::Role;

/// The largest message that a service decodes. Each service sets it itself:
/// `XServer::new(..).max_decoding_message_size(MAX_DECODED_MESSAGE_BYTES)`.
pub const MAX_DECODED_MESSAGE_BYTES: usize = 4 << 20;

const MAX_FRAME_BYTES: u32 = 64 << 10;
const MAX_HEADER_LIST_BYTES: u32 = 16 << 10;
const MAX_CONCURRENT_STREAMS: u32 = 256;
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Length of the kernel's queue of new connections; the kernel limits it to `net.core.somaxconn`.
const TCP_BACKLOG: u32 = 4096;

/// Number of accepted connections that wait for tonic, which takes them at once.
const ACCEPTED_CONNECTIONS: usize = 64;

/// The sockets to listen on.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// The state directory, which has the run's keys, and whose Unix socket is always offered.
    pub state: PathBuf,
    /// The address for other nodes; port 0 selects a free one. `None` serves this node only.
    pub tcp: Option<SocketAddr>,
    /// Limits of connections.
    pub limits: Limits,
}

/// Limits of what peers may use, authenticated or not.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Time that a TCP peer has from its connection to the end of its handshake.
    pub handshake_timeout: Duration,
    /// Largest number of handshakes at a time.
    pub max_half_open: usize,
    /// At that number, a handshake that is older than this makes room for the next.
    pub half_open_grace: Duration,
    /// Largest number of authenticated TCP connections.
    pub max_connections: usize,
    /// Largest number of connections on the Unix socket. It is separate, so that the operator on
    /// this node can connect however many workers there are.
    pub max_local_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(5),
            max_half_open: 256,
            half_open_grace: Duration::from_millis(250),
            max_connections: 16 << 10,
            max_local_connections: 1024,
        }
    }
}

/// Why the coordinator cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(transparent)]
    Socket(#[from] unix::SocketError),
    #[error(transparent)]
    Certificates(#[from] certificates::CertificateError),
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error("failed to listen on `{address}`: {source}\nhint: {hint}", hint = bind_hint(source))]
    Tcp { address: SocketAddr, source: io::Error },
    #[error(
        "`{0}` means every interface of this node\n\
         hint: write the address of the interface that the workers use"
    )]
    EveryInterface(SocketAddr),
    #[error(
        "`{0}` is not a valid address to listen on\n\
         hint: write `10.0.0.3`, `10.0.0.3:7070` or `[fd00::3]:7070`, of one interface of this node"
    )]
    NotAnAddress(String),
}

/// Reads an address that a person writes for [`ListenConfig::tcp`], with or without a port.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, ListenError> {
    let address = text
        .parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)))
        .map_err(|_| ListenError::NotAnAddress(text.to_owned()))?;
    refuse_every_interface(address)
}

/// Sockets that are bound but do not accept yet, so that their addresses can be published first.
pub struct Listener {
    limits: Limits,
    unix: unix::Bound,
    tcp: Option<(TcpListener, SocketAddr, TlsAcceptor)>,
}

impl Listener {
    /// Loads or creates the run's keys, and binds the Unix socket and the TCP address.
    pub async fn bind(config: ListenConfig) -> Result<Self, ListenError> {
        let ListenConfig { state, tcp, limits } = config;
        let tcp = tcp.map(refuse_every_interface).transpose()?;
        // The keys are needed in any case: with them the operator connects from another node.
        let keys = certificates::load_or_create(&state)?;
        let unix = unix::bind(&state).await?;
        let tcp = match tcp {
            Some(address) => {
                let (listener, bound) =
                    bind_tcp(address).map_err(|source| ListenError::Tcp { address, source })?;
                accept::raise_open_file_limit(limits.max_connections);
                Some((listener, bound, tls::acceptor(keys)?))
            }
            None => None,
        };
        Ok(Self { limits, unix, tcp })
    }

    /// Returns the path of the Unix socket, for the address file.
    pub fn unix_path(&self) -> &Path {
        self.unix.path()
    }

    /// Returns the TCP address with the port that was bound, for the address file.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(|(_, address, _)| *address)
    }

    /// Starts to accept connections. Must be called inside a tokio runtime.
    pub fn incoming(self) -> Incoming {
        let (sender, connections) = mpsc::channel(ACCEPTED_CONNECTIONS);
        let mut loops = JoinSet::new();
        let (listener, socket_file) = self.unix.into_parts();
        let door = accept::Door::new(sender.clone(), self.limits.max_local_connections);
        loops.spawn(accept::accept_unix(listener, door, unix::Admission::own_user()));
        if let Some((listener, _, acceptor)) = self.tcp {
            let door = accept::Door::new(sender, self.limits.max_connections);
            loops.spawn(accept::accept_tcp(listener, acceptor, self.limits, door));
        }
        Incoming { connections, _loops: loops, _socket_file: socket_file }
    }
}

/// The authenticated connections of both sockets, for tonic's `serve_with_incoming_shutdown`.
/// Dropping it closes the sockets; connections that were returned before stay open.
pub struct Incoming {
    connections: mpsc::Receiver<Connection>,
    _loops: JoinSet<()>,
    _socket_file: unix::SocketFile,
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_recv(context).map(|connection| connection.map(Ok))
    }
}

/// Returns a server with our limits, and with the table in front of every service that is added to
/// it.
pub fn server(policy: RolePolicy) -> Server<Stack<RoleLayer, Identity>> {
    Server::builder()
        .max_frame_size(MAX_FRAME_BYTES)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .layer(RoleLayer::new(policy))
}

fn refuse_every_interface(address: SocketAddr) -> Result<SocketAddr, ListenError> {
    if address.ip().is_unspecified() {
        Err(ListenError::EveryInterface(address))
    } else {
        Ok(address)
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(TCP_BACKLOG)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn bind_hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::AddrNotAvailable {
        "this node has no such address; `ip addr` lists those it has"
    } else {
        "choose another port, or port 0 for any free one"
    }
}
