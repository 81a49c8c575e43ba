//! Why a unit is where it is, in sentences. It reads the state and changes nothing.

use thresher_domain::{Explanation, JobState, Stage, UnitCondition, UnitKey};

use crate::job::{Job, Phase};
use crate::unit::{Trouble, UnitState};
use crate::{Scheduler, Timestamp};

impl Scheduler {
    /// Why the unit is where it is; nothing when there is no such unit (yet).
    pub fn explain(&self, now: Timestamp, key: UnitKey) -> Option<Explanation> {
        let job = self.job.as_ref()?;
        let key = job.find(key)?;
        let trouble = job.troubles.get(&key);
        let mut because = Vec::new();
        let condition = match job.state(key) {
            UnitState::Waiting => {
                because.extend(why_waiting(now, job, key, trouble));
                UnitCondition::Waiting
            }
            UnitState::Leased { .. } => {
                because.extend(job.running(key).map(|copy| {
                    format!(
                        "leased to {} for {} s, attempt {}",
                        self.workers.describe(copy.worker_id),
                        now.millis_since(copy.since) / 1000,
                        copy.attempt,
                    )
                }));
                if because.len() > 1 {
                    because.push("the first was slow, so idle slots try it too".into());
                }
                UnitCondition::Leased
            }
            UnitState::Done { digest } => {
                let digest = digest.swap_bytes();
                because.push(format!("done; the digest of its output begins {digest:016x}"));
                UnitCondition::Done
            }
            UnitState::SetAside => {
                let error = trouble.and_then(|trouble| trouble.set_aside.as_deref());
                because.push(format!("set aside: {}", error.unwrap_or("for no known reason")));
                UnitCondition::Failed
            }
            UnitState::Skipped => {
                because.push(why_skipped(job, key));
                UnitCondition::Skipped
            }
        };
        because.extend(trouble.into_iter().flat_map(history));
        Some(Explanation { unit: key.attempt(job.attempt(key)), condition, because })
    }
}

fn why_waiting(now: Timestamp, job: &Job, key: UnitKey, trouble: Option<&Trouble>) -> Vec<String> {
    match &job.phase {
        Phase::Running => {}
        Phase::Draining { .. } => {
            return vec!["the job is draining: nothing is leased any more".into()];
        }
        Phase::Drained => return vec!["the job is drained: `thresher resume` goes on".into()],
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
            return vec![format!("the job {ended}")];
        }
    }
    let mut because = Vec::new();
    if let Some(current) = job.current_stage().filter(|current| *current < key.stage) {
        let table = job.stage(current);
        let left = table.tally.waiting + table.tally.leased;
        because.push(format!(
            "waits for stage `{}`: {left} of {} units are left",
            current.name(),
            table.to_run(),
        ));
    } else if job.slack(now, key).is_none() {
        because.push(why_it_does_not_fit(now, job, key));
    } else if trouble.is_some_and(Trouble::is_suspect) {
        because.push(
            "waits for a worker that runs nothing else: workers were lost while they ran it".into(),
        );
    } else if key.stage.is_gang() {
        because.push("waits for a worker that runs nothing else: it needs all ranks".into());
    } else {
        let waiting = job.stage(key.stage).tally.waiting;
        because.push(format!("waits for a free slot, as one of {waiting} units"));
    }
    because
}

/// In whole seconds, since the end of an allocation is known no better.
fn why_it_does_not_fit(now: Timestamp, job: &Job, key: UnitKey) -> String {
    let left = job.horizon.map_or(0, |horizon| horizon.stops().millis_since(now)) / 1000;
    match job.predict_millis(key) {
        Some(millis) => format!(
            "waits for the next allocation: it takes up to {} s, as others of its stage did, and \
             this one hands out work for {left} s more",
            millis.div_ceil(1000),
        ),
        None => format!(
            "waits for the next allocation: how long it takes is not known, and this one hands \
             out work for {left} s more",
        ),
    }
}

fn why_skipped(job: &Job, key: UnitKey) -> String {
    let source = match key.stage {
        Stage::Layout => Some(key.ordinal as usize),
        Stage::Lines => job.spans.iter().position(|span| span.contains(&key.ordinal)),
        Stage::List
        | Stage::ResolveLines
        | Stage::Prepare
        | Stage::ResolveDocuments
        | Stage::Publish
        | Stage::Seal => None,
    };
    let name = source.and_then(|source| job.plan.sources.get(source)).map_or("", |s| &s.name);
    match key.stage {
        Stage::Layout => format!("source `{name}` could not be listed"),
        Stage::List
        | Stage::Lines
        | Stage::ResolveLines
        | Stage::Prepare
        | Stage::ResolveDocuments
        | Stage::Publish
        | Stage::Seal => format!("lines of source `{name}` are not deduplicated"),
    }
}

fn history(trouble: &Trouble) -> Vec<String> {
    let mut told: Vec<String> = trouble
        .failed
        .iter()
        .map(|failed| format!("attempt {} failed: {}", failed.attempt, failed.error))
        .collect();
    if trouble.crashes > 0 {
        told.push(format!(
            "{} workers were lost while they ran it, {} of them running nothing else",
            trouble.crashes, trouble.crashes_alone,
        ));
    }
    if trouble.repairs > 0 {
        told.push(format!(
            "ran again {} times because what it wrote was found damaged",
            trouble.repairs
        ));
    }
    told
}
