//! The only reader of time in a worker: for heartbeats and for what an attempt cost. Nothing that
//! is published depends on it.

use std::time::{Duration, Instant};

/// Now, for measuring spans.
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    Instant::now()
}

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
