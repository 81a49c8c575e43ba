//! Writes and reads objects by plain requests, signed by the SDK without our code.

use anyhow::Context;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls;

use crate::Server;

/// A client with a runtime of its own.
pub(crate) struct Plain {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) client: Client,
    pub(crate) bucket: String,
}

impl Plain {
    pub(crate) fn new(server: &Server) -> anyhow::Result<Self> {
        let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is unset"));
        let (key, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(key, secret, None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(server.url())
            .force_path_style(true)
            .http_client(http)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        let runtime = tokio::runtime::Runtime::new()?;
        Ok(Self { runtime, client: Client::from_conf(config), bucket: server.bucket.clone() })
    }

    pub(crate) fn put(&self, key: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        self.runtime.block_on(request.body(ByteStream::from(bytes)).send())?;
        Ok(())
    }

    pub(crate) fn get(&self, key: &str) -> anyhow::Result<Vec<u8>> {
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        self.runtime.block_on(async {
            let answer = request.send().await?;
            Ok(answer.body.collect().await?.to_vec())
        })
    }
}

/// Creates the bucket, which may exist from an earlier run.
pub(crate) fn make_bucket(server: &Server) -> anyhow::Result<()> {
    let plain = Plain::new(server)?;
    let made = plain.runtime.block_on(plain.client.create_bucket().bucket(&server.bucket).send());
    if let Err(error) = made {
        let there = plain.client.head_bucket().bucket(&server.bucket).send();
        plain.runtime.block_on(there).map_err(|_| error).context("no bucket could be made")?;
    }
    Ok(())
}
