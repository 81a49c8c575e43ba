//! Writes one shard in all forms of the job, and the drop rows beside it, and counts what went into
//! them.
//!
//! Documents of each side of a split, and of each language if these have folders, are in files of
//! their own. Files of many languages are not open at the same time: PUBLISH reads the shard once
//! for each group of languages (`languages`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thresher_clusters::{Decision, Outcome, Removal};
use thresher_domain::{Counter, Measure};
use thresher_job::{DroppedRows, Folders, Format, SourceSpec, Validation, Verify};
use thresher_proto::pb::PublishUnit;

use super::ShardFacts;
use super::output_lines::OutputLines;
use super::output_parquet::OutputParquet;
use super::paths::{folder_of_language, index_path, rows_path, shard_path};
use super::token_files::TokenFiles;
use crate::stages::near::{IndexOutput, near_threshold};
use crate::stages::output_file::{PublishedFile, PublishedShard};
use crate::stages::schemas::{Renderer, Uniform, render_row, renderer};
use crate::stages::splits::side_of;
use crate::stages::{JobContext, Task};
use thresher_unit::UnitError;
use thresher_unit::staging::{DocumentSummary, RowVerdict, StagedDocument, StagedRow};

/// The folder of drop rows, below the output.
const DROPPED: &str = "dropped";

/// What a table of documents is divided by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::stages) struct CountKey {
    pub(in crate::stages) source: String,
    pub(in crate::stages) slice: String,
    pub(in crate::stages) split: Option<String>,
    pub(in crate::stages) language: Option<String>,
    pub(in crate::stages) licence: Option<String>,
}

/// The documents with one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stages) struct DocumentCount {
    pub(in crate::stages) documents: u64,
    pub(in crate::stages) text_bytes: u64,
    pub(in crate::stages) json_bytes: u64,
    /// `None` if tokens are not counted.
    pub(in crate::stages) tokens: Option<u64>,
}

impl DocumentCount {
    /// Adds the documents of another count.
    pub(in crate::stages) fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.text_bytes += other.text_bytes;
        self.json_bytes += other.json_bytes;
        if let Some(tokens) = other.tokens {
            *self.tokens.get_or_insert(0) += tokens;
        }
    }
}

/// Side and folder of a document.
type Place = (Option<&'static str>, Option<String>);

/// The files of one place.
struct Outputs {
    lines: Option<OutputLines>,
    parquet: Option<OutputParquet>,
}

/// Writes one shard.
pub(super) struct ShardWriter<'a> {
    context: &'a JobContext,
    source: &'a SourceSpec,
    unit: &'a PublishUnit,
    tag: &'a str,
    formats: Vec<Format>,
    /// Whether drop rows have the text.
    gives_texts: bool,
    /// The similarity that near-duplicates have at least.
    near_threshold: Option<f64>,
    renderer: Box<dyn Renderer + 'a>,
    uniform: Uniform<'a>,
    outputs: BTreeMap<Place, Outputs>,
    tokens: Option<TokenFiles<'a>>,
    dropped: Option<OutputLines>,
    index: Option<IndexOutput<'a>>,
    /// What earlier attempts published.
    earlier: Vec<PublishedFile>,
    pub(super) facts: ShardFacts,
}

/// Returns a share with four digits: more are not measured.
fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

impl<'a> ShardWriter<'a> {
    pub(super) fn new(
        context: &'a JobContext,
        task: &'a Task,
        unit: &'a PublishUnit,
        earlier: Option<&ShardFacts>,
    ) -> Result<Self, UnitError> {
        let source = context.source(unit.source)?;
        let job = &context.job;
        Ok(Self {
            context,
            source,
            unit,
            tag: &task.tag,
            formats: job.output.shard_formats(),
            gives_texts: job.output.dropped == DroppedRows::Texts,
            near_threshold: near_threshold(job),
            renderer: renderer(job, source, *context.recipe(unit.source)?),
            uniform: Uniform::new(job, source),
            outputs: BTreeMap::new(),
            tokens: TokenFiles::start(context, task, unit)?,
            dropped: None,
            index: IndexOutput::of_source(
                context,
                unit.source,
                index_path(&source.name, unit.shard),
                &task.tag,
            )?,
            earlier: earlier.map(ShardFacts::files).unwrap_or_default(),
            facts: ShardFacts {
                source: source.name.clone(),
                validation_below: unit.validation_below,
                ..ShardFacts::default()
            },
        })
    }

