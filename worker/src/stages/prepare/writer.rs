//! The files that a PREPARE unit writes: staged documents, drop rows, and keys for the comparison.
//!
//! **Invariant:** keys and signatures are of the places in the documents file, each place once; a
//! place that holds a drop row is among the withdrawn.

use std::collections::BTreeMap;
use std::path::PathBuf;

use blake3::Hash;
use thresher_dedup::KEY_FILE;
use thresher_dedup::keys::KeyCollector;
use thresher_domain::{Counter, Measure};
use thresher_job::{DocumentKey, JobSpec, Schema};
use thresher_proto::pb::{self, Stage};

use crate::stages::addresses::AddressBook;
use crate::stages::pipeline::EvaluatedDocument;
use crate::stages::read::Reading;
use crate::stages::recipe::SourceRecipe;
use crate::stages::{JobContext, Task, digest_of};
use thresher_sources::{Page, ReadRecord};
use thresher_storage::commit::AttemptFile;
use thresher_text::page_url::normalise_url;
use thresher_text::simhash::signature;
use thresher_unit::document::DroppedRow;
use thresher_unit::staging::{
    DOCUMENTS, DROPPED, InputFacts, JsonLinesWriter, UnitFacts, create, hash_of, publish_blocks,
};
use thresher_unit::{Tally, UnitError, wire_counters};

/// Memory for sorting the keys of a unit's documents.
const SORT_BYTES: usize = 16 << 20;

/// A record that is not published, and why.
pub(super) struct Dropped<'a> {
    pub(super) id: &'a str,
    pub(super) url: &'a str,
    pub(super) reason: &'a str,
    pub(super) detail: &'a str,
}

impl<'a> Dropped<'a> {
    /// A page that the recipe dropped.
    pub(super) fn page(page: &Page<'a>, reason: &'a str) -> Self {
        Self { id: page.id, url: page.url, reason, detail: "" }
    }

    fn row(
        &self,
        verdict: &'a str,
        input: &Reading<'a>,
        record: &ReadRecord<'_>,
    ) -> DroppedRow<'a> {
        let &Self { id, url, reason, detail } = self;
        DroppedRow {
            id,
            url,
            verdict,
            reason,
            detail,
            source: &input.source.name,
            input: input.path,
            offset: record.offset,
            record: record.record,
        }
    }
}

/// Writes the files of one unit, and counts what went into them.
pub(super) struct UnitWriter<'j> {
    pub(super) job: &'j JobSpec,
    paths: Paths,
    key_file: AttemptFile,
    keys: KeyCollector<u128>,
    pub(super) documents: JsonLinesWriter<AttemptFile>,
    dropped: JsonLinesWriter<AttemptFile>,
    pub(super) recipe: String,
    pub(super) tally: Tally,
    records_in: u64,
    signatures: Vec<u64>,
    withdrawn: Vec<u32>,
    /// For sources whose documents are kept by their address.
    addresses: Option<AddressBook>,
    /// The place of each input's first document.
    input_starts: Vec<u32>,
    /// The row of the input that the last document was of.
    input: Option<u64>,
}

struct Paths {
    documents: PathBuf,
    dropped: PathBuf,
    keys: PathBuf,
}

impl<'j> UnitWriter<'j> {
    pub(super) fn create(
        context: &'j JobContext,
        task: &Task,
        recipe: &SourceRecipe,
    ) -> Result<Self, UnitError> {
        let number = task.unit.ordinal;
        let path = |suffix| context.work.unit_file(Stage::Prepare, number, suffix);
        let paths =
            Paths { documents: path("documents"), dropped: path("dropped"), keys: path("keys") };
        let key_file = create(&paths.keys, &task.tag)?;
        let spill = context.scratch_folder(&paths.keys, task, "");
        let (documents, dropped) =
            (create(&paths.documents, &task.tag)?, create(&paths.dropped, &task.tag)?);
        Ok(Self {
            job: &context.job,
            paths,
            key_file,
            keys: KeyCollector::new(number, SORT_BYTES, spill),
            documents: JsonLinesWriter::new(documents, DOCUMENTS).map_err(|e| staging(&e))?,
            dropped: JsonLinesWriter::new(dropped, DROPPED).map_err(|e| staging(&e))?,
            recipe: format!("{}/{}", context.job.job.preset, thresher_proto::VERSION),
            tally: Tally::default(),
            records_in: 0,
            signatures: Vec::new(),
            withdrawn: Vec::new(),
            addresses: recipe.keeps_urls.then(AddressBook::default),
            input_starts: Vec::new(),
            input: None,
        })
    }

