//! The end of a document's way through PREPARE: tokens, keys, and its line or its drop row.
//!
//! **Invariant:** keys and signatures are of the places in the documents file, each place once; a
//! place that holds a drop row is among the withdrawn.

use blake3::Hash;
use thresher_domain::{Counter, Measure};
use thresher_job::{Compares, DocumentKey, Schema, Slice, Step};

use super::{Judged, Preparing, Reading, staging};
use thresher_sources::github::few_letters;
use thresher_sources::{Met, Page};
use thresher_text::page_url::normalise_url;
use thresher_text::simhash::signature;
use thresher_unit::UnitError;
use thresher_unit::document::DroppedRow;

impl Preparing<'_> {
    /// Tokens are counted of what would be published, and code is judged by them.
    pub(super) fn count_tokens(
        &mut self,
        input: &Reading<'_>,
        met: &Met<'_>,
        page: &Page<'_>,
        mut judged: Judged<'_>,
        text: &str,
    ) -> Result<(), UnitError> {
        let tokens = self.judges.scorers.tokens(text)?;
        judged.scored.scores.tokens = tokens;
        let spec = &self.job.github;
        let is_code = input.source.slice == Slice::Github;
        match is_code.then(|| few_letters(spec, text, tokens)).flatten() {
            None => self.keep(input, met, page, &judged, text),
            Some(reason) if spec.compares == Compares::All => {
                self.withdraw(input, met, page, reason, text)
            }
            Some(reason) => self.drop(input, met, (page.id, page.url), ("dropped", reason, "")),
        }
    }

    /// Drops a document, but lets it take part in the comparison: its place holds its drop row.
    pub(super) fn withdraw(
        &mut self,
        input: &Reading<'_>,
        met: &Met<'_>,
        page: &Page<'_>,
        reason: &str,
        text: &str,
    ) -> Result<(), UnitError> {
        let who = (page.id, page.url);
        if !self.job.dedups_documents(input.source) && !self.job.has_step(input.source, Step::Near)
        {
            return self.drop(input, met, who, ("dropped", reason, ""));
        }
        self.push_keys(input, page, text)?;
        self.withdrawn.push(self.tally.kept as u32);
        let row = drop_row(input, met, who, ("dropped", reason, ""));
        self.documents.push(&row).map_err(|error| staging(&error))?;
        self.tally.kept += 1;
        Ok(())
    }

    /// What the document is compared by; gives the hash of its text.
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
        if self.job.dedups_documents(input.source) {
            let key = match self.job.dedup.documents.key {
                DocumentKey::Payload if !page.payload_digest.is_empty() => {
                    blake3::hash(page.payload_digest.as_bytes())
                }
                DocumentKey::Url if !page.url.is_empty() => {
                    blake3::hash(normalise_url(page.url).as_bytes())
                }
                DocumentKey::Text | DocumentKey::Payload | DocumentKey::Url => hash,
            };
            match &mut self.addresses {
                Some(addresses) => addresses.push(page.url, document_key(key)),
                None => self.keys.push(document_key(key), self.tally.kept as u32)?,
            }
        }
        if self.job.has_step(input.source, Step::Near) {
            self.signatures.push(signature(text));
        }
        Ok(hash)
    }

    fn keep(
        &mut self,
        input: &Reading<'_>,
        met: &Met<'_>,
        page: &Page<'_>,
        judged: &Judged<'_>,
        text: &str,
    ) -> Result<(), UnitError> {
        let hash = self.push_keys(input, page, text)?;
        let hex = hash.to_hex();
        let written = match self.job.output.schema {
            Schema::Uniform => self.uniform(input, met, page, judged, text, &hex),
            Schema::RedpajamaV1 => self.redpajama(input, met, page, judged, text, &hex),
        };
        let bytes = written.map_err(|error| staging(&error))?;
        self.tally.kept += 1;
        self.tally.bytes_kept += text.len() as u64;
        self.tally.count(Counter::StagedJsonBytes, bytes.into());
        if let Some(language) = judged.language {
            let counter = |measure| Counter::Language { language: language.to_owned(), measure };
            self.tally.count(counter(Measure::Documents), 1);
            self.tally.count(counter(Measure::TextBytes), text.len() as u64);
        }
        Ok(())
    }
}

pub(super) fn drop_row<'a>(
    input: &Reading<'a>,
    met: &Met<'_>,
    (id, url): (&'a str, &'a str),
    (verdict, reason, detail): (&'a str, &'a str, &'a str),
) -> DroppedRow<'a> {
    DroppedRow {
        id,
        url,
        verdict,
        reason,
        detail,
        source: &input.source.name,
        input: input.path,
        offset: met.offset,
        record: met.record,
    }
}

fn document_key(hash: Hash) -> u128 {
    let (first, _) = hash.as_bytes().split_at(16);
    u128::from_be_bytes(first.try_into().expect("sixteen bytes were split off"))
}
