//! Converts an evaluated document to the typed record that is staged and rendered.

use std::borrow::Cow;

use blake3::Hash;
use serde_json::Value;
use thresher_job::SourceSpec;
use thresher_sources::{Meta, Page};
use thresher_text::lines::count_chars;
use thresher_unit::staging::{StagedDocument, StagedLabel, StagedRow};

use super::EvaluatedDocument;

/// Where a record was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordPlace<'a> {
    /// Path of the input, as listed.
    pub(crate) input: &'a str,
    pub(crate) offset: u64,
    pub(crate) record: u64,
}

impl<'a> RecordPlace<'a> {
    /// Returns a drop row of this record, which the caller completes.
    pub(crate) fn row(self) -> StagedRow<'a> {
        let Self { input, offset, record } = self;
        StagedRow { input, offset, record, ..StagedRow::default() }
    }
}

impl EvaluatedDocument<'_> {
    /// Returns the record of the document; `meta` is what [`Self::meta`] returned.
    pub(crate) fn staged<'a>(
        &'a self,
        source: &'a SourceSpec,
        place: RecordPlace<'a>,
        page: &Page<'a>,
        text_hash: Hash,
        meta: Option<&'a str>,
    ) -> StagedDocument<'a> {
        StagedDocument {
            id: page.id,
            text: &self.text,
            url: page.url,
            date: page.date,
            title: page.title,
            licence: page.licence,
            dump: dump_of(source, place.input),
            language: self.language,
            language_score: self.language_score,
            perplexity: self.scores.perplexity,
            bucket: self.scores.bucket,
            classified: self.scores.classified.map(|found| StagedLabel {
                label: found.label,
                probability: found.probability,
                score: found.score,
            }),
            tokens: self.tokens,
            input: place.input,
            offset: place.offset,
            record: place.record,
            chars: count_chars(&self.text),
            lines: self.text.split('\n').count() as u64,
            original_chars: self.original.chars,
            original_lines: self.original.lines,
            content_hash: *text_hash.as_bytes(),
            meta,
        }
    }

    /// Returns the page's `meta` as JSON. If the source gives no language, the identified one is
    /// used.
    pub(crate) fn meta(&self, page: &Page<'_>) -> Option<String> {
        let mut meta: Cow<'_, Meta> = Cow::Borrowed(page.meta?);
        if meta.get("language").is_some_and(Value::is_null)
            && let Some(language) = self.language
        {
            meta.to_mut().insert("language".to_owned(), Value::from(language));
        }
        Some(serde_json::to_string(&*meta).expect("a map of JSON values is JSON"))
    }
}

/// Returns the name of the dump, from the job or otherwise from a path like CommonCrawl's.
fn dump_of<'a>(source: &'a SourceSpec, input: &'a str) -> &'a str {
    if !source.dump.is_empty() {
        return &source.dump;
    }
    let is_dump =
        |part: &&str| part.starts_with("CC-MAIN-") && part.len() == "CC-MAIN-2024-10".len();
    input.split('/').find(is_dump).unwrap_or("")
}
