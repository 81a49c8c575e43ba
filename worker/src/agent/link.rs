//! The connection to the coordinator. Its address is read from the state directory, and read again
//! after a failure, because the next coordinator may have another address.
//!
//! It makes calls, and does not interpret them.

use std::time::Duration;

use thresher_channel::address::{CoordinatorAddress, host_name};
use thresher_channel::{Channel, Credentials, Role, connect, identity};
use thresher_proto::pb::coordination_client::CoordinationClient;
use thresher_proto::pb::{RegisterRequest, RegisterResponse, UnitRef};
use tonic::Code;

use super::{AgentOptions, RETRY_PAUSE, is_final};
use thresher_storage::clock;

/// How long a worker waits without a word for a coordinator that starts at the same time.
const QUIET_WAIT: Duration = Duration::from_secs(5);
/// Size in bytes of the largest answer. The coordinator is trusted and bounds what it sends; a
/// lease that a worker cannot decode would end worker after worker.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The connection to the coordinator, which is made again after a failure.
pub(super) struct Link {
    pub(super) options: AgentOptions,
    client: Option<CoordinationClient<Channel>>,
}

impl Link {
    pub(super) fn new(options: AgentOptions) -> Self {
        Self { options, client: None }
    }

    /// Drops the connection, so that the next call reads the address again.
    pub(super) fn forget(&mut self) {
        self.client = None;
    }

    /// Returns whether the coordinator's process is known to live, on this host: then it is
    /// suspended, and answers when it continues.
    pub(super) fn is_coordinator_alive(&self) -> bool {
        self.address().is_ok_and(|address| address.is_alive() == Some(true))
    }

    pub(super) async fn client(
        &mut self,
    ) -> Result<&mut CoordinationClient<Channel>, tonic::Status> {
        if self.client.is_none() {
            let away =
                |error: &dyn std::fmt::Display| tonic::Status::unavailable(error.to_string());
            let address = self.address().map_err(|error| away(&error))?;
            let credentials = match (&self.options.keys, self.options.connect) {
                (Some(keys), _) => Credentials::in_directory(keys, Role::Worker),
                (None, Some(_)) => {
                    let keys = self.options.state.join(thresher_channel::KEYS_DIRECTORY);
                    Credentials::in_directory(&keys, Role::Worker)
                }
                (None, None) => Credentials::choose(&address, &self.options.state, Role::Worker),
            };
            let channel = connect(&address, &credentials).await.map_err(|error| {
                if error.may_pass() {
                    away(&error)
                } else {
                    tonic::Status::permission_denied(error.to_string())
                }
            })?;
            let client = CoordinationClient::new(channel);
            self.client = Some(client.max_decoding_message_size(MAX_ANSWER_BYTES));
        }
        self.client.as_mut().ok_or_else(|| tonic::Status::internal("the client was just made"))
    }

    /// Returns a sentence if another version used the state directory last.
    fn other_version(&self) -> Option<String> {
        let version = CoordinatorAddress::read_in(&self.options.state).ok()?.version;
        (version != thresher_proto::VERSION).then(|| {
            format!(
                "the last coordinator of this state directory was of version `{version}`, and this \
                 worker is of version `{}`; ",
                thresher_proto::VERSION
            )
        })
    }

    fn address(&self) -> anyhow::Result<CoordinatorAddress> {
        match self.options.connect {
            None => Ok(CoordinatorAddress::read_in(&self.options.state)?),
            Some(tcp) => Ok(CoordinatorAddress {
                unix: None,
                tcp: Some(tcp),
                epoch: 0,
                pid: 0,
                host: String::new(),
                process: String::new(),
                identity: identity::find(&self.options.state)?.id().to_owned(),
                version: thresher_proto::VERSION.to_owned(),
            }),
        }
    }

    /// Registers the worker. Waits for a coordinator up to `patience`, and for a job without a
    /// limit.
    pub(super) async fn register(
        &mut self,
        patience: Duration,
        held: Vec<UnitRef>,
    ) -> anyhow::Result<RegisterResponse> {
        let start = clock::now();
        let mut was_shown = false;
        let request = RegisterRequest {
            host: host_name(),
            pid: std::process::id(),
            slots: self.options.slots as u32,
            version: thresher_proto::VERSION.to_owned(),
            held,
            gang_ranks: self.options.gang.as_ref().map_or(0, |gang| gang.ranks),
            key_memory_bytes: self.options.key_memory_bytes,
        };
        loop {
            let answered = match self.client().await {
                Ok(client) => client.register(request.clone()).await,
                Err(status) => Err(status),
            };
            let status = match answered {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            if is_final(status.code()) {
                anyhow::bail!("the coordinator refuses this worker: {}", status.message());
            }
            // The coordinator answers but has no job yet, so the worker waits.
            let waits_for_job = status.code() == Code::FailedPrecondition;
            let waited = clock::now().duration_since(start);
            if !waits_for_job {
                self.client = None;
                if waited > patience {
                    anyhow::bail!(
                        "no coordinator could be reached: {}{}",
                        self.other_version().unwrap_or_default(),
                        status.message()
                    );
                }
            }
            if waited > QUIET_WAIT && !std::mem::replace(&mut was_shown, true) {
                let why = match self.other_version() {
                    Some(version) if !waits_for_job => version + status.message(),
                    Some(_) | None => status.message().to_owned(),
                };
                let seconds = patience.as_secs();
                tracing::warn!(seconds, why, "waiting for the coordinator");
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}
