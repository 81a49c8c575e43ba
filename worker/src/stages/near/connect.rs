//! CONNECT: all ranks of a gang find the components of all pairs of documents that have a band in
//! common. The labels that it leaves name the component of each document.

use std::path::{Path, PathBuf};

use thresher_clusters::connect::{
    ConnectError, ConnectTally, ConnectTask, LabelFileName, connect as connect_ranks,
};
use thresher_clusters::{LABEL_FILE, Label, LabelFile};
use thresher_domain::{Counter, MemberGroups};
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{self, MembersUnit, RangeUnit, Stage};

use super::super::resolve::RECORD;
use super::super::step::{RankError, Record, StepEnd, agree};
use super::super::{Finished, JobContext, Task};
use super::bands::resolved;
use super::errors::{connect_error, writing};
use super::gang::{self, GangWork};
use thresher_dedup::comm::Communicator;
use thresher_formats::blocks::Kind;
use thresher_storage::commit::AttemptFile;
use thresher_unit::staging::recall;
use thresher_unit::{UnitError, wire_counters};

pub(in crate::stages) fn connect(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let work = ConnectWork::new(context, task)?;
    let (tally, cpu_elsewhere) = gang::run(context, task, &work)?;
    // The number of rounds is no result.
    let ConnectTally { documents, components, largest_component, edges, .. } = tally;
    let text = format!("{documents} {edges} {components} {largest_component}");
    let done = pb::Done {
        digest: blake3::hash(text.as_bytes()).as_bytes().to_vec(),
        counters: wire_counters([(Counter::Components, components)]),
        ..pb::Done::default()
    };
    Ok(Finished { done, cpu_elsewhere, ..Finished::default() })
}

/// Runs one rank of CONNECT.
pub(in crate::stages) fn rank_of_connect<C: Communicator + ?Sized>(
    context: &JobContext,
    task: &Task,
    comm: &mut C,
    end: StepEnd<'_>,
) -> Result<(), RankError> {
    let work = ConnectWork::new(context, task).map_err(RankError::Own)?;
    gang::run_rank(&work, task, comm, end)
}

struct ConnectWork {
    folder: PathBuf,
    edge_files: Vec<PathBuf>,
    /// The key range of each of these files.
    ranges: Vec<u32>,
    tag: String,
    group_units: u32,
    budget_bytes: u64,
}

impl ConnectWork {
    fn new(context: &JobContext, task: &Task) -> Result<Self, UnitError> {
        let unit: RangeUnit = task.decode()?;
        let resolved = resolved(context, key_groups(unit.groups))?;
        let ranged = (0..)
            .zip(resolved)
            .flat_map(|(range, (_, files))| files.into_iter().map(move |file| (range, file)));
        let (ranges, edge_files) = ranged.unzip();
        Ok(Self {
            folder: context.work.stage(Stage::Connect),
            edge_files,
            ranges,
            tag: task.tag.clone(),
            group_units: MemberGroups::of(unit.units).group_units(),
            budget_bytes: unit.budget_bytes,
        })
    }
}

impl GangWork for ConnectWork {
    type Tally = ConnectTally;

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn file_name(&self, rank: u32, world: u32) -> String {
        LabelFileName { rank, world }.to_string()
    }

    fn kind(&self) -> Kind {
        LABEL_FILE
    }

    fn budget_bytes(&self) -> u64 {
        self.budget_bytes
    }

    fn run<C: Communicator + ?Sized>(
        &self,
        comm: &mut C,
        budget_bytes: u64,
        file: AttemptFile,
    ) -> Result<(AttemptFile, ConnectTally), RankError> {
        let scratch = self.folder.join(format!(".scratch-{}-{}", self.tag, comm.rank()));
        let made = std::fs::create_dir_all(&scratch);
        agree(comm, made.map_err(|error| writing("labels", &error)))?;
        let (edge_files, group_units) = (&*self.edge_files, self.group_units);
        let task = ConnectTask { edge_files, group_units, budget_bytes, scratch: &scratch };
        let connected = connect_ranks(comm, &task, file);
        // It is empty; what a killed attempt left is removed with the work directory.
        let _ = std::fs::remove_dir_all(&scratch);
        connected.map_err(|error: ConnectError| {
            if error.is_echo() {
                RankError::Echo(error.to_string())
            } else {
                RankError::Own(connect_error(&error, &self.ranges))
            }
        })
    }
}

/// The labels of the documents of a group of units.
pub(super) struct Labels {
    file: LabelFile,
}

impl Labels {
    /// Opens the file of the rank that owned the group.
    pub(super) fn of_group(context: &JobContext, unit: &MembersUnit) -> Result<Self, UnitError> {
        let folder = context.work.stage(Stage::Connect);
        let producer = pb::UnitRef { stage: Stage::Connect.into(), ordinal: 0, attempt: 0 };
        let record: Record<ConnectTally> = recall(&folder.join(RECORD), producer)?;
        let world = record.ranks;
        let name = LabelFileName { rank: unit.number % world.max(1), world };
        let file = LabelFile::open(&folder.join(name.to_string()));
        let file = file.map_err(|error| UnitError::staged(Stage::Connect, 0, &error))?;
        Ok(Self { file })
    }

    /// Returns the labels of a unit, by place.
    pub(super) fn of_unit(&self, unit: u32) -> Result<Vec<Label>, UnitError> {
        self.file.of_unit(unit).map_err(|error| UnitError::staged(Stage::Connect, 0, &error))
    }
}

/// Reads what was counted of the components.
pub(super) fn tally(context: &JobContext) -> Result<ConnectTally, UnitError> {
    let producer = pb::UnitRef { stage: Stage::Connect.into(), ordinal: 0, attempt: 0 };
    let path = context.work.stage(Stage::Connect).join(RECORD);
    recall::<Record<ConnectTally>>(&path, producer).map(|record| record.tally)
}
