//! The attempts of leased units that run now.
//!
//! A stage's table knows one holder of each leased unit. A unit that also has a speculative
//! attempt, or had one since it last waited, has an entry here.
//!
//! Invariant: a unit has at most two running attempts, on two workers.

use std::collections::BTreeMap;

use thresher_domain::{Timestamp, UnitKey};

use crate::unit::{Unit, UnitState};

/// One attempt that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunningAttempt {
    pub(crate) worker_id: u32,
    pub(crate) attempt: u32,
    pub(crate) since: Timestamp,
}

/// The attempts of a leased unit when its newest attempt is not the only one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    /// The attempt whose holder the stage's table knows.
    first_attempt: u32,
    second: Option<RunningAttempt>,
}

/// The pairs of attempts, by unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunningAttempts {
    pairs: BTreeMap<UnitKey, Pair>,
}

impl RunningAttempts {
    /// Returns the running attempts of a unit: none, one or two.
    pub(crate) fn of(&self, key: UnitKey, unit: Unit) -> impl Iterator<Item = RunningAttempt> {
        let pair = self.pairs.get(&key);
        let first = match unit.state {
            UnitState::Leased { worker_id, since } => {
                let attempt = pair.map_or(unit.attempt, |pair| pair.first_attempt);
                Some(RunningAttempt { worker_id, attempt, since })
            }
            UnitState::Waiting
            | UnitState::Done { .. }
            | UnitState::Failed
            | UnitState::Skipped => None,
        };
        first.into_iter().chain(pair.and_then(|pair| pair.second))
    }

    /// Adds a speculative attempt beside the first.
    pub(crate) fn add_second(&mut self, key: UnitKey, first_attempt: u32, second: RunningAttempt) {
        self.pairs.insert(key, Pair { first_attempt, second: Some(second) });
    }

    /// Leaves only `attempt`, which the table knows from now on.
    pub(crate) fn keep_only(&mut self, key: UnitKey, attempt: u32) {
        self.pairs.insert(key, Pair { first_attempt: attempt, second: None });
    }

    /// Gives the second attempt to another worker. Returns false if `attempt` is not the second.
    pub(crate) fn move_second(&mut self, key: UnitKey, attempt: u32, worker_id: u32) -> bool {
        match self.pairs.get_mut(&key).and_then(|pair| pair.second.as_mut()) {
            Some(second) if second.attempt == attempt => {
                second.worker_id = worker_id;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Forgets a unit that no longer runs.
    pub(crate) fn forget(&mut self, key: UnitKey) {
        self.pairs.remove(&key);
    }
}
