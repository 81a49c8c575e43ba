//! The process's only client of S3, and the runtime in which it runs.
//!
//! It is created when it is first needed, in a slot's thread, so that a job without S3 pays
//! nothing.
//! Invariant: a request waits for its turn, is retried while that can help, and ends in a
//! `StorageError` otherwise.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::RequestPayer;
use thresher_job::S3Spec;
use tokio::runtime::Runtime;

use super::super::retry::{Backoff, ReadOptions};
use super::super::{StorageError, rate};
use super::connection::client;
use super::error::{classify, status_of};

/// Signing and copying are fast; more threads than this only take cores from the slots.
const THREADS: usize = 2;

static SPEC: OnceLock<S3Spec> = OnceLock::new();
static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();

pub(super) struct Engine {
    pub(super) runtime: Runtime,
    pub(super) client: Client,
    /// Name of the server in errors.
    pub(super) server: String,
    pub(super) spec: S3Spec,
    /// Whether the server refuses `If-Match` with an ETag that it returned itself.
    pub(super) no_if_match: AtomicBool,
}

/// Sets how S3 is reached. A process works for one job, so the first call counts.
pub fn configure(spec: &S3Spec) {
    // A second call has the settings of the same job.
    let _ = SPEC.set(spec.clone());
}

/// Returns the engine of this process; must not be called by a thread of a runtime.
pub(super) fn engine(location: &str) -> Result<&'static Engine, StorageError> {
    let made = ENGINE.get_or_init(|| {
        let spec = SPEC.get_or_init(S3Spec::default).clone();
        Engine::start(spec).map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|detail| {
        let location = location.to_owned();
        StorageError::Refused { location, detail: detail.clone() }
    })
}

impl Engine {
    fn start(spec: S3Spec) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("storage")
            .enable_all()
            .build()?;
        let (client, server) = runtime.block_on(client(&spec))?;
        Ok(Self { runtime, client, server, spec, no_if_match: AtomicBool::new(false) })
    }

    pub(super) fn payer(&self) -> Option<RequestPayer> {
        self.spec.requester_pays.then_some(RequestPayer::Requester)
    }

    /// Makes a request until it succeeds or a retry cannot help.
    pub(super) async fn ask<T, E, F>(
        &self,
        location: &str,
        options: &ReadOptions,
        call: impl Fn() -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match self.ask_or(location, options, &[], call).await? {
            Ok(answer) => Ok(answer),
            Err(status) => unreachable_status(location, status),
        }
    }

    /// Does the same, with some statuses accepted as answers.
    pub(super) async fn ask_or<T, E, F>(
        &self,
        location: &str,
        options: &ReadOptions,
        expected: &[u16],
        call: impl Fn() -> F,
    ) -> Result<Result<T, u16>, StorageError>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut backoff = Backoff::default();
        loop {
            tokio::time::sleep(rate::turn()).await;
            let error = match call().await {
                Ok(answer) => return Ok(Ok(answer)),
                Err(error) => error,
            };
            if let Some(status) = status_of(&error).filter(|status| expected.contains(status)) {
                return Ok(Err(status));
            }
            let wait =
                backoff.after(options, location, classify(location, &self.server, &error))?;
            tracing::debug!(location, ?wait, "retrying a request to S3");
            tokio::time::sleep(wait).await;
        }
    }
}

fn unreachable_status<T>(location: &str, status: u16) -> Result<T, StorageError> {
    let detail = format!("the server answers {status}");
    Err(StorageError::Refused { location: location.to_owned(), detail })
}
