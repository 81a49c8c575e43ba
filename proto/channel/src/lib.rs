//! The connection to the coordinator, for workers and for the command line.
//!
//! ```text
//!   <state>/coordinator.json ──address──▶ Dialer ──┬─ Unix socket: same node, same user
//!   <state>/keys/<role>.pem ──key_file──▶          └─ TCP, TLS 1.3, certificates both ways
//! ```
//!
//! The callers decide when to retry, and the generated clients send the messages. A channel is
//! returned only after the coordinator has accepted this peer: both transports wait for the
//! coordinator's first bytes, so that a refusal is an error here and not an unclear one at the
//! first call.
//!
//! **Invariant:** nothing is sent before the other side is authenticated: on a Unix socket by its
//! owner and user id, over TCP by a certificate of this run's own authority.

pub mod address;
pub mod identity;
pub mod key_file;
pub mod log_end;
pub mod private_file;
pub mod process;
mod tls;
mod unix;

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Endpoint, Uri};

use address::{ADDRESS_FILE, AddressError, CoordinatorAddress};
use identity::IDENTITY_METADATA;
use key_file::KeyFileError;
use private_file::PrivateFileError;

/// The name in the coordinator's certificate. It identifies the run, not a machine, so that a
/// restarted coordinator may listen on another node and another port with the same keys.
pub const SERVER_NAME: &str = "thresher-coordinator";

/// Name of the folder in a state directory with the run's keys.
pub const KEYS_DIRECTORY: &str = "keys";

/// Name of the file in the folder of keys with the certificate of the run's authority.
pub const CA_FILE: &str = "ca.pem";

/// Limit of the whole connection: connect, handshake, and the coordinator's first bytes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const MAX_HEADER_LIST_BYTES: u32 = 16 << 10;

/// The role of a peer. The coordinator's table lists which methods each role may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The peer leases units and reports on them.
    Worker,
    /// The peer submits, cancels and drains.
    Operator,
    /// The peer reads the state of the job.
    Viewer,
}

impl Role {
    /// All roles, in the order in which they are shown.
    pub const ALL: &'static [Self] = &[Self::Worker, Self::Operator, Self::Viewer];

    /// Returns the name of the role in certificates, file names and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// Returns the name of the file with this role's certificate and key.
    pub fn key_file_name(self) -> &'static str {
        match self {
            Self::Worker => "worker.pem",
            Self::Operator => "operator.pem",
            Self::Viewer => "viewer.pem",
        }
    }
}

impl Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A connection to a coordinator, for the generated clients. Every call carries the identity of the
/// state directory that it is meant for.
pub type Channel = InterceptedService<tonic::transport::Channel, Addressed>;

/// Adds the identity of a state directory to calls.
#[derive(Clone, Debug)]
pub struct Addressed(Option<MetadataValue<Ascii>>);

impl Addressed {
    /// An empty identity is not sent, and any coordinator accepts such calls.
    fn to(id: &str) -> Self {
        Self(Some(id).filter(|id| !id.is_empty()).and_then(|id| id.parse().ok()))
    }
}

impl Interceptor for Addressed {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(id) = &self.0 {
            request.metadata_mut().insert(IDENTITY_METADATA, id.clone());
        }
        Ok(request)
    }
}

/// How this process authenticates. It holds paths, never keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// This process authenticates by its user id, on the coordinator's own node.
    Unix,
    /// This process authenticates by a certificate, from any node.
    File {
        /// File with the certificate and key of this peer's role.
        identity: PathBuf,
        /// File with the certificate of the run's authority.
        ca: PathBuf,
    },
}

impl Credentials {
    /// Returns the files of `role` in a folder of keys.
    pub fn in_directory(keys: &Path, role: Role) -> Self {
        Self::File { identity: keys.join(role.key_file_name()), ca: keys.join(CA_FILE) }
    }

    /// Chooses the socket if the coordinator runs on this node, else the files of `role` in its
    /// state directory.
    pub fn choose(address: &CoordinatorAddress, state: &Path, role: Role) -> Self {
        if address.unix.is_some() && address.host == address::host_name() {
            Self::Unix
        } else {
            Self::in_directory(&state.join(KEYS_DIRECTORY), role)
        }
    }
}

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    #[error(
        "the coordinator of `{host}` does not listen on a {transport}\nhint: {hint}",
        hint = "connect through the other transport, or start it with this one"
    )]
    NotOffered { host: String, transport: &'static str },
    #[error("failed to trust the directory of the coordinator's socket: {0}")]
    SocketDirectory(#[source] PrivateFileError),
    #[error(
        "failed to reach the coordinator at `{endpoint}`: {source}\n\
         hint: check that the coordinator is running; `thresher run` and `thresher serve` start \
         it"
    )]
    Unreachable { endpoint: String, source: std::io::Error },
    #[error(
        "no answer from `{endpoint}` within {seconds} s\n\
         hint: check that the coordinator runs and that this node can reach it over the network"
    )]
    TimedOut { endpoint: String, seconds: u64 },
    #[error(
        "the process that listens at `{endpoint}` is not this run's coordinator: {reason}\n\
         hint: `{ADDRESS_FILE}` and the keys must come from the same state directory"
    )]
    NotOurCoordinator { endpoint: String, reason: String },
    #[error(
        "the coordinator at `{endpoint}` refused this peer: {reason}\n\
         hint: use the keys of this run's state directory, and its user"
    )]
    Refused { endpoint: String, reason: String },
    #[error("failed to open a gRPC channel to the coordinator: {0}")]
    Channel(#[source] tonic::transport::Error),
}

