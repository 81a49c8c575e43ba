//! No unit is leased while an earlier stage has one left to run.
//!
//! The simulated files check from outside that nothing is read before it is written.

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
