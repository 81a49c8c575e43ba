//! The plan of one stage, and of the stages that find equal keys.

use serde::Serialize;
use thresher_domain::{KeyGroups, KeySize, key_ranges};
use thresher_proto::pb::Stage;
use thresher_proto::stage_name;

use super::operations::Keyed;

/// Assumed time to read, exchange and decide one key. The sample does not measure it.
const RESOLVE_NANOS_PER_KEY: u64 = 500;
/// Assumed time to copy one key into the file of its group.
const GATHER_NANOS_PER_KEY: u64 = 20;
/// Disk space for a verdict on a duplicate, which is at most an ordinal.
const VERDICT_FILE_BYTES: u64 = 4;

/// The resources that one stage needs.
#[derive(Debug, Default, Serialize)]
pub(super) struct StagePlan {
    #[serde(skip)]
    pub(super) kind: Stage,
    pub(super) stage: &'static str,
    pub(super) units: u64,
    /// Number of bytes that it reads.
    pub(super) bytes: u64,
    /// Memory on one machine with its slots.
    pub(super) memory_bytes: u64,
    /// Disk space of the files that it leaves in the work directory or the output.
    pub(super) disk_bytes: u64,
    pub(super) cpu_millis: u64,
    /// Number of operations on the shared file system.
    pub(super) operations: u64,
    #[serde(skip)]
    pub(super) sync_millis: u64,
}

/// The memory that the keys of a resolve stage need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct KeyNeed {
    pub(super) stage: &'static str,
    /// Memory for all keys at once.
    pub(super) memory_bytes: u64,
    /// Number of key ranges on one node such as this machine.
    pub(super) ranges: u64,
    /// Number of such nodes for one key range.
    pub(super) nodes: u64,
}

impl StagePlan {
    /// Whether one unit has all slots.
    pub(super) fn is_gang(&self) -> bool {
        matches!(
            self.kind,
            Stage::ResolveLines | Stage::ResolveDocuments | Stage::ResolveBands | Stage::Connect
        )
    }

    /// Returns the time on this many slots. A gang unit has all of them, and other stages no more
    /// than they have units.
    pub(super) fn wall_millis(&self, slots: u32) -> u64 {
        let busy = if self.is_gang() { u64::from(slots) } else { u64::from(slots).min(self.units) };
        (self.cpu_millis + self.sync_millis) / busy.max(1)
    }
}

/// Returns the plan of a stage of which only the units are known.
pub(super) fn plan(stage: Stage, units: u64) -> StagePlan {
    StagePlan { kind: stage, stage: stage_name(stage), units, ..StagePlan::default() }
}

/// The keys of a stage, and what is expected of them.
pub(super) struct Keys {
    pub(super) keys: u64,
    /// Number of units that have them.
    pub(super) units: u64,
    pub(super) size: KeySize,
    pub(super) duplicates: u64,
}

impl Keys {
    /// Returns the number of key ranges and of groups of units.
    pub(super) fn divided(&self, budget_bytes: u64) -> Keyed {
        let capped = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let ranges = key_ranges(self.keys, self.size.memory_bytes, budget_bytes);
        let units = capped(self.units);
        let groups = KeyGroups::choose(capped(ranges), units, self.keys).groups(units);
        Keyed { ranges, groups: groups.into() }
    }

    /// Returns the memory that all keys need.
    pub(super) fn need(&self, stage: Stage, budget_bytes: u64) -> KeyNeed {
        let memory_bytes = self.keys.saturating_mul(self.size.memory_bytes);
        KeyNeed {
            stage: stage_name(stage),
            memory_bytes,
            ranges: self.divided(budget_bytes).ranges,
            nodes: memory_bytes.div_ceil(budget_bytes.max(1)).max(1),
        }
    }

    /// Returns the stages that find duplicates: GATHER and COMBINE only if there are several key
    /// ranges.
    pub(super) fn compare(
        &self,
        [gather, resolve, combine]: [Stage; 3],
        budget_bytes: u64,
    ) -> Vec<StagePlan> {
        let Self { keys, size, .. } = *self;
        let Keyed { ranges, groups } = self.divided(budget_bytes);
        let (files, verdicts) =
            (keys * size.file_bytes, self.duplicates.saturating_mul(VERDICT_FILE_BYTES));
        let resolve = StagePlan {
            bytes: files,
            memory_bytes: keys.saturating_mul(size.memory_bytes).min(budget_bytes),
            disk_bytes: verdicts,
            cpu_millis: keys.saturating_mul(RESOLVE_NANOS_PER_KEY) / 1_000_000,
            ..plan(resolve, ranges)
        };
        if groups == 0 {
            return vec![resolve];
        }
        let gather = StagePlan {
            bytes: files,
            disk_bytes: files,
            cpu_millis: keys.saturating_mul(GATHER_NANOS_PER_KEY) / 1_000_000,
            ..plan(gather, groups)
        };
        let combine = StagePlan { bytes: verdicts, disk_bytes: verdicts, ..plan(combine, groups) };
        vec![gather, resolve, combine]
    }
}

/// `part` of a sample of `sampled` bytes, in `all` bytes.
pub(super) fn scale(part: u64, all: u64, sampled: u64) -> u64 {
    let scaled = (u128::from(part) * u128::from(all)).checked_div(u128::from(sampled));
    u64::try_from(scaled.unwrap_or_default()).unwrap_or(u64::MAX)
}
