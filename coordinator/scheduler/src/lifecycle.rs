//! Whether the job runs, drains or is over.

use thresher_domain::{Directive, JobState, Timestamp};

use crate::effect::Effect;
use crate::walltime::Walltime;

/// The phase of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Nothing is leased any more; some units still run, at the longest until then.
    Draining {
        until: Option<Timestamp>,
    },
    /// Nothing runs. The next coordinator resumes the job.
    Drained,
    /// Final.
    Over {
        state: JobState,
        reason: String,
        finished: Timestamp,
    },
}

/// The phase of a job, and what decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    pub(crate) phase: Phase,
    /// Why the job cannot continue until somebody acts; the next coordinator tries again.
    pub(crate) blocked: Option<String>,
    /// Whether the next coordinator would be blocked too if nobody acted.
    pub(crate) refused: bool,
    /// Whether somebody wants the output without the units that failed permanently.
    pub(crate) failed_units_accepted: bool,
    /// Whether workers must get another directive since the last effects.
    pub(crate) directive_changed: bool,
    /// How the job was before this coordinator took over, if it was drained.
    before: Option<Drained>,
}

/// Why a job was drained.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Drained {
    blocked: Option<String>,
    refused: bool,
}

impl Lifecycle {
    /// Returns the lifecycle of a job that was just submitted.
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Running,
            blocked: None,
            refused: false,
            failed_units_accepted: false,
            directive_changed: false,
            before: None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over { .. })
    }

    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
    }

    /// Returns the directive for workers.
    pub(crate) fn directive(&self) -> Directive {
        match self.phase {
            Phase::Running => Directive::Continue,
            Phase::Draining { .. } | Phase::Drained => Directive::Drain,
            Phase::Over { .. } => Directive::Exit,
        }
    }

    /// Whether the loss of a worker counts against the units that it ran. It does not when workers
    /// are stopped on purpose, as at the end of an allocation.
    pub(crate) fn blames_units(&self, now: Timestamp, walltime: Option<Walltime>) -> bool {
        self.is_running() && walltime.is_none_or(|walltime| now < walltime.leasing_stops())
    }

    /// A new coordinator takes over: a job that was drained runs again.
    pub(crate) fn reopen(&mut self) {
        let (blocked, refused) = (self.blocked.take(), std::mem::take(&mut self.refused));
        self.before = None;
        match self.phase {
            Phase::Draining { .. } | Phase::Drained => {
                self.before = Some(Drained { blocked, refused });
                self.phase = Phase::Running;
            }
            Phase::Running | Phase::Over { .. } => {}
        }
    }

    /// The coordinator that took over ends without having done anything: the job is as it was
    /// before. Returns whether that changed anything.
    pub(crate) fn reopened_in_vain(&mut self) -> bool {
        if !self.is_running() {
            return false;
        }
        let Some(Drained { blocked, refused }) = self.before.take() else { return false };
        (self.phase, self.blocked, self.refused) = (Phase::Drained, blocked, refused);
        true
    }

    /// Ends a drain: nothing runs any more.
    pub(crate) fn finish_drain(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Drained;
        let reason = self.blocked.clone().unwrap_or_default();
        effects.push(Effect::JobEnded { state: JobState::Drained, reason });
    }

    /// Ends the job for good.
    pub(crate) fn end(
        &mut self,
        now: Timestamp,
        state: JobState,
        reason: String,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_over() {
            return;
        }
        self.phase = Phase::Over { state, reason: reason.clone(), finished: now };
        self.directive_changed = true;
        effects.push(Effect::JobEnded { state, reason });
    }
}
