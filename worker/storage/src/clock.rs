//! The only reader of time in a worker: for heartbeats and for the cost of an attempt. Nothing that
//! is published depends on it.

use std::time::{Duration, Instant};

/// Returns the current time, for measuring durations.
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    Instant::now()
}

/// Returns the CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
