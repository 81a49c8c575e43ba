//! PUBLISH: writes one shard, and the drop rows beside it.
//!
//! This is the only stage that publishes documents rendered by the job's schema.

mod numbering;
mod output_lines;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thresher_domain::{Counter, Measure};
use thresher_job::SourceSpec;
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{self, PublishUnit, Stage};

use self::numbering::Numbering;
use self::output_lines::OutputLines;
use super::drops::Drops;
use super::schemas::{Renderer, render_row, renderer};
use super::{Finished, JobContext, Task, digest_of, stop};
use thresher_unit::staging::{
    DocumentFile, DropFile, RowVerdict, Staged, StagedDocument, StagedRow, leave, recall,
};
use thresher_unit::{Tally, UnitError, wire_counters};

pub(super) use self::output_lines::PublishedFile;

/// Number of shards in one folder, because parallel file systems are slow in large folders.
const SHARDS_PER_FOLDER: u32 = 1_000;

/// The manifest's entry of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardFacts {
    pub(super) documents: Option<PublishedFile>,
    pub(super) dropped: Option<PublishedFile>,
    pub(super) tally: Tally,
}

/// Returns the path of the facts of a shard; `ordinal` counts over all sources.
fn facts_path(context: &JobContext, ordinal: u32) -> PathBuf {
    context.work.unit_file(Stage::Publish, ordinal, "facts")
}

/// Reads what the PUBLISH unit `ordinal` published.
pub(super) fn read_facts(context: &JobContext, ordinal: u32) -> Result<ShardFacts, UnitError> {
    let producer = pb::UnitRef { stage: Stage::Publish.into(), ordinal, attempt: 0 };
    recall(&facts_path(context, ordinal), producer)
}

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: PublishUnit = task.decode()?;
    let source = context.source(unit.source)?;
    let drops = Drops::read(context, unit.source, key_groups(unit.groups))?;
    let name = shard_name(&source.name, unit.shard);
    let mut shard = ShardWriter {
        source,
        renderer: renderer(&context.job, source, *context.recipe(unit.source)?),
        documents: OutputLines::new(context, &format!("documents/{name}"), &task.tag)?,
        dropped: OutputLines::new(context, &format!("dropped/{name}"), &task.tag)?,
        tally: Tally::default(),
    };
    let mut records_in = 0;
    for number in unit.first_unit..=unit.last_unit {
        let (first, last) = span(&unit, number);
        if unit.absent.binary_search(&number).is_ok() || first >= last {
            continue;
        }
        let path = |suffix| context.work.unit_file(Stage::Prepare, number, suffix);
        if first == 0 {
            let rows = DropFile::open(&path("dropped"), number)?;
            rows.for_each(|row| shard.row(row))?;
        }
        let drops = drops.of(context, number)?;
        let staged = DocumentFile::open(&path("documents"), number)?;
        let summaries = staged.summaries()?;
        let mut numbering = Numbering::start(first, &summaries, &drops);
        staged.for_each(first, last, |place, staged| {
            stop::check_record(&task.stop)?;
            let summary = &summaries[place as usize];
            records_in += 1;
            shard.tally.bytes_in += u64::from(summary.rendered_bytes);
            numbering.enter(summary);
            match (staged, drops.reason(place, summary)) {
                (Staged::Document(document), None) => shard.document(&document, numbering.number()),
                (Staged::Document(document), Some(reason)) => shard.duplicate(&document, reason),
                (Staged::Withdrawn(row), reason) => {
                    shard.drop(&StagedRow { reason: reason.unwrap_or(row.reason), ..row })
                }
            }
        })?;
    }
    task.stop.end_records();
    // An earlier attempt's shard that differs now was altered, and is replaced.
    let earlier = read_facts(context, task.unit.ordinal).ok();
    let facts = shard.finish(earlier.as_ref())?;
    let hash = leave(&facts_path(context, task.unit.ordinal), &task.tag, &facts)?;
    let done = pb::Done {
        accounting: Some(facts.tally.to_wire(records_in)),
        digest: digest_of(&[hash]),
        keys: 0,
        counters: wire_counters(facts.tally.counters),
    };
    Ok(Finished { done, planned: Vec::new() })
}