    /// Counts a record that was read, whatever becomes of it.
    pub(super) fn count_record(&mut self, record: &ReadRecord<'_>) {
        self.records_in += 1;
        self.tally.bytes_in += record.bytes;
    }

    pub(super) fn drop(
        &mut self,
        input: &Reading<'_>,
        record: &ReadRecord<'_>,
        dropped: &Dropped<'_>,
    ) -> Result<(), UnitError> {
        self.tally.drop(dropped.reason);
        self.dropped.push(&dropped.row("dropped", input, record)).map_err(|e| staging(&e))?;
        Ok(())
    }

    pub(super) fn quarantine(
        &mut self,
        input: &Reading<'_>,
        record: &ReadRecord<'_>,
        dropped: &Dropped<'_>,
    ) -> Result<(), UnitError> {
        self.tally.quarantine(dropped.reason);
        self.dropped.push(&dropped.row("quarantined", input, record)).map_err(|e| staging(&e))?;
        Ok(())
    }

    /// Drops a document, but lets it take part in the comparison: its place holds its drop row.
    pub(super) fn withdraw(
        &mut self,
        input: &Reading<'_>,
        record: &ReadRecord<'_>,
        page: &Page<'_>,
        text: &str,
        reason: &str,
    ) -> Result<(), UnitError> {
        let dropped = Dropped::page(page, reason);
        if !input.recipe.compares_documents() {
            return self.drop(input, record, &dropped);
        }
        self.push_keys(input, page, text)?;
        self.withdrawn.push(self.tally.kept as u32);
        self.documents.push(&dropped.row("dropped", input, record)).map_err(|e| staging(&e))?;
        self.tally.kept += 1;
        Ok(())
    }

    pub(super) fn keep(
        &mut self,
        input: &Reading<'_>,
        record: &ReadRecord<'_>,
        page: &Page<'_>,
        document: &EvaluatedDocument<'_>,
    ) -> Result<(), UnitError> {
        let hash = self.push_keys(input, page, &document.text)?;
        let hex = hash.to_hex();
        let written = match self.job.output.schema {
            Schema::Uniform => self.uniform(input, record, page, document, &hex),
            Schema::RedpajamaV1 => self.redpajama(input, record, page, document, &hex),
        };
        let bytes = written.map_err(|error| staging(&error))?;
        let text_bytes = document.text.len() as u64;
        self.tally.kept += 1;
        self.tally.bytes_kept += text_bytes;
        self.tally.count(Counter::StagedJsonBytes, bytes.into());
        if let Some(language) = document.language {
            let counter = |measure| Counter::Language { language: language.to_owned(), measure };
            self.tally.count(counter(Measure::Documents), 1);
            self.tally.count(counter(Measure::TextBytes), text_bytes);
        }
        Ok(())
    }

    /// Adds what the document is compared by, and returns the hash of its text.
    fn push_keys(
        &mut self,
        input: &Reading<'_>,
        page: &Page<'_>,
        text: &str,
    ) -> Result<Hash, UnitError> {
        let hash = blake3::hash(text.as_bytes());
        if self.input.replace(input.number) != Some(input.number) {
            self.input_starts.push(self.tally.kept as u32);
            if let Some(addresses) = &mut self.addresses {
                addresses.end_input(&mut self.keys)?;
            }
        }
        if input.recipe.dedups_documents {
            let key = document_key(self.job, page, hash);
            match &mut self.addresses {
                Some(addresses) => addresses.push(page.url, key),
                None => self.keys.push(key, self.tally.kept as u32)?,
            }
        }
        if input.recipe.compares_near {
            self.signatures.push(signature(text));
        }
        Ok(hash)
    }

    /// Completes the unit's files and commits them.
    pub(super) fn finish(
        mut self,
        recipe_files: BTreeMap<String, String>,
        inputs: Vec<InputFacts>,
    ) -> Result<pb::Done, UnitError> {
        let addresses = self.addresses.unwrap_or_default().finish(&mut self.keys)?;
        let (_, summary) = self.keys.finish(&mut self.key_file)?;
        let facts = UnitFacts {
            inputs,
            recipe_files,
            tally: self.tally,
            signatures: self.signatures,
            withdrawn: self.withdrawn,
            addresses,
            input_starts: self.input_starts,
        };
        let documents = self.documents.finish(&facts).map_err(|error| staging(&error))?;
        let dropped = self.dropped.finish(&()).map_err(|error| staging(&error))?;
        let hashes: [Hash; 3] = [
            hash_of(publish_blocks(documents, &self.paths.documents, DOCUMENTS)?),
            hash_of(publish_blocks(dropped, &self.paths.dropped, DROPPED)?),
            hash_of(publish_blocks(self.key_file, &self.paths.keys, KEY_FILE)?),
        ];
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
