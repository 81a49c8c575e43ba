//! A kept document as a line of the job's schema.

use std::borrow::Cow;

use serde_json::Value;

use super::{Judged, Preparing, Reading};
use thresher_sources::{Met, Meta, Page};
use thresher_text::lines::count_chars;
use thresher_unit::document::{Document, Origin, RedPajamaDocument, RedPajamaRecord};

impl Preparing<'_> {
    pub(super) fn uniform(
        &mut self,
        input: &Reading<'_>,
        met: &Met<'_>,
        page: &Page<'_>,
        judged: &Judged<'_>,
        text: &str,
        content_hash: &str,
    ) -> std::io::Result<u32> {
        self.documents.push(&Document {
            id: page.id,
            text,
            source: &input.source.name,
            slice: input.source.slice.name(),
            url: page.url,
            date: page.date,
            dump: dump_of(input),
            licence: page.licence,
            title: page.title,
            language: judged.language,
            language_score: judged.language_score,
            scores: judged.scored.scores,
            input: input.path,
            offset: met.offset,
            record: met.record,
            chars: count_chars(text),
            bytes: text.len() as u64,
            lines: text.split('\n').count() as u64,
            original_chars: judged.original_chars,
            original_lines: judged.original_lines,
            content_hash,
            recipe: &self.recipe,
            meta: told_meta(page, judged).as_deref(),
        })
    }

    pub(super) fn redpajama(
        &mut self,
        input: &Reading<'_>,
        met: &Met<'_>,
        page: &Page<'_>,
        judged: &Judged<'_>,
        text: &str,
        content_hash: &str,
    ) -> std::io::Result<u32> {
        let origin = Origin {
            id: page.id,
            url: page.url,
            language: judged.language,
            input: input.path,
            offset: met.offset,
            record: met.record,
            content_hash,
            tokens: judged.scored.scores.tokens,
        };
        let meta = told_meta(page, judged);
        if !input.recipe.slice.is_crawl() || meta.is_some() {
            // A command of the user's may give none.
            let meta = meta.unwrap_or_default();
            return self.documents.push(&RedPajamaRecord { text, meta: &meta, origin });
        }
        let file = input.path.rsplit('/').next().unwrap_or_default();
        let source = format!("cc/{}/{file}/line{}", dump_of(input), met.record);
        let classified = judged.scored.classified;
        self.documents.push(&RedPajamaDocument {
            pred_label: classified.map(|found| found.label),
            pred_label_prob: classified.map(|found| found.probability),
            wiki_prob: classified.map(|found| found.score),
            text,
            source: &source,
            meta: origin,
        })
    }
}

/// The page's `meta`, where a language that the source left open is the one that was told.
fn told_meta<'a>(page: &Page<'a>, judged: &Judged<'_>) -> Option<Cow<'a, Meta>> {
    let meta = page.meta?;
    let open = meta.get("language").is_some_and(Value::is_null);
    let Some(language) = judged.language.filter(|_| open) else { return Some(Cow::Borrowed(meta)) };
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
