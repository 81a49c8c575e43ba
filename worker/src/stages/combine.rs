//! COMBINE-LINES and COMBINE-DOCUMENTS: join what all key ranges say of a group of units in one
//! verdict file.

use thresher_job::DedupPolicy;
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{self, GroupUnit, Stage};

use super::gather::units_of;
use super::resolve::policy_of;
use super::verdicts::{range_verdicts, read_or_reopen};
use super::{Finished, JobContext, Task};
use thresher_dedup::VERDICT_FILE;
use thresher_dedup::combine::combine;
use thresher_unit::UnitError;
use thresher_unit::staging::{create, hash_of, publish_blocks};

pub(super) fn run_lines(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run(context, task, Stage::ResolveLines, context.job.dedup.lines.policy)
}

pub(super) fn run_documents(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    run(context, task, Stage::ResolveDocuments, context.job.dedup.documents.policy)
}

fn run(
    context: &JobContext,
    task: &Task,
    resolved: Stage,
    policy: DedupPolicy,
) -> Result<Finished, UnitError> {
    let Some(policy) = policy_of(policy) else { return Ok(Finished::default()) };
    let unit: GroupUnit = task.decode()?;
    let units: Vec<u32> = units_of(&unit).collect();
    let path = context.work.unit_file(task.unit.stage(), task.unit.ordinal, "verdicts");
    let file = read_or_reopen(context, || {
        let files = range_verdicts(context, resolved, key_groups(unit.groups), unit.group)?;
        let (file, _) = combine(&files, &units, policy, create(&path, &task.tag)?)
            .map_err(|error| UnitError::combine(resolved, &error))?;
        Ok(file)
    })?;
    let committed = publish_blocks(file, VERDICT_FILE)?;
    let digest = hash_of(committed).as_bytes().to_vec();
    let done = pb::Done { digest, ..pb::Done::default() };
    Ok(Finished { done, ..Finished::default() })
}
