//! What the ranks of a gang unit agree on between their steps: that none of them has failed, and
//! that all have the same task.
//!
//! A rank that fails says so before the next collective, so that the others end with an error that
//! names it. The caller chooses the type of the errors.

use std::fmt::Display;

use super::local::{LocalCommunicator, RankFailure, WorldFailure, run_local};
use super::{CommError, Communicator};

/// The error of a rank, which can also say that another rank has failed.
pub trait RankError: From<CommError> + Display + Send {
    /// Returns the error of a rank that ends because of this other one.
    fn other_rank(rank: usize) -> Self;

    /// Returns the error of a rank on a thread that panicked.
    fn panicked(rank: usize, message: String) -> Self;

    /// Returns whether it only says that another rank, with an error of its own, has failed.
    fn is_echo(&self) -> bool;
}

/// Ends the work on every rank if one of them has an error.
pub fn agree<T, E: RankError, C: Communicator + ?Sized>(
    comm: &mut C,
    result: Result<T, E>,
) -> Result<T, E> {
    largest(comm, result.map(|value| (value, 0))).map(|(value, _)| value)
}

/// Does the same as [`agree`], and returns the largest of all ranks' numbers beside the value.
/// Numbers are below 2^63.
pub fn largest<T, E: RankError, C: Communicator + ?Sized>(
    comm: &mut C,
    result: Result<(T, u64), E>,
) -> Result<(T, u64), E> {
    const FAILED: u64 = 1 << 63;
    let said = match &result {
        Ok((_, number)) => *number,
        Err(_) => FAILED | comm.rank() as u64,
    };
    let worst = comm.all_reduce_max(said);
    let (value, _) = result?;
    match worst? {
        number if number & FAILED == 0 => Ok((value, number)),
        failed => Err(E::other_rank((failed & !FAILED) as usize)),
    }
}

/// Returns whether all ranks have the same number, such as a digest of their task.
pub fn is_same<C: Communicator + ?Sized>(comm: &mut C, number: u64) -> Result<bool, CommError> {
    let largest = comm.all_reduce_max(number)?;
    let smallest = !comm.all_reduce_max(!number)?;
    Ok(largest == smallest)
}

/// Runs `rank_main` in a world of threads, and returns the results by rank, or the first error that
/// does not only repeat another's.
pub fn run_on_threads<T: Send, E: RankError>(
    threads: usize,
    rank_main: impl Fn(&mut LocalCommunicator<'_>) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    run_local(threads, rank_main).map_err(first_cause)
}

fn first_cause<E: RankError>(WorldFailure { ranks }: WorldFailure<E>) -> E {
    let mut errors: Vec<E> = ranks
        .into_iter()
        .map(|(rank, failure)| match failure {
            RankFailure::Error(error) => error,
            RankFailure::Panic(message) => E::panicked(rank, message),
        })
        .collect();
    let cause = errors.iter().position(|error| !error.is_echo()).unwrap_or(0);
    errors.swap_remove(cause)
}
