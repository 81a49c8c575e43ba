//! The connection to a server: its address and region, the keys that sign requests, and the
//! certificates that are trusted.
//!
//! Keys come from the places that other programs use too (environment, profile, web identity,
//! container, instance role); the SDK finds and renews them. A profile named in the job file takes
//! precedence over the environment, because it was written for this job.
//!
//! **Invariant:** this code never handles a secret, and makes no request.

use std::io;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thresher_job::{PathStyle, S3Spec};

use super::super::retry::ReadOptions;

/// Servers other than Amazon's accept this region.
const DEFAULT_REGION: &str = "us-east-1";
/// Variable that names a file of certificates which every client of AWS trusts instead of the
/// system's.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Returns the client that a job's `[s3]` and this process's environment configure, and the name of
/// the server for errors.
pub(super) async fn client(spec: &S3Spec) -> io::Result<(Client, String)> {
    let patience = ReadOptions::default();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(patience.connect_timeout)
        .read_timeout(patience.silence_timeout)
        .build();
    check_endpoints()?;
    let http = http_client()?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .timeout_config(timeouts)
        // If a slot is slow to take what it requested, the stream stalls for a good reason; the
        // reader itself watches for silence.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if !spec.region.is_empty() {
        loader = loader.region(Region::new(spec.region.clone()));
    } else if spec.anonymous || has_own_endpoint(spec) {
        loader = loader.region(region_without_cloud(spec));
    }
    if !spec.endpoint.is_empty() {
        loader = loader.endpoint_url(&spec.endpoint);
    }
    if !spec.profile.is_empty() {
        loader = loader.profile_name(&spec.profile).credentials_provider(of_profile(spec, http));
    }
    if spec.anonymous {
        loader = loader.no_credentials();
    }
    let shared = loader.load().await;
    let elsewhere = shared.endpoint_url().is_some() || has_own_endpoint(spec);
    let path_style = match spec.path_style {
        PathStyle::Auto => elsewhere,
        PathStyle::Always => true,
        PathStyle::Never => false,
    };
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(path_style)
        .retry_config(RetryConfig::disabled())
        // Many servers other than Amazon's reject checksums in trailers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if shared.region().is_none() {
        config = config.region(Region::new(DEFAULT_REGION));
    }
    let region = shared.region().map_or(DEFAULT_REGION, |region| region.as_ref());
    let server = server_name(spec, shared.endpoint_url(), region);
    Ok((Client::from_conf(config.build()), server))
}

/// Returns the address used, in the SDK's order: the job's, that for S3, that for all services.
fn server_name(spec: &S3Spec, general: Option<&str>, region: &str) -> String {
    let for_s3 = std::env::var(ENDPOINTS[1]).unwrap_or_default();
    let named = [&spec.endpoint, &for_s3, general.unwrap_or_default()];
    match named.into_iter().find(|endpoint| !endpoint.is_empty()) {
        Some(endpoint) => format!("`{endpoint}`"),
        None => format!("Amazon's S3 in `{region}`"),
    }
}

/// Variables that may name a server, besides the job file, which is checked when it is read.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];

/// Refuses an invalid address before anybody waits for an answer from it.
fn check_endpoints() -> io::Result<()> {
    for name in ENDPOINTS {
        let url = std::env::var(name).unwrap_or_default();
        if !url.is_empty() && !is_address(&url) {
            return Err(io::Error::other(format!(
                "{name} is `{url}`, which is not a valid address\nhint: write it like \
                 `https://s3.example.org`"
            )));
        }
    }
    Ok(())
}

fn is_address(url: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
}

/// Returns whether a server is named, which is then not necessarily Amazon's.
fn has_own_endpoint(spec: &S3Spec) -> bool {
    let named = |name: &&str| std::env::var_os(name).is_some_and(|url| !url.is_empty());
    !spec.endpoint.is_empty() || ENDPOINTS.iter().any(named)
}

/// Returns the region as it is configured, without asking a cloud's metadata service: outside of
/// clouds nothing answers, which takes a while and gives a warning.
fn region_without_cloud(spec: &S3Spec) -> RegionProviderChain {
    let mut profile = ProfileFileRegionProvider::builder();
    if !spec.profile.is_empty() {
        profile = profile.profile_name(&spec.profile);
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(profile.build())
        .or_else(Region::new(DEFAULT_REGION))
}

/// Returns the keys of the job's profile only.
fn of_profile(spec: &S3Spec, http: SharedHttpClient) -> ProfileFileCredentialsProvider {
    let region = if spec.region.is_empty() { DEFAULT_REGION } else { &spec.region };
    // Profiles that assume a role request it over the network.
    let means = ProviderConfig::without_region()
        .with_http_client(http)
        .with_region(Some(Region::new(region.to_owned())));
    ProfileFileCredentialsProvider::builder().profile_name(&spec.profile).configure(&means).build()
}

fn http_client() -> io::Result<SharedHttpClient> {
    let trusted = match std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty()) {
        None => tls::TrustStore::default(),
        Some(path) => {
            let fail = |error: String| {
                let path = path.to_string_lossy();
                io::Error::other(format!("the certificates of {CA_BUNDLE}, `{path}`: {error}"))
            };
            let pem = std::fs::read(&path).map_err(|error| fail(error.to_string()))?;
            check_certificates(&pem).map_err(fail)?;
            tls::TrustStore::empty().with_pem_certificate(pem)
        }
    };
    let context = tls::TlsContext::builder().with_trust_store(trusted).build();
    // The provider is named, because a process with two crypto libraries has no default one.
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .tls_context(context.map_err(io::Error::other)?)
        .build_https())
}

/// Checks the certificates before the HTTP library does, which would panic.
fn check_certificates(pem: &[u8]) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("it is not valid PEM: {error}"))?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    if store.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_without_a_panic() {
        assert!(check_certificates(b"").unwrap_err().contains("no certificate"));
        assert!(check_certificates(b"no certificate at all").is_err());
        let damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(check_certificates(damaged).is_err());
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(check_certificates(cut).is_err());
    }
}
