//! The end of a document's way through PREPARE: tokens, keys, and its line or its drop row.
//!
//! **Invariant:** keys and signatures are of the places in the documents file, each place once; a
//! place that holds a drop row is among the withdrawn.

use blake3::Hash;
use thresher_job::{DocumentKey, Schema};

use super::{Judged, Preparing, Reading, staging};
use thresher_sources::{Met, Page, Refusal};
use thresher_text::page_url::normalise_url;
use thresher_text::simhash::signature;
use thresher_unit::UnitError;
use thresher_unit::document::DroppedRow;

impl Preparing<'_> {
    /// Counts the tokens of what would be published, and applies the slice's rules about them.
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
        match input.recipe.slice.refuse_by_tokens(self.job, text, tokens) {
            None => self.keep(input, met, page, &judged, text),
            Some(Refusal { reason, compared: true }) => {
                self.withdraw(input, met, page, reason, text)
            }
            Some(Refusal { reason, compared: false }) => {
                self.drop(input, met, (page.id, page.url), ("dropped", reason, ""))
            }
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
        if !input.recipe.compares_documents() {
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
        if input.recipe.dedups_documents {
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
        if input.recipe.compares_near {
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
        self.tally.count("documents/json_bytes", bytes.into());
        if let Some(language) = judged.language {
            self.tally.count(&format!("language/{language}/documents"), 1);
            self.tally.count(&format!("language/{language}/bytes"), text.len() as u64);
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
