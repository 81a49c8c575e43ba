//! MPI's world as a communicator. All calls of MPI are in this file, and only the main thread makes
//! them.
//!
//! Messages go point to point rather than through `MPI_Alltoallv`: its displacements are `int`s, so
//! everything would have to be copied into one buffer below 2^31 bytes. For messages of this size
//! libraries themselves use batches of pieces, as is done here.
//!
//! Invariant: every call is made by all ranks in the same order. Errors of MPI end the process, as
//! its default handler does; a lost rank is noticed by the launcher or by the deadline.

use anyhow::Context;
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::request::multiple_scope;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Destination as _, Source as _};
use thresher_dedup::comm::pieces::{self, Incoming, Outgoing, Wire};
use thresher_dedup::comm::{CommError, Communicator};

const TAG: i32 = 3;

/// The world of all ranks that the launcher started.
pub(crate) struct World {
    world: SimpleCommunicator,
    rank: usize,
    size: usize,
    /// Size of a piece in bytes.
    limit: usize,
    /// MPI is finalised when this is dropped, so it is the last field.
    _universe: Universe,
}

impl World {
    /// Initialises MPI, which is possible once in a process.
    pub(crate) fn start(limit: usize) -> anyhow::Result<Self> {
        // The watching threads do not call MPI.
        let started = mpi::initialize_with_threading(Threading::Funneled);
        let (universe, _) = started.context("MPI is already initialised")?;
        let world = universe.world();
        let rank = usize::try_from(world.rank()).context("MPI gave no rank")?;
        let size = usize::try_from(world.size()).context("MPI gave no size")?;
        Ok(Self { world, rank, size, limit, _universe: universe })
    }

    pub(crate) fn ranks(&self) -> usize {
        self.size
    }

    /// Calls MPI's own all-to-all with equal shares, for comparison.
    pub(crate) fn raw_all_to_all(&mut self, send: &[u8], receive: &mut [u8]) {
        self.world.all_to_all_into(send, receive);
    }

    fn all_reduce(&mut self, value: u64, operation: SystemOperation) -> u64 {
        let mut result = 0;
        self.world.all_reduce_into(&value, &mut result, operation);
        result
    }
}

/// Returns the name and version of the MPI library on one line.
pub(crate) fn library() -> String {
    let version = mpi::environment::library_version().unwrap_or_default();
    // Open MPI's text ends in NUL, MPICH's has several lines.
    let line = version.lines().next().unwrap_or_default();
    line.replace('\0', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Wire for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_to_all_lengths(&mut self, lengths: &[u64]) -> Result<Vec<u64>, CommError> {
        let mut incoming = vec![0; lengths.len()];
        self.world.all_to_all_into(lengths, &mut incoming[..]);
        Ok(incoming)
    }

    fn transfer(
        &mut self,
        sends: &[Outgoing<'_>],
        receives: &mut [Incoming<'_>],
    ) -> Result<(), CommError> {
        let world = &self.world;
        multiple_scope(sends.len() + receives.len(), |scope, requests| {
            // Receives are posted first, so that arriving messages have a buffer.
            for (from, room) in receives.iter_mut() {
                let from = world.process_at_rank(*from as i32);
                requests.add(from.immediate_receive_into_with_tag(scope, &mut **room, TAG));
            }
            for (to, piece) in sends {
                let to = world.process_at_rank(*to as i32);
                requests.add(to.immediate_send_with_tag(scope, *piece, TAG));
            }
            requests.wait_all(&mut Vec::new());
        });
        Ok(())
    }
}

impl Communicator for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn barrier(&mut self) -> Result<(), CommError> {
        self.world.barrier();
        Ok(())
    }

    fn all_to_all(
        &mut self,
        sends: &mut [Vec<u8>],
        receives: &mut [Vec<u8>],
    ) -> Result<(), CommError> {
        let limit = self.limit;
        pieces::all_to_all(self, limit, sends, receives)
    }

    fn all_reduce_sum(&mut self, value: u64) -> Result<u64, CommError> {
        Ok(self.all_reduce(value, SystemOperation::sum()))
    }

    fn all_reduce_max(&mut self, value: u64) -> Result<u64, CommError> {
        Ok(self.all_reduce(value, SystemOperation::max()))
    }
}