/// Returns the name of a shard below `documents` and `dropped`. The first thousand are directly
/// there; after that each thousand has its own folder.
fn shard_name(source: &str, shard: u32) -> String {
    let name = format!("{source}-{shard:05}.jsonl.zst");
    match shard / SHARDS_PER_FOLDER {
        0 => name,
        thousand => format!("{source}-{thousand:02}xxx/{name}"),
    }
}

/// Returns the range of places of unit `number` that belongs to the shard.
fn span(unit: &PublishUnit, number: u32) -> (u32, u32) {
    let first = if number == unit.first_unit { unit.first_document } else { 0 };
    let last = if number == unit.last_unit { unit.last_document } else { u32::MAX };
    (first, last)
}

/// Writes one shard and the drop rows beside it, and counts what went into them.
struct ShardWriter<'a> {
    source: &'a SourceSpec,
    renderer: Box<dyn Renderer + 'a>,
    documents: OutputLines,
    dropped: OutputLines,
    tally: Tally,
}

impl ShardWriter<'_> {
    /// Publishes a document.
    fn document(&mut self, document: &StagedDocument<'_>, number: u64) -> Result<(), UnitError> {
        let renderer = &self.renderer;
        let bytes = self.documents.line(|out| renderer.render(document, number, out))?;
        self.tally.kept += 1;
        self.tally.bytes_kept += bytes;
        self.count(document, bytes);
        Ok(())
    }

    /// Counts a published document for the report's tables of slices and languages.
    fn count(&mut self, document: &StagedDocument<'_>, bytes: u64) {
        let tally = &mut self.tally;
        let published = document.origin.map(|origin| origin.slice).filter(|it| !it.is_empty());
        let slice = published.unwrap_or(self.source.slice.name());
        let of_slice = |measure| Counter::Slice { slice: slice.to_owned(), measure };
        let of_language =
            |language: &str, measure| Counter::Language { language: language.to_owned(), measure };
        tally.count(of_slice(Measure::Documents), 1);
        tally.count(of_slice(Measure::JsonBytes), bytes);
        if let Some(tokens) = document.tokens {
            tally.count(of_slice(Measure::Tokens), tokens);
            let language = document.language.unwrap_or("unknown");
            tally.count(of_language(language, Measure::Tokens), tokens);
        }
        if let Some(language) = document.language {
            tally.count(of_language(language, Measure::Documents), 1);
            tally.count(of_language(language, Measure::JsonBytes), bytes);
        }
    }

    /// Drops a document that equals an earlier one.
    fn duplicate(&mut self, document: &StagedDocument<'_>, reason: &str) -> Result<(), UnitError> {
        let hash = blake3::Hash::from_bytes(document.content_hash).to_hex();
        self.drop(&StagedRow {
            id: document.id,
            url: document.url,
            verdict: RowVerdict::Dropped,
            reason,
            detail: &format!("content_hash {hash}"),
            input: document.input,
            offset: document.offset,
            record: document.record,
        })
    }

    /// Writes the drop row of a document that PREPARE kept only for the comparison.
    fn drop(&mut self, row: &StagedRow<'_>) -> Result<(), UnitError> {
        self.tally.drop(row.reason);
        self.row(row)
    }

    /// Writes a row of a record that is already counted.
    fn row(&mut self, row: &StagedRow<'_>) -> Result<(), UnitError> {
        let source = self.source;
        self.dropped.line(|out| render_row(source, row, out)).map(|_| ())
    }

    /// Publishes the files. Those that `earlier` describes exactly as they are here are known to be
    /// this unit's, and are replaced.
    fn finish(self, earlier: Option<&ShardFacts>) -> Result<ShardFacts, UnitError> {
        let documents = earlier.and_then(|facts| facts.documents.as_ref());
        let dropped = earlier.and_then(|facts| facts.dropped.as_ref());
        let documents = self.documents.finish(documents)?;
        let dropped = self.dropped.finish(dropped)?;
        Ok(ShardFacts { documents, dropped, tally: self.tally })
    }
}
