//! Ranks as threads of this process. Payloads are not copied: buffers change owners.
//!
//! The caller decides how many ranks there are and what they do. Invariant: no rank waits for one
//! that has ended, whether it returned, failed or panicked; a waiting rank gets an error at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{CommError, Communicator};
use thresher_formats::third_party::panic_text;

/// How one rank of a local world failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RankFailure<E> {
    /// The rank's function returned an error.
    #[error("{0}")]
    Error(E),
    /// The rank's function panicked.
    #[error("panic: {0}")]
    Panic(String),
}

/// The ranks that failed, at least one, by number: the first cause, and ranks that failed because
/// of it.
#[derive(Debug)]
pub struct WorldFailure<E> {
    /// The ranks with their failures.
    pub ranks: Vec<(usize, RankFailure<E>)>,
}

/// Runs `rank_main` on `size` threads that form a world, and returns their results by rank.
///
/// # Panics
/// Panics if `size` is 0.
pub fn run_local<T, E, F>(size: usize, rank_main: F) -> Result<Vec<T>, WorldFailure<E>>
where
    T: Send,
    E: Send + std::fmt::Display,
    F: Fn(&mut LocalCommunicator<'_>) -> Result<T, E> + Sync,
{
    assert!(size > 0, "a world has at least one rank");
    let world = World::new(size);
    let run = |rank: usize| {
        let mut comm = LocalCommunicator { world: &world, rank, exchanges: 0 };
        // After a panic, what the closure borrows is only dropped, not used.
        let ended = catch_unwind(AssertUnwindSafe(|| rank_main(&mut comm)));
        let result = match ended {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(RankFailure::Error(error)),
            Err(payload) => Err(RankFailure::Panic(panic_text(payload.as_ref()).to_owned())),
        };
        let why = match &result {
            Ok(_) => "it returned before this collective".to_owned(),
            Err(failure) => failure.to_string(),
        };
        world.depart(rank, why);
        result
    };
    let results: Vec<Result<T, RankFailure<E>>> = thread::scope(|scope| {
        let run = &run;
        let others: Vec<_> = (1..size).map(|rank| scope.spawn(move || run(rank))).collect();
        let mut results = vec![run(0)];
        for other in others {
            results.push(other.join().expect("a rank's panic is caught inside its thread"));
        }
        results
    });
    let (mut values, mut ranks) = (Vec::with_capacity(size), Vec::new());
    for (rank, result) in results.into_iter().enumerate() {
        match result {
            Ok(value) => values.push(value),
            Err(failure) => ranks.push((rank, failure)),
        }
    }
    if ranks.is_empty() { Ok(values) } else { Err(WorldFailure { ranks }) }
}

/// One rank's view of a world of threads, created by [`run_local`].
pub struct LocalCommunicator<'w> {
    world: &'w World,
    rank: usize,
    /// Number of all-to-alls and reductions that this rank has started, which selects the half of
    /// the slots.
    exchanges: usize,
}

struct World {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Number of barriers completed.
    generation: u64,
    /// Number of ranks that wait in the current barrier.
    waiting: usize,
    /// The first rank that ended; no later barrier can wait for it.
    departed: Option<(usize, String)>,
    /// Messages by half, sender and receiver. Two halves are used in turn, because a fast rank may
    /// send for the next exchange while a slow one still reads from this one; it cannot be further
    /// ahead.
    slots: [Vec<Vec<u8>>; 2],
    /// Values of reductions by half and rank.
    values: [Vec<u64>; 2],
}

impl State {
    /// Returns the error of every collective that starts, or still waits, after a rank has ended.
    fn lost(&self) -> Option<CommError> {
        let (rank, why) = self.departed.as_ref()?;
        Some(CommError::RankLost { rank: *rank, why: why.clone() })
    }
}

impl World {
    fn new(size: usize) -> Self {
        let slots = || vec![Vec::new(); size * size];
        let state = State {
            generation: 0,
            waiting: 0,
            departed: None,
            slots: [slots(), slots()],
            values: [vec![0; size], vec![0; size]],
        };
        Self { size, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// No code between lock and unlock can leave the state half changed, so poisoning does not
    /// matter.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn depart(&self, rank: usize, why: String) {
        self.lock().departed.get_or_insert((rank, why));
        self.changed.notify_all();
    }

    fn barrier(&self) -> Result<(), CommError> {
        let mut state = self.lock();
        if let Some(lost) = state.lost() {
            return Err(lost);
        }
        let generation = state.generation;
        state.waiting += 1;
        if state.waiting == self.size {
            state.waiting = 0;
            state.generation += 1;
            drop(state);
            self.changed.notify_all();
            return Ok(());
        }
        loop {
            // Check the generation first: a rank may end right after a barrier that did complete.
            if state.generation != generation {
                return Ok(());
            }
            if let Some(lost) = state.lost() {
                return Err(lost);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl LocalCommunicator<'_> {
    fn next_half(&mut self) -> usize {
        self.exchanges += 1;
        self.exchanges % 2
    }

    fn all_reduce(
        &mut self,
        value: u64,
        combine: impl Fn(u64, u64) -> u64,
    ) -> Result<u64, CommError> {
        let half = self.next_half();
        self.world.lock().values[half][self.rank] = value;
        self.world.barrier()?;
        let state = self.world.lock();
        Ok(state.values[half].iter().copied().reduce(combine).unwrap_or(value))
    }
}

impl Communicator for LocalCommunicator<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.world.size
    }

    fn barrier(&mut self) -> Result<(), CommError> {
        self.world.barrier()
    }

    fn all_to_all(
        &mut self,
        sends: &mut [Vec<u8>],
        receives: &mut [Vec<u8>],
    ) -> Result<(), CommError> {
        let size = self.world.size;
        for buffers in [sends.len(), receives.len()] {
            if buffers != size {
                return Err(CommError::BufferCount { size, buffers });
            }
        }
        let half = self.next_half();
        let mut state = self.world.lock();
        for (to, send) in sends.iter_mut().enumerate() {
            state.slots[half][self.rank * size + to] = std::mem::take(send);
        }
        drop(state);
        self.world.barrier()?;
        let mut state = self.world.lock();
        for (from, (receive, send)) in receives.iter_mut().zip(sends).enumerate() {
            let arrived = std::mem::take(&mut state.slots[half][from * size + self.rank]);
            // The buffer of the last received message is used for the next one to send.
            *send = std::mem::replace(receive, arrived);
            send.clear();
        }
        Ok(())
    }

    fn all_reduce_sum(&mut self, value: u64) -> Result<u64, CommError> {
        self.all_reduce(value, u64::wrapping_add)
    }

    fn all_reduce_max(&mut self, value: u64) -> Result<u64, CommError> {
        self.all_reduce(value, u64::max)
    }
}

#[cfg(test)]
mod tests;
