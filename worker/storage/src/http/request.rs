//! Sends one HTTP request and classifies its failure.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::http::header::{HeaderMap, RETRY_AFTER};
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, RequestBuilder};

use crate::StorageError;
use crate::retry::{Failure, ReadOptions};

/// What a person can do about a file that a server keeps refusing.
const FORBIDDEN_HINT: &str = "hint: the server may refuse those who ask often, for minutes or \
                              hours: run the same command again later, with a lower \
                              `max_requests_per_second` in `[s3]`; see also whether the file is \
                              public";

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
            StorageError::Blocked { location: location.to_owned(), detail }
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

/// What is expected of an answer.
pub(super) struct Expected<'a> {
    /// The statuses that are answers, besides those of success.
    pub(super) statuses: &'a [StatusCode],
    /// Whether a listing named the object, so that it should exist.
    pub(super) listed: bool,
}

/// Sends a request; returns the expected answers, and turns all others into failures.
pub(super) fn send<B>(
    location: &str,
    request: RequestBuilder<B>,
    call: impl FnOnce(RequestBuilder<B>) -> Result<Response<Body>, ureq::Error>,
    expected: &Expected<'_>,
) -> Result<Response<Body>, Failure> {
    let response = call(request).map_err(|error| failure(location, &error))?;
    let status = response.status();
    if status.is_success() || expected.statuses.contains(&status) {
        return Ok(response);
    }
    let location = location.to_owned();
    let detail = format!("the server answers {status}");
    let after = retry_after(response.headers());
    Err(match status.as_u16() {
        404 | 410 if expected.listed => Failure::Doubtful(StorageError::NotFound { location }),
        404 | 410 => Failure::Lasting(StorageError::NotFound { location }),
        401 | 407 => Failure::Lasting(StorageError::Denied { location, detail }),
        // A server in front of public data says this to one who asks too often (CloudFront for
        // CommonCrawl), and says the same for a file that nobody may read.
        403 => Failure::Passing { detail: format!("{detail}\n{FORBIDDEN_HINT}"), after },
        _ => Failure::Passing { detail, after },
    })
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
        return Failure::Lasting(StorageError::Blocked { location, detail });
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
