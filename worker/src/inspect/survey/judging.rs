//! The part of a survey that judges pages as PREPARE does and compresses as PUBLISH does.
//!
//! It keeps nothing but counts: documents go into an encoder whose output is only measured.

use std::io::{self, Write};

use zstd::stream::Encoder;

use super::cpu_micros;
use crate::stages::{JobContext, Judges, LanguageStep, Scored, ScoresScratch, SourceRecipe};
use thresher_filters::{self as filters, Outcome};
use thresher_job::{JobSpec, SourceSpec};
use thresher_sources::{Met, Page};
use thresher_text::language::{LanguageScratch, View};
use thresher_text::lines::{count_chars, lines};
use thresher_unit::document::{Document, Scores};
use thresher_unit::{Tally, UnitError};

const PIECE_BYTES: usize = 1 << 20;

/// What came of the sample's pages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Published {
    pub(super) documents: u64,
    pub(super) json_bytes: u64,
    pub(super) shard_bytes: u64,
    pub(super) cpu_micros: u64,
}

pub(super) struct Judging<'a> {
    job: &'a JobSpec,
    source: &'a SourceSpec,
    recipe: SourceRecipe,
    judges: &'a Judges,
    language: LanguageScratch,
    scores: ScoresScratch,
    filters: filters::Scratch,
    encoder: Encoder<'static, Counted>,
    piece: Vec<u8>,
    text: String,
    published: Published,
}

impl<'a> Judging<'a> {
    pub(super) fn new(context: &'a JobContext, source: &'a SourceSpec) -> Result<Self, UnitError> {
        let job = &context.job;
        let encoder = Encoder::new(Counted::default(), job.output.zstd_level);
        Ok(Self {
            job,
            source,
            recipe: SourceRecipe::of(job, source),
            judges: context.judges()?,
            language: LanguageScratch::default(),
            scores: ScoresScratch::default(),
            filters: filters::Scratch::default(),
            encoder: encoder.map_err(|error| compressing(&error))?,
            piece: Vec::new(),
            text: String::new(),
            published: Published::default(),
        })
    }

    pub(super) fn publish_cpu_micros(&self) -> u64 {
        self.published.cpu_micros
    }

    /// Judges a page; `stays` says of each of its lines whether it does.
    pub(super) fn page(
        &mut self,
        input: &str,
        met: &Met<'_>,
        page: &Page<'_>,
        stays: &mut impl Iterator<Item = bool>,
    ) -> Result<(), UnitError> {
        let kept = self.keep_lines(page.text, stays);
        if page.withdrawn.is_some() {
            return Ok(());
        }
        if self.text.is_empty() {
            return Ok(());
        }
        let judges = self.judges;
        let Some(language) = self.language() else { return Ok(()) };
        let tally = &mut Tally::default();
        let mut scored = Scored::default();
        if self.recipe.scores {
            let told = language.map(|(label, _)| label);
            let found = judges.scorers.score(&mut self.scores, told, &self.text, tally)?;
            let Ok(found) = found else { return Ok(()) };
            scored = found;
        }
        let document = filters::Document {
            url: page.url,
            title: page.title,
            language: language.map(|(label, _)| label),
            text: &self.text,
        };
        let filters = self.recipe.filters;
        let text = match filters.then(|| judges.filters.judge(document, &mut self.filters)) {
            None | Some(Outcome::Keep) => self.text.as_str(),
            Some(Outcome::Rewritten(text)) => text,
            Some(Outcome::Drop(_)) => return Ok(()),
        };
        let tokens = judges.scorers.tokens(text)?;
        if self.recipe.slice.refuse_by_tokens(self.job, text, tokens).is_some() {
            return Ok(());
        }
        let hash = blake3::hash(text.as_bytes()).to_hex();
        let document = Document {
            id: page.id,
            text,
            source: &self.source.name,
            slice: self.source.slice.name(),
            url: page.url,
            date: page.date,
            dump: &self.source.dump,
            licence: page.licence,
            title: page.title,
            language: language.map(|(label, _)| label),
            language_score: language.map(|(_, score)| score),
            scores: Scores { tokens, ..scored.scores },
            input,
            offset: met.offset,
            record: met.record,
            chars: count_chars(text),
            bytes: text.len() as u64,
            lines: kept,
            original_chars: count_chars(page.text),
            original_lines: kept,
            content_hash: &hash,
            recipe: &self.job.job.preset,
            meta: page.meta,
        };
        serde_json::to_writer(&mut self.piece, &document)
            .map_err(|error| compressing(&error.into()))?;
        self.piece.push(b'\n');
        self.published.documents += 1;
        if self.piece.len() >= PIECE_BYTES { self.compress() } else { Ok(()) }
    }

    /// The text's language, where the job tells it; `None` when it is none that is kept.
    fn language(&mut self) -> Option<Option<(&'a str, f32)>> {
        let judges = self.judges;
        let Some(identifier) = &judges.language else { return Some(None) };
        if self.recipe.language == LanguageStep::Off {
            return Some(None);
        }
        if self.recipe.language == LanguageStep::Label {
            let found = identifier.identify_as(View::Thresher, &mut self.language, &self.text);
            return Some(found.map(|found| (found.label, found.score)));
        }
        let found = identifier.identify(&mut self.language, &self.text)?;
        let keep = &self.job.language.keep;
        let wanted = keep.is_empty() || keep.iter().any(|label| label == found.label);
        let stays = wanted && found.score >= self.job.language.min_score;
        stays.then_some(Some((found.label, found.score)))
    }

    /// Leaves the lines that stay in `self.text`; returns how many they are.
    fn keep_lines(&mut self, text: &str, stays: &mut impl Iterator<Item = bool>) -> u64 {
        self.text.clear();
        let mut kept = 0;
        for line in lines(text) {
            if stays.next().unwrap_or(true) {
                if kept > 0 {
                    self.text.push('\n');
                }
                self.text.push_str(line);
                kept += 1;
            }
        }
        kept
    }

    pub(super) fn finish(mut self) -> Result<Published, UnitError> {
        self.compress()?;
        let began = cpu_micros();
        let counted = self.encoder.finish().map_err(|error| compressing(&error))?;
        self.published.cpu_micros += cpu_micros() - began;
        self.published.shard_bytes = counted.bytes;
        Ok(self.published)
    }

    fn compress(&mut self) -> Result<(), UnitError> {
        let began = cpu_micros();
        self.encoder.write_all(&self.piece).map_err(|error| compressing(&error))?;
        self.published.cpu_micros += cpu_micros() - began;
        self.published.json_bytes += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }
}

fn compressing(error: &io::Error) -> UnitError {
    UnitError::Fatal(format!("failed to compress a sample: {error}"))
}

/// Forgets what is written, but for its length.
#[derive(Default)]
struct Counted {
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