    /// Publishes a document.
    pub(super) fn document(
        &mut self,
        document: &StagedDocument<'_>,
        summary: &DocumentSummary,
        number: u64,
    ) -> Result<(), UnitError> {
        let side = self.side(summary);
        let folder = self.folder(document);
        let mut json_bytes = summary.rendered_bytes.into();
        let (renderer, uniform) = (&self.renderer, &self.uniform);
        let outputs = match self.outputs.get_mut(&(side, folder.clone())) {
            Some(outputs) => outputs,
            None => {
                let opened = self.open(side, folder.as_deref())?;
                self.outputs.entry((side, folder)).or_insert(opened)
            }
        };
        if let Some(lines) = &mut outputs.lines {
            json_bytes = lines.line(|out| renderer.render(document, number, out))?;
        }
        if let Some(parquet) = &mut outputs.parquet {
            uniform.row(document, |values| parquet.row(values))?;
        }
        if let Some(tokens) = &mut self.tokens {
            tokens.document(document, side, summary)?;
        }
        if let Some(index) = &mut self.index {
            index.document(document)?;
        }
        self.count(document, side, json_bytes);
        Ok(())
    }

    fn side(&self, summary: &DocumentSummary) -> Option<&'static str> {
        let has_splits = self.context.job.output.splits.validation != Validation::None;
        side_of(has_splits, summary.split_rank, self.unit.validation_below)
    }

    /// Returns the folder of a document, if each language has its own.
    fn folder(&self, document: &StagedDocument<'_>) -> Option<String> {
        let divided = self.context.job.output.folders == Folders::Language;
        divided.then(|| folder_of_language(document.language))
    }

    fn open(&self, side: Option<&str>, folder: Option<&str>) -> Result<Outputs, UnitError> {
        let path = |format| shard_path(format, &self.source.name, self.unit.shard, side, folder);
        let has = |format| self.formats.contains(&format);
        let (context, tag) = (self.context, self.tag);
        let lines = has(Format::Jsonl)
            .then(|| OutputLines::new(context, &path(Format::Jsonl), tag))
            .transpose()?;
        let parquet = has(Format::Parquet)
            .then(|| OutputParquet::new(context, &path(Format::Parquet), tag))
            .transpose()?;
        Ok(Outputs { lines, parquet })
    }

    /// Counts a published document for the tables of the report and of the card.
    fn count(&mut self, document: &StagedDocument<'_>, side: Option<&str>, json_bytes: u64) {
        let tally = &mut self.facts.tally;
        tally.kept += 1;
        tally.bytes_kept += json_bytes;
        let slice = self.uniform.slice(document);
        let of_slice = |measure| Counter::Slice { slice: slice.to_owned(), measure };
        let of_language =
            |language: &str, measure| Counter::Language { language: language.to_owned(), measure };
        tally.count(of_slice(Measure::Documents), 1);
        tally.count(of_slice(Measure::JsonBytes), json_bytes);
        if let Some(tokens) = document.tokens {
            tally.count(of_slice(Measure::Tokens), tokens);
            let language = document.language.unwrap_or("unknown");
            tally.count(of_language(language, Measure::Tokens), tokens);
        }
        if let Some(language) = document.language {
            tally.count(of_language(language, Measure::Documents), 1);
            tally.count(of_language(language, Measure::JsonBytes), json_bytes);
        }
        let key = CountKey {
            source: self.uniform.source(document).to_owned(),
            slice: slice.to_owned(),
            split: side.map(str::to_owned),
            language: document.language.map(str::to_owned),
            licence: self.uniform.licence(document),
        };
        let text_bytes = document.text.len() as u64;
        let one = DocumentCount { documents: 1, text_bytes, json_bytes, tokens: document.tokens };
        match self.facts.counts.iter_mut().find(|(known, _)| *known == key) {
            Some((_, count)) => count.add(&one),
            None => self.facts.counts.push((key, one)),
        }
    }

    /// Drops a document that equals another one, or nearly does.
    pub(super) fn duplicate(
        &mut self,
        document: &StagedDocument<'_>,
        reason: &str,
        decision: Option<&Decision>,
    ) -> Result<(), UnitError> {
        let hash = blake3::Hash::from_bytes(document.content_hash).to_hex();
        let removal = match decision.map(|decision| &decision.outcome) {
            Some(Outcome::Removed(removal)) => Some(removal),
            Some(Outcome::Kept { .. }) | None => None,
        };
        let similarity = removal.and_then(|removal| removal.similarity);
        let value = similarity.map(|similarity| rounded(similarity.share()));
        let cluster = removal.map(|removal| removal.witness.to_string());
        self.drop(&StagedRow {
            id: document.id,
            url: document.url,
            verdict: RowVerdict::Dropped,
            reason,
            detail: &format!("content_hash {hash}"),
            input: document.input,
            offset: document.offset,
            record: document.record,
            text: self.gives_texts.then_some(document.text),
            value,
            threshold: value.and_then(|value| self.deciding_threshold(value)),
            witness: removal.map(|removal| removal.witness_id.as_str()),
            witness_output: removal.and_then(|removal| self.earlier_output(removal)),
            band: removal.and_then(|removal| removal.band),
            cluster: cluster.as_deref(),
        })
    }

    /// Returns the location of the earlier output that has the witness, if one has it.
    fn earlier_output(&self, removal: &Removal) -> Option<&'a str> {
        let source = self.context.job.source.get(removal.witness_source as usize)?;
        source.earlier.then_some(source.base.as_str())
    }

    /// Returns the threshold of a near-duplicate with this similarity to its witness. There is none
    /// if the threshold did not decide: with components, two documents may be in one group because
    /// of others, with less in common than the threshold.
    fn deciding_threshold(&self, value: f64) -> Option<f64> {
        let compares = self.context.job.near.verify == Verify::Jaccard;
        self.near_threshold.filter(|threshold| compares && value >= *threshold)
    }

    /// Writes the drop row of a document that PREPARE kept only for the comparison.
    pub(super) fn drop(&mut self, row: &StagedRow<'_>) -> Result<(), UnitError> {
        self.facts.tally.drop(row.reason);
        self.row(row)
    }

    /// Writes a row of a record that is already counted.
    pub(super) fn row(&mut self, row: &StagedRow<'_>) -> Result<(), UnitError> {
        let source = self.source;
        let dropped = match &mut self.dropped {
            Some(dropped) => dropped,
            None => {
                let name = rows_path(DROPPED, &source.name, self.unit.shard);
                self.dropped.insert(OutputLines::new(self.context, &name, self.tag)?)
            }
        };
        dropped.line(|out| render_row(source, row, out)).map(|_| ())
    }

    /// Publishes the files of documents that are open. More documents of other languages may
    /// follow.
    pub(super) fn end_languages(&mut self) -> Result<(), UnitError> {
        for ((side, folder), Outputs { lines, parquet }) in std::mem::take(&mut self.outputs) {
            let shard = |file, format| PublishedShard {
                file,
                format,
                split: side.map(str::to_owned),
                language: folder.clone(),
            };
            if let Some(lines) = lines {
                let file = lines.finish(&self.earlier)?;
                self.facts.documents.push(shard(file, Format::Jsonl));
            }
            if let Some(parquet) = parquet {
                let file = parquet.finish(&self.earlier)?;
                self.facts.documents.push(shard(file, Format::Parquet));
            }
        }
        Ok(())
    }

    /// Publishes everything, and returns what the manifest says of it.
    pub(super) fn finish(mut self) -> Result<ShardFacts, UnitError> {
        self.end_languages()?;
        if let Some(dropped) = self.dropped {
            self.facts.dropped = Some(dropped.finish(&self.earlier)?);
        }
        if let Some(tokens) = self.tokens {
            self.facts.tokens = tokens.finish(&self.earlier)?;
        }
        if let Some(index) = self.index {
            self.facts.index = index.finish(&self.earlier)?;
        }
        self.facts
            .documents
            .sort_by(|a, b| (a.format, &a.file.path).cmp(&(b.format, &b.file.path)));
        self.facts.counts.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(self.facts)
    }
}
