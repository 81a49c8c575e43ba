//! The operations of each stage on the shared file system: opens, creations, names, removals and
//! syncs. `tests/it/operations.rs` compares them with those of a real job.
//!
//! Operations are what a metadata server has to do, so a job of many small units can slow down a
//! whole site although it reads few bytes.

use thresher_coordinator::amounts::count;
use thresher_proto::pb::Stage;
use thresher_proto::stage_name;

/// A file that is named and not synced.
const UNSYNCED_FILE: u64 = 3;
/// A file that is published: created, named, freed of its private name, and synced.
const FILE: u64 = 4;
/// The folder of the files of a unit, which is opened and synced.
const FOLDER: u64 = 2;
/// Times that an input on disk is looked at before it is read.
const INPUT_STATS: u64 = 3;
/// More operations than this in one second of CPU time are many for a metadata server, if thousands
/// of slots do the same.
const MANY_PER_SECOND: u64 = 200;
/// Fewer operations than this are over in minutes anyway.
const MANY: u64 = 1_000_000;

/// What decides the number of operations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Files {
    /// Number of units of PREPARE.
    pub(super) units: u64,
    /// Number of inputs, or of pieces of them.
    pub(super) inputs: u64,
    /// Number of key ranges and groups of lines, of documents and of bands; no groups if there is
    /// one range.
    pub(super) lines: Keyed,
    pub(super) documents: Keyed,
    pub(super) bands: Keyed,
    /// Number of units whose text is kept from LINES to PREPARE, and of their inputs.
    pub(super) kept: u64,
    pub(super) kept_inputs: u64,
    /// Number of ranks of a gang unit.
    pub(super) ranks: u64,
}

/// The key ranges of one kind of keys.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keyed {
    pub(super) ranges: u64,
    pub(super) groups: u64,
}

impl Files {
    /// Returns the number of operations of a stage with this many units.
    pub(super) fn of(&self, stage: Stage, units: u64) -> u64 {
        let Self { lines, documents, kept, .. } = *self;
        let keys = |keyed: Keyed| if keyed.ranges > 0 { 1 } else { 0 };
        match stage {
            Stage::Unspecified => 0,
            Stage::List => units * (FILE + FOLDER) + self.inputs * INPUT_STATS,
            Stage::Seal => self.units + units * (FILE + FOLDER) + self.left(),
            Stage::Lines => self.inputs + units * (2 * FILE + FOLDER) + kept * UNSYNCED_FILE,
            Stage::GatherLines | Stage::GatherDocuments => self.units + units * (FILE + FOLDER),
            Stage::ResolveLines => self.resolve(lines),
            Stage::ResolveDocuments => self.resolve(documents),
            Stage::CombineLines => Self::combine(lines, units),
            Stage::CombineDocuments => Self::combine(documents, units),
            Stage::Prepare => {
                // Kept text is looked for, opened and removed; other inputs are opened.
                let inputs = self.inputs - self.kept_inputs + 3 * kept;
                let verdicts = self.verdicts(lines);
                inputs + verdicts + units * (2 * keys(lines) + 3 * FILE + FOLDER)
            }
            Stage::Sign => self.units * (1 + keys(documents)) + units * (2 * FILE + FOLDER),
            Stage::GatherBands => self.units + units * (FILE + FOLDER),
            Stage::ResolveBands => self.resolve(self.bands),
            // Each file of edges is read once a round by one rank.
            Stage::Connect => {
                let edges = self.bands.ranges * self.ranks;
                units * (edges + self.bands.ranges + (self.ranks + 1) * (FILE + FOLDER))
            }
            Stage::Collect => 2 * self.units + units * (1 + FILE + FOLDER),
            // A part opens a file of each group, and a group one of each part.
            Stage::Compare | Stage::Decide => units * (units + 2 * FILE + FOLDER),
            Stage::Layout => self.units * (1 + keys(documents)) + self.verdicts(documents),
            Stage::Publish => {
                let read = self.units * (2 + keys(documents)) + self.verdicts(documents);
                read + units * 3 * (FILE + FOLDER)
            }
        }
    }

    /// Returns the number of files that are removed with the work directory.
    fn left(&self) -> u64 {
        let Self { units, lines, documents, bands, .. } = *self;
        let keyed = |keyed: Keyed| 2 * keyed.groups + 2 * keyed.ranges;
        let of_lines = if lines.ranges > 0 { 2 * units } else { 0 };
        let of_bands = if bands.ranges > 0 { 2 * units + 4 * units.isqrt() } else { 0 };
        of_lines + of_bands + 3 * units + keyed(lines) + keyed(documents) + keyed(bands)
    }

