//! No unit is leased while an earlier stage has one left to run.
//!
//! That nobody reads what is not written yet is checked from outside, by the simulated files.

use super::Seen;

pub(crate) fn look(seen: &Seen<'_>) {
    let Some((_, unit)) = seen.leases().next() else { return };
    let status = seen.scheduler.status(seen.now);
    for (_, leased) in seen.leases() {
        assert_eq!(leased.key.stage, unit.key.stage, "one answer leases units of one stage");
    }
    for row in status.stages.iter().filter(|row| row.stage < unit.key.stage) {
        assert!(row.planned, "`{unit}` was leased before {:?} was planned", row.stage);
        assert_eq!(row.waiting + row.leased, 0, "`{unit}` was leased during {:?}", row.stage);
    }
}
