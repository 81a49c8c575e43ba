//! The only reader of time in a coordinator.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use thresher_domain::Timestamp;

/// Returns the current time, as the scheduler and the journal count it.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Returns the current time, for measuring durations.
pub fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    Instant::now()
}
