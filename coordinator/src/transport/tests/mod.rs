//! A real server with real sockets on this machine, and the calls that the tests make to it.
//!
//! Each group of tests has one subject: `strangers` that unauthenticated peers are refused, `roles`
//! that each peer may call only its own methods, `floods` that a flood keeps nobody out, `local`
//! the Unix socket.

mod floods;
mod local;
mod roles;
mod strangers;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::PathBuf;
use std::task::{Context, Poll};
use std::time::Duration;

use tempfile::TempDir;
use thresher_channel::address::{CoordinatorAddress, host_name};
use thresher_channel::{Channel, ConnectError, Credentials, KEYS_DIRECTORY, Role, connect};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Service, ServiceExt};

use super::{Incoming, Limits, ListenConfig, Listener, MethodRoles, RolePolicy, server};

/// Limit of a wait, longer than any wait on a loaded machine; only a failure takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

const LEASE: &str = "/t.Thresher/Lease";
const CANCEL: &str = "/t.Thresher/Cancel";
const STATUS: &str = "/t.Thresher/Status";
const UNLISTED: &str = "/t.Thresher/Forgotten";

/// The identity of the state directory of every coordinator here.
const IDENTITY: &str = "a1";

const TABLE: &[MethodRoles] = &[
    (LEASE, &[Role::Worker]),
    (CANCEL, &[Role::Operator]),
    (STATUS, &[Role::Viewer, Role::Operator]),
];

/// A coordinator's transport in a state directory of its own.
struct Running {
    state: TempDir,
    address: CoordinatorAddress,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Running {
    async fn start(limits: Limits) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), limits).await
    }

    async fn start_in(state: TempDir, limits: Limits) -> Self {
        let listener = bind(&state, limits).await;
        let address = CoordinatorAddress {
            unix: Some(listener.unix_path().to_owned()),
            tcp: listener.tcp_address(),
            epoch: 1,
            pid: std::process::id(),
            host: host_name(),
            process: String::new(),
            identity: String::new(),
            version: "test".into(),
        };
        address.write_in(state.path()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener.incoming(), stopped));
        Self { state, address, stop, served }
    }

    fn keys(&self) -> PathBuf {
        self.state.path().join(KEYS_DIRECTORY)
    }

    async fn connect(&self, role: Role) -> Result<Channel, ConnectError> {
        connect(&self.address, &Credentials::in_directory(&self.keys(), role)).await
    }

    async fn connect_unix(&self) -> Result<Channel, ConnectError> {
        connect(&self.address, &Credentials::Unix).await
    }

    /// Checks that the server still admits a worker.
    async fn assert_serves_a_worker(&self) {
        let channel = self.connect(Role::Worker).await.expect("a worker is admitted");
        assert_eq!(call(&channel, LEASE).await.code(), Code::Ok);
    }

    async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.served).await.unwrap().unwrap().unwrap();
        self.state
    }
}

async fn bind(state: &TempDir, limits: Limits) -> Listener {
    let tcp = Some("127.0.0.1:0".parse().unwrap());
    Listener::bind(ListenConfig { state: state.path().into(), tcp, limits }).await.unwrap()
}

async fn serve(
    incoming: Incoming,
    stopped: oneshot::Receiver<()>,
) -> Result<(), tonic::transport::Error> {
    let (_reporter, health) = tonic_health::server::health_reporter();
    server(RolePolicy::new(TABLE).for_identity(IDENTITY))
        .add_service(health)
        .add_service(AnyMethod)
        .serve_with_incoming_shutdown(incoming, async {
            let _ = stopped.await;
        })
        .await
}

/// A service that accepts every method, so that what is denied was denied before it.
#[derive(Clone)]
struct AnyMethod;

impl NamedService for AnyMethod {
    const NAME: &'static str = "t.Thresher";
}

impl Service<Request<Body>> for AnyMethod {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        ready(Ok(Status::ok("").into_http()))
    }
}

/// Calls a method by its path and returns its status.
async fn call(channel: &Channel, path: &str) -> Status {
    let request = Request::post(format!("http://thresher-coordinator{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::empty())
        .unwrap();
    let response = channel.clone().oneshot(request).await;
    match response {
        Ok(response) => Status::from_header_map(response.headers()).expect("a gRPC status"),
        Err(error) => Status::unavailable(error.to_string()),
    }
}

async fn check_health(channel: &Channel, service: &str) -> Result<(), Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.map(drop)
}
