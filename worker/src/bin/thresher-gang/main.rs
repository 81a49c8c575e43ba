//! `thresher-gang`: one rank of a gang unit, started by the site's MPI launcher for one short step.
//!
//! ```text
//! worker (leader) ── launcher ──▶ thresher-gang run --task FILE   × ranks
//! ```
//! Only this program is linked with MPI. What a rank does is the library's (`stages::RankTask`);
//! this program has MPI itself (`world`), and ends a rank whose result is not needed (`watch`).
//!
//! **Invariant:** a rank of a world that is not the one that was asked for touches no file.

mod bench;
mod check;
mod fault;
mod watch;
mod world;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use thresher_dedup::comm::pieces::LONGEST_PIECE;
use thresher_worker::launch;
use thresher_worker::stages::{RankError, RankTask};

use crate::fault::Faulty;
use crate::world::World;

/// Run one rank of a gang unit; the worker's launcher starts it, not people
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run this rank's part of a gang unit
    Run {
        /// Task file of the step, which the worker wrote
        #[arg(long, value_name = "FILE")]
        task: PathBuf,
    },
    /// Exchange messages of known content and compare them, to test MPI
    Check {
        /// Bytes of the pieces into which messages are split
        #[arg(long, value_name = "BYTES", default_value_t = LONGEST_PIECE as u64,
              value_parser = clap::value_parser!(u64).range(1..=LONGEST_PIECE as u64))]
        piece: u64,
    },
    /// Measure the exchange beside MPI's own all-to-all of the same bytes
    Bench {
        /// Bytes that each rank sends to each rank
        #[arg(long, value_name = "BYTES", default_value_t = 16 << 20,
              value_parser = clap::value_parser!(u64).range(1..=LONGEST_PIECE as u64))]
        bytes: u64,
        /// Number of runs of each, alternating
        #[arg(long, value_name = "N", default_value_t = 5,
              value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
    },
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("THRESHER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // Unwinding would finalise MPI, which waits for the other ranks, and they for this one.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        watch::end_now("the rank panicked");
    }));
    let ended = match Arguments::parse().verb {
        Verb::Run { task } => run(&task),
        Verb::Check { piece } => check::run(piece as usize),
        Verb::Bench { bytes, runs } => bench::run(bytes as usize, runs),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; then there is no other place for the error.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &std::path::Path) -> anyhow::Result<()> {
    let task = RankTask::read(path)?;
    watch::start(path.to_owned(), task.deadline).context("failed to start the watch")?;
    let mut world = World::start(LONGEST_PIECE)?;
    let launcher = launch::of_this_process()?;
    let launcher = launcher.map_or_else(|| "no launcher".to_owned(), |launch| launch.to_string());
    task.check_world(world.ranks(), &world::library(), &launcher)?;
    let ended = match Faulty::from_environment(&mut world)? {
        Some(mut faulty) => task.run(&mut faulty),
        None => task.run(&mut world),
    };
    match ended {
        Ok(()) => Ok(()),
        // The rank that failed reports why; the others need not repeat it.
        Err(RankError::Echo(_)) => anyhow::bail!("another rank failed"),
        Err(RankError::Own(error)) => Err(error.into()),
    }
}
