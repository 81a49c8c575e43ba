//! PREPARE: read the inputs again, drop duplicate lines, judge each document, stage what stays.
//!
//! ```text
//! page → lines less duplicates → language → scores → filters → key, document line, or a drop row
//! ```
//!
//! **Invariant:** each record gives a document line or a drop row, never both, never neither.

mod keep;
mod schemas;

use std::path::Path;

use blake3::Hash;
use thresher_job::JobSpec;
use thresher_proto::pb::{self, InputsUnit, PrepareUnit, Stage};

use super::addresses::AddressBook;
use super::external::Externals;
use super::lines::{next, refuse_changed};
use super::read::{Reading, read_unit};
use super::recipe::{LanguageStep, SourceRecipe};
use super::resolve::verdict_files;
use super::{Finished, JobContext, Judges, Scored, ScoresScratch, Task, digest_of};
use thresher_dedup::KEY_FILE;
use thresher_dedup::keys::KeyCollector;
use thresher_dedup::verdicts::VerdictSet;
use thresher_filters::{self as filters, Outcome};
use thresher_sources::{Fate, Met, Page};
use thresher_storage::commit::AttemptFile;
use thresher_text::language::{Language, LanguageScratch, View};
use thresher_text::lines::{count_chars, lines};
use thresher_unit::staging::{
    DOCUMENTS, DROPPED, InputFacts, JsonLinesWriter, UnitFacts, create, hash_of, publish_blocks,
};
use thresher_unit::wire_counts;
use thresher_unit::{Tally, UnitError};

/// Memory for sorting the keys of a unit's documents.
const SORT_BYTES: usize = 16 << 20;

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let PrepareUnit { inputs, line_ranges } = task.decode()?;
    let unit: InputsUnit = task.decode_part(&inputs)?;
    let number = task.unit.ordinal;
    let source = context.source(unit.source)?;
    let recipe = context.recipe(unit.source)?;
    let path = |suffix| context.work.unit_file(Stage::Prepare, number, suffix);
    let (documents, dropped, keys) = (path("documents"), path("dropped"), path("keys"));
    let key_file = create(&keys, &task.tag)?;
    let spill = context.scratch_folder(&keys, task, "");
    let scratch = context.scratch_folder(&keys, task, "-scratch");
    let writers = (create(&documents, &task.tag)?, create(&dropped, &task.tag)?);
    let mut preparing = Preparing {
        job: &context.job,
        judges: context.judges()?,
        strips_lines: recipe.strips_lines,
        verdicts: line_verdicts(context, recipe, number, line_ranges)?,
        externals: Externals::start(&context.job, source)?,
        keys: KeyCollector::new(number, SORT_BYTES, spill),
        documents: JsonLinesWriter::new(writers.0, DOCUMENTS).map_err(|error| staging(&error))?,
        dropped: JsonLinesWriter::new(writers.1, DROPPED).map_err(|error| staging(&error))?,
        recipe: format!("{}/{}", context.job.job.preset, thresher_proto::VERSION),
        tally: Tally::default(),
        signatures: Vec::new(),
        withdrawn: Vec::new(),
        addresses: recipe.keeps_urls.then(AddressBook::default),
        input_starts: Vec::new(),
        input: None,
        records_in: 0,
        line: 0,
        text: String::new(),
        language: LanguageScratch::default(),
        scores: ScoresScratch::default(),
        filters: filters::Scratch::default(),
    };
    let inputs = read_unit(context, (number, &unit), &scratch, &mut |input, met| {
        task.stop.check()?;
        preparing.take(input, met)
    })?;
    if recipe.dedups_lines {
        refuse_changed(context, number, &inputs)?;
    }
    preparing.count_filters();
    let done = preparing.publish(context, inputs, key_file, [&documents, &dropped, &keys])?;
    Ok(Finished { done, planned: Vec::new() })
}

fn line_verdicts(
    context: &JobContext,
    recipe: &SourceRecipe,
    unit: u32,
    ranges: u32,
) -> Result<Option<VerdictSet>, UnitError> {
    if !recipe.dedups_lines {
        return Ok(None);
    }
    let files = verdict_files(context, Stage::ResolveLines, ranges)?;
    let keys = context.work.unit_file(Stage::Lines, unit, "keys");
    VerdictSet::load::<u64>(&files, unit, &keys)
        .map(Some)
        .map_err(|error| UnitError::verdicts(Stage::Lines, &error))
}

fn staging(error: &std::io::Error) -> UnitError {
    UnitError::writing(error, format!("failed to write staged documents: {error}"))
}

