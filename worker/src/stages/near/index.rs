//! The index that a job publishes beside a shard (`near.index`): what a later job needs of its
//! documents to compare its own with them.
//!
//! It has every published document that has band keys, whether it has near-duplicates or not. Keys
//! and evidence are computed from the text again, as SIGN and COLLECT computed them: PUBLISH has
//! the text in memory, and need not rely on files of units that it does not read otherwise.
//!
//! **Invariant:** a file of the index is a function of the documents of its shard and the job file.

use serde::{Deserialize, Serialize};
use thresher_clusters::index_file::{IndexWriter, Indexed};
use thresher_job::JobSpec;

use super::super::JobContext;
use super::super::manifest::{IndexRule, NearIndex};
use super::super::output_file::{HashedOutput, PublishedFile, fail};
use super::rule::{NearRule, Signing};
use thresher_storage::commit::hash_file;
use thresher_unit::UnitError;
use thresher_unit::staging::StagedDocument;

/// Version of the layout of an index.
pub(in crate::stages) const INDEX_FORMAT: u32 = 1;
/// The key of the tokenizer among the files of a recipe.
const TOKENIZER: &str = "tokens.tokenizer";

/// The header of a file of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexHeader {
    pub(super) format: u32,
    pub(super) rule: IndexRule,
}

/// Returns what the manifest says of the index, still without files; `None` if the job has none.
pub(in crate::stages) fn empty_index(context: &JobContext) -> Result<Option<NearIndex>, UnitError> {
    if !context.job.near.index {
        return Ok(None);
    }
    let rule = rule_of(context)?;
    Ok(Some(NearIndex { format: INDEX_FORMAT, rule, files: Vec::new() }))
}

/// Returns what decides keys and evidence of a job's documents.
pub(super) fn rule_of(context: &JobContext) -> Result<IndexRule, UnitError> {
    let near = &context.job.near;
    let tokenizer = match near.needs_tokenizer() {
        true => context.scorers()?.recipe_files.get(TOKENIZER).cloned(),
        false => None,
    };
    Ok(NearRule::of_context(context)?.of_index(near.verify, tokenizer))
}

/// Does the same before there is a context, for a job that may not be able to start.
pub(super) fn rule_of_job(job: &JobSpec) -> Result<IndexRule, String> {
    let path = job.tokens.tokenizer.path().filter(|_| job.near.needs_tokenizer());
    let tokenizer = path.map(|path| match hash_file(path) {
        Ok(hash) => Ok(hash.to_hex().to_string()),
        Err(error) => Err(format!("failed to read `{}`: {error}", path.display())),
    });
    let rule = NearRule::of(job).ok_or("the job compares no documents by bands")?;
    Ok(rule.of_index(job.near.verify, tokenizer.transpose()?))
}

/// The index of one shard.
pub(in crate::stages) struct IndexOutput<'a> {
    context: &'a JobContext,
    source: &'a str,
    path: String,
    tag: &'a str,
    rule: IndexRule,
    signing: Signing<'a>,
    keys: Vec<u64>,
    /// The file, once there is a document for it.
    writer: Option<IndexWriter<HashedOutput>>,
}

impl<'a> IndexOutput<'a> {
    /// Prepares the index of a shard; `None` if the job has none, or compares no document of the
    /// source.
    pub(in crate::stages) fn of_source(
        context: &'a JobContext,
        source: u32,
        path: String,
        tag: &'a str,
    ) -> Result<Option<Self>, UnitError> {
        if !context.job.near.index || !context.recipe(source)?.compares_bands {
            return Ok(None);
        }
        Ok(Some(Self {
            context,
            source: &context.source(source)?.name,
            path,
            tag,
            rule: rule_of(context)?,
            signing: Signing::new(context, NearRule::of_context(context)?)?,
            keys: Vec::new(),
            writer: None,
        }))
    }

    /// Adds a published document. One without shingles is left out: nothing is compared with it.
    pub(in crate::stages) fn document(
        &mut self,
        document: &StagedDocument<'_>,
    ) -> Result<(), UnitError> {
        self.signing.keys(document.text, &mut self.keys)?;
        if self.keys.is_empty() {
            return Ok(());
        }
        let indexed = Indexed {
            id: document.id.to_owned(),
            source: self.source.to_owned(),
            dump: document.dump.to_owned(),
            input: document.input.to_owned(),
            offset: document.offset,
            content_hash: document.content_hash,
            keys: self.keys.clone(),
            evidence: self.signing.evidence(self.rule.verify, document.text)?,
        };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let file = HashedOutput::create(self.context, &self.path, self.tag)?;
                let started = IndexWriter::new(file).map_err(|error| fail(&self.path, &error))?;
                self.writer.insert(started)
            }
        };
        writer.push(&indexed).map_err(|error| fail(&self.path, &error))
    }

    /// Publishes the file, if there is one.
    pub(in crate::stages) fn finish(
        self,
        earlier: &[PublishedFile],
    ) -> Result<Option<PublishedFile>, UnitError> {
        let Some(writer) = self.writer else { return Ok(None) };
        let header = IndexHeader { format: INDEX_FORMAT, rule: self.rule };
        let header =
            serde_json::to_vec(&header).map_err(|error| UnitError::Defect(error.to_string()))?;
        let (file, documents) = writer.finish(&header).map_err(|error| fail(&self.path, &error))?;
        file.publish(documents, 0, earlier).map(Some)
    }
}
