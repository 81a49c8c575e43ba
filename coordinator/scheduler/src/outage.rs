//! A server that does not answer.
//!
//! No unit is to blame for it, and to set units aside would lose what is only late. So they are
//! tried again, for so long as a job may wait; then the job stops, and the next coordinator goes
//! on. A unit that alone gets no answer, while others get on, is counted as failed.

use thresher_domain::{Timestamp, UnitKey};

use crate::job::Job;

/// What is known of servers, by what became of units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outage {
    /// When a unit first got no answer, and none was done since.
    since: Option<Timestamp>,
    /// When a unit was last done.
    last_done: Option<Timestamp>,
}

/// Who gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Others were done since it began.
    OnlyIt,
    /// Nobody was.
    Everybody,
    /// Nobody was for longer than a job waits.
    TooLong,
}

impl Outage {
    /// A unit is done.
    pub(crate) fn ended(&mut self, now: Timestamp) {
        *self = Self { since: None, last_done: Some(now) };
    }
}

impl Job {
    /// Judges an attempt that got no answer, before it is ended.
    pub(crate) fn unanswered(&mut self, now: Timestamp, key: UnitKey, attempt: u32) -> Unanswered {
        let began = self.running(key).find(|copy| copy.attempt == attempt).map(|copy| copy.since);
        if self.outage.last_done.is_some_and(|done| began.is_none_or(|began| done > began)) {
            return Unanswered::OnlyIt;
        }
        let since = *self.outage.since.get_or_insert(now);
        if now >= since.plus_millis(self.plan.limits.outage_millis) {
            return Unanswered::TooLong;
        }
        Unanswered::Everybody
    }
}