struct Preparing<'j> {
    job: &'j JobSpec,
    judges: &'j Judges,
    /// Whether the source's texts are taken apart into lines.
    strips_lines: bool,
    verdicts: Option<VerdictSet>,
    externals: Externals,
    keys: KeyCollector<u128>,
    documents: JsonLinesWriter<AttemptFile>,
    dropped: JsonLinesWriter<AttemptFile>,
    recipe: String,
    tally: Tally,
    signatures: Vec<u64>,
    withdrawn: Vec<u32>,
    /// For sources whose documents are kept by their address.
    addresses: Option<AddressBook>,
    /// The place of each input's first document.
    input_starts: Vec<u32>,
    /// The row of the input that the last document was of.
    input: Option<u64>,
    records_in: u64,
    /// Number of the next line in the unit.
    line: u32,
    /// The document's text, reused.
    text: String,
    language: LanguageScratch,
    scores: ScoresScratch,
    filters: filters::Scratch,
}

/// What is known of a document besides its page.
#[derive(Default)]
struct Judged<'a> {
    language: Option<&'a str>,
    /// Of languages that were told here.
    language_score: Option<f32>,
    scored: Scored<'a>,
    original_chars: u64,
    original_lines: u64,
}

impl<'j> Preparing<'j> {
    /// Finishes the unit's files and commits them: documents, drop rows, keys.
    fn publish(
        self,
        context: &JobContext,
        inputs: Vec<InputFacts>,
        mut key_file: AttemptFile,
        [documents, dropped, keys]: [&Path; 3],
    ) -> Result<pb::Done, UnitError> {
        let Self {
            externals,
            documents: lines,
            dropped: rows,
            keys: mut collector,
            tally,
            records_in,
            signatures,
            withdrawn,
            addresses,
            input_starts,
            ..
        } = self;
        externals.finish()?;
        let addresses = addresses.unwrap_or_default().finish(&mut collector)?;
        let (_, summary) = collector.finish(&mut key_file)?;
        let recipe_files = context.judges()?.recipe_files.clone();
        let facts = UnitFacts {
            inputs,
            recipe_files,
            tally,
            signatures,
            withdrawn,
            addresses,
            input_starts,
        };
        let file = lines.finish(&facts).map_err(|error| staging(&error))?;
        let rows = rows.finish(&()).map_err(|error| staging(&error))?;
        let hashes: [Hash; 3] = [
            hash_of(publish_blocks(file, documents, DOCUMENTS)?),
            hash_of(publish_blocks(rows, dropped, DROPPED)?),
            hash_of(publish_blocks(key_file, keys, KEY_FILE)?),
        ];
        Ok(pb::Done {
            accounting: Some(facts.tally.to_wire(records_in)),
            digest: digest_of(&hashes),
            keys: summary.distinct,
            counts: wire_counts(&facts.tally.counts),
        })
    }

    fn take(&mut self, input: &Reading<'_>, met: Met<'_>) -> Result<(), UnitError> {
        self.records_in += 1;
        self.tally.bytes_in += met.bytes;
        match met.fate {
            Fate::Page(page) => self.page(input, &met, &page),
            Fate::Dropped { id, url, reason, detail } => {
                self.drop(input, &met, (id, url), ("dropped", reason, detail))
            }
            Fate::Quarantined { id, url, reason, detail } => {
                self.drop(input, &met, (id, url), ("quarantined", reason, detail))
            }
        }
    }

    fn drop(
        &mut self,
        input: &Reading<'_>,
        met: &Met<'_>,
        (id, url): (&str, &str),
        (verdict, reason, detail): (&str, &str, &str),
    ) -> Result<(), UnitError> {
        if verdict == "quarantined" {
            self.tally.quarantine(reason);
        } else {
            self.tally.drop(reason);
        }
        let row = keep::drop_row(input, met, (id, url), (verdict, reason, detail));
        self.dropped.push(&row).map_err(|error| staging(&error))?;
        Ok(())
    }

    fn page(
        &mut self,
        input: &Reading<'_>,
        met: &Met<'_>,
        page: &Page<'_>,
    ) -> Result<(), UnitError> {
        let who = (page.id, page.url);
        let mut text = std::mem::take(&mut self.text);
        let judged = self.keep_lines(page, &mut text)?;
        if let Some(reason) = page.withdrawn {
            let result = self.withdraw(input, met, page, reason, &text);
            self.text = text;
            return result;
        }
        let judged = Judged { language: page.language, ..judged };
        let verdict = self.judge(input.recipe, page, &text, judged)?;
        let result = match verdict {
            Ok((judged, edited)) => {
                let text = edited.as_deref().unwrap_or(&text);
                match self.externals.judge(page, judged.language, text)? {
                    Ok(edited) => {
                        let text = edited.as_deref().unwrap_or(text);
                        self.count_tokens(input, met, page, judged, text)
                    }
                    Err(reason) => self.drop(input, met, who, ("dropped", &reason, "")),
                }
            }
            Err(reason) => self.drop(input, met, who, ("dropped", reason, "")),
        };
        self.text = text;
        result
    }

