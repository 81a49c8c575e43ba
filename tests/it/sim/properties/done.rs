//! What is done stays done, unless somebody found it damaged. Two results of a unit are alike.

use std::collections::BTreeSet;

use thresher_coordinator::scheduler::Effect;
use thresher_proto::pb::report::Outcome;

use super::Seen;
use crate::sim::files::{Key, key};

#[derive(Default)]
pub(crate) struct StaysDone {
    done: BTreeSet<Key>,
}

impl StaysDone {
    pub(crate) fn look(&mut self, seen: &Seen<'_>) {
        for report in seen.reports() {
            match &report.outcome {
                Some(Outcome::Failed(failed)) => {
                    // It may have been sent back to run again.
                    if let Some(producer) = &failed.producer
                        && seen.state(producer).as_deref() != Some("done")
                    {
                        self.done.remove(&key(producer));
                    }
                }
                Some(Outcome::Done(_)) => {
                    let unit = report.unit.unwrap_or_default();
                    if seen.state(&unit).as_deref() == Some("done") {
                        self.done.insert(key(&unit));
                    }
                }
                _ => {}
            }
        }
        for (worker_id, unit) in seen.leases() {
            assert!(
                !self.done.contains(&key(&unit)),
                "`{unit}` was done and undamaged, and leased to worker {worker_id}"
            );
        }
        for effect in seen.effects {
            assert!(!matches!(effect, Effect::Alarm { .. }), "a false alarm: {effect:?}");
        }
    }
}
