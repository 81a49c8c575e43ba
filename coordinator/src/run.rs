//! Runs a job to its end: the door that the command line knocks at.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use thresher_proto::job::JobSpec;
use thresher_proto::pb;

/// Told how the job stands, again and again.
pub type Progress = Box<dyn FnMut(&pb::StatusResponse) + Send>;

/// What `thresher run` asks for.
pub struct RunOptions {
    pub job: JobSpec,
    pub state: PathBuf,
    pub workers: u32,
    pub slots: Option<u32>,
    pub listen: Option<SocketAddr>,
    pub progress: Progress,
}

/// What `thresher serve` asks for.
pub struct ServeOptions {
    pub job: Option<JobSpec>,
    pub state: PathBuf,
    pub listen: Option<SocketAddr>,
}

/// Runs a job with a coordinator here and workers as children.
pub fn run(_options: RunOptions) -> anyhow::Result<pb::StatusResponse> {
    Err(anyhow::anyhow!("this build runs no jobs"))
}

/// Runs a coordinator alone.
pub fn serve(_options: ServeOptions) -> anyhow::Result<pb::StatusResponse> {
    Err(anyhow::anyhow!("this build serves no jobs"))
}

/// How the job stands by the journal.
pub fn status_from_state(_state: &Path) -> anyhow::Result<pb::StatusResponse> {
    Err(anyhow::anyhow!("this build reads no journal"))
}

/// Why a unit is where it is, by the journal.
pub fn explain_from_state(_state: &Path, _unit: &str) -> anyhow::Result<pb::ExplainResponse> {
    Err(anyhow::anyhow!("this build reads no journal"))
}
