//! LAYOUT: divides the remaining documents of one source into shards of the chosen size.
//!
//! **Invariant:** shards are cut by the bytes of the remaining documents in canonical order, not by
//! units, and each source has its own shards: a duplicate in one source moves no byte of another.

use prost::Message;
use thresher_domain::Counter;
use thresher_proto::pb::{self, LayoutUnit, PlannedUnit, PublishUnit, Stage};

use super::drops::Drops;
use super::{Finished, JobContext, Task};
use thresher_unit::staging::DocumentFile;
use thresher_unit::{UnitError, wire_counters};

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: LayoutUnit = task.decode()?;
    let target_bytes = context.job.output.shard_bytes.0;
    let (drops, hashes) = Drops::decide(context, task, &unit)?;
    let end = unit.first_unit + unit.units;
    let mut cutter = Cutter::new(&unit, target_bytes);
    for number in unit.first_unit..end {
        if unit.absent.binary_search(&number).is_ok() {
            continue;
        }
        let path = context.work.unit_file(Stage::Prepare, number, "documents");
        let summaries = DocumentFile::open(&path, number)?.summaries()?;
        let drops = drops.of(context, number)?;
        for (place, summary) in (0_u32..).zip(&summaries) {
            if !summary.is_withdrawn && drops.reason(place, summary).is_none() {
                cutter.document(number, place, summary.rendered_bytes);
            }
        }
    }
    let planned = cutter.finish(end);
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
    Ok(Finished { done, planned })
}

struct Cutter<'a> {
    unit: &'a LayoutUnit,
    target_bytes: u64,
    planned: Vec<PlannedUnit>,
    first: (u32, u32),
    bytes: u64,
}

impl<'a> Cutter<'a> {
    fn new(unit: &'a LayoutUnit, target_bytes: u64) -> Self {
        let first = (unit.first_unit, 0);
        Self { unit, target_bytes, planned: Vec::new(), first, bytes: 0 }
    }

    fn document(&mut self, unit: u32, document: u32, size: u32) {
        if self.bytes > 0 && self.bytes + u64::from(size) > self.target_bytes {
            self.cut((unit, document));
        }
        self.bytes += u64::from(size);
    }

    /// Ends the shard before the document at `next`.
    fn cut(&mut self, next: (u32, u32)) {
        let inside = |number: &&u32| (self.first.0..=next.0).contains(*number);
        let shard = PublishUnit {
            source: self.unit.source,
            shard: self.planned.len() as u32,
            first_unit: self.first.0,
            first_document: self.first.1,
            last_unit: next.0,
            last_document: next.1,
            absent: self.unit.absent.iter().filter(inside).copied().collect(),
            groups: self.unit.groups,
        };
        self.planned.push(PlannedUnit { payload: shard.encode_to_vec(), cost_bytes: self.bytes });
        (self.first, self.bytes) = (next, 0);
    }

    /// Ends the last shard. It reaches to the end, to include the drop rows of units without a
    /// document.
    fn finish(mut self, end: u32) -> Vec<PlannedUnit> {
        if self.first != (end, 0) {
            self.cut((end, 0));
        }
        self.planned
    }
}