    /// Returns how often a stage waits until a file or a folder is on the disk.
    pub(super) fn syncs(&self, stage: Stage, units: u64) -> u64 {
        match stage {
            Stage::Unspecified | Stage::Layout => 0,
            Stage::Lines => 3 * units,
            Stage::Prepare => 4 * units,
            Stage::Publish => 6 * units,
            Stage::ResolveLines
            | Stage::ResolveDocuments
            | Stage::ResolveBands
            | Stage::Connect => 4 * units,
            Stage::List
            | Stage::Seal
            | Stage::GatherLines
            | Stage::GatherDocuments
            | Stage::CombineLines
            | Stage::CombineDocuments
            | Stage::Sign
            | Stage::GatherBands
            | Stage::Collect
            | Stage::Compare
            | Stage::Decide => 2 * units,
        }
    }

    /// Files that a worker opens to read the verdicts on all units, which it then keeps open: those
    /// of the groups, or the record of the range and the verdicts of its ranks.
    fn verdicts(&self, keyed: Keyed) -> u64 {
        match keyed.ranges {
            0 => 0,
            1 => 1 + self.ranks.min(self.units),
            _ => keyed.groups,
        }
    }

    /// A group opens the verdicts of each range; a worker reads the record of a range once.
    fn combine(keyed: Keyed, units: u64) -> u64 {
        keyed.ranges + units * (keyed.ranges + FILE + FOLDER)
    }

    /// A range opens each group once; the only range opens each key file for its index and for its
    /// keys. Each rank that has keys writes its verdicts, and one the record of the range.
    fn resolve(&self, keyed: Keyed) -> u64 {
        let (opens, files) = match keyed.ranges {
            0 => return 0,
            1 => (2 * self.units, self.units),
            _ => (keyed.groups, keyed.groups),
        };
        let written = (files.min(self.ranks) + 1) * (FILE + FOLDER);
        keyed.ranges * (opens + written)
    }
}

/// What a stage costs the metadata server, in how much CPU time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) stage: &'static str,
    pub(super) operations: u64,
    pub(super) cpu_millis: u64,
}

/// Returns a sentence on the stage that asks most of the file system for the CPU time that it
/// takes, if that is much.
pub(super) fn storm(loads: impl Iterator<Item = Load>) -> Option<String> {
    let rate = |load: &Load| load.operations * 1000 / load.cpu_millis.max(1);
    let reading = [Stage::Lines, Stage::Prepare].map(stage_name);
    let much = |load: &Load| {
        reading.contains(&load.stage) && load.operations > MANY && rate(load) > MANY_PER_SECOND
    };
    let worst = loads.filter(much).max_by_key(rate)?;
    Some(format!(
        "stage `{}` makes {} file operations, {} in each second of CPU time, which is much for the \
         metadata server of a parallel file system: raise `units.target_bytes`",
        worst.stage,
        count(worst.operations),
        count(rate(&worst))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_grow_with_units_and_ranges_and_not_with_their_product() {
        let files = |ranges: u64, groups: u64| {
            let keyed = Keyed { ranges, groups };
            Files {
                units: 90_000,
                inputs: 90_000,
                lines: keyed,
                documents: keyed,
                ranks: 64,
                ..Files::default()
            }
        };
        let all = |files: Files, groups: u64, ranges: u64| -> u64 {
            let stages = [
                (Stage::Lines, 90_000),
                (Stage::GatherLines, groups),
                (Stage::ResolveLines, ranges),
                (Stage::CombineLines, groups),
                (Stage::Prepare, 90_000),
            ];
            stages.iter().map(|(stage, units)| files.of(*stage, *units)).sum()
        };
        let one = all(files(1, 0), 0, 1);
        assert!((25 * 90_000..35 * 90_000).contains(&one), "{one}");
        let many = all(files(500, 176), 176, 500);
        assert!(many < one + 5 * 90_000 + 500 * 400, "{one} {many}");
    }

    #[test]
    fn small_units_are_named_as_a_storm() {
        let of = |operations, cpu_millis| {
            let stage = stage_name(Stage::Prepare);
            storm([Load { stage, operations, cpu_millis }].into_iter())
        };
        let text = of(2_000_000, 1_000_000).unwrap();
        assert!(
            text.contains("`prepare` makes 2,000,000 file operations, 2,000 in each"),
            "{text}"
        );
        assert_eq!(of(2_000_000, 1_000_000_000), None);
        assert_eq!(of(2000, 1), None);
    }
}
