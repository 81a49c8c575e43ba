//! LAYOUT: divides the remaining documents of one source into shards of the chosen size, decides
//! which documents are for validation, and gives each shard its place in token files.
//!
//! **Invariant:** shards are cut by the bytes of the remaining documents in canonical order, not by
//! units, and each source has its own shards: a duplicate in one source moves no byte of another.

use prost::Message;
use thresher_domain::Counter;
use thresher_job::Validation;
use thresher_proto::pb::{self, LayoutUnit, PlannedUnit, PublishUnit, Stage};

use super::drops::Drops;
use super::splits::{Threshold, VALIDATION, side_of};
use super::tokens::TokenLayout;
use super::{Finished, JobContext, Task};
use thresher_unit::staging::{DocumentFile, DocumentSummary};
use thresher_unit::{UnitError, wire_counters};

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: LayoutUnit = task.decode()?;
    if context.source(unit.source)?.earlier {
        // Its documents are published already.
        let digest = blake3::hash(&[]).as_bytes().to_vec();
        return Ok(Finished {
            done: pb::Done { digest, ..pb::Done::default() },
            ..Finished::default()
        });
    }
    let (drops, hashes) = Drops::decide(context, task, &unit)?;
    let splits = context.job.output.splits;
    let mut threshold = Threshold::new(splits.validation);
    if threshold.needs_documents() {
        published(context, &unit, &drops, |_, _, summary| threshold.add(summary.split_rank))?;
    }
    let below = threshold.find();
    let source = &context.source(unit.source)?.name;
    let has_splits = splits.validation != Validation::None;
    let tokens = TokenLayout::start(context, source, if has_splits { 2 } else { 1 })?;
    let mut cutter = Cutter::new(&unit, context.job.output.shard_bytes.0, tokens);
    published(context, &unit, &drops, |number, place, summary| {
        let side = usize::from(side_of(has_splits, summary.split_rank, below) == Some(VALIDATION));
        cutter.document((number, place), summary, side);
    })?;
    let planned = cutter.finish(unit.first_unit + unit.units, below);
    let counters = wire_counters([(Counter::Shards, planned.len() as u64)]);
    let mut digest = blake3::Hasher::new();
    for hash in hashes {
        digest.update(hash.as_bytes());
    }
    for shard in &planned {
        digest.update(&shard.payload);
    }
    let digest = digest.finalize().as_bytes().to_vec();
    let done = pb::Done { digest, counters, ..pb::Done::default() };
    Ok(Finished { done, planned, ..Finished::default() })
}

/// Passes on the unit, the place and the summary of every document that is published, in order.
fn published(
    context: &JobContext,
    unit: &LayoutUnit,
    drops: &Drops,
    mut each: impl FnMut(u32, u32, &DocumentSummary),
) -> Result<(), UnitError> {
    for number in unit.first_unit..unit.first_unit + unit.units {
        if unit.absent.binary_search(&number).is_ok() {
            continue;
        }
        let path = context.work.unit_file(Stage::Prepare, number, "documents");
        let summaries = DocumentFile::open(&path, number)?.summaries()?;
        let drops = drops.of(context, number)?;
        for (place, summary) in (0_u32..).zip(&summaries) {
            if !summary.is_withdrawn && drops.reason(place, summary).is_none() {
                each(number, place, summary);
            }
        }
    }
    Ok(())
}

struct Cutter<'a> {
    unit: &'a LayoutUnit,
    target_bytes: u64,
    /// The shards, with their bytes.
    shards: Vec<(PublishUnit, u64)>,
    tokens: Option<TokenLayout>,
    first: (u32, u32),
    bytes: u64,
}

impl<'a> Cutter<'a> {
    fn new(unit: &'a LayoutUnit, target_bytes: u64, tokens: Option<TokenLayout>) -> Self {
        let first = (unit.first_unit, 0);
        Self { unit, target_bytes, shards: Vec::new(), tokens, first, bytes: 0 }
    }

    fn document(&mut self, place: (u32, u32), summary: &DocumentSummary, side: usize) {
        let size = u64::from(summary.rendered_bytes);
        if self.bytes > 0 && self.bytes + size > self.target_bytes {
            self.cut(place);
        }
        self.bytes += size;
        if let Some(layout) = &mut self.tokens {
            // One more token ends the document.
            layout.document(side, summary.tokens.unwrap_or_default() + 1);
        }
    }

    /// Ends the shard before the document at `next`.
    fn cut(&mut self, next: (u32, u32)) {
        let inside = |number: &&u32| (self.first.0..=next.0).contains(*number);
        let shard = PublishUnit {
            source: self.unit.source,
            shard: self.shards.len() as u32,
            first_unit: self.first.0,
            first_document: self.first.1,
            last_unit: next.0,
            last_document: next.1,
            absent: self.unit.absent.iter().filter(inside).copied().collect(),
            groups: self.unit.groups,
            job_units: self.unit.job_units,
            band_groups: self.unit.band_groups,
            validation_below: 0,
            tokens: Vec::new(),
        };
        self.shards.push((shard, self.bytes));
        if let Some(layout) = &mut self.tokens {
            layout.end_shard();
        }
        (self.first, self.bytes) = (next, 0);
    }

    /// Ends the last shard. It reaches to the end, to include the drop rows of units without a
    /// document.
    fn finish(mut self, end: u32, validation_below: u64) -> Vec<PlannedUnit> {
        if self.first != (end, 0) {
            self.cut((end, 0));
        }
        let (mut shards, bytes): (Vec<_>, Vec<_>) = self.shards.into_iter().unzip();
        for shard in &mut shards {
            shard.validation_below = validation_below;
        }
        if let Some(layout) = self.tokens {
            layout.finish(&mut shards);
        }
        let planned = shards.iter().zip(bytes);
        planned
            .map(|(shard, cost_bytes)| PlannedUnit { payload: shard.encode_to_vec(), cost_bytes })
            .collect()
    }
}
