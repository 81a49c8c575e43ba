//! LINES: hashes every line of a unit's inputs. For slices that join rows, it writes rows for other
//! units instead.
//!
//! **Invariant:** lines are numbered over all pages of the unit in reading order, as PREPARE
//! numbers them again.

use std::path::PathBuf;

use thresher_domain::{Counter, SplitMix64};
use thresher_job::{JobSpec, LineHash};
use thresher_proto::pb::{self, InputsUnit, Stage};

use super::kept_text::Keeping;
use super::{Finished, JobContext, Task, digest_of, join};
use crate::stages::read::{Reading, read_unit};
use thresher_dedup::keys::KeyCollector;
use thresher_sources::{ReadRecord, RecordOutcome};
use thresher_storage::commit::NewNames;
use thresher_text::ccnet_line::{line_hash_sha1, line_hash_xxh3, normalise_line};
use thresher_text::lines::lines;
use thresher_unit::staging::{
    InputFacts, create, hash_of, leave_replacing_among, publish_blocks_among, recall,
};
use thresher_unit::{Tally, UnitError, wire_counters};

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let inputs: InputsUnit = task.decode()?;
    let path = context.work.unit_file(Stage::Lines, task.unit.ordinal, "keys");
    let mut file = create(&path, &task.tag)?;
    let spill_folder = context.scratch_folder(&path, task, "");
    let scratch = context.scratch_folder(&path, task, "-scratch");
    let mut keys = KeyCollector::<u64>::new(task.unit.ordinal, context.sort_bytes(), spill_folder);

    let mut hasher = LineHasher::new(&context.job);
    let (mut tally, mut records_in, mut ordinal) = (Tally::default(), 0, 0_u32);
    // A source whose lines are not compared has units here only to exchange rows between pieces.
    let joined = join::scatter(context, task, &inputs, &scratch)?;
    let lines_count = context.recipe(inputs.source)?.dedups_lines;
    let mut keeping = Keeping::start(context, task, &inputs)?;
    let mut sink = |input: &Reading<'_>, record: ReadRecord<'_>| {
        keeping.push(input.number, &record)?;
        records_in += 1;
        tally.bytes_in += record.bytes;
        match record.outcome {
            RecordOutcome::Page(page) => {
                tally.kept += 1;
                tally.bytes_kept += page.text.len() as u64;
                keys.start_record(ordinal);
                for line in lines(page.text) {
                    keys.push(hasher.key(line, input.shard), ordinal)?;
                    ordinal = next(ordinal)?;
                }
            }
            RecordOutcome::Dropped { reason, .. } => tally.drop(reason),
            RecordOutcome::Quarantined { reason, .. } => tally.quarantine(reason),
        }
        Ok(())
    };
    let facts = if lines_count {
        read_unit(context, task, &inputs, &scratch, &mut sink)?
    } else {
        Vec::new()
    };
    let (_, summary) = keys.finish(&mut file)?;
    let mut names = NewNames::default();
    let committed = publish_blocks_among(file, thresher_dedup::KEY_FILE, &mut names)?;
    // A unit may run again because its inputs had changed. The last description counts, and PREPARE
    // compares with it.
    let described = inputs_path(context, task.unit.ordinal);
    leave_replacing_among(&described, &task.tag, &facts, &mut names)?;
    names.sync()?;
    keeping.finish(&facts)?;
    let counters = [(Counter::Lines, ordinal.into()), (Counter::LineKeys, summary.distinct)];
    let done = pb::Done {
        accounting: Some(tally.to_wire(records_in)),
        digest: digest_of(&[&joined[..], &[hash_of(committed)]].concat()),
        keys: summary.distinct,
        counters: wire_counters(counters),
    };
    Ok(Finished { done, ..Finished::default() })
}

/// Returns the path of the file that describes a unit's inputs at the time when their lines were
/// hashed.
fn inputs_path(context: &JobContext, unit: u32) -> PathBuf {
    context.work.unit_file(Stage::Lines, unit, "inputs")
}

/// Returns the inputs of a unit as LINES has read them.
pub(super) fn inputs_when_read(
    context: &JobContext,
    unit: u32,
) -> Result<Vec<InputFacts>, UnitError> {
    let producer = pb::UnitRef { stage: Stage::Lines.into(), ordinal: unit, attempt: 0 };
    recall(&inputs_path(context, unit), producer)
}

/// Returns an error if the inputs differ from those that LINES read `before`, because its verdicts
/// are then about other lines.
pub(super) fn refuse_changed(before: &[InputFacts], now: &[InputFacts]) -> Result<(), UnitError> {
    let changed = now.iter().find(|input| !before.contains(input));
    let gone = before.iter().find(|input| !now.contains(input));
    match changed.or(gone) {
        None => Ok(()),
        Some(InputFacts { path, .. }) => Err(UnitError::Data(format!(
            "the input `{path}` changed while the job ran: its lines had other bytes\nhint: inputs \
             must not change while a job runs; after it has stopped, the same command continues \
             with the new ones"
        ))),
    }
}

pub(super) fn next(ordinal: u32) -> Result<u32, UnitError> {
    ordinal.checked_add(1).ok_or_else(|| {
        UnitError::JobFile(
            "a unit has more lines than can be numbered\nhint: lower `units.target_bytes`"
                .to_owned(),
        )
    })
}

/// Computes the key of a line, by the job's hash and scope.
pub(super) struct LineHasher {
    hash: fn(&[u8]) -> u64,
    scoped: bool,
    normal: Vec<u8>,
}

impl LineHasher {
    pub(super) fn new(job: &JobSpec) -> Self {
        let hash = match job.dedup.lines.hash {
            LineHash::Xxh3 => line_hash_xxh3,
            LineHash::Sha1 => line_hash_sha1,
        };
        Self { hash, scoped: job.dedup.lines.shards > 0, normal: Vec::new() }
    }

    /// Returns the key of a line. If lines are compared within shards, equal lines of two shards
    /// have different keys.
    pub(super) fn key(&mut self, line: &str, shard: u32) -> u64 {
        let hash = (self.hash)(normalise_line(line, &mut self.normal));
        if self.scoped { hash ^ SplitMix64::at(shard.into()) } else { hash }
    }
}
