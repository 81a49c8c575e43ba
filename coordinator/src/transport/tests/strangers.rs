//! A peer without a certificate of this run over TLS 1.3 reaches no service, and an authenticated
//! peer that misbehaves harms only its own connection.

use std::sync::Arc;

use thresher_channel::CA_FILE;
use thresher_channel::key_file::{Identity, read_authority};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, SupportedProtocolVersion};

use super::*;

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS_FRAME: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Connects like no client of ours, and returns what the server sends until it closes.
async fn talk(
    running: &Running,
    version: &'static SupportedProtocolVersion,
    identity: Option<&str>,
    words: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut stream = handshake(running, version, identity).await?;
    stream.write_all(words).await?;
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
    Ok(answer)
}

async fn handshake(
    running: &Running,
    version: &'static SupportedProtocolVersion,
    identity: Option<&str>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let roots = read_authority(&running.keys().join(CA_FILE)).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(file) => {
            let Identity { chain, key } = Identity::read(&running.keys().join(file)).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("thresher-coordinator").unwrap();
    let socket = TcpStream::connect(running.address.tcp.unwrap()).await?;
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

#[tokio::test]
async fn a_certificate_of_another_run_is_refused() {
    let running = Running::start(Limits::default()).await;
    let other = Running::start(Limits::default()).await;
    let credentials = Credentials::File {
        identity: other.keys().join("operator.pem"),
        ca: running.keys().join(CA_FILE),
    };
    let error = connect(&running.address, &credentials).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("hint:"), "{error}");
    running.assert_serves_a_worker().await;
}

#[tokio::test]
async fn a_worker_refuses_the_coordinator_of_another_run() {
    let running = Running::start(Limits::default()).await;
    let other = Running::start(Limits::default()).await;
    let credentials = Credentials::in_directory(&other.keys(), Role::Worker);
    let error = connect(&running.address, &credentials).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotOurCoordinator { .. }), "{error}");
}

#[tokio::test]
async fn a_worker_refuses_another_worker_that_acts_as_the_coordinator() {
    let running = Running::start(Limits::default()).await;
    // A thief of a worker's key could serve with it.
    let identity = Identity::read(&running.keys().join("worker.pem")).unwrap();
    let authority = read_authority(&running.keys().join(CA_FILE)).unwrap();
    let keys = super::super::certificates::ServerKeys { identity, authority };
    let acceptor = super::super::tls::acceptor(keys).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut address = running.address.clone();
    address.tcp = Some(listener.local_addr().unwrap());
    let posing = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.map(drop)
    });
    let credentials = Credentials::in_directory(&running.keys(), Role::Worker);
    let error = connect(&address, &credentials).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotOurCoordinator { .. }), "{error}");
    posing.await.unwrap().expect_err("the worker closed the connection");
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_refused() {
    let running = Running::start(Limits::default()).await;
    let error = talk(&running, &TLS13, None, HTTP2_PREFACE).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    running.assert_serves_a_worker().await;
}

#[tokio::test]
async fn the_coordinators_own_certificate_is_not_accepted_from_a_client() {
    let running = Running::start(Limits::default()).await;
    let error = talk(&running, &TLS13, Some("server.pem"), HTTP2_PREFACE).await.unwrap_err();
    assert!(error.to_string().contains("received fatal alert"), "{error}");
}

#[tokio::test]
async fn tls_1_2_is_refused_even_with_a_good_certificate() {
    let running = Running::start(Limits::default()).await;
    let error = talk(&running, &TLS12, Some("worker.pem"), HTTP2_PREFACE).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    running.assert_serves_a_worker().await;
}

#[tokio::test]
async fn plaintext_gets_no_http_answer() {
    let running = Running::start(Limits::default()).await;
    for words in [HTTP2_PREFACE, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = TcpStream::connect(running.address.tcp.unwrap()).await.unwrap();
        stream.write_all(words).await.unwrap();
        let mut answer = Vec::new();
        // Closing with unread bytes may reset the connection, which is a refusal too.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.len() <= 7, "a TLS alert at most, not {answer:?}");
        assert!(!answer.windows(4).any(|four| four == b"HTTP"));
    }
    running.assert_serves_a_worker().await;
}

#[tokio::test]
async fn an_oversized_frame_ends_its_connection_and_no_other() {
    let running = Running::start(Limits::default()).await;
    let before = running.connect(Role::Worker).await.unwrap();
    // This is DATA of 16 MB - 1 on stream 1.
    let frame = [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1];
    let words = [HTTP2_PREFACE, EMPTY_SETTINGS_FRAME, &frame].concat();
    let answer = talk(&running, &TLS13, Some("worker.pem"), &words).await.unwrap();
    let go_away_for_frame_size = [0, 0, 0, 6];
    assert!(answer.ends_with(&go_away_for_frame_size), "{answer:?}");
    assert_eq!(call(&before, LEASE).await.code(), Code::Ok);
    running.assert_serves_a_worker().await;
}

#[tokio::test]
async fn an_oversized_message_is_refused_and_the_connection_stays_open() {
    let running = Running::start(Limits::default()).await;
    let channel = running.connect(Role::Worker).await.unwrap();
    let huge = "x".repeat(super::super::MAX_DECODED_MESSAGE_BYTES + 1);
    let error = check_health(&channel, &huge).await.unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange, "{error}");
    check_health(&channel, "").await.unwrap();
}

#[tokio::test]
async fn oversized_headers_are_refused_and_the_server_keeps_running() {
    let running = Running::start(Limits::default()).await;
    let channel = running.connect(Role::Viewer).await.unwrap();
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.metadata_mut().insert("x-large", "y".repeat(64 << 10).parse().unwrap());
    HealthClient::new(channel.clone()).check(request).await.unwrap_err();
    running.assert_serves_a_worker().await;
}
