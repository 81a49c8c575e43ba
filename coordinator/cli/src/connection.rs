//! Connects a verb to the coordinator of its job, if one runs.

use std::path::Path;

use super::print;
use thresher_channel::address::{AddressError, CoordinatorAddress};
use thresher_channel::{Channel, ConnectError, Credentials, Role, connect};
use thresher_proto::pb::control_client::ControlClient;

/// Whether a coordinator answers for a state directory.
pub(super) enum Reached {
    /// The client of the coordinator that answered.
    Coordinator(ControlClient<Channel>),
    /// No coordinator answers, for this reason.
    Nobody(String),
}

/// Looks for the coordinator of a state directory. An error is one that a running coordinator
/// would not fix: keys with a wrong mode, a damaged address.
pub(super) async fn reach(state: &Path) -> anyhow::Result<Reached> {
    let address = match CoordinatorAddress::read_in(state) {
        Ok(address) => address,
        Err(error @ AddressError::Missing { .. }) => return Ok(Reached::Nobody(error.to_string())),
        Err(error @ AddressError::Copy { .. }) => {
            // What follows is about the copy alone, which may not be what was meant.
            print::note(&format!("warning: {error}"));
            return Ok(Reached::Nobody(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let credentials = Credentials::choose(&address, state, Role::Operator);
    match connect(&address, &credentials).await {
        Ok(channel) => Ok(Reached::Coordinator(ControlClient::new(channel))),
        Err(
            error @ (ConnectError::Unreachable { .. }
            | ConnectError::TimedOut { .. }
            | ConnectError::NotOurCoordinator { .. }),
        ) => Ok(Reached::Nobody(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Runs the calls of one verb until they complete.
pub(super) fn block_on<T>(calls: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(calls)
}

/// Returns the coordinator's refusal as an error.
pub(super) fn refused(status: &tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("the coordinator answered: {}", status.message())
}
