//! Thousands of simulated machine rooms, each from one seed: the real scheduler and the real
//! journal (in memory), under workers that crash, hang, lose answers, repeat themselves and report
//! late, and under coordinators that die at any record.
//!
//! ```text
//!   truth (what the job is)   chaos (what goes wrong, from the seed)
//!             ▼                       ▼
//!   machines ── Register/Sync ──▶ shell: handle → journal → effects
//!       └── files of the units ◀──────┘        properties look at every step
//! ```
//!
//! For a while anything may go wrong; then the room heals and the job must end, with what is right
//! for that job, whatever happened. There is one file per property. A failure prints the seed;
//! `THRESHER_SIM_SEED=n` runs that one alone, `THRESHER_SIM_SEEDS=n` sets how many are run.

#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_in_result,
    clippy::print_stderr,
    clippy::large_enum_variant,
    reason = "a model looks at a few kinds of events, and a failing one must panic with its seed"
)]

mod chaos;
mod files;
mod machine;
mod properties;
mod shell;
mod truth;
mod work;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use properties::outcome::Outcome;
use truth::Truth;
use world::World;

/// Worlds of the same job, whose outcomes must be the same.
const WORLDS_PER_JOB: u64 = 4;
const DEFAULT_SEEDS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number of seeds"))
}

/// Runs the world of a seed; seeds of the same job differ in their last places.
fn run(seed: u64) -> Outcome {
    let truth = Truth::of_seed(seed / WORLDS_PER_JOB);
    let outcome = catch_unwind(AssertUnwindSafe(|| World::new(&truth, seed).run()));
    match outcome {
        Ok(outcome) => outcome,
        Err(cause) => {
            eprintln!("simulation failed: run again with THRESHER_SIM_SEED={seed}");
            std::panic::resume_unwind(cause);
        }
    }
}

#[test]
fn every_simulated_world_keeps_every_promise() {
    if let Some(seed) = number("THRESHER_SIM_SEED") {
        run(seed);
        return;
    }
    let seeds = number("THRESHER_SIM_SEEDS").unwrap_or(DEFAULT_SEEDS);
    let mut tally = world::Tally::default();
    for job in 0..seeds.div_ceil(WORLDS_PER_JOB) {
        let first = run(job * WORLDS_PER_JOB);
        tally.add(&first.tally);
        for world in 1..WORLDS_PER_JOB {
            let seed = job * WORLDS_PER_JOB + world;
            let other = run(seed);
            tally.add(&other.tally);
            assert!(
                first.is_same(&other),
                "seed {seed} ended otherwise than seed {}:\n{other:#?}\n{first:#?}",
                job * WORLDS_PER_JOB,
            );
        }
    }
    println!("{seeds} worlds: {tally:?}");
    tally.assert_everything_happened(seeds);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let (first, second) = (run(7), run(7));
    assert!(first.is_same(&second));
    assert_eq!(first.tally, second.tally);
}
