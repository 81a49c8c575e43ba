//! The files that a PREPARE unit writes: staged documents, drop rows, and keys for the comparison.
//!
//! **Invariant:** each place of the documents file has one summary, and at most one key.

use std::collections::BTreeMap;

use blake3::Hash;
use thresher_dedup::KEY_FILE;
use thresher_dedup::keys::KeyCollector;
use thresher_domain::{Counter, Measure, is_of_input};
use thresher_job::{DocumentKey, JobSpec, SourceSpec};
use thresher_proto::pb::{self, Stage};

use crate::stages::addresses::AddressBook;
use crate::stages::pipeline::{EvaluatedDocument, RecordPlace};
use crate::stages::recipe::SourceRecipe;
use crate::stages::sampled::choice;
use crate::stages::schemas::{Renderer, rendered_bytes, renderer};
use crate::stages::splits::rank_of;
use crate::stages::{JobContext, Task, digest_of};
use thresher_sources::Page;
use thresher_storage::commit::{AttemptFile, NewNames};
use thresher_text::page_url::normalise_url;
use thresher_text::simhash::signature;
use thresher_unit::staging::{
    DOCUMENTS, DROPPED, DocumentSummary, DocumentWriter, DropWriter, InputFacts, RowVerdict,
    Staged, StagedRow, UnitFacts, create, hash_of, publish_blocks_among,
};
use thresher_unit::{Tally, UnitError, wire_counters};

/// Number of bytes of the name of a damaged input that are reported.
const DAMAGED_NAME_BYTES: usize = 160;
/// Memory for sorting the keys of a unit's documents.
const SORT_BYTES: usize = 16 << 20;

/// Writes the files of one unit, and counts what went into them.
pub(super) struct UnitWriter<'j> {
    job: &'j JobSpec,
    source: &'j SourceSpec,
    recipe: SourceRecipe,
    renderer: Box<dyn Renderer + 'j>,
    key_file: AttemptFile,
    keys: KeyCollector<u128>,
    documents: DocumentWriter<AttemptFile>,
    dropped: DropWriter<AttemptFile>,
    pub(super) tally: Tally,
    records_in: u64,
    /// The addresses, if the source's documents are kept by their address.
    addresses: Option<AddressBook>,
    /// The row of the input that is being read, and the row of the last document's input.
    input: u64,
    last_input: Option<u64>,
    /// The row of the last input with damage.
    last_damaged: Option<u64>,
}

impl<'j> UnitWriter<'j> {
    pub(super) fn create(
        context: &'j JobContext,
        task: &Task,
        source: &'j SourceSpec,
        recipe: SourceRecipe,
    ) -> Result<Self, UnitError> {
        let number = task.unit.ordinal;
        let path = |suffix| context.work.unit_file(Stage::Prepare, number, suffix);
        let spill = context.scratch_folder(&path("keys"), task, "");
        let create = |suffix| create(&path(suffix), &task.tag);
        let (documents, dropped, key_file) =
            (create("documents")?, create("dropped")?, create("keys")?);
        Ok(Self {
            job: &context.job,
            source,
            recipe,
            renderer: renderer(&context.job, source, recipe),
            key_file,
            keys: KeyCollector::new(number, SORT_BYTES, spill),
            documents: DocumentWriter::new(documents).map_err(|error| staging(&error))?,
            dropped: DropWriter::new(dropped).map_err(|error| staging(&error))?,
            tally: Tally::default(),
            records_in: 0,
            addresses: recipe.keeps_urls.then(AddressBook::default),
            input: 0,
            last_input: None,
            last_damaged: None,
        })
    }

    /// Counts a record of the source's input number `input`, whatever its outcome.
    pub(super) fn start_record(&mut self, input: u64, bytes: u64) {
        self.input = input;
        self.records_in += 1;
        self.tally.bytes_in += bytes;
    }

    /// Adds the row of a record that is not published.
    pub(super) fn drop(&mut self, row: &StagedRow<'_>) -> Result<(), UnitError> {
        match row.verdict {
            RowVerdict::Dropped => self.tally.drop(row.reason),
            RowVerdict::Quarantined => {
                self.tally.quarantine(row.reason);
                self.note_damage(row);
            }
        }
        self.dropped.push(row).map_err(|error| staging(&error))
    }

    /// Counts the input of a record, if that means that a part of the input cannot be read.
    fn note_damage(&mut self, row: &StagedRow<'_>) {
        if !is_of_input(row.reason) || self.last_damaged == Some(self.input) {
            return;
        }
        if self.last_damaged.replace(self.input).is_none() {
            let input = row.input[..row.input.floor_char_boundary(DAMAGED_NAME_BYTES)].to_owned();
            self.tally.count(Counter::DamagedInput { input }, 1);
        }
        self.tally.count(Counter::DamagedInputs, 1);
    }

    /// Drops a document, but lets it take part in the comparison: its place holds its drop row.
    pub(super) fn withdraw(
        &mut self,
        row: &StagedRow<'_>,
        page: &Page<'_>,
        text: &str,
    ) -> Result<(), UnitError> {
        if !self.recipe.compares_documents() {
            return self.drop(row);
        }
        let keys = self.push_keys(page, text, blake3::hash(text.as_bytes()))?;
        self.stage(&Staged::Withdrawn(*row), DocumentSummary { is_withdrawn: true, ..keys })?;
        Ok(())
    }

