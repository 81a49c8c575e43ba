//! `thresher-gang bench`: measures the throughput of the exchange per rank, beside `MPI_Alltoall`
//! of the same bytes in the same run.
//!
//! Both are measured in turn, by the CPU time of the rank and by the clock. The best run counts,
//! because the machine may be shared. Rank 0 prints the slowest rank's figures.

use std::io::Write;
use std::time::Duration;

use thresher_dedup::comm::Communicator;
use thresher_storage::clock;

use crate::world::{World, library};

pub(crate) fn run(bytes: usize, runs: u32) -> anyhow::Result<()> {
    let mut world = World::start(thresher_dedup::comm::pieces::LONGEST_PIECE)?;
    let size = world.ranks();
    let mut raw = Best::default();
    let mut ours = Best::default();
    let flat = vec![1; bytes * size];
    let mut flat_received = vec![0; bytes * size];
    let mut sends: Vec<Vec<u8>> = vec![Vec::with_capacity(bytes); size];
    let mut receives: Vec<Vec<u8>> = vec![Vec::new(); size];
    // The first run of each also touches new memory, so it is not counted.
    for run in 0..=runs {
        let counts = run > 0;
        raw.measure(counts, &mut world, |world| {
            world.raw_all_to_all(&flat, &mut flat_received);
            Ok(())
        })?;
        for send in &mut sends {
            send.resize(bytes, 1);
        }
        ours.measure(counts, &mut world, |world| Ok(world.all_to_all(&mut sends, &mut receives)?))?;
    }
    let per_rank = (bytes * size) as f64 / 1e6;
    let mut lines = vec![format!("{size} ranks, {bytes} bytes to each, {}", library())];
    let raw = raw.slowest(&mut world)?;
    let ours = ours.slowest(&mut world)?;
    for (name, (wall, cpu)) in [("MPI_Alltoall", raw), ("exchange", ours)] {
        lines.push(format!(
            "  {name:<13} {:8.0} MB/s a rank by the clock {:8.0} MB/s by CPU time",
            per_rank / wall,
            per_rank / cpu.max(1e-6)
        ));
    }
    lines.push(format!(
        "  exchange beside MPI_Alltoall: {:.0} % by the clock, {:.0} % by CPU time",
        100.0 * raw.0 / ours.0,
        100.0 * raw.1 / ours.1.max(1e-6)
    ));
    if Communicator::rank(&world) == 0 {
        writeln!(std::io::stdout(), "{}", lines.join("\n"))?;
    }
    Ok(())
}

/// Shortest time of a run.
struct Best {
    wall: Duration,
    cpu: Duration,
}

impl Default for Best {
    fn default() -> Self {
        Self { wall: Duration::MAX, cpu: Duration::MAX }
    }
}

impl Best {
    fn measure(
        &mut self,
        counts: bool,
        world: &mut World,
        work: impl FnOnce(&mut World) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        world.barrier()?;
        let (start, cpu) = (clock::now(), clock::thread_cpu());
        work(world)?;
        if counts {
            self.wall = self.wall.min(clock::now().duration_since(start));
            self.cpu = self.cpu.min(clock::thread_cpu().saturating_sub(cpu));
        }
        Ok(())
    }

    /// Returns the seconds by the clock and of CPU time of the slowest rank.
    fn slowest(&self, world: &mut World) -> anyhow::Result<(f64, f64)> {
        let mut of = |span: Duration| -> anyhow::Result<f64> {
            let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
            Ok(world.all_reduce_max(nanos)? as f64 / 1e9)
        };
        Ok((of(self.wall)?, of(self.cpu)?))
    }
}
