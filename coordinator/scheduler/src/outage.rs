//! Times in which nothing succeeds: servers that do not answer, storage that is away.
//!
//! No unit is to blame for an outage, and failing units permanently would lose what is only late.
//! So they are retried for as long as the job's limit on outages; then the job stops, and the next
//! coordinator resumes it.

use thresher_domain::Timestamp;

/// What is known about the time since a unit last succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outage {
    /// When a unit first failed, if none was done since.
    since: Option<Timestamp>,
    /// Number of failures since then.
    failures: u32,
}

impl Outage {
    /// A unit is done.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }

    /// An attempt failed for a cause that need not be the data's.
    pub(crate) fn fail(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
    }

    /// The coordinator did not run for a time, in which nothing could succeed.
    pub(crate) fn extend(&mut self, now: Timestamp, millis: u64) {
        self.since = self.since.map(|since| since.plus_millis(millis).min(now));
    }

    /// Returns the number of failures since a unit was last done.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns how many milliseconds ago the first of them was.
    pub(crate) fn lasts(&self, now: Timestamp) -> u64 {
        self.since.map_or(0, |since| now.millis_since(since))
    }
}