    /// Stages a document that passed the recipe.
    pub(super) fn keep(
        &mut self,
        place: RecordPlace<'_>,
        page: &Page<'_>,
        document: &EvaluatedDocument<'_>,
    ) -> Result<(), UnitError> {
        let hash = blake3::hash(document.text.as_bytes());
        let keys = self.push_keys(page, &document.text, hash)?;
        let keys = DocumentSummary { tokens: document.tokens, split_rank: rank_of(&hash), ..keys };
        let meta = document.meta(page);
        let staged = document.staged(self.source, place, page, hash, meta.as_deref());
        let json_bytes = self.stage(&Staged::Document(Box::new(staged)), keys)?;
        let text_bytes = document.text.len() as u64;
        self.tally.bytes_kept += text_bytes;
        self.tally.count(Counter::StagedJsonBytes, json_bytes.into());
        if let Some(language) = document.language {
            let counter = |measure| Counter::Language { language: language.to_owned(), measure };
            self.tally.count(counter(Measure::Documents), 1);
            self.tally.count(counter(Measure::TextBytes), text_bytes);
        }
        Ok(())
    }

    /// Writes what is at the next place, and returns the bytes that it takes in a shard.
    fn stage(&mut self, staged: &Staged<'_>, summary: DocumentSummary) -> Result<u32, UnitError> {
        let rendered_bytes = rendered_bytes(&*self.renderer, self.source, staged)
            .map_err(|error| staging(&error))?;
        let summary = DocumentSummary { rendered_bytes, ..summary };
        self.documents.push(staged, summary).map_err(|error| staging(&error))?;
        self.tally.kept += 1;
        Ok(rendered_bytes)
    }

    /// Adds the keys by which the next document is compared, and returns those for its summary.
    fn push_keys(
        &mut self,
        page: &Page<'_>,
        text: &str,
        text_hash: Hash,
    ) -> Result<DocumentSummary, UnitError> {
        let place = self.tally.kept as u32;
        let starts_input = self.last_input.replace(self.input) != Some(self.input);
        let mut summary = DocumentSummary { starts_input, ..DocumentSummary::default() };
        if let Some(addresses) = self.addresses.as_mut().filter(|_| starts_input) {
            addresses.end_input(&mut self.keys)?;
        }
        if self.recipe.dedups_documents {
            let key = document_key(self.job, page, text_hash);
            match &mut self.addresses {
                Some(addresses) => summary.address = Some(addresses.add(page.url, key, place)),
                None => self.keys.push(key, place)?,
            }
        }
        if self.recipe.compares_signatures {
            summary.signature = Some(signature(text));
        }
        if let Some(sample) = self.source.sample.as_ref().filter(|it| it.documents.is_some()) {
            summary.choice = Some(choice(sample.seed, page.text));
        }
        Ok(summary)
    }

    /// Completes the unit's files and commits them.
    pub(super) fn finish(
        mut self,
        recipe_files: BTreeMap<String, String>,
        inputs: Vec<InputFacts>,
    ) -> Result<pb::Done, UnitError> {
        if let Some(addresses) = &mut self.addresses {
            addresses.end_input(&mut self.keys)?;
        }
        let (_, summary) = self.keys.finish(&mut self.key_file)?;
        let facts = UnitFacts { inputs, recipe_files, tally: self.tally };
        let documents = self.documents.finish(&facts).map_err(|error| staging(&error))?;
        let dropped = self.dropped.finish().map_err(|error| staging(&error))?;
        let mut names = NewNames::default();
        let mut publish = |file, kind| publish_blocks_among(file, kind, &mut names).map(hash_of);
        let hashes: [Hash; 3] = [
            publish(documents, DOCUMENTS)?,
            publish(dropped, DROPPED)?,
            publish(self.key_file, KEY_FILE)?,
        ];
        names.sync()?;
        Ok(pb::Done {
            accounting: Some(facts.tally.to_wire(self.records_in)),
            digest: digest_of(&hashes),
            keys: summary.distinct,
            counters: wire_counters(facts.tally.counters),
        })
    }
}

/// Returns the key by which the job compares documents; a page that lacks it is compared by text.
fn document_key(job: &JobSpec, page: &Page<'_>, text: Hash) -> u128 {
    let hash = match job.dedup.documents.key {
        DocumentKey::Payload if !page.payload_digest.is_empty() => {
            blake3::hash(page.payload_digest.as_bytes())
        }
        DocumentKey::Url if !page.url.is_empty() => {
            blake3::hash(normalise_url(page.url).as_bytes())
        }
        DocumentKey::Text | DocumentKey::Payload | DocumentKey::Url => text,
    };
    let (first, _) = hash.as_bytes().split_at(16);
    u128::from_be_bytes(first.try_into().expect("sixteen bytes were split off"))
}

fn staging(error: &std::io::Error) -> UnitError {
    UnitError::writing(error, format!("failed to write staged documents: {error}"))
}
