//! Why a unit is in its condition, in sentences. It reads the state and changes nothing.

use thresher_domain::{Explanation, JobState, Stage, UnitCondition, UnitKey};

use crate::failure_history::FailureHistory;
use crate::forecast::Forecast;
use crate::job::Job;
use crate::lifecycle::Phase;
use crate::unit::UnitState;
use crate::workers::Workers;

/// What an explanation is made of.
pub(crate) struct Explaining<'a> {
    pub(crate) job: &'a Job,
    pub(crate) workers: &'a Workers,
    pub(crate) forecast: Forecast<'a>,
}

impl Explaining<'_> {
    /// Explains a unit of the job.
    pub(crate) fn explain(&self, key: UnitKey) -> Explanation {
        let units = &self.job.units;
        let (condition, mut because) = match units.state(key) {
            UnitState::Waiting => (UnitCondition::Waiting, self.why_waiting(key)),
            UnitState::Leased { .. } => (UnitCondition::Leased, self.who_runs(key)),
            UnitState::Done { digest } => {
                let digest = digest.swap_bytes();
                let done = format!("done; the digest of its output starts with {digest:016x}");
                (UnitCondition::Done, vec![done])
            }
            UnitState::Failed => {
                let error = units.history(key).and_then(|found| found.permanent_error.as_deref());
                let error = error.unwrap_or("for no known reason");
                (UnitCondition::Failed, vec![format!("failed permanently: {error}")])
            }
            UnitState::Skipped => (UnitCondition::Skipped, vec![self.why_skipped(key)]),
        };
        because.extend(units.history(key).into_iter().flat_map(past_failures));
        Explanation { unit: units.newest(key), condition, because }
    }

    fn who_runs(&self, key: UnitKey) -> Vec<String> {
        let running = self.job.units.running(key).map(|one| {
            format!(
                "leased to {} for {} s, attempt {}",
                self.workers.describe(one.worker_id),
                self.forecast.now.millis_since(one.since) / 1000,
                one.attempt,
            )
        });
        let mut because: Vec<String> = running.collect();
        if because.len() > 1 {
            because.push("the first attempt is slow, so an idle slot runs a second one".to_owned());
        }
        because
    }

    fn why_waiting(&self, key: UnitKey) -> Vec<String> {
        let because = match &self.job.lifecycle.phase {
            Phase::Running => self.what_it_waits_for(key),
            Phase::Draining { .. } => "the job is draining: nothing is leased any more".to_owned(),
            Phase::Drained => match &self.job.lifecycle.blocked {
                Some(reason) => format!("the job is blocked: {reason}"),
                None => "the job is drained: the command that started it continues it".to_owned(),
            },
            Phase::Over { state, .. } => {
                let ended = match state {
                    JobState::Failed => "failed",
                    JobState::Cancelled => "was cancelled",
                    JobState::None
                    | JobState::Running
                    | JobState::Drained
                    | JobState::Complete
                    | JobState::CompleteWithGaps => "is complete",
                };
                format!("the job {ended}")
            }
        };
        vec![because]
    }

    fn what_it_waits_for(&self, key: UnitKey) -> String {
        let units = &self.job.units;
        if let Some(current) = units.current_stage().filter(|current| *current < key.stage) {
            let table = units.table(current);
            let left = table.tally.waiting + table.tally.leased;
            format!("waits for stage `{current}`: {left} of {} units are left", table.to_run())
        } else if !self.forecast.fits(key) {
            self.why_it_does_not_fit(key)
        } else if let Some(history) = units.history(key)
            && let Some(until) = history.not_before.filter(|until| *until > self.forecast.now)
        {
            let seconds = until.millis_since(self.forecast.now).div_ceil(1000);
            let tries = history.tries;
            let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
            format!("failed {times}, and is tried again in {seconds} s")
        } else if units.is_suspect(key) {
            "waits for a worker that runs nothing else: workers were lost while they ran it"
                .to_owned()
        } else if key.stage.is_gang() {
            "waits for a worker that runs nothing else: it needs all ranks".to_owned()
        } else {
            let waiting = units.table(key.stage).tally.waiting;
            format!("waits for a free slot, as one of {waiting} units")
        }
    }

    /// In whole seconds, since the end of an allocation is not known more precisely.
    fn why_it_does_not_fit(&self, key: UnitKey) -> String {
        let Forecast { now, walltime, .. } = self.forecast;
        let left = walltime.map_or(0, |walltime| walltime.leasing_stops().millis_since(now)) / 1000;
        match self.forecast.upper_bound_millis(key) {
            Some(millis) => format!(
                "waits for the next allocation: it takes up to {} s, as others of its stage did, \
                 and this one starts units for {left} s more",
                millis.div_ceil(1000),
            ),
            None => format!(
                "waits for the next allocation: how long it takes is not known, and this one \
                 starts units for {left} s more",
            ),
        }
    }

    fn why_skipped(&self, key: UnitKey) -> String {
        let source_name = |source: usize| {
            self.job.plan.sources.get(source).map_or("", |source| source.name.as_str())
        };
        if key.stage == Stage::Layout {
            return format!("source `{}` could not be listed", source_name(key.ordinal as usize));
        }
        let spans = &self.job.units.spans;
        let source = spans.iter().position(|span| span.contains(&key.ordinal));
        format!("lines of source `{}` are not deduplicated", source.map_or("", source_name))
    }
}

fn past_failures(history: &FailureHistory) -> Vec<String> {
    let failed = history.latest.iter();
    let mut past: Vec<String> = failed
        .map(|failed| format!("attempt {} failed: {}", failed.attempt, failed.error))
        .collect();
    if history.crashes > 0 {
        past.push(format!(
            "{} workers were lost while they ran it, {} of them running nothing else",
            history.crashes, history.crashes_alone,
        ));
    }
    if history.repairs > 0 {
        past.push(format!(
            "ran again {} times because its output was found damaged",
            history.repairs
        ));
    }
    past
}
