//! RESOLVE-BANDS: all ranks of a gang find the documents of one key range that have a band in
//! common.

use std::path::{Path, PathBuf};

use thresher_clusters::edges::{EDGE_FILE, EdgeFileName, EdgeTally, EdgeTask, find_edges};
use thresher_domain::{Counter, KeyGroups};
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{self, RangeUnit, Stage};

use super::super::resolve::{Around, key_file_refs, range_folder, rank_error};
use super::super::step::{RankError, Record, StepEnd};
use super::super::{Finished, JobContext, Task};
use super::gang::{self, GangWork};
use super::rule::NearRule;
use thresher_dedup::KeyRange;
use thresher_dedup::comm::Communicator;
use thresher_dedup::exchange::{KeyFileRef, KeyFiles};
use thresher_formats::blocks::Kind;
use thresher_storage::commit::AttemptFile;
use thresher_unit::staging::recall;
use thresher_unit::{UnitError, wire_counters};

/// Groups with more documents than this are named in the report.
pub(super) const LARGE_GROUP: u64 = 10_000;

pub(in crate::stages) const BANDS: Around = Around {
    keyed: Stage::Sign,
    gathered: Stage::GatherBands,
    resolved: Stage::ResolveBands,
    combined: Stage::Connect,
};

pub(in crate::stages) fn resolve_bands(
    context: &JobContext,
    task: &Task,
) -> Result<Finished, UnitError> {
    let work = RangeWork::new(context, task)?;
    let (tally, cpu_elsewhere) = gang::run(context, task, &work)?;
    let counters = [(Counter::Keys, tally.keys), (Counter::BandGroups, tally.groups)];
    let text = format!("{} {} {}", tally.keys, tally.groups, tally.members);
    let done = pb::Done {
        digest: blake3::hash(text.as_bytes()).as_bytes().to_vec(),
        counters: wire_counters(counters),
        ..pb::Done::default()
    };
    Ok(Finished { done, cpu_elsewhere, ..Finished::default() })
}

/// Runs one rank of RESOLVE-BANDS.
pub(in crate::stages) fn rank_of_bands<C: Communicator + ?Sized>(
    context: &JobContext,
    task: &Task,
    comm: &mut C,
    end: StepEnd<'_>,
) -> Result<(), RankError> {
    let work = RangeWork::new(context, task).map_err(RankError::Own)?;
    gang::run_rank(&work, task, comm, end)
}

/// A key range.
struct RangeWork {
    range: KeyRange,
    groups: KeyGroups,
    key_files: Vec<KeyFileRef>,
    folder: PathBuf,
    bands: u32,
    budget_bytes: u64,
}

impl RangeWork {
    fn new(context: &JobContext, task: &Task) -> Result<Self, UnitError> {
        let unit: RangeUnit = task.decode()?;
        let groups = key_groups(unit.groups);
        let range = KeyRange::new(unit.range, groups.ranges).ok_or_else(|| {
            UnitError::Defect(format!("`{}` is not a valid key range", task.unit))
        })?;
        Ok(Self {
            range,
            groups,
            key_files: key_file_refs(context, BANDS, groups, &unit),
            folder: range_folder(context, Stage::ResolveBands, range),
            bands: NearRule::of_context(context)?.bands().bands as u32,
            budget_bytes: unit.budget_bytes,
        })
    }
}

impl GangWork for RangeWork {
    type Tally = EdgeTally;

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn file_name(&self, rank: u32, world: u32) -> String {
        EdgeFileName { range: self.range, rank, world }.to_string()
    }

    fn kind(&self) -> Kind {
        EDGE_FILE
    }

    fn budget_bytes(&self) -> u64 {
        self.budget_bytes
    }

    fn run<C: Communicator + ?Sized>(
        &self,
        comm: &mut C,
        budget_bytes: u64,
        file: AttemptFile,
    ) -> Result<(AttemptFile, EdgeTally), RankError> {
        let files = &self.key_files;
        let key_files = match self.groups.is_gathered() {
            true => KeyFiles::OfGroups { files, group_units: self.groups.group_units },
            false => KeyFiles::OfUnits(files),
        };
        let Self { range, bands, .. } = *self;
        let task = EdgeTask { key_files, range, bands, budget_bytes, largest_group: LARGE_GROUP };
        find_edges(comm, &task, file)
            .map_err(|error| rank_error((BANDS.keyed, BANDS.gathered), &error))
    }
}

/// Returns what was counted of each key range, with its files of edges.
pub(super) fn resolved(
    context: &JobContext,
    groups: KeyGroups,
) -> Result<Vec<(EdgeTally, Vec<PathBuf>)>, UnitError> {
    let ranges = (0..groups.ranges).filter_map(|index| KeyRange::new(index, groups.ranges));
    ranges
        .map(|range| {
            let folder = range_folder(context, Stage::ResolveBands, range);
            let producer = pb::UnitRef {
                stage: Stage::ResolveBands.into(),
                ordinal: range.index(),
                attempt: 0,
            };
            let path = folder.join(super::super::resolve::RECORD);
            let Record { ranks, tally } = recall(&path, producer)?;
            let file = |rank| folder.join(EdgeFileName { range, rank, world: ranks }.to_string());
            Ok((tally, (0..ranks).map(file).collect()))
        })
        .collect()
}
