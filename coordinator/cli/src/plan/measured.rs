//! What file operations, units and slots cost, as it was measured. `tests/bench dump` prints these
//! forecasts beside a run with as many units as a dump has.

/// CPU time of one operation on the file system, with what the program does around it.
const OPERATION_CPU_NANOS: u64 = 60_000;
/// CPU time for the lease and the report of a unit, of the worker and of the coordinator.
const UNIT_CPU_NANOS: u64 = 300_000;
/// Time until a small file is on a local disk.
const SYNC_NANOS: u64 = 1_000_000;
/// Memory of a worker that runs nothing.
const IDLE_WORKER_BYTES: u64 = 22 << 20;
/// Memory of a slot that reads pages of usual size, and of each line of its unit.
const SLOT_BYTES: u64 = 5 << 20;
const LINE_BYTES: u64 = 24;
/// Memory of a coordinator without units, and of each unit.
const IDLE_COORDINATOR_BYTES: u64 = 21 << 20;
const UNIT_BYTES: u64 = 300;

/// Returns the CPU time of file operations and of units, without what the units read.
pub(super) fn overhead_millis(operations: u64, units: u64) -> u64 {
    (operations * OPERATION_CPU_NANOS + units * UNIT_CPU_NANOS) / 1_000_000
}

/// Returns how long one slot waits until files are on the disk.
pub(super) fn sync_millis(syncs: u64) -> u64 {
    syncs * SYNC_NANOS / 1_000_000
}

/// Returns the memory of a worker whose slots read units with this number of lines, without models.
/// A gang unit may use `key_bytes` for its keys while no slot reads, and usually uses half of it.
pub(super) fn worker_bytes(slots: u64, lines_per_unit: u64, key_bytes: u64) -> u64 {
    let reading = slots * (SLOT_BYTES + lines_per_unit * LINE_BYTES);
    IDLE_WORKER_BYTES + reading.max(key_bytes / 2)
}

/// Returns the memory of a coordinator with this number of units in all stages.
pub(super) fn coordinator_bytes(units: u64) -> u64 {
    IDLE_COORDINATOR_BYTES + units * UNIT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_of_small_units_costs_its_operations() {
        let units = 2 * 90_000;
        assert!((100_000..500_000).contains(&overhead_millis(4_000_000, units)));
        assert!(coordinator_bytes(units) < 200 << 20);
        assert!(worker_bytes(2, 50, 0) < worker_bytes(2, 50, 1 << 30));
        assert!(worker_bytes(2, 50, 0) < worker_bytes(56, 1_800_000, 0));
    }
}
