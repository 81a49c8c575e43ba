//! CPU seconds of this process, all threads.

use rustix::time::{ClockId, clock_gettime};

pub(crate) fn of_this_process() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
