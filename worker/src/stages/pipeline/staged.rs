//! Converts an evaluated document to the typed record that is staged and rendered.

use std::borrow::Cow;

use blake3::Hash;
use serde_json::Value;
use thresher_job::SourceSpec;
use thresher_sources::{Meta, Page, Published};
use thresher_text::lines::count_chars;
use thresher_unit::staging::{StagedDocument, StagedLabel, StagedOrigin, StagedRow};

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

    /// Returns where a page was first read, if it was published before.
    pub(crate) fn first_read(self, page: &Page<'a>) -> Self {
        match page.published.filter(|published| !published.input.is_empty()) {
            Some(&Published { input, offset, record, .. }) => Self { input, offset, record },
            None => self,
        }
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
        let document = StagedDocument {
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
            filter_values: self.filter_values.as_deref(),
            cluster: None,
            meta,
            origin: None,
        };
        match page.published {
            Some(published) => self.kept(document, page, published),
            None => document,
        }
    }

    /// Returns a document with the columns that it had when it was published before, as far as no
    /// step has computed them again.
    fn kept<'a>(
        &self,
        document: StagedDocument<'a>,
        page: &Page<'a>,
        published: &Published<'a>,
    ) -> StagedDocument<'a> {
        let is_scored = document.bucket.is_some();
        let (perplexity, bucket) = match is_scored {
            true => (document.perplexity, document.bucket),
            false => (published.perplexity, published.bucket),
        };
        let score = published.reference_score;
        let classified = score.map(|score| StagedLabel { score, ..StagedLabel::default() });
        let is_same_text = *self.text == *page.text;
        let tokens = published.tokens.filter(|_| is_same_text);
        let filter_values = published.filter_values.filter(|_| is_same_text);
        let given = |text: &'a str, other: &'a str| if text.is_empty() { other } else { text };
        StagedDocument {
            dump: given(published.dump, document.dump),
            language_score: document.language_score.or(published.language_score),
            perplexity,
            bucket,
            classified: document.classified.or(classified),
            tokens: document.tokens.or(tokens),
            filter_values: document.filter_values.or(filter_values),
            cluster: published.cluster,
            original_chars: published.original_chars.unwrap_or(document.original_chars),
            original_lines: published.original_lines.unwrap_or(document.original_lines),
            origin: Some(StagedOrigin {
                source: published.source,
                slice: published.slice,
                recipe: published.recipe,
            }),
            ..document
        }
    }

    /// Returns the page's `meta` as JSON. If the source gives no language, the identified one is
    /// used.
    pub(crate) fn meta(&self, page: &Page<'_>) -> Option<String> {
        if let Some(published) = page.published {
            return published.meta.map(str::to_owned);
        }
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
