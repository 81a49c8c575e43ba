//! A unit is never leased to two live workers, and its attempts grow.

use std::collections::BTreeMap;

use thresher_coordinator::scheduler::Event;
use thresher_proto::pb::report::Outcome;

use super::Seen;
use crate::sim::files::{Key, key};

#[derive(Default)]
pub(crate) struct OneHolder {
    /// The newest lease of each unit: attempt, and who holds it if anybody.
    newest: BTreeMap<Key, (u32, Option<u32>)>,
}

impl OneHolder {
    /// Gives the units that were held by a worker that was lost.
    pub(crate) fn look(&mut self, seen: &Seen<'_>) -> Vec<Key> {
        let lost = match seen.event {
            Event::Lost { worker_id, .. } => self.lose(*worker_id),
            Event::Sync(request) => {
                for report in &request.reports {
                    let unit = report.unit.unwrap_or_default();
                    let is_done = matches!(report.outcome, Some(Outcome::Done(_)));
                    let is_end = !matches!(report.outcome, Some(Outcome::Listed(_)));
                    if let Some((attempt, holder)) = self.newest.get_mut(&key(&unit))
                        && is_end
                        && (is_done || *attempt == unit.attempt)
                    {
                        *holder = None;
                    }
                }
                if request.resync {
                    self.keep_only(request.worker_id, &request.held);
                }
                Vec::new()
            }
            _ => Vec::new(),
        };
        for (worker_id, unit) in seen.leases() {
            let (attempt, holder) = self.newest.entry(key(&unit)).or_default();
            assert!(
                holder.is_none_or(|holder| holder == worker_id),
                "`{unit}` was leased to worker {worker_id}, while {holder:?} holds {attempt}"
            );
            assert!(unit.attempt > *attempt, "`{unit}` came after attempt {attempt}");
            (*attempt, *holder) = (unit.attempt, Some(worker_id));
        }
        lost
    }

    fn lose(&mut self, worker_id: u32) -> Vec<Key> {
        let mut lost = Vec::new();
        for (unit, (_, holder)) in &mut self.newest {
            if *holder == Some(worker_id) {
                *holder = None;
                lost.push(*unit);
            }
        }
        lost
    }

    fn keep_only(&mut self, worker_id: u32, held: &[thresher_proto::pb::UnitRef]) {
        for (unit, (attempt, holder)) in &mut self.newest {
            let says = held.iter().any(|h| key(h) == *unit && h.attempt == *attempt);
            if *holder == Some(worker_id) && !says {
                *holder = None;
            }
        }
    }
}
