//! PUBLISH: writes one shard in all forms of the job, and the drop rows beside it.
//!
//! This is the only stage that publishes documents rendered by the job's schema.

mod numbering;
mod olmo;
mod output_lines;
mod output_parquet;
mod pair;
mod paths;
mod shard;
mod token_files;
mod token_row;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thresher_job::Folders;
use thresher_proto::pb::{self, PublishUnit, Stage};

use self::numbering::Numbering;
use self::shard::ShardWriter;
use super::drops::Drops;
use super::output_file::{PublishedFile, PublishedShard};
use super::tokens::TokenFacts;
use super::{Finished, JobContext, Task, digest_of, stop};
use thresher_clusters::{Decision, Document, Outcome};
use thresher_unit::staging::{
    DocumentFile, DocumentSummary, DropFile, Staged, StagedCluster, StagedDocument, StagedRow,
    leave, recall,
};
use thresher_unit::{Tally, UnitError, wire_counters};

pub(super) use self::shard::{CountKey, DocumentCount};

/// Number of languages whose files are open at the same time. Each needs some MiB.
const OPEN_LANGUAGES: usize = 16;

/// What the manifest says of a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardFacts {
    /// Name of the source.
    pub(super) source: String,
    /// Documents with a smaller rank are for validation.
    pub(super) validation_below: u64,
    pub(super) documents: Vec<PublishedShard>,
    pub(super) dropped: Option<PublishedFile>,
    pub(super) tokens: TokenFacts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<PublishedFile>,
    pub(super) counts: Vec<(CountKey, DocumentCount)>,
    pub(super) tally: Tally,
}

impl ShardFacts {
    /// Returns all files of the shard that have their final names.
    pub(super) fn files(&self) -> Vec<PublishedFile> {
        let documents = self.documents.iter().map(|shard| &shard.file);
        let tokens = self.tokens.files.iter().map(|tokens| &tokens.file);
        documents.chain(&self.dropped).chain(tokens).chain(&self.index).cloned().collect()
    }
}

impl ShardFacts {
    /// Returns the paths of all files that the shard has, alone or with others.
    pub(super) fn paths(&self) -> Vec<String> {
        let ranges = self.tokens.ranges.iter().map(|range| range.pair.path(range.part));
        self.files().into_iter().map(|file| file.path).chain(ranges).collect()
    }
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
    let drops = Drops::read(context, &unit)?;
    // An earlier attempt's file that differs now was altered, and is replaced.
    let earlier = read_facts(context, task.unit.ordinal).ok();
    let reader = ShardReader { context, task, unit: &unit, drops };
    let mut shard = ShardWriter::new(context, task, &unit, earlier.as_ref())?;
    let records_in = reader.records(&mut shard)?;
    task.stop.end_records();
    let facts = shard.finish()?;
    let hash = leave(&facts_path(context, task.unit.ordinal), &task.tag, &facts)?;
    let done = pb::Done {
        accounting: Some(facts.tally.to_wire(records_in)),
        digest: digest_of(&[hash]),
        keys: 0,
        counters: wire_counters(facts.tally.counters),
    };
    Ok(Finished { done, ..Finished::default() })
}

/// What is known of the place that holds something staged.
struct Place<'p> {
    summary: &'p DocumentSummary,
    /// Why a document is not published.
    reason: Option<&'static str>,
    /// The number of a published document in its input.
    number: u64,
    /// What was decided about the near-duplicates of a document.
    decision: Option<&'p Decision>,
}

/// Gets what is staged, and its place.
type EachStaged<'e> = dyn FnMut(Staged<'_>, Place<'_>) -> Result<(), UnitError> + 'e;

/// Reads the staged documents of a shard.
struct ShardReader<'a> {
    context: &'a JobContext,
    task: &'a Task,
    unit: &'a PublishUnit,
    drops: Drops,
}

