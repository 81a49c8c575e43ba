//! `worker connect`: one worker process, from its arguments to the end of its job.
//!
//! It combines the options of the command line, the environment of the launcher and the resources
//! of this machine. The agent does the work.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::agent::{AgentOptions, work};
use crate::gang::{GangOptions, LauncherTemplate};
use crate::launch::{self, Launch};
use crate::node_memory::key_memory_bytes;

/// The name of the program of a rank.
const GANG_PROGRAM: &str = "thresher-gang";

/// Connect to a coordinator and run units until the job is over
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thresher worker connect --state corpus.state --slots 8\n  \
                        thresher worker connect --state corpus.state --scratch /local/$USER")]
pub struct ConnectArgs {
    /// State directory of the job: it holds the coordinator's address and the worker's keys
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Units to run at a time [default: one for each core]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Connect to this address instead of the one in the state directory
    #[arg(long, value_name = "IP:PORT")]
    address: Option<std::net::SocketAddr>,
    /// Folder with `worker.pem` and `ca.pem` (default: `keys` in the state directory)
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Folder on a disk of this node, for files that no other worker reads: keys that are sorted,
    /// archives that are unpacked [default: the work directory]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Workers on this node, which share its memory
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    node_workers: u32,
    #[command(flatten)]
    gang: GangArgs,
}

/// The options of resolve stages over MPI. Without a launcher they run on threads of one worker.
#[derive(Debug, clap::Args)]
pub struct GangArgs {
    /// Resolve duplicates over MPI: the command that starts `{ranks}` ranks on the nodes of the
    /// allocation, as in 'srun --overlap --kill-on-bad-exit=1 --mpi=pmi2 -n {ranks}'
    #[arg(long, value_name = "COMMAND")]
    gang_launcher: Option<LauncherTemplate>,
    /// Ranks of such a step [default: slots, times the workers that were launched with this one]
    #[arg(long, value_name = "N", requires = "gang_launcher",
          value_parser = clap::value_parser!(u32).range(1..))]
    gang_ranks: Option<u32>,
    /// The program of a rank (default: `thresher-gang` beside this program)
    #[arg(long, value_name = "PATH", requires = "gang_launcher")]
    gang_program: Option<PathBuf>,
    /// Kill a step that takes longer [default: derived from the memory that it may fill]
    #[arg(long, value_name = "SECONDS", requires = "gang_launcher")]
    gang_deadline: Option<u64>,
}

impl GangArgs {
    /// Returns the options as arguments for the command line of a worker.
    pub fn to_words(&self) -> Vec<OsString> {
        let Self { gang_launcher, gang_ranks, gang_program, gang_deadline } = self;
        let options: [(&str, Option<OsString>); 4] = [
            ("--gang-launcher", gang_launcher.as_ref().map(|launcher| launcher.as_str().into())),
            ("--gang-ranks", gang_ranks.map(|ranks| ranks.to_string().into())),
            ("--gang-program", gang_program.clone().map(OsString::from)),
            ("--gang-deadline", gang_deadline.map(|seconds| seconds.to_string().into())),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some([name.into(), value?]));
        given.flatten().collect()
    }
}

/// Runs a worker to the end of its job. Returns an error if the coordinator refuses it or does not
/// answer.
pub fn connect(args: ConnectArgs) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let slots = args.slots.unwrap_or(cores).max(1);
    let launch = launch::of_this_process().unwrap_or_else(|error| {
        // Only a default and the log line below depend on it.
        tracing::warn!(%error, "the launcher's variables contradict each other");
        None
    });
    if let Some(launch) = &launch {
        let node = launch.node.as_deref().unwrap_or_default();
        tracing::info!(%launch, node, "launched");
    }
    if let Some(folder) = &args.scratch {
        // An error is better here than in the middle of the first unit.
        std::fs::create_dir_all(folder)
            .with_context(|| format!("failed to make the folder `{}`", folder.display()))?;
    }
    let gang = gang_options(args.gang, slots, launch.as_ref())?;
    let ranks = ranks_on_node(gang.as_ref(), args.node_workers, launch.as_ref());
    let options = AgentOptions {
        scratch: args.scratch,
        state: args.state,
        slots,
        keys: args.keys,
        connect: args.address,
        gang,
        key_memory_bytes: key_memory_bytes(ranks),
    };
    // The slots are threads of their own: the runtime only communicates.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worked = runtime.block_on(work(options));
    // Slots that still run a unit whose result is not needed end with the process.
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
        None => std::env::current_exe()?.with_file_name(GANG_PROGRAM),
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

/// Returns the number of ranks of a gang unit that share this node, if there are as many on each.
/// Without a launcher every worker of the node may run a gang unit.
fn ranks_on_node(gang: Option<&GangOptions>, node_workers: u32, launch: Option<&Launch>) -> u32 {
    let Some(gang) = gang else { return node_workers };
    let workers = launch.and_then(|launch| launch.size).unwrap_or(1);
    let nodes = (workers / node_workers.max(1)).max(1);
    gang.ranks.div_ceil(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn the_ranks_of_a_gang_unit_are_spread_over_the_nodes_of_the_workers() {
        let gang = |ranks| GangOptions {
            launcher: "srun -n {ranks}".parse().unwrap(),
            ranks,
            program: PathBuf::new(),
            deadline: None,
        };
        let launch = |size| Launch {
            launcher: launch::Launcher::Slurm,
            rank: 0,
            size: Some(size),
            local_rank: None,
            node: None,
        };
        assert_eq!(ranks_on_node(None, 3, Some(&launch(12))), 3);
        assert_eq!(ranks_on_node(Some(&gang(64)), 1, Some(&launch(16))), 4);
        assert_eq!(ranks_on_node(Some(&gang(65)), 2, Some(&launch(16))), 9);
        assert_eq!(ranks_on_node(Some(&gang(5)), 1, None), 5);
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        gang: GangArgs,
    }

    #[test]
    fn a_worker_gets_the_gang_options_as_they_were_given() {
        for line in [
            vec![],
            vec!["--gang-launcher", "srun 'a b' -n {ranks}"],
            vec![
                "--gang-launcher",
                "mpiexec -n {ranks}",
                "--gang-ranks",
                "4",
                "--gang-program",
                "/opt/thresher-gang",
                "--gang-deadline",
                "60",
            ],
        ] {
            let words = ["thresher"].into_iter().chain(line.iter().copied());
            assert_eq!(Line::try_parse_from(words).unwrap().gang.to_words(), line);
        }
    }
}
