//! A unit is leased to one live worker, or to two when nothing else waits; its attempts grow.

use std::collections::BTreeMap;

use thresher_domain::{AttemptRef, Outcome, UnitKey};
use thresher_scheduler::Event;

use super::Seen;

#[derive(Default)]
pub(crate) struct FewHolders {
    /// Who holds which attempt of each unit.
    holders: BTreeMap<UnitKey, BTreeMap<u32, u32>>,
    newest: BTreeMap<UnitKey, u32>,
    /// Who got which attempt of each unit, until it is reported or its worker is lost. What workers
    /// say that they hold is not used: a call that says so may arrive late and be ignored.
    exposed: BTreeMap<UnitKey, BTreeMap<u32, u32>>,
    pub(crate) speculative: u64,
}

impl FewHolders {
    /// Gives the units that a lost worker may have held.
    pub(crate) fn look(&mut self, seen: &Seen<'_>) -> Vec<UnitKey> {
        let lost = match seen.event {
            Event::Lost { worker_id, .. } => self.lose(*worker_id),
            Event::Sync(request) => {
                for report in &request.reports {
                    self.end(report.unit, &report.outcome);
                }
                if request.resync {
                    self.keep_only(request.worker_id, &request.held);
                }
                Vec::new()
            }
            _ => Vec::new(),
        };
        for (worker_id, unit) in seen.leases() {
            self.lease(seen, worker_id, unit);
        }
        lost
    }

    /// Returns the units that a worker may hold, whether or not it knows of them.
    pub(crate) fn exposed_to(&self, worker_id: u32) -> impl Iterator<Item = UnitKey> + '_ {
        let exposed = self.exposed.iter();
        let to_it = move |workers: &BTreeMap<u32, u32>| workers.values().any(|w| *w == worker_id);
        exposed.filter(move |(_, workers)| to_it(workers)).map(|(unit, _)| *unit)
    }

    fn end(&mut self, unit: AttemptRef, outcome: &Outcome) {
        let exposed = self.exposed.entry(unit.key).or_default();
        match outcome {
            Outcome::Listed(_) => {}
            Outcome::Done(_) => exposed.clear(),
            _ => {
                exposed.remove(&unit.attempt);
            }
        }
        let Some(holders) = self.holders.get_mut(&unit.key) else { return };
        match outcome {
            Outcome::Listed(_) => {}
            Outcome::Done(_) => holders.clear(),
            _ => {
                holders.remove(&unit.attempt);
            }
        }
    }

    fn lease(&mut self, seen: &Seen<'_>, worker_id: u32, unit: AttemptRef) {
        let holders = self.holders.entry(unit.key).or_default();
        holders.retain(|_, holder| *holder != worker_id);
        if let Some((attempt, holder)) = holders.first_key_value() {
            self.speculative += 1;
            let attempts = format!("`{unit}` to worker {worker_id}, #{attempt} to worker {holder}");
            assert_eq!(holders.len(), 1, "a third attempt: {attempts}");
            assert!(!unit.key.stage.is_gang(), "two attempts of a gang unit: {attempts}");
            let rows = seen.scheduler.status(seen.now).stages;
            let waiting = rows.iter().find(|row| row.stage == unit.key.stage).map(|r| r.waiting);
            assert_eq!(waiting, Some(0), "a second attempt while others wait: {attempts}");
        }
        let newest = self.newest.entry(unit.key).or_default();
        assert!(unit.attempt > *newest, "`{unit}` came after attempt {newest}");
        *newest = unit.attempt;
        holders.insert(unit.attempt, worker_id);
        self.exposed.entry(unit.key).or_default().insert(unit.attempt, worker_id);
    }

    fn lose(&mut self, worker_id: u32) -> Vec<UnitKey> {
        let lost = self.exposed_to(worker_id).collect();
        for holders in self.holders.values_mut().chain(self.exposed.values_mut()) {
            holders.retain(|_, holder| *holder != worker_id);
        }
        lost
    }

    fn keep_only(&mut self, worker_id: u32, held: &[AttemptRef]) {
        for (unit, holders) in &mut self.holders {
            let says = |attempt| held.contains(&unit.attempt(attempt));
            holders.retain(|attempt, holder| *holder != worker_id || says(*attempt));
        }
    }
}
