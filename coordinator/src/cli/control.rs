//! `cancel` and `drain`: what only a running coordinator can do.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use thresher_proto::pb::control_client::ControlClient;
use thresher_proto::pb::{CancelRequest, DrainRequest};
use tonic::transport::Channel;

use super::connection::{Reached, block_on, reach, refused};
use super::place::StatePlace;
use super::{Exit, print};

/// Stop a job for good; what is published stays
///
/// A cancelled job cannot be resumed. To stop for now, use `thresher drain`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher cancel job.toml")]
pub(super) struct CancelArgs {
    #[command(flatten)]
    place: StatePlace,
}

/// Let running units end, then stop; a later `run` goes on from there
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher drain --state out/corpus.state")]
pub(super) struct DrainArgs {
    #[command(flatten)]
    place: StatePlace,
}

pub(super) fn cancel(args: &CancelArgs) -> anyhow::Result<ExitCode> {
    let state = args.place.directory()?;
    block_on(async {
        let mut client = coordinator(&state).await?;
        client.cancel(CancelRequest {}).await.map_err(|status| refused(&status))?;
        print::note("the job is cancelled");
        Ok(Exit::Done.into())
    })
}

pub(super) fn drain(args: &DrainArgs) -> anyhow::Result<ExitCode> {
    let state = args.place.directory()?;
    block_on(async {
        let mut client = coordinator(&state).await?;
        client.drain(DrainRequest {}).await.map_err(|status| refused(&status))?;
        print::note("running units end, then the coordinator stops; `thresher status` tells");
        Ok(Exit::Done.into())
    })
}

async fn coordinator(state: &Path) -> anyhow::Result<ControlClient<Channel>> {
    match reach(state).await? {
        Reached::Coordinator(client) => Ok(client),
        Reached::Nobody(why) => {
            let why = why.split("\nhint:").next().unwrap_or_default();
            Err(anyhow::anyhow!(
                "nothing to stop: {why}\nhint: `thresher status --state {}` tells how the job \
                 stands",
                state.display()
            ))
        }
    }
}
