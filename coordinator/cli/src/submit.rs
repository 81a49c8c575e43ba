//! `submit` and `resume`, which put a job into the queue of a batch system.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use thresher_proto::pb::{JobState, StatusResponse};
use thresher_site::batch::AllocationId;
use thresher_site::{Chain, SiteProfile, Wish};

use super::allocations::ask_states;
use super::connection::{Reached, block_on, reach};
use super::place::{StatePlace, choose_state, load_whole_job};
use super::recover::RecoverArgs;
use super::walltime::parse_walltime;
use super::worker::{job_tools, refuse_obstacles};
use super::{Exit, print};
use thresher_coordinator::amounts::utc;
use thresher_coordinator::batch::{
    Allocation, History, Prepared, Records, Submission, gang_program, submit_chain,
};
use thresher_coordinator::clock;
use thresher_coordinator::run::{
    Wanted, accept_missing_in_state, restart_in_state, status_from_state, with_hashes,
};

/// Submit a job to a batch system
///
/// One batch script runs coordinator and workers in an allocation. The next allocation resumes the
/// job.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    thresher submit job.toml --site frontier -N 92 -t 6h -A ABC123 --chain 4\n  \
    thresher submit job.toml --site my-site.toml -N 2 -t 30m --dry-run")]
pub(super) struct SubmitArgs {
    /// Job file
    #[arg(value_name = "JOB.toml")]
    job: PathBuf,
    /// Name of a known site, or path of a profile
    #[arg(long, value_name = "NAME|FILE")]
    site: String,
    /// Number of nodes
    #[arg(short = 'N', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// Walltime of one allocation: `6h`, `90m`, `1d`, `6:00` (hours and minutes) or `1-12:00:00`
    #[arg(short = 't', long, value_name = "TIME", value_parser = parse_walltime)]
    walltime: Duration,
    /// Number of allocations, one after the other, until the job is complete
    #[arg(long, value_name = "K", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    chain: u32,
    /// Project to charge
    #[arg(short = 'A', long, value_name = "PROJECT")]
    account: Option<String>,
    /// Partition or queue
    #[arg(short = 'p', long, value_name = "NAME")]
    queue: Option<String>,
    /// Quality of service (on LSF, PBS and Flux: the queue)
    #[arg(short = 'q', long, value_name = "NAME")]
    qos: Option<String>,
    /// Set any key of the site for this job, with precedence over its profile and the job file's
    /// `[site]`
    ///
    /// As TOML, or a plain word: `--set cores_per_node=64`, `--set interface=hsn0`, `--set
    /// 'modules=["rust", "zlib"]'`. `thresher default-job` shows the keys.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where to write shards and report, instead of the job file's `output.path`
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// State directory of the job (default: `<output>.state`)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Start over: remove what this job has done and published, and run it from its first stage
    #[arg(long)]
    fresh: bool,
    /// Print script and command, and submit nothing
    #[arg(long)]
    dry_run: bool,
    /// Submit although the batch system does not say whether an allocation of the job runs
    #[arg(long)]
    force: bool,
}

/// Submit a job again, with the options of the last submission
///
/// Use it if all allocations of a job have ended: after the last one of a chain, after a failure
/// and its fix, or after `thresher drain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher resume job.toml\n  \
                        thresher resume --state out/corpus.state --chain 4")]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    place: StatePlace,
    /// Number of allocations [default: as before]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    chain: Option<u32>,
    /// Walltime of one allocation [default: as before]
    #[arg(short = 't', long, value_name = "TIME", value_parser = parse_walltime)]
    walltime: Option<Duration>,
    /// Complete the job without units that failed permanently, if they fail once more
    #[arg(long, alias = "accept-gaps")]
    accept_missing: bool,
    #[command(flatten)]
    recover: RecoverArgs,
    /// Submit although the batch system does not say whether an allocation of the job runs
    #[arg(long)]
    force: bool,
}

