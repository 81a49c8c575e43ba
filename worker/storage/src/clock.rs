//! The only reader of time in a worker: for heartbeats and for the cost of an attempt. Nothing that
//! is published depends on it.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Returns the current time, for measuring durations.
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    Instant::now()
}

/// Returns the CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    cpu_of(ClockId::ThreadCPUTime)
}

/// Returns the CPU time of all threads of this process.
pub fn process_cpu() -> Duration {
    cpu_of(ClockId::ProcessCPUTime)
}

fn cpu_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
