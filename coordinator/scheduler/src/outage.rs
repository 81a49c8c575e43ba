//! Servers that do not answer.
//!
//! No unit is to blame for an outage, and failing units permanently would lose what is only late.
//! So they are retried for as long as the job's limit on outages; then the job stops, and the next
//! coordinator resumes it. A unit that alone gets no answer, while others succeed, counts as
//! failed.

use thresher_domain::Timestamp;

/// What is known about servers, from the outcomes of units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outage {
    /// When a unit first got no answer, if none was done since.
    since: Option<Timestamp>,
    /// When a unit was last done.
    last_done: Option<Timestamp>,
}

/// Who gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Only this unit: others were done since its attempt started.
    OneUnit,
    /// No unit was done meanwhile.
    EveryUnit,
    /// No unit was done for longer than the limit.
    TooLong,
}

impl Outage {
    /// A unit is done, so the servers answer.
    pub(crate) fn end(&mut self, now: Timestamp) {
        *self = Self { since: None, last_done: Some(now) };
    }

    /// Classifies an attempt that got no answer; `started` is when it was leased.
    pub(crate) fn classify(
        &mut self,
        now: Timestamp,
        started: Option<Timestamp>,
        limit_millis: u64,
    ) -> Unanswered {
        let done_since = |done| started.is_none_or(|started| done > started);
        if self.last_done.is_some_and(done_since) {
            return Unanswered::OneUnit;
        }
        let since = *self.since.get_or_insert(now);
        if now >= since.plus_millis(limit_millis) {
            return Unanswered::TooLong;
        }
        Unanswered::EveryUnit
    }
}
