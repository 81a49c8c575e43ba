//! Limits the requests per second of this process to its part of the job's limit.
//!
//! The coordinator divides the limit among the live workers; this file only enforces the part.
//! Invariant: each request gets its waiting time in the order in which they ask.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Sleeper;
use crate::clock;

/// The limit of all readers and writers of this process.
static TURNS: Turns = Turns(Mutex::new(Pace { gap: Duration::ZERO, next: None }));

/// Longest pause that may be made up for by faster requests afterwards.
const BURST: Duration = Duration::from_secs(1);

struct Turns(Mutex<Pace>);

struct Pace {
    /// Time between two requests; zero without a limit.
    gap: Duration,
    /// Earliest time of the next request.
    next: Option<Instant>,
}

/// Sets this process's part, in requests per 1000 seconds. 0 means no limit.
pub fn set_request_rate(per_1000_seconds: u64) {
    TURNS.set(per_1000_seconds);
}

/// Takes the next turn and returns how long to wait for it.
pub(super) fn turn() -> Duration {
    TURNS.take(clock::now())
}

/// Waits for the next turn, if there is a limit.
pub(super) fn wait_turn(sleeper: &dyn Sleeper) {
    let wait = turn();
    if !wait.is_zero() {
        sleeper.sleep(wait);
    }
}

impl Turns {
    fn set(&self, per_1000_seconds: u64) {
        let gap = match per_1000_seconds {
            0 => Duration::ZERO,
            rate => Duration::from_secs(1000).div_f64(rate as f64),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).gap = gap;
    }

    fn take(&self, now: Instant) -> Duration {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.gap.is_zero() {
            return Duration::ZERO;
        }
        let earliest = now.checked_sub(BURST.max(pace.gap)).unwrap_or(now);
        let turn = pace.next.unwrap_or(now).max(earliest);
        pace.next = Some(turn + pace.gap);
        turn.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns() -> Turns {
        Turns(Mutex::new(Pace { gap: Duration::ZERO, next: None }))
    }

    #[test]
    fn turns_come_at_the_rate_and_not_faster() {
        let turns = turns();
        let now = clock::now();
        assert_eq!(turns.take(now), Duration::ZERO);
        turns.set(10_000);
        let waits: Vec<u128> = (0..20).map(|_| turns.take(now).as_millis()).collect();
        let expected: Vec<u128> = (0..20).map(|n| n * 100).collect();
        assert_eq!(waits, expected);
    }

    #[test]
    fn a_pause_saves_up_no_more_than_a_burst() {
        let turns = turns();
        turns.set(10_000);
        let now = clock::now();
        turns.take(now);
        let later = now + Duration::from_secs(3600);
        let at_once = (0..100).filter(|_| turns.take(later).is_zero()).count();
        assert_eq!(at_once, 11);
    }

    #[test]
    fn a_limit_that_is_lifted_releases_all_requests() {
        let turns = turns();
        turns.set(1);
        let now = clock::now();
        turns.take(now);
        assert_eq!(turns.take(now), Duration::from_secs(1000));
        turns.set(0);
        assert_eq!(turns.take(now), Duration::ZERO);
    }
}