    /// The steps between lines and keys; a kept document comes with its text, if that was edited.
    fn judge<'p>(
        &mut self,
        recipe: &SourceRecipe,
        page: &Page<'_>,
        text: &str,
        judged: Judged<'p>,
    ) -> Result<Result<(Judged<'p>, Option<String>), &'static str>, UnitError>
    where
        'j: 'p,
    {
        if text.is_empty() {
            let lines = self.strips_lines;
            return Ok(Err(if lines { "dedup/no_line_left" } else { "empty_text" }));
        }
        let (judges, job) = (self.judges, self.job);
        let mut judged = match (&judges.language, recipe.language) {
            (Some(identifier), LanguageStep::Filter) => {
                let found = identifier.identify(&mut self.language, text);
                let (language, score) = match keep_language(job, found) {
                    Ok(told) => told,
                    Err(reason) => return Ok(Err(reason)),
                };
                Judged { language: Some(language), language_score: Some(score), ..judged }
            }
            (Some(identifier), LanguageStep::Label) => {
                let seen = recipe.slice.text_for_language(job, text);
                let found = identifier.identify_as(View::Thresher, &mut self.language, &seen);
                let told = found.map(|found| (found.label, found.score));
                let language = told.map(|(label, _)| label).or(judged.language);
                Judged { language, language_score: told.map(|(_, score)| score), ..judged }
            }
            (_, LanguageStep::Off) | (None, _) => judged,
        };
        if recipe.scores {
            let (scratch, tally) = (&mut self.scores, &mut self.tally);
            match judges.scorers.score(scratch, judged.language, text, tally)? {
                Ok(scored) => judged.scored = scored,
                Err(reason) => return Ok(Err(reason)),
            }
        }
        if !recipe.filters {
            return Ok(Ok((judged, None)));
        }
        let Page { url, title, .. } = *page;
        let document = filters::Document { url, title, language: judged.language, text };
        Ok(match judges.filters.judge(document, &mut self.filters) {
            Outcome::Keep => Ok((judged, None)),
            Outcome::Rewritten(edited) => Ok((judged, Some(edited.to_owned()))),
            Outcome::Drop(reason) => Err(reason),
        })
    }

    /// Fills `text` with the lines that stay; where lines are not compared, with all as they are.
    fn keep_lines(
        &mut self,
        page: &Page<'_>,
        text: &mut String,
    ) -> Result<Judged<'static>, UnitError> {
        text.clear();
        let mut judged = Judged::default();
        if !self.strips_lines {
            text.push_str(page.text);
            judged.original_chars = count_chars(text);
            judged.original_lines = text.split('\n').count() as u64;
            return Ok(judged);
        }
        let mut kept = 0;
        for line in lines(page.text) {
            judged.original_lines += 1;
            judged.original_chars += count_chars(line) + 1;
            let dropped = self.verdicts.as_ref().is_some_and(|v| v.is_dropped(self.line));
            self.line = next(self.line)?;
            if dropped {
                continue;
            }
            if kept > 0 {
                text.push('\n');
            }
            text.push_str(line);
            kept += 1;
        }
        judged.original_chars = judged.original_chars.saturating_sub(1);
        self.tally.count("lines/in", judged.original_lines);
        self.tally.count("lines/duplicate", judged.original_lines - kept);
        Ok(judged)
    }

    fn count_filters(&mut self) {
        for (rule, count) in self.filters.take_tally().removed {
            self.tally.count(&format!("lines/removed/{rule}"), count);
        }
    }
}

/// A document's language and its score, or why it is dropped.
fn keep_language<'a>(
    job: &JobSpec,
    found: Option<Language<'a>>,
) -> Result<(&'a str, f32), &'static str> {
    let Some(found) = found else { return Err("language/unknown") };
    if found.score < job.language.min_score {
        return Err("language/low_score");
    }
    let keep = &job.language.keep;
    if !keep.is_empty() && !keep.iter().any(|label| label == found.label) {
        return Err("language/not_kept");
    }
    Ok((found.label, found.score))
}