pub(super) fn submit(args: &SubmitArgs) -> anyhow::Result<ExitCode> {
    let job = load_whole_job(&args.job, args.output.as_deref())?;
    let state = choose_state(args.state.as_deref(), &job)?;
    let mut site = site(args)?;
    let wish = Wish { nodes: args.nodes, walltime: args.walltime, allocations: args.chain };
    site.choose_queue(wish);
    site.check(wish)?;
    let thresher = std::env::current_exe().context("failed to find this program's own file")?;
    let gang = gang_program(&thresher);
    anyhow::ensure!(
        site.gang_launcher.is_empty() || gang.is_file(),
        "`gang_launcher` starts `{}`, which does not exist\nhint: build it with the site's MPI \
         (`cargo build --release --features thresher-worker/mpi`), or set `gang_launcher = \"\"`",
        gang.display()
    );
    let wished = (args.nodes, args.walltime, args.chain);
    let prepared = Prepared::new(&job, site, wished, &state, &thresher)?;
    if args.dry_run {
        let commands = prepared.commands()?;
        print::result(&format!("{}\n# --- submitted by\n", prepared.script_text))?;
        for command in commands {
            print::result(&format!("# {command}\n"))?;
        }
        return Ok(Exit::Done.into());
    }
    let wanted = Wanted { fresh: args.fresh, accept_missing: false };
    restart_in_state(&job, &state, wanted, &job_tools())?;
    if let Some(code) = already(&state, args.force)? {
        return Ok(code);
    }
    refuse_obstacles(&with_hashes(job)?, None)?;
    note_submitted(&prepared.submit()?, &state)
}

pub(super) fn resume(args: &ResumeArgs) -> anyhow::Result<ExitCode> {
    let state = args.place.directory()?;
    let history = History::of(&Records::of(&state).read()?);
    let Some(submission) = history.submission else {
        bail!(
            "this job was never submitted from `{}`\nhint: `thresher submit` submits it, `thresher \
             run` runs it here",
            state.display()
        );
    };
    let submission = Submission {
        allocations: args.chain.unwrap_or(submission.allocations),
        walltime_seconds: args.walltime.map_or(submission.walltime_seconds, |t| t.as_secs()),
        ..submission
    };
    let (nodes, walltime) = (submission.nodes, submission.walltime());
    submission.site.check(Wish { nodes, walltime, allocations: submission.allocations })?;
    if let Some(code) = already(&state, args.force)? {
        return Ok(code);
    }
    args.recover.run(&state)?;
    if args.accept_missing {
        accept_missing_in_state(&state)?;
    }
    note_submitted(&submit_chain(&Records::create(&state)?, &submission, &state)?, &state)
}

/// Returns the profile of the site with the changes of the command line.
fn site(args: &SubmitArgs) -> anyhow::Result<SiteProfile> {
    let text = std::fs::read_to_string(&args.job)
        .with_context(|| format!("failed to read the job file `{}`", args.job.display()))?;
    let mut site = SiteProfile::choose_with(&args.site, &text, &args.set)?;
    if let Some(account) = &args.account {
        site.account.clone_from(account);
    }
    if let Some(queue) = &args.queue {
        site.queue.clone_from(queue);
    }
    match (&args.qos, site.system.has_qos(), &args.queue) {
        (Some(qos), false, Some(queue)) if qos != queue => bail!(
            "`-p {queue}` and `-q {qos}` both name the queue, because the system is {}\nhint: use \
             only one of them",
            site.system.title()
        ),
        // There `-q` is the queue.
        (Some(qos), false, _) => site.queue.clone_from(qos),
        (Some(qos), true, _) => site.qos.clone_from(qos),
        (None, _, _) => {}
    }
    if site.chain == Chain::Requeue && args.chain > 1 {
        tracing::info!("this site requeues one allocation instead of queueing several");
    }
    Ok(site)
}

