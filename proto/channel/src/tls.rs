//! The client's side of TLS 1.3 with certificates on both sides.
//!
//! **Invariant:** only this run's authority is trusted, and only the coordinator's name; the
//! machine's own certificate store is not used.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, ClientConfig};

use super::key_file::{Identity, KeyFileError, read_authority};
use super::{ConnectError, SERVER_NAME};

/// The only protocol used inside TLS.
const HTTP2: &[u8] = b"h2";

/// Keys that are loaded once, for every connection of a channel.
#[derive(Clone)]
pub(super) struct Client {
    connector: TlsConnector,
}

impl Client {
    pub(super) fn load(identity: &Path, ca: &Path) -> Result<Self, KeyFileError> {
        let roots = read_authority(ca)?;
        let Identity { chain, key } = Identity::read(identity)?;
        let unusable = |error: rustls::Error| KeyFileError::Unusable {
            path: identity.into(),
            reason: error.to_string(),
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        // The coordinator issues no tickets: each connection sends its certificate again.
        config.resumption = Resumption::disabled();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    pub(super) async fn dial(
        &self,
        address: SocketAddr,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
        let unreachable =
            |source| ConnectError::Unreachable { endpoint: address.to_string(), source };
        let socket = TcpStream::connect(address).await.map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        let name = ServerName::try_from(SERVER_NAME).expect("a constant that is a valid name");
        let connected = self.connector.connect(name, socket).await;
        let mut stream = connected.map_err(|error| classify(address, error))?;
        // In TLS 1.3 the client finishes before the server has checked its certificate. An HTTP/2
        // server sends first, so its first bytes show that it has accepted ours.
        match stream.fill_buf().await {
            Ok([]) => Err(refused(address, "it closed the connection")),
            Ok(_settings) => Ok(stream),
            Err(error) => Err(classify(address, error)),
        }
    }
}

fn classify(address: SocketAddr, error: io::Error) -> ConnectError {
    let endpoint = address.to_string();
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (cause, error.kind()) {
        (Some(rustls::Error::AlertReceived(alert)), _) => {
            refused(address, &format!("TLS alert {alert:?}"))
        }
        (Some(cause), _) => ConnectError::NotOurCoordinator { endpoint, reason: cause.to_string() },
        (None, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            refused(address, "it closed the connection")
        }
        (None, _) => ConnectError::Unreachable { endpoint, source: error },
    }
}

fn refused(address: SocketAddr, reason: &str) -> ConnectError {
    ConnectError::Refused { endpoint: address.to_string(), reason: reason.to_owned() }
}
