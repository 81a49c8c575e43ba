//! The only reader of time in a coordinator.
//!
//! Leases and deadlines must not jump when somebody sets the wall clock. So the wall clock is read
//! once, and from then on a clock counts that only goes forward. It also counts the time during
//! which the machine sleeps, as the batch system does.
//!
//! **Invariant:** [`now`] never goes back within a process, and after `never_before` it is not
//! before the last time that an earlier coordinator wrote into the journal.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use thresher_domain::Timestamp;

/// When this process read the wall clock, in milliseconds of both clocks.
struct Start {
    wall: u64,
    counted: u64,
}

static START: OnceLock<Start> = OnceLock::new();
/// By how many milliseconds this process is ahead of the wall clock that it read.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// Returns the current time, as the scheduler and the journal count it.
pub fn now() -> Timestamp {
    let start = START.get_or_init(|| Start { wall: wall_millis(), counted: counted_millis() });
    let elapsed = counted_millis().saturating_sub(start.counted);
    Timestamp::from_millis(start.wall + elapsed + AHEAD.load(Ordering::Relaxed))
}

/// Moves the time forward if it is before `floor`, because the wall clock was set back since that
/// was written.
pub(crate) fn never_before(floor: Timestamp) {
    AHEAD.fetch_add(floor.millis_since(now()), Ordering::Relaxed);
}

/// Returns a time of the wall clock, such as the end of an allocation, as [`now`] counts it.
pub(crate) fn from_wall(time: Timestamp) -> Timestamp {
    time.plus_millis(AHEAD.load(Ordering::Relaxed))
}

/// Returns the current time, for measuring durations.
pub fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    Instant::now()
}

fn wall_millis() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn counted_millis() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000
        + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn time_continues_from_what_an_earlier_coordinator_wrote() {
        let before = now();
        never_before(before);
        assert!(now().millis_since(before) < HOUR, "the floor is not in the future");
        let floor = before.plus_millis(HOUR);
        never_before(floor);
        assert!(now() >= floor && now().millis_since(floor) < HOUR);
        let ends = before.plus_millis(60_000);
        assert!(
            from_wall(ends).millis_since(now()) > 50_000,
            "the allocation is as long as before"
        );
    }
}
