//! How a job stops before its end: running units get some time to end, the rest waits for the next
//! coordinator.
//!
//! People, signals, the allocation's end and servers that refuse the job all start a drain.
//! Invariant: a drain only becomes shorter, and nothing runs beyond the allocation.

use thresher_domain::Timestamp;

use crate::effect::Effect;
use crate::lifecycle::{Lifecycle, Phase};
use crate::walltime::Walltime;

/// Starts drains.
pub(crate) struct Draining<'a> {
    pub(crate) now: Timestamp,
    pub(crate) walltime: Option<Walltime>,
    pub(crate) lifecycle: &'a mut Lifecycle,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Draining<'_> {
    /// Starts a drain, or shortens one; it ends at once if `until` is not in the future. Returns
    /// whether that changed anything.
    pub(crate) fn start(&mut self, until: Option<Timestamp>) -> bool {
        let work_stops = self.walltime.map(|walltime| walltime.work_stops());
        let until = until.into_iter().chain(work_stops).min();
        match self.lifecycle.phase {
            Phase::Running => {}
            Phase::Draining { until: before } => match (before, until) {
                (None, Some(_)) => {}
                (Some(before), Some(until)) if until < before || until <= self.now => {}
                (Some(_), Some(_)) | (_, None) => return false,
            },
            Phase::Drained | Phase::Over { .. } => return false,
        }
        self.lifecycle.phase = Phase::Draining { until };
        self.lifecycle.directive_changed = true;
        if until.is_some_and(|until| until <= self.now) {
            self.lifecycle.finish_drain(self.effects);
        }
        true
    }

    /// Stops the job because of something that only people can fix; the next coordinator tries
    /// again. The first reason is kept, since all others follow from the same cause.
    pub(crate) fn block(&mut self, reason: String) {
        self.lifecycle.blocked.get_or_insert_with(|| with_hint(reason));
        self.start(None);
    }
}

/// Adds what to do if the reason does not say it.
fn with_hint(reason: String) -> String {
    if reason.contains("\nhint: ") {
        return reason;
    }
    format!("{reason}\nhint: fix the cause, then run the same command again; nothing is lost")
}
