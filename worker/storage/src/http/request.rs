//! Sends one HTTP request and classifies its failure.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use ureq::http::header::{HeaderMap, RETRY_AFTER};
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, RequestBuilder};

use crate::StorageError;
use crate::retry::{Failure, ReadOptions};

/// Number of bytes of an error's body that are read.
const MAX_ERROR_BYTES: u64 = 4 << 10;

/// Returns the agent for one input.
///
/// Servers are checked against Mozilla's roots or, if `SSL_CERT_FILE` names a PEM file, only
/// against the certificates in it, as OpenSSL does. Proxies come from the usual variables.
pub(super) fn agent(location: &str, options: &ReadOptions) -> Result<Agent, StorageError> {
    let mut tls = TlsConfig::builder();
    if let Some(file) = std::env::var_os("SSL_CERT_FILE") {
        let pem = std::fs::read(&file).map_err(|error| error.to_string());
        let roots = pem.and_then(|pem| certificates(&pem)).map_err(|error| {
            let file = file.display();
            let detail = format!("the certificates in SSL_CERT_FILE `{file}`: {error}");
            StorageError::Refused { location: location.to_owned(), detail }
        })?;
        tls = tls.root_certs(roots);
    }
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .accept_encoding("identity")
        .user_agent("thresher")
        .timeout_connect(Some(options.connect_timeout))
        .timeout_recv_response(Some(options.silence_timeout))
        .timeout_per_read(Some(options.silence_timeout))
        .build();
    Ok(config.new_agent())
}

fn certificates(pem: &[u8]) -> Result<RootCerts, String> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| error.to_string())? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err("the file has no certificates".to_owned());
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// Sends a request; returns answers of success and those in `expected`, and turns all others into
/// failures.
pub(super) fn send<B>(
    location: &str,
    request: RequestBuilder<B>,
    call: impl FnOnce(RequestBuilder<B>) -> Result<Response<Body>, ureq::Error>,
    expected: &[StatusCode],
) -> Result<Response<Body>, Failure> {
    let response = call(request).map_err(|error| failure(location, &error))?;
    let status = response.status();
    if status.is_success() || expected.contains(&status) {
        return Ok(response);
    }
    let location = location.to_owned();
    let detail = format!("the server answers {status}");
    let after = retry_after(response.headers());
    if status == StatusCode::FORBIDDEN && (after.is_some() || asks_to_slow_down(response)) {
        return Err(Failure::Passing { detail, after });
    }
    Err(match status.as_u16() {
        408 | 429 | 500 | 502 | 503 | 504 => Failure::Passing { detail, after },
        404 | 410 => Failure::Lasting(StorageError::NotFound { location }),
        401 | 403 | 407 => Failure::Lasting(StorageError::Denied { location, detail }),
        _ => Failure::Lasting(StorageError::Refused { location, detail }),
    })
}

/// Returns whether a refusal is about the request rate and not about permission: S3, and
/// CommonCrawl in front of it, answer like this.
fn asks_to_slow_down(response: Response<Body>) -> bool {
    let mut text = Vec::new();
    let mut body = response.into_body().into_reader().take(MAX_ERROR_BYTES);
    // A body that cannot be read is ignored.
    let _ = body.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    ["SlowDown", "reduce your request rate", "RequestLimitExceeded", "Too Many Requests"]
        .iter()
        .any(|sign| text.contains(sign))
}

fn failure(location: &str, error: &ureq::Error) -> Failure {
    let (location, detail) = (location.to_owned(), error.to_string());
    if matches!(error, ureq::Error::Http(_) | ureq::Error::BadUri(_)) {
        return Failure::Lasting(StorageError::BadLocation { location, detail });
    }
    // An untrusted certificate is reported as invalid data.
    let invalid = matches!(error, ureq::Error::Io(io) if io.kind() == ErrorKind::InvalidData);
    let refused = matches!(
        error,
        ureq::Error::Tls(_)
            | ureq::Error::Rustls(_)
            | ureq::Error::TooManyRedirects
            | ureq::Error::InvalidProxyUrl
            | ureq::Error::LargeResponseHeader(..)
    );
    if invalid || refused {
        return Failure::Lasting(StorageError::Refused { location, detail });
    }
    Failure::Passing { detail, after: None }
}

/// Reads the form in seconds; the form as a date would need a clock, so the usual wait is used for
/// it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_file_without_certificates_is_refused() {
        assert_eq!(certificates(b"no PEM").unwrap_err(), "the file has no certificates");
        assert!(certificates(b"-----BEGIN CERTIFICATE-----\nbroken").is_err());
    }
}