impl ConnectError {
    /// Returns whether the same call may succeed later without a change on this side. A coordinator
    /// that restarts or is full causes any of these errors for a while, and so does another program
    /// that took its old port: no error from outside may make a worker give up.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Address(error) => error.may_pass(),
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Refused { .. }
            | Self::NotOurCoordinator { .. }
            | Self::NotOffered { .. }
            | Self::Channel(_) => true,
            Self::Keys(_) | Self::SocketDirectory(_) => false,
        }
    }
}

/// Opens a channel to this address, which reconnects to the same address by itself.
pub async fn connect(
    address: &CoordinatorAddress,
    credentials: &Credentials,
) -> Result<Channel, ConnectError> {
    let addressed = Addressed::to(&address.identity);
    open(AddressSource::Fixed(address.clone()), credentials, addressed).await
}

/// Opens a channel to the coordinator of a state directory. It reads the address file again at each
/// reconnection, and so follows a restarted coordinator to its new port or node. Its calls carry no
/// identity.
pub async fn follow(state: &Path, credentials: &Credentials) -> Result<Channel, ConnectError> {
    open(AddressSource::File(state.join(ADDRESS_FILE)), credentials, Addressed(None)).await
}

#[derive(Clone, Debug)]
enum AddressSource {
    Fixed(CoordinatorAddress),
    File(PathBuf),
}

#[derive(Clone)]
enum Proof {
    UserId,
    Certificate(tls::Client),
}

#[derive(Clone)]
struct Dialer {
    source: AddressSource,
    proof: Proof,
}

/// A connected byte stream over any transport.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Dialer {
    async fn dial(self) -> Result<TokioIo<Box<dyn Wire>>, ConnectError> {
        let wire = match &self.source {
            AddressSource::Fixed(address) => self.reach(address).await,
            AddressSource::File(path) => self.reach(&CoordinatorAddress::read(path)?).await,
        };
        wire.map(TokioIo::new)
    }

    async fn reach(&self, address: &CoordinatorAddress) -> Result<Box<dyn Wire>, ConnectError> {
        let not_offered =
            |transport| ConnectError::NotOffered { host: address.host.clone(), transport };
        match &self.proof {
            Proof::UserId => {
                let path = address.unix.as_deref().ok_or_else(|| not_offered("Unix socket"))?;
                Ok(Box::new(in_time(path.display(), unix::dial(path)).await?))
            }
            Proof::Certificate(client) => {
                let socket = address.tcp.ok_or_else(|| not_offered("TCP port"))?;
                Ok(Box::new(in_time(socket, client.dial(socket)).await?))
            }
        }
    }
}

async fn in_time<T>(
    endpoint: impl Display,
    dialling: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    match tokio::time::timeout(CONNECT_TIMEOUT, dialling).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(ConnectError::TimedOut {
            endpoint: endpoint.to_string(),
            seconds: CONNECT_TIMEOUT.as_secs(),
        }),
    }
}

async fn open(
    source: AddressSource,
    credentials: &Credentials,
    addressed: Addressed,
) -> Result<Channel, ConnectError> {
    let proof = match credentials {
        Credentials::Unix => Proof::UserId,
        Credentials::File { identity, ca } => Proof::Certificate(tls::Client::load(identity, ca)?),
    };
    let dialer = Dialer { source, proof };
    let last = LastError::default();
    let kept = last.clone();
    let connector = tower::service_fn(move |_uri: Uri| {
        let dialling = dialer.clone().dial();
        let kept = kept.clone();
        async move { dialling.await.map_err(|error| kept.keep(error)) }
    });
    match endpoint().connect_with_connector(connector).await {
        Ok(channel) => Ok(InterceptedService::new(channel, addressed)),
        Err(error) => Err(last.take().unwrap_or(ConnectError::Channel(error))),
    }
}

/// The address in the URI is never dialled; it is only the authority in the requests.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://thresher-coordinator")
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
}

/// Holds the error of the last connection for `open`, because Tonic wraps it and calls it
/// "transport error". A call that fails later, on a lost channel, has its text.
#[derive(Clone, Default)]
struct LastError(Arc<Mutex<Option<ConnectError>>>);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct DialFailed(String);

impl LastError {
    fn keep(&self, error: ConnectError) -> DialFailed {
        let text = error.to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        DialFailed(text)
    }

    fn take(&self) -> Option<ConnectError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
