//! How many requests this process may make in a second: its part of the job's limit.
//!
//! The coordinator shares the limit out among the workers that are alive; this file only keeps to
//! the part. Invariant: whoever asks for a turn is told how long to wait, in the order of asking.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Sleeper;
use crate::clock;

/// Of all readers and writers of this process.
static TURNS: Turns = Turns(Mutex::new(Pace { gap: Duration::ZERO, next: None }));

/// So much of a pause may be made up for by asking faster afterwards.
const BURST: Duration = Duration::from_secs(1);

struct Turns(Mutex<Pace>);

struct Pace {
    /// Between two requests; zero without a limit.
    gap: Duration,
    /// When the next request may be made.
    next: Option<Instant>,
}

/// Sets this process's part, in thousandths of a request per second. 0: no limit.
pub fn set_request_rate(per_1000_seconds: u64) {
    TURNS.set(per_1000_seconds);
}

/// Takes the next turn: how long to wait for it.
pub(super) fn turn() -> Duration {
    TURNS.take(clock::now())
}

/// Waits for the next turn, where there is a limit.
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
    fn a_limit_that_is_lifted_lets_everybody_go() {
        let turns = turns();
        turns.set(1);
        let now = clock::now();
        turns.take(now);
        assert_eq!(turns.take(now), Duration::from_secs(1000));
        turns.set(0);
        assert_eq!(turns.take(now), Duration::ZERO);
    }
}