/// Returns the exit status if the job is already complete, and an error if it cannot be submitted.
fn already(state: &Path, force: bool) -> anyhow::Result<Option<ExitCode>> {
    let status = status_from_state(state).unwrap_or_else(|error| {
        // There is no journal yet, or one that the coordinator will refuse with a better message.
        tracing::debug!(%error, "no job in the state directory yet");
        StatusResponse::default()
    });
    match status.state() {
        JobState::Complete | JobState::CompleteWithGaps => {
            print::note(&format!("job `{}` is already complete", status.job_name));
            return Ok(Some(Exit::of_job(&status).into()));
        }
        JobState::Failed | JobState::Cancelled => bail!(over(&status)),
        JobState::None | JobState::Running | JobState::Drained => {}
    }
    refuse_second_chain(state, force)?;
    Ok(None)
}

/// Returns an error if an allocation of the job waits or runs, or if that cannot be excluded.
fn refuse_second_chain(state: &Path, force: bool) -> anyhow::Result<()> {
    let history = History::of(&Records::of(state).read()?);
    let answer = ask_states(&history);
    for allocation in &history.allocations {
        let phase = allocation.describe(answer.states.get(&allocation.id)).0;
        if phase.is_alive() {
            bail!(
                "allocation `{}` of this job is {}\nhint: `thresher status` shows it, \
                 `thresher drain` ends it; a job has one coordinator at a time",
                allocation.id,
                phase.name()
            );
        }
    }
    refuse_coordinator(state)?;
    let Some(error) = answer.error else { return Ok(()) };
    let error = error.split("\nhint:").next().unwrap_or_default();
    let now = clock::now().millis() / 1000;
    let silent = |a: &&Allocation| !answer.states.contains_key(&a.id);
    match history.unsettled().filter(silent).find_map(|a| may_be_alive(a, now)) {
        Some(why) if !force => bail!(
            "{why}, and the batch system does not say whether it still does: {error}\nhint: try \
             again when it answers; if you know that the allocation has ended, add `--force`"
        ),
        Some(_) | None => {
            print::note(&format!("the batch system does not answer: {error}"));
            Ok(())
        }
    }
}

/// Returns an error if a coordinator of the job answers, whatever the batch system says.
fn refuse_coordinator(state: &Path) -> anyhow::Result<()> {
    match block_on(reach(state)) {
        Ok(Reached::Coordinator(_)) => bail!(
            "a coordinator of this job runs and answers\nhint: `thresher status` shows it, \
             `thresher drain` ends it; a job has one coordinator at a time"
        ),
        Ok(Reached::Nobody(_)) => Ok(()),
        // The next coordinator reports what is wrong with keys or address.
        Err(error) => {
            tracing::debug!(%error, "no coordinator could be asked");
            Ok(())
        }
    }
}

/// Returns what an allocation may do of which only the records are known, in words; `None` if it
/// has ended, or its walltime has.
fn may_be_alive(allocation: &Allocation, now_unix_seconds: u64) -> Option<String> {
    let id = &allocation.id;
    let Some(run) = allocation.runs.last() else {
        return Some(format!("allocation `{id}` of this job was submitted"));
    };
    let walltime = run.started_unix_seconds.saturating_add(allocation.walltime_seconds);
    let ends = run.ends_unix_seconds.unwrap_or(walltime);
    (now_unix_seconds < ends).then(|| {
        let (started, ends) = (utc(run.started_unix_seconds * 1000), utc(ends * 1000));
        format!("allocation `{id}` of this job started {started}, may run until {ends}")
    })
}

/// Returns why a job that failed or was cancelled is not submitted again.
fn over(status: &StatusResponse) -> String {
    let cancelled = status.state() == JobState::Cancelled;
    let how = if cancelled { "was cancelled" } else { "failed permanently" };
    let why = if status.reason.is_empty() { "" } else { ": " };
    format!(
        "the job {how}{why}{}\nhint: use another `--state` and output to start a new job",
        status.reason
    )
}

fn note_submitted(ids: &[AllocationId], state: &Path) -> anyhow::Result<ExitCode> {
    for id in ids {
        print::result(&format!("{id}\n"))?;
    }
    print::note(&format!(
        "submitted; `thresher status --state {}` shows the state of the job",
        state.display()
    ));
    Ok(Exit::Done.into())
}
