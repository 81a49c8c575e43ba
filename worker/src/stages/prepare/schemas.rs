//! A kept document as a line of the job's schema.

use std::borrow::Cow;

use serde_json::Value;

use super::writer::UnitWriter;
use crate::stages::pipeline::EvaluatedDocument;
use crate::stages::read::Reading;
use thresher_sources::{Meta, Page, ReadRecord};
use thresher_text::lines::count_chars;
use thresher_unit::document::{Document, Origin, RedPajamaDocument, RedPajamaRecord, Scores};

impl UnitWriter<'_> {
    pub(super) fn uniform(
        &mut self,
        input: &Reading<'_>,
        record: &ReadRecord<'_>,
        page: &Page<'_>,
        document: &EvaluatedDocument<'_>,
        content_hash: &str,
    ) -> std::io::Result<u32> {
        self.documents.push(&Document {
            id: page.id,
            text: &document.text,
            source: &input.source.name,
            slice: input.source.slice.name(),
            url: page.url,
            date: page.date,
            dump: dump_of(input),
            licence: page.licence,
            title: page.title,
            language: document.language,
            language_score: document.language_score,
            scores: scores_of(document),
            input: input.path,
            offset: record.offset,
            record: record.record,
            chars: count_chars(&document.text),
            bytes: document.text.len() as u64,
            lines: document.text.split('\n').count() as u64,
            original_chars: document.original.chars,
            original_lines: document.original.lines,
            content_hash,
            recipe: &self.recipe,
            meta: told_meta(page, document).as_deref(),
        })
    }

    pub(super) fn redpajama(
        &mut self,
        input: &Reading<'_>,
        record: &ReadRecord<'_>,
        page: &Page<'_>,
        document: &EvaluatedDocument<'_>,
        content_hash: &str,
    ) -> std::io::Result<u32> {
        let origin = Origin {
            id: page.id,
            url: page.url,
            language: document.language,
            input: input.path,
            offset: record.offset,
            record: record.record,
            content_hash,
            tokens: document.tokens,
        };
        let meta = told_meta(page, document);
        if !input.recipe.slice.is_crawl() || meta.is_some() {
            // A command of the user's may give none.
            let meta = meta.unwrap_or_default();
            return self.documents.push(&RedPajamaRecord {
                text: &document.text,
                meta: &meta,
                origin,
            });
        }
        let file = input.path.rsplit('/').next().unwrap_or_default();
        let source = format!("cc/{}/{file}/line{}", dump_of(input), record.record);
        let classified = document.scores.classified;
        self.documents.push(&RedPajamaDocument {
            pred_label: classified.map(|found| found.label),
            pred_label_prob: classified.map(|found| found.probability),
            wiki_prob: classified.map(|found| found.score),
            text: &document.text,
            source: &source,
            meta: origin,
        })
    }
}

fn scores_of(document: &EvaluatedDocument<'_>) -> Scores {
    Scores {
        perplexity: document.scores.perplexity,
        bucket: document.scores.bucket,
        reference_score: document.scores.classified.map(|found| found.score),
        tokens: document.tokens,
    }
}

/// The page's `meta`, where a language that the source left open is the one that was told.
fn told_meta<'a>(page: &Page<'a>, document: &EvaluatedDocument<'_>) -> Option<Cow<'a, Meta>> {
    let meta = page.meta?;
    let open = meta.get("language").is_some_and(Value::is_null);
    let Some(language) = document.language.filter(|_| open) else {
        return Some(Cow::Borrowed(meta));
    };
    let mut told = meta.clone();
    told.insert("language".to_owned(), Value::from(language));
    Some(Cow::Owned(told))
}

/// The dump's name: as the job says, else as the input's path has it.
fn dump_of<'a>(input: &'a Reading<'_>) -> &'a str {
    if !input.source.dump.is_empty() {
        return &input.source.dump;
    }
    input.recipe.slice.dump_of(input.path)
}
