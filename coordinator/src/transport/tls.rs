//! The server's side of TLS 1.3: which peers may finish a handshake, and with which role.
//!
//! **Invariant:** a peer that finished a handshake has a certificate of this run's authority with
//! exactly one role in it; every connection sends it again, because no session is ever resumed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use thresher_channel::Role;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{
    NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier,
};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::Peer;
use super::certificates::{ServerKeys, role_in_certificate};

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the authority's certificate cannot be used: {0}")]
    Authority(#[from] VerifierBuilderError),
    #[error("the coordinator's certificate cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
}

pub(super) fn acceptor(keys: ServerKeys) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(keys.authority),
        Arc::clone(&provider),
    )
    .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(keys.identity.chain, keys.identity.key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Runs one handshake to its end, however long the peer takes: the caller limits the time.
pub(super) async fn shake_hands(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
) -> io::Result<(TlsStream<TcpStream>, Peer)> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let role = certificate.and_then(|certificate| role_in_certificate(certificate));
    let Some(role) = role else {
        return Err(io::Error::other("the certificate has no role"));
    };
    let peer = Peer { roles: only(role), who: format!("{role} at {address}").into() };
    Ok((stream, peer))
}

fn only(role: Role) -> &'static [Role] {
    match role {
        Role::Worker => &[Role::Worker],
        Role::Operator => &[Role::Operator],
        Role::Viewer => &[Role::Viewer],
    }
}