impl ShardReader<'_> {
    /// Passes the documents and rows of the shard to the writer, and returns their number. If each
    /// language has its own folder, the documents of a group of languages are read at a time.
    fn records(&self, shard: &mut ShardWriter<'_>) -> Result<u64, UnitError> {
        if self.context.job.output.folders == Folders::None {
            return self.pass(shard, None, true);
        }
        let folders: Vec<String> = self.folders()?.into_iter().collect();
        let mut records_in = 0;
        for (number, group) in folders.chunks(OPEN_LANGUAGES).enumerate() {
            records_in += self.pass(shard, Some(group), number == 0)?;
            shard.end_languages()?;
        }
        if folders.is_empty() {
            records_in += self.pass(shard, Some(&[]), true)?;
        }
        Ok(records_in)
    }

    /// Returns the folders of the languages of the shard.
    fn folders(&self) -> Result<BTreeSet<String>, UnitError> {
        let mut folders = BTreeSet::new();
        self.documents(&mut |staged, place| {
            if let (Staged::Document(document), None) = (staged, place.reason) {
                let folder = paths::folder_of_language(document.language);
                if !folders.contains(&folder) {
                    folders.insert(folder);
                }
            }
            Ok(())
        })?;
        Ok(folders)
    }

    /// Passes documents of these folders to the writer, and everything else if `with_rows`. Returns
    /// the number of records that were passed on.
    fn pass(
        &self,
        shard: &mut ShardWriter<'_>,
        folders: Option<&[String]>,
        with_rows: bool,
    ) -> Result<u64, UnitError> {
        let mut records_in = 0;
        if with_rows {
            self.rows(shard)?;
        }
        self.documents(&mut |staged, place| {
            let Place { summary, reason, number, decision } = place;
            let is_ours = match (&staged, reason) {
                (Staged::Document(document), None) => folders.is_none_or(|folders| {
                    let folder = paths::folder_of_language(document.language);
                    folders.contains(&folder)
                }),
                _ => with_rows,
            };
            if !is_ours {
                return Ok(());
            }
            records_in += 1;
            shard.facts.tally.bytes_in += u64::from(summary.rendered_bytes);
            match (staged, reason) {
                (Staged::Document(document), None) => shard.document(&document, summary, number),
                (Staged::Document(document), Some(reason)) => {
                    shard.duplicate(&document, reason, decision)
                }
                (Staged::Withdrawn(row), reason) => {
                    shard.drop(&StagedRow { reason: reason.unwrap_or(row.reason), ..row })
                }
            }
        })?;
        Ok(records_in)
    }

    /// Passes on the drop rows of the units that start in the shard.
    fn rows(&self, shard: &mut ShardWriter<'_>) -> Result<(), UnitError> {
        for number in self.units() {
            let (first, last) = span(self.unit, number);
            if first == 0 && first < last {
                let path = self.context.work.unit_file(Stage::Prepare, number, "dropped");
                DropFile::open(&path, number)?.for_each(|row| shard.row(row))?;
            }
        }
        Ok(())
    }

    /// Passes on what is staged for the shard.
    fn documents(&self, each: &mut EachStaged<'_>) -> Result<(), UnitError> {
        for unit_number in self.units() {
            let (first, last) = span(self.unit, unit_number);
            if first >= last {
                continue;
            }
            let drops = self.drops.of(self.context, unit_number)?;
            let path = self.context.work.unit_file(Stage::Prepare, unit_number, "documents");
            let staged = DocumentFile::open(&path, unit_number)?;
            let summaries = staged.summaries()?;
            let mut numbering = Numbering::start(first, &summaries, &drops);
            staged.for_each(first, last, |place, staged| {
                stop::check_record(&self.task.stop)?;
                let summary = &summaries[place as usize];
                numbering.enter(summary);
                let reason = drops.reason(place, summary);
                let is_published = matches!(staged, Staged::Document(_)) && reason.is_none();
                let number = if is_published { numbering.number() } else { 0 };
                let decision = drops.decision(place);
                let cluster = drops
                    .has_clusters()
                    .then(|| cluster_name(Document { unit: unit_number, place }, decision));
                let staged = match &cluster {
                    Some(cluster) => with_cluster(staged, cluster, decision),
                    None => staged,
                };
                each(staged, Place { summary, reason, number, decision })
            })?;
        }
        Ok(())
    }

    fn units(&self) -> impl Iterator<Item = u32> {
        let unit = self.unit;
        let all = unit.first_unit..=unit.last_unit;
        all.filter(|number| unit.absent.binary_search(number).is_err())
    }
}

/// Adds the cluster of a document that was compared; without near-duplicates, it is alone there.
fn with_cluster<'d>(staged: Staged<'d>, name: &'d str, decision: Option<&Decision>) -> Staged<'d> {
    let Staged::Document(document) = staged else { return staged };
    let cluster = Some(cluster_of(name, decision));
    Staged::Document(Box::new(StagedDocument { cluster, ..*document }))
}

/// Returns the name of a document's cluster: the place of its kept document among all documents of
/// the job. Ids are not unique: two inputs may number their rows from 0.
fn cluster_name(document: Document, decision: Option<&Decision>) -> String {
    let kept = match decision.map(|decision| &decision.outcome) {
        Some(Outcome::Removed(removal)) => removal.witness,
        Some(Outcome::Kept { .. }) | None => document,
    };
    kept.to_string()
}

fn cluster_of<'d>(id: &'d str, decision: Option<&Decision>) -> StagedCluster<'d> {
    let alone = StagedCluster { id, size: 1, near_duplicates: 0 };
    let Some(decision) = decision else { return alone };
    let size = decision.cluster_size.into();
    match &decision.outcome {
        Outcome::Kept { near_duplicates } => {
            StagedCluster { near_duplicates: (*near_duplicates).into(), size, ..alone }
        }
        Outcome::Removed(_) => StagedCluster { size, ..alone },
    }
}

/// Returns the range of places of unit `number` that belongs to the shard.
fn span(unit: &PublishUnit, number: u32) -> (u32, u32) {
    let first = if number == unit.first_unit { unit.first_document } else { 0 };
    let last = if number == unit.last_unit { unit.last_document } else { u32::MAX };
    (first, last)
}
