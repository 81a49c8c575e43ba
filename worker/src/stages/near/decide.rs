//! DECIDE: what all parts decided about the documents of a group of units, in one file.

use std::path::PathBuf;

use thresher_clusters::decisions::{DECISION_FILE, Group, decide as join};
use thresher_clusters::runs::RunFile;
use thresher_domain::MemberGroups;
use thresher_proto::pb::{self, MembersUnit, Stage};

use super::super::{Finished, JobContext, Task};
use super::compare::OPEN_FILES;
use super::errors::decide_error;
use thresher_unit::UnitError;
use thresher_unit::staging::{create, hash_of, publish_blocks};

pub(in crate::stages) fn decide(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: MembersUnit = task.decode()?;
    let groups = MemberGroups::of(unit.units);
    let parts: Vec<RunFile> = (0..groups.parts())
        .map(|number| {
            let path = context.work.unit_file(Stage::Compare, number, "decisions");
            RunFile { number, path }
        })
        .collect();
    let file = create(&decisions_path(context, unit.number), &task.tag)?;
    let group = Group { group: unit.number, group_units: groups.group_units() };
    let (file, _) = join(&parts, group, OPEN_FILES, file).map_err(|error| decide_error(&error))?;
    let digest = hash_of(publish_blocks(file, DECISION_FILE)?).as_bytes().to_vec();
    Ok(Finished { done: pb::Done { digest, ..pb::Done::default() }, ..Finished::default() })
}

/// Returns the path of the decisions about a group.
pub(super) fn decisions_path(context: &JobContext, group: u32) -> PathBuf {
    context.work.unit_file(Stage::Decide, group, "decisions")
}
