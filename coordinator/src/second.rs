//! Makes sure that a state directory has one coordinator at a time, and continues a damaged journal
//! when a person asks for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use thresher_channel::address::{CoordinatorAddress, host_name};
use thresher_channel::identity::establish;
use thresher_channel::{Credentials, Role, connect};
use thresher_proto::pb;

use crate::clock;
use crate::driver::journal_directory;
use crate::journal::{self, Recovery};

/// How long a coordinator that can be reached gets to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Fails if a live coordinator has the state directory. Returns the socket of one that does not
/// answer.
pub(crate) fn refuse_second(
    runtime: &tokio::runtime::Runtime,
    state: &Path,
) -> anyhow::Result<Option<PathBuf>> {
    let Ok(address) = CoordinatorAddress::read_in(state) else { return Ok(None) };
    let credentials = Credentials::choose(&address, state, Role::Operator);
    let answered = runtime.block_on(async {
        let channel = connect(&address, &credentials).await.ok()?;
        let mut client = pb::control_client::ControlClient::new(channel);
        let status = client.status(pb::StatusRequest {});
        tokio::time::timeout(PATIENCE, status).await.ok()?.ok()
    });
    if answered.is_some() {
        bail!(
            "a coordinator already runs this job (pid {} on `{}`)\nhint: `thresher status --state \
             {state}` shows it, `thresher drain --state {state}` stops it",
            address.pid,
            address.host,
            state = state.display()
        );
    }
    Ok(address.unix)
}

/// Makes a job whose journal is damaged in its middle resume from the last whole record before the
/// damage. Returns what was lost, or `None` if nothing is damaged. Workers that know the lost part
/// are refused from then on.
pub fn recover(state: &Path) -> anyhow::Result<Option<Recovery>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    refuse_second(&runtime, state)?;
    let opened = pb::CoordinatorOpened {
        version: thresher_proto::VERSION.to_owned(),
        host: host_name(),
        pid: std::process::id(),
        ..pb::CoordinatorOpened::default()
    };
    let now = clock::now().millis();
    let recovery = journal::recover(&journal_directory(state), opened, now)
        .context("failed to recover the journal")?;
    if recovery.is_some() {
        establish(state, true)?;
    }
    Ok(recovery)
}
