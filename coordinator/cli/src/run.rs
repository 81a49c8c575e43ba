//! `run` and `serve` run a job to its end, with or without local workers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use thresher_job::JobSpec;
use thresher_proto::pb;

use super::allocation::AllocationArgs;
use super::place::{choose_state, load_whole_job};
use super::progress::Progress;
use super::recover::RecoverArgs;
use super::worker::{job_tools, worker_command};
use super::{Exit, print, status_json, status_text};
use thresher_coordinator::batch::{History, Records};
use thresher_coordinator::interface::listen_address;
use thresher_coordinator::run::{RunOptions, ServeOptions, Wanted};
use thresher_worker::connect::GangArgs;

/// Run a job here: a coordinator in this process, workers as its children
///
/// A job that was run before is resumed; if it is already complete, only that is printed. Missing
/// units, and an output that is gone, are made again. The report is in REPORT.md beside the shards.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher run job.toml\n  \
                        thresher run job.toml --output /scratch/corpus --slots 32")]
pub(super) struct RunArgs {
    /// Job file
    #[arg(value_name = "JOB.toml")]
    job: PathBuf,
    /// Where to write shards and report, instead of the job file's `output.path`
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    settings: RunSettings,
}

/// How a job is run here, whatever it is.
#[derive(Debug, Args)]
pub(super) struct RunSettings {
    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(0..))]
    workers: u32,
    /// Units that one worker runs at a time [default: its share of the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,
    /// State directory of the job (default: `<output>.state`)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Listen at this address, so that workers on other nodes can join
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    allocation: AllocationArgs,
    #[command(flatten)]
    gang: GangArgs,
    #[command(flatten)]
    recover: RecoverArgs,
    /// Complete the job without units that failed permanently, if they fail once more
    #[arg(long, alias = "accept-gaps")]
    accept_missing: bool,
    /// Start over: remove what this job has done and published, and run it from its first stage
    #[arg(long)]
    fresh: bool,
    /// Print the final status as JSON
    #[arg(long)]
    json: bool,
}

impl RunSettings {
    /// Returns the state directory that the command line names.
    pub(super) fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }
}

/// Run a coordinator alone; workers join with `thresher worker connect`
///
/// Without a job file it resumes the job of its state directory, or waits for one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher serve job.toml --listen 10.0.0.7:7070\n  \
                        thresher serve --state out/corpus.state")]
pub(super) struct ServeArgs {
    /// Job file
    #[arg(value_name = "JOB.toml", required_unless_present = "state")]
    job: Option<PathBuf>,
    /// State directory of the job (default: `<output>.state`)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where to write shards and report, instead of the job file's `output.path`
    #[arg(long, value_name = "DIR", requires = "job")]
    output: Option<PathBuf>,
    /// Listen at this address too, for workers and people on other nodes
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    allocation: AllocationArgs,
    /// Listen on this interface: `hsn0`, or `auto` for the first that leads to other hosts
    #[arg(long, value_name = "NAME", conflicts_with = "listen")]
    interface: Option<String>,
    /// Port on that interface; 0 selects a free one
    #[arg(long, value_name = "N", default_value_t = 0, requires = "interface")]
    port: u16,
    #[command(flatten)]
    recover: RecoverArgs,
    /// Start over: remove what this job has done and published, and run it from its first stage
    #[arg(long, requires = "job")]
    fresh: bool,
    /// Print the final status as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    run_job(&args.job, args.output.as_deref(), args.settings, "the same `thresher run`")
}

/// Runs the job of a job file to its end. `again` is the command that resumes it.
pub(super) fn run_job(
    job: &Path,
    output: Option<&Path>,
    settings: RunSettings,
    again: &str,
) -> anyhow::Result<ExitCode> {
    let job = load_whole_job(job, output)?;
    let state = choose_state(settings.state(), &job)?;
    let worker = worker_command(settings.gang.to_words())?;
    settings.recover.run(&state)?;
    let mut progress = Progress::on_stderr();
    let status = thresher_coordinator::run::run(RunOptions {
        job,
        state,
        workers: settings.workers,
        slots: settings.slots,
        worker,
        tools: job_tools(),
        listen: settings.listen,
        allocation: settings.allocation.find()?,
        wanted: Wanted { fresh: settings.fresh, accept_missing: settings.accept_missing },
        progress: Box::new(move |status| progress.show(status)),
    })?;
    end(&status, settings.json, again)
}

pub(super) fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let job: Option<JobSpec> = match &args.job {
        Some(job) => Some(load_whole_job(job, args.output.as_deref())?),
        None => None,
    };
    let state = match (&job, &args.state) {
        (Some(job), state) => choose_state(state.as_deref(), job)?,
        (None, Some(state)) => std::path::absolute(state)?,
        (None, None) => bail!("no job was named\nhint: name a job file, or `--state DIR`"),
    };
    let listen = match &args.interface {
        Some(name) => Some(listen_address(name, args.port)?),
        None => args.listen,
    };
    let allocation = args.allocation.find()?;
    args.recover.run(&state)?;
    let submitted = History::of(&Records::of(&state).read()?).submission.is_some();
    let (tools, wanted) = (job_tools(), Wanted { fresh: args.fresh, accept_missing: false });
    let options = ServeOptions { job, state, listen, allocation, tools, wanted };
    let status = thresher_coordinator::run::serve(options)?;
    let again = match (submitted, status.refused) {
        (true, true) => "`thresher resume`",
        (true, false) => "the next allocation of the chain or `thresher resume`",
        (false, _) => "the same `thresher serve`",
    };
    end(&status, args.json, again)
}

fn end(status: &pb::StatusResponse, json: bool, again: &str) -> anyhow::Result<ExitCode> {
    match json {
        true => print::json(&status_json::render(status)?)?,
        false => print::result(&status_text::ending(status, again))?,
    }
    if status_text::is_blocked(status) {
        let reason = anyhow::anyhow!("{}\nhint: {again} resumes the job then", status.reason);
        print::note(&print::error_text(&reason.context("the job is blocked")));
    }
    Ok(Exit::of_job(status).into())
}
