//! How the ranks of a gang unit talk: one trait of collectives, which every rank calls in the same
//! order with the same world in mind. [`local`] runs the ranks as threads of this process.
//!
//! The trait is made to fit MPI: buffers are bytes, one per rank. [`pieces`] makes the all-to-all
//! of messages with counts below 2^31; `thresher-gang` has the messages themselves. Nothing here
//! names an MPI type, starts anything or retries anything.
//!
//! Invariant: a collective ends. It returns on every rank, or, when a rank is gone, an error on
//! those that are left; an implementation that cannot notice a lost rank runs under a deadline
//! that ends the process.

pub mod local;
pub mod pieces;

/// Why a collective did not end well. None can be retried within the same world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommError {
    /// Another rank has failed or left before this collective.
    #[error("rank `{rank}` left the world: {why}\n\nhint: see that rank's error")]
    RankLost {
        /// The rank that is gone.
        rank: usize,
        /// What is known of its end.
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
    /// What another rank means to send does not fit into memory.
    #[error("no memory for `{bytes}` bytes from rank `{from}`")]
    Memory {
        /// The sender.
        from: usize,
        /// The length that it announced.
        bytes: u64,
    },
    /// The message cannot be sent by this communicator.
    #[error("a world of `{size}` ranks cannot exchange `{buffers}` buffers")]
    BufferCount {
        /// Ranks in the world.
        size: usize,
        /// Buffers that were passed.
        buffers: usize,
    },
}

/// A world of ranks, as one of them sees it.
pub trait Communicator {
    /// This rank's number, below [`Communicator::size`].
    fn rank(&self) -> usize;

    /// The number of ranks in the world.
    fn size(&self) -> usize;

    /// Waits until every rank has come here.
    fn barrier(&mut self) -> Result<(), CommError>;

    /// Sends `sends[d]` to rank `d`, its own share included, and puts what rank `s` sent here into
    /// `receives[s]`, whose old content is discarded. Both slices have one buffer per rank. All
    /// `sends` are empty afterwards; the buffers of both sides may have changed places, so that
    /// their memory is used again.
    fn all_to_all(
        &mut self,
        sends: &mut [Vec<u8>],
        receives: &mut [Vec<u8>],
    ) -> Result<(), CommError>;

    /// The sum of every rank's value, wrapping.
    fn all_reduce_sum(&mut self, value: u64) -> Result<u64, CommError>;

    /// The largest of every rank's values.
    fn all_reduce_max(&mut self, value: u64) -> Result<u64, CommError>;
}
