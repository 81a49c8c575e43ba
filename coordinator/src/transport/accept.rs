//! The two loops that accept connections, which nothing from outside can end.
//!
//! `tls` maps certificates to roles, `unix` checks user ids, and `half_open` chooses which
//! handshake makes room.
//!
//! **Invariant:** no error of `accept` ends a loop: without file descriptors, it waits a little and
//! continues. Refused connections are logged seldom, with a count, so that they cannot fill a disk.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, Peer, Stream};
use super::half_open::HalfOpen;
use super::unix::Admission;
use super::{Limits, tls};

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);
const WARNING_INTERVAL: Duration = Duration::from_secs(30);

/// Number of file descriptors that the coordinator needs besides connections: journal, sockets,
/// logs.
const OTHER_DESCRIPTORS: u64 = 512;

/// Passes a bounded number of connections to tonic.
#[derive(Clone)]
pub(super) struct Door {
    out: mpsc::Sender<Connection>,
    places: Arc<Semaphore>,
}

enum Outcome {
    Admitted,
    Full,
    Refused(io::Error),
    TimedOut,
}

impl Door {
    pub(super) fn new(out: mpsc::Sender<Connection>, max_connections: usize) -> Self {
        Self { out, places: Arc::new(Semaphore::new(max_connections)) }
    }

    async fn admit(&self, stream: Stream, peer: Peer) -> Outcome {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Outcome::Full;
        };
        tracing::debug!(peer = &*peer.who, "accepted a connection");
        // Sending fails only when the server is shutting down, and then the connection may end as
        // well.
        let _ = self.out.send(Connection::new(stream, peer, place)).await;
        Outcome::Admitted
    }
}

/// Raises this process's limit of open files towards the number that `max_connections` need, as far
/// as the site allows.
pub(super) fn raise_open_file_limit(max_connections: usize) {
    let wanted = max_connections as u64 + OTHER_DESCRIPTORS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let allowed = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum });
    if raised.is_err() || allowed < wanted {
        tracing::warn!(
            open_files = if raised.is_ok() { allowed } else { current.unwrap_or(0) },
            wanted,
            "the limit of open files is below what the allowed connections need"
        );
    }
}

pub(super) async fn accept_unix(listener: UnixListener, door: Door, admission: Admission) {
    let mut failures = Failures::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let outcome = match admission.peer(&stream) {
                    Ok(peer) => door.admit(Stream::Unix(stream), peer).await,
                    Err(error) => Outcome::Refused(error),
                };
                failures.note(&outcome);
            }
            Err(error) => failures.pause_after(&error).await,
        }
    }
}

pub(super) async fn accept_tcp(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    limits: Limits,
    door: Door,
) {
    let mut failures = Failures::default();
    let mut half_open = HalfOpen::<AbortHandle>::new(limits.max_half_open, limits.half_open_grace);
    let mut handshakes = JoinSet::new();
    loop {
        let closed_until = half_open.closed_until(Instant::now());
        let opens = closed_until.unwrap_or_else(Instant::now);
        tokio::select! {
            Some(ended) = handshakes.join_next_with_id() => {
                let id = match ended {
                    Ok((id, outcome)) => {
                        failures.note(&outcome);
                        id
                    }
                    // It was displaced and removed already, or it panicked, which costs only its
                    // peer.
                    Err(error) => error.id(),
                };
                half_open.remove(|handshake| handshake.id() == id);
            }
            () = sleep_until(opens), if closed_until.is_some() => {}
            accepted = listener.accept(), if closed_until.is_none() => match accepted {
                Ok((stream, address)) => {
                    let handshake = handshake(
                        acceptor.clone(), stream, address, limits.handshake_timeout, door.clone(),
                    );
                    let handle = handshakes.spawn(handshake);
                    let arrival = Instant::now();
                    if let Some(pushed_out) = half_open.admit(address.ip(), arrival, handle) {
                        pushed_out.abort();
                        failures.pushed_out();
                    }
                }
                Err(error) => failures.pause_after(&error).await,
            },
        }
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    limit: Duration,
    door: Door,
) -> Outcome {
    match timeout(limit, tls::shake_hands(acceptor, stream, address)).await {
        Ok(Ok((stream, peer))) => door.admit(Stream::Tls(Box::new(stream)), peer).await,
        Ok(Err(error)) => Outcome::Refused(error),
        Err(_elapsed) => Outcome::TimedOut,
    }
}

/// Counts failures, and logs them once in a while.
#[derive(Default)]
struct Failures {
    accept_errors: u64,
    full: u64,
    refused: u64,
    timed_out: u64,
    pushed_out: u64,
    last_refusal: Option<String>,
    last_warning: Option<Instant>,
}

impl Failures {
    fn note(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Admitted => return,
            Outcome::Full => self.full += 1,
            Outcome::Refused(error) => {
                self.refused += 1;
                self.last_refusal = Some(error.to_string());
            }
            Outcome::TimedOut => self.timed_out += 1,
        }
        self.warn_seldom();
    }

    fn pushed_out(&mut self) {
        self.pushed_out += 1;
        self.warn_seldom();
    }

    /// A peer that is gone again causes no pause; a lack of descriptors or memory does, or the loop
    /// would spin on the connection that stays in the kernel's queue.
    async fn pause_after(&mut self, error: &io::Error) {
        let peer_is_gone = matches!(
            error.kind(),
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
        );
        if !peer_is_gone {
            self.accept_errors += 1;
            self.last_refusal = Some(error.to_string());
            self.warn_seldom();
            sleep(PAUSE_AFTER_ERROR).await;
        }
    }

    fn warn_seldom(&mut self) {
        let now = Instant::now();
        if self.last_warning.is_some_and(|last| now < last + WARNING_INTERVAL) {
            return;
        }
        tracing::warn!(
            accept_errors = self.accept_errors,
            over_the_limit = self.full,
            refused = self.refused,
            timed_out = self.timed_out,
            pushed_out = self.pushed_out,
            last = self.last_refusal.as_deref().unwrap_or("none"),
            "some connections were not accepted"
        );
        *self = Self { last_warning: Some(now), ..Self::default() };
    }
}
