//! A done unit stays done unless its file was found damaged. Two results of a unit are equal.

use std::collections::BTreeSet;

use thresher_domain::{FailureClass, Outcome, UnitKey};
use thresher_scheduler::Effect;

use super::Seen;

#[derive(Default)]
pub(crate) struct StaysDone {
    done: BTreeSet<UnitKey>,
}

impl StaysDone {
    pub(crate) fn look(&mut self, seen: &Seen<'_>) {
        for report in seen.reports() {
            match &report.outcome {
                Outcome::Failed(failure) => {
                    // It may have been sent back to run again.
                    if let FailureClass::Damaged { producer } = failure.class
                        && !seen.is_done(producer)
                    {
                        self.done.remove(&producer);
                    }
                }
                Outcome::Done(_) if seen.is_done(report.unit.key) => {
                    self.done.insert(report.unit.key);
                }
                _ => {}
            }
        }
        for (worker_id, unit) in seen.leases() {
            assert!(
                !self.done.contains(&unit.key),
                "`{unit}` was done and undamaged, and leased to worker {worker_id}"
            );
        }
        for effect in seen.effects {
            assert!(!matches!(effect, Effect::Alarm { .. }), "a false alarm: {effect:?}");
        }
    }
}
