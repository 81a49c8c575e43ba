//! The job file's table `[s3]`: the access to buckets. `default.toml` documents each key.
//!
//! **Invariant:** it has no secret, so it can be sent and stored with the job.

use serde::{Deserialize, Serialize};

use super::{Bytes, JobError};

/// Sizes of a part that S3 accepts. Only the last part may be smaller.
const PART_BYTES: std::ops::RangeInclusive<u64> = 5 << 20..=5 << 30;

/// The table `[s3]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Spec {
    pub endpoint: String,
    pub region: String,
    pub profile: String,
    pub anonymous: bool,
    pub requester_pays: bool,
    pub path_style: PathStyle,
    pub max_requests_per_second: u32,
    pub part_bytes: Bytes,
}

/// Where the bucket's name is in a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathStyle {
    /// In the path for servers other than Amazon's, otherwise in the host name.
    #[default]
    Auto,
    /// In the path.
    Always,
    /// In the host name.
    Never,
}

/// The values are those of `default.toml`.
impl Default for S3Spec {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            region: String::new(),
            profile: String::new(),
            anonymous: false,
            requester_pays: false,
            path_style: PathStyle::Auto,
            max_requests_per_second: 0,
            part_bytes: Bytes(8 << 20),
        }
    }
}

impl S3Spec {
    pub(super) fn check(&self) -> Result<(), JobError> {
        let is_address = ["http://", "https://"].iter().any(|way| self.endpoint.starts_with(way));
        if !self.endpoint.is_empty() && !is_address {
            let problem = format!("`{}`, which is not a valid address", self.endpoint);
            let hint = "write it like `https://s3.example.org`";
            return Err(JobError::invalid("s3.endpoint", problem, hint));
        }
        // A name and password in the address would be stored with the job.
        if self.endpoint.contains('@') {
            let hint = "put the keys into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(JobError::invalid("s3.endpoint", "an address with a secret", hint));
        }
        if !PART_BYTES.contains(&self.part_bytes.0) {
            let problem = format!("`{}` bytes", self.part_bytes.0);
            return Err(JobError::invalid("s3.part_bytes", problem, "choose 5MiB to 5GiB"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_without_a_secret() {
        let with = |endpoint: &str| S3Spec { endpoint: endpoint.to_owned(), ..S3Spec::default() };
        assert!(with("http://127.0.0.1:9000").check().is_ok());
        for bad in ["127.0.0.1:9000", "https://key:secret@host"] {
            let error = with(bad).check().unwrap_err().to_string();
            assert!(error.contains("s3.endpoint") && error.contains("hint:"), "{error}");
            assert!(!error.contains("secret@"), "{error}");
        }
        let small = S3Spec { part_bytes: Bytes(1 << 20), ..S3Spec::default() };
        assert!(small.check().is_err());
    }

    #[test]
    fn the_default_is_that_of_the_default_job_file() {
        let table: toml::Table = super::super::DEFAULT_JOB.parse().unwrap();
        let documented: S3Spec = table["s3"].clone().try_into().unwrap();
        assert_eq!(documented, S3Spec::default());
    }
}
