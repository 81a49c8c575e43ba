//! `thresher-worker`: runs units for a coordinator, inspects an output, or trains a model.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use thresher_models::train::{TrainArgs, run_train};
use thresher_worker::agent::{AgentOptions, work};
use thresher_worker::clean::{CleanArgs, run_clean};
use thresher_worker::gang::{GangOptions, LauncherTemplate};
use thresher_worker::inspect::{
    CheckArgs, ReportArgs, SurveyArgs, TraceArgs, VerifyArgs, run_check, run_report, run_survey,
    run_trace, run_verify,
};
use thresher_worker::launch::{self, Launch};

/// Run work units for a thresher coordinator
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Connect to a coordinator and run units until the job is over
    ///
    /// Example: thresher-worker connect --state corpus.state --slots 8
    Connect(Connect),
    /// Compare an output with its manifest, byte for byte
    Verify(VerifyArgs),
    /// Find out what became of a page: by URL, id or content hash
    Trace(TraceArgs),
    /// Print the report of an output
    Report(ReportArgs),
    /// Remove what killed attempts left behind
    Clean(CleanArgs),
    /// Measure a job's inputs on a sample, for `thresher plan`
    Survey(SurveyArgs),
    /// Tell which files a job names and cannot use, for `thresher run`
    Check(CheckArgs),
    /// Make a model
    Train(TrainArgs),
}

#[derive(clap::Args)]
struct Connect {
    /// State directory of the job: tells where the coordinator is, and holds the worker's keys
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Units to run at a time (default: one for each core)
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Connect to this address instead of the one that the state directory tells
    #[arg(long, value_name = "IP:PORT")]
    address: Option<std::net::SocketAddr>,
    /// Folder with `worker.pem` and `ca.pem` (default: `keys` in the state directory)
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Folder on a disk of this node's own, for what no other worker reads: keys that are sorted,
    /// archives that are unpacked (default: beside the work files)
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    gang: GangArgs,
}

/// Resolve stages over MPI; without a launcher they run on threads of one worker.
#[derive(clap::Args)]
struct GangArgs {
    /// Resolve duplicates over MPI: the call that starts `{ranks}` ranks on the allocation's
    /// nodes, as in 'srun --overlap --kill-on-bad-exit=1 --mpi=pmi2 -n {ranks}'
    #[arg(long, value_name = "COMMAND")]
    gang_launcher: Option<LauncherTemplate>,
    /// Ranks of such a step (default: slots, times the workers that were launched with this one)
    #[arg(long, value_name = "N", requires = "gang_launcher",
          value_parser = clap::value_parser!(u32).range(1..))]
    gang_ranks: Option<u32>,
    /// The program of a rank (default: `thresher-gang` beside this one)
    #[arg(long, value_name = "PATH", requires = "gang_launcher")]
    gang_program: Option<PathBuf>,
    /// Kill a step that takes longer (default: by the memory that it may fill)
    #[arg(long, value_name = "SECONDS", requires = "gang_launcher")]
    gang_deadline: Option<u64>,
}

fn main() -> ExitCode {
    // Outside of clouds nobody answers when the SDK asks for a role or a region; that is no news.
    let filter = tracing_subscriber::EnvFilter::try_from_env("THRESHER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,aws_config::imds=error"));
    // Into files and pipes no escape sequences go.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .init();
    let result = match Arguments::parse().verb {
        Verb::Connect(options) => connect(options).map(|()| ExitCode::SUCCESS),
        Verb::Verify(options) => run_verify(&options),
        Verb::Trace(options) => run_trace(&options),
        Verb::Report(options) => run_report(&options),
        Verb::Clean(options) => run_clean(&options),
        Verb::Survey(options) => run_survey(&options),
        Verb::Check(options) => run_check(&options),
        Verb::Train(options) => run_train(&options),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            // Standard error may be closed; nothing is left to tell then.
            let _ = writeln!(std::io::stderr(), "error: {}", causes.join(": "));
            ExitCode::FAILURE
        }
    }
}

fn connect(options: Connect) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let slots = options.slots.unwrap_or(cores).max(1);
    let launch = launch::of_this_process().unwrap_or_else(|error| {
        // Nothing but a default and this line depends on it.
        tracing::warn!(%error, "the launcher's variables make no sense");
        None
    });
    if let Some(launch) = &launch {
        let node = launch.node.as_deref().unwrap_or_default();
        tracing::info!(%launch, node, "launched");
    }
    if let Some(folder) = &options.scratch {
        // Better now than in the middle of the first unit.
        std::fs::create_dir_all(folder)
            .with_context(|| format!("no folder `{}` could be made", folder.display()))?;
    }
    let options = AgentOptions {
        scratch: options.scratch,
        state: options.state,
        slots,
        keys: options.keys,
        connect: options.address,
        gang: gang_options(options.gang, slots, launch.as_ref())?,
    };
    // The slots are threads of their own: the runtime only talks.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worked = runtime.block_on(work(options));
    // Slots that still run a unit nobody waits for end with the process.
    runtime.shutdown_background();
    worked
}

fn gang_options(
    args: GangArgs,
    slots: usize,
    launch: Option<&Launch>,
) -> anyhow::Result<Option<GangOptions>> {
    let Some(launcher) = args.gang_launcher else { return Ok(None) };
    let program = match args.gang_program {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("thresher-gang"),
    };
    let workers = launch.and_then(|launch| launch.size).unwrap_or(1);
    let slots = u32::try_from(slots).unwrap_or(u32::MAX);
    Ok(Some(GangOptions {
        launcher,
        ranks: args.gang_ranks.unwrap_or_else(|| slots.saturating_mul(workers)),
        program,
        deadline: args.gang_deadline.map(Duration::from_secs),
    }))
}
