//! Communication between the ranks of a gang unit: a trait of collectives, which every rank calls
//! in the same order. [`local`] runs the ranks as threads of this process; [`agreement`] ends all
//! ranks when one fails.
//!
//! The trait is made to fit MPI: buffers are bytes, one per rank. [`pieces`] builds the all-to-all
//! from messages with counts below 2^31; `thresher-gang` sends the messages themselves. This module
//! uses no MPI type, starts nothing and retries nothing.
//!
//! Invariant: a collective ends. It returns on every rank, or, if a rank is gone, it returns an
//! error on the remaining ones; an implementation that cannot detect a lost rank runs under a
//! deadline that ends the process.

pub mod agreement;
pub mod local;
pub mod pieces;

/// Why a collective failed. It cannot be retried within the same world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommError {
    /// Another rank has failed or left before this collective.
    #[error("rank `{rank}` left the world: {why}\n\nhint: see that rank's error")]
    RankLost {
        /// The rank that is gone.
        rank: usize,
        /// What is known about how it ended.
        why: String,
    },
    /// The communication library reported an error.
    #[error("`{call}` failed with code `{code}`")]
    Library {
        /// The function that failed.
        call: &'static str,
        /// Its error code.
        code: i32,
    },
    /// A message of another rank does not fit into memory.
    #[error("no memory for `{bytes}` bytes from rank `{from}`")]
    Memory {
        /// The sender.
        from: usize,
        /// The length that it announced.
        bytes: u64,
    },
    /// The number of buffers differs from the number of ranks.
    #[error("a world of `{size}` ranks cannot exchange `{buffers}` buffers")]
    BufferCount {
        /// Number of ranks in the world.
        size: usize,
        /// Number of buffers that were passed.
        buffers: usize,
    },
}

/// A world of ranks, as one of them sees it.
pub trait Communicator {
    /// Returns this rank's number, below [`Communicator::size`].
    fn rank(&self) -> usize;

    /// Returns the number of ranks in the world.
    fn size(&self) -> usize;

    /// Waits until every rank has called this.
    fn barrier(&mut self) -> Result<(), CommError>;

    /// Sends `sends[d]` to rank `d`, including this rank's own share, and puts what rank `s` sent
    /// here into `receives[s]`, whose old content is discarded. Both slices have one buffer per
    /// rank. All `sends` are empty afterwards; buffers may be swapped between the two sides, so
    /// that their memory is reused.
    fn all_to_all(
        &mut self,
        sends: &mut [Vec<u8>],
        receives: &mut [Vec<u8>],
    ) -> Result<(), CommError>;

    /// Returns the sum of every rank's value, wrapping.
    fn all_reduce_sum(&mut self, value: u64) -> Result<u64, CommError>;

    /// Returns the largest of all ranks' values.
    fn all_reduce_max(&mut self, value: u64) -> Result<u64, CommError>;
}
