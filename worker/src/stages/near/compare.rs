//! COMPARE: one part of the components, and who of their documents is removed because of whom.

use std::path::PathBuf;

use thresher_clusters::compare::{
    CompareTally, CompareTask, DECISION_RUNS, Settings, Survivors, Verify, compare as compare_part,
};
use thresher_clusters::runs::RunFile;
use thresher_domain::{Counter, MemberGroups};
use thresher_job::{NearSpec, Survivors as SurvivorsSpec, Verify as VerifySpec};
use thresher_proto::pb::{self, MembersUnit, Stage};

use super::super::{Finished, JobContext, Task, digest_of};
use super::errors::compare_error;
use super::rule::NearRule;
use thresher_storage::commit::NewNames;
use thresher_unit::staging::{
    create, hash_of, leave_replacing_among, publish_blocks_among, recall,
};
use thresher_unit::{UnitError, wire_counters};

/// Smallest memory for the members of a component.
const MIN_MEMORY_BYTES: u64 = 16 << 20;
/// Files of one unit that stay open; the others are opened for each read.
pub(super) const OPEN_FILES: usize = 512;

pub(in crate::stages) fn compare(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: MembersUnit = task.decode()?;
    let groups = MemberGroups::of(unit.units);
    let members: Vec<RunFile> = (0..groups.groups())
        .map(|number| {
            let path = context.work.unit_file(Stage::Collect, number, "members");
            RunFile { number, path }
        })
        .collect();
    let path = context.work.unit_file(Stage::Compare, unit.number, "decisions");
    let file = create(&path, &task.tag)?;
    let scratch = super::scratch_folder(&path);
    let memory = (context.key_memory() / context.slots.max(1) as u64).max(MIN_MEMORY_BYTES);
    let compared = CompareTask {
        members: &members,
        parts: groups.parts(),
        part: unit.number,
        group_units: groups.group_units(),
        kept_from_source: context.job.first_earlier() as u32,
        settings: settings(&context.job.near, NearRule::of_context(context)?, memory),
        scratch_folder: &scratch,
        open_files: OPEN_FILES,
    };
    let (file, tally) = compare_part(&compared, file).map_err(|error| compare_error(&error))?;
    let mut names = NewNames::default();
    let committed = publish_blocks_among(file, DECISION_RUNS, &mut names)?;
    leave_replacing_among(&tally_path(context, unit.number), &task.tag, &tally, &mut names)?;
    names.sync()?;
    let counters = [
        (Counter::Components, tally.components),
        (Counter::Compared, tally.comparisons),
        (Counter::Dissimilar, tally.dissimilar),
        (Counter::Clusters, tally.clusters),
        (Counter::NearDuplicates, tally.removed),
    ];
    let done = pb::Done {
        digest: digest_of(&[hash_of(committed)]),
        counters: wire_counters(counters),
        ..pb::Done::default()
    };
    Ok(Finished { done, ..Finished::default() })
}

fn settings(near: &NearSpec, rule: NearRule, memory_bytes: u64) -> Settings {
    Settings {
        verify: match near.verify {
            VerifySpec::Jaccard => Verify::Jaccard(rule.threshold()),
            VerifySpec::Containment => Verify::Containment,
            VerifySpec::None => Verify::None,
        },
        survivors: match near.survivors {
            SurvivorsSpec::Witness => Survivors::Witness,
            SurvivorsSpec::Components => Survivors::Components,
        },
        first_kept: u32::try_from(near.first_kept).unwrap_or(u32::MAX),
        memory_bytes: usize::try_from(memory_bytes).unwrap_or(usize::MAX),
    }
}

fn tally_path(context: &JobContext, part: u32) -> PathBuf {
    context.work.unit_file(Stage::Compare, part, "tally")
}

/// Reads what was counted in all parts.
pub(super) fn tally(context: &JobContext, units: u32) -> Result<CompareTally, UnitError> {
    let mut sum = CompareTally::default();
    for part in 0..MemberGroups::of(units).parts() {
        let producer = pb::UnitRef { stage: Stage::Compare.into(), ordinal: part, attempt: 0 };
        sum.add(recall(&tally_path(context, part), producer)?);
    }
    Ok(sum)
}
