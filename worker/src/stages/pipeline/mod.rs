//! Applies the recipe to a document: from the page that a source read to the text that is
//! published, or the reason why it is dropped.
//!
//! ```text
//! page → lines less duplicates → language → scores → filters → commands → tokens → Evaluation
//! ```
//! PREPARE and the sampling of `plan` both use it, so that a plan measures what the job will do.
//! It writes nothing, and does not compare documents with each other.
//!
//! **Invariant:** the outcome is a function of the page, the job, and which lines are duplicates.

mod commands;
mod language;
mod quality;
mod staged;

use std::borrow::Cow;

use thresher_domain::Counter;
use thresher_filters as filters;
use thresher_formats::stop::Stop;
use thresher_job::{JobSpec, SampleSpec, SourceSpec};
use thresher_sources::{Page, Refusal};
use thresher_text::language::LanguageScratch;
use thresher_text::lines::{count_chars, lines};
use thresher_unit::{Tally, UnitError};

use super::recipe::SourceRecipe;
use super::sampled::{NOT_CHOSEN, is_in_rate};
use super::{JobContext, Scorers};
use commands::Commands;
use quality::{QualityScores, QualityScratch};

pub use quality::QualityModels;
pub(super) use quality::read_classifier;
pub(crate) use staged::RecordPlace;

/// The name of the rule that dropped a document; the name that a command returns is not known
/// before.
pub(crate) type Reason = Cow<'static, str>;

/// The verdict of one step on a document.
#[derive(Debug)]
pub(crate) enum Verdict<T> {
    Kept(T),
    Dropped(Reason),
}

/// The result of the recipe for a page.
#[derive(Debug)]
pub(crate) enum Evaluation<'a> {
    /// It is published, if no other document equals it.
    Kept(EvaluatedDocument<'a>),
    /// It is dropped, but other documents are compared with this text of it.
    Withdrawn { text: Cow<'a, str>, reason: Reason },
    Dropped {
        reason: Reason,
        /// What a rule with a threshold measured.
        measured: Option<filters::Measured>,
    },
}

/// The properties of a document in addition to its page.
#[derive(Debug)]
pub(crate) struct EvaluatedDocument<'a> {
    /// The text that is published.
    pub(crate) text: Cow<'a, str>,
    pub(crate) language: Option<&'a str>,
    /// Probability of the language, if it was identified here rather than given by the source.
    pub(crate) language_score: Option<f32>,
    pub(crate) scores: QualityScores<'a>,
    /// Number of tokens of the text, if the job counts them.
    pub(crate) tokens: Option<u64>,
    pub(crate) original: OriginalSize,
    /// What the rules of filters measured, as a JSON object, if the job asks for it.
    pub(crate) filter_values: Option<String>,
}

/// The size of a page's text before duplicate lines were removed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OriginalSize {
    pub(crate) chars: u64,
    pub(crate) lines: u64,
}

/// Evaluates the documents of one source, one after the other.
pub(crate) struct Pipeline<'j> {
    job: &'j JobSpec,
    recipe: SourceRecipe,
    sample: Option<&'j SampleSpec>,
    scorers: &'j Scorers,
    commands: Commands,
    /// The text whose duplicate lines are removed; the memory is reused.
    text: String,
    language: LanguageScratch,
    quality: QualityScratch,
    filters: filters::Scratch,
}

impl<'j> Pipeline<'j> {
    /// Starts the user's commands and loads the models, if no other unit has loaded them yet.
    pub(crate) fn start(
        context: &'j JobContext,
        source: &'j SourceSpec,
        recipe: SourceRecipe,
        stop: &Stop,
    ) -> Result<Self, UnitError> {
        let job = &context.job;
        for command in source.commands.iter().filter_map(|name| job.command(name)) {
            context.command_files.check(command)?;
        }
        Ok(Self {
            job,
            recipe,
            sample: source.sample.as_ref(),
            scorers: context.scorers()?,
            commands: Commands::start(job, source, stop)?,
            text: String::new(),
            language: LanguageScratch::default(),
            quality: QualityScratch::default(),
            filters: filters::Scratch::default(),
        })
    }

    /// Evaluates one page. `is_duplicate` answers for the next line of the unit, and is called once
    /// for each line of the page if lines are compared.
    pub(crate) fn evaluate<'p>(
        &'p mut self,
        page: &Page<'p>,
        is_duplicate: impl FnMut() -> Result<bool, UnitError>,
        tally: &mut Tally,
    ) -> Result<Evaluation<'p>, UnitError> {
        let original = self.keep_lines(page.text, is_duplicate, tally)?;
        count_notes(page, tally);
        let (job, recipe, scorers) = (self.job, self.recipe, self.scorers);
        let text = self.text.as_str();
        if self.sample.is_some_and(|sample| !is_in_rate(sample, page.text)) {
            return Ok(Evaluation::Dropped { reason: NOT_CHOSEN.into(), measured: None });
        }
        if let Some(reason) = page.withdrawn {
            return Ok(Evaluation::Withdrawn {
                text: text.into(),
                reason: reason.to_owned().into(),
            });
        }
        if text.is_empty() {
            let reason = if self.recipe.strips_lines { "dedup/no_line_left" } else { "empty_text" };
            return Ok(Evaluation::Dropped { reason: reason.into(), measured: None });
        }
        let language = language::identify(job, &recipe, scorers, &mut self.language, text);
        let (language, language_score) = match language {
            Verdict::Dropped(reason) => return Ok(Evaluation::Dropped { reason, measured: None }),
            Verdict::Kept(Some(found)) => (Some(found.label), Some(found.score)),
            Verdict::Kept(None) => (page.language, None),
        };
        let mut scores = QualityScores::default();
        if recipe.scores {
            match scorers.quality.evaluate(&mut self.quality, language, text, tally)? {
                Verdict::Kept(found) => scores = found,
                Verdict::Dropped(reason) => {
                    return Ok(Evaluation::Dropped { reason, measured: None });
                }
            }
        }
        let mut text = Cow::Borrowed(text);
        let mut filter_values = None;
        if recipe.filters {
            let document =
                filters::Document { url: page.url, title: page.title, language, text: &self.text };
            let (outcome, values) = scorers.filters.measure(document, &mut self.filters);
            filter_values = job.output.filter_values.then(|| values_as_json(values));
            match outcome {
                filters::Outcome::Keep => {}
                filters::Outcome::Rewritten(edited) => text = Cow::Borrowed(edited),
                filters::Outcome::Drop(reason, measured) => {
                    return Ok(Evaluation::Dropped { reason: reason.into(), measured });
                }
            }
        }
        let text = match self.commands.evaluate(page, language, text)? {
            Verdict::Kept(text) => text,
            Verdict::Dropped(reason) => return Ok(Evaluation::Dropped { reason, measured: None }),
        };
        let tokens = scorers.quality.tokens(&text)?;
        let document = EvaluatedDocument {
            text,
            language,
            language_score,
            scores,
            tokens,
            original,
            filter_values,
        };
        Ok(refuse_by_tokens(job, &recipe, document))
    }

    /// Ends the user's commands, and counts the lines that each filter removed.
    pub(crate) fn finish(mut self, tally: &mut Tally) -> Result<(), UnitError> {
        for (rule, count) in self.filters.take_tally().removed {
            tally.count(Counter::RemovedLines { rule: rule.to_owned() }, count);
        }
        self.commands.finish()
    }

    /// Fills `self.text` with the lines that are not duplicates; with the text as it is if the
    /// source's lines are not compared.
    fn keep_lines(
        &mut self,
        page: &str,
        mut is_duplicate: impl FnMut() -> Result<bool, UnitError>,
        tally: &mut Tally,
    ) -> Result<OriginalSize, UnitError> {
        let text = &mut self.text;
        text.clear();
        if !self.recipe.strips_lines {
            text.push_str(page);
            let lines = text.split('\n').count() as u64;
            return Ok(OriginalSize { chars: count_chars(text), lines });
        }
        let (mut original, mut kept) = (OriginalSize::default(), 0);
        for line in lines(page) {
            original.lines += 1;
            original.chars += count_chars(line) + 1;
            if is_duplicate()? {
                continue;
            }
            if kept > 0 {
                text.push('\n');
            }
            text.push_str(line);
            kept += 1;
        }
        original.chars = original.chars.saturating_sub(1);
        tally.count(Counter::LinesIn, original.lines);
        tally.count(Counter::DuplicateLines, original.lines - kept);
        Ok(original)
    }
}

/// Counts what the reader notes about a page.
fn count_notes(page: &Page<'_>, tally: &mut Tally) {
    for (counter, value) in [
        (Counter::MissingFiles, page.missing_files),
        (Counter::OmittedFiles, page.omitted_files),
        (Counter::DamagedCharacters, page.damaged_characters),
    ] {
        if value > 0 {
            tally.count(counter, value);
        }
    }
}

/// Returns what rules measured as a JSON object, in the order of the rules.
fn values_as_json(values: &[(filters::Reason, f64)]) -> String {
    let mut object = serde_json::Map::new();
    for (reason, value) in values {
        let is_whole = value.fract() == 0.0 && value.abs() < 1e15;
        let number = if is_whole { (*value as i64).into() } else { (*value).into() };
        object.insert((*reason).to_owned(), number);
    }
    serde_json::Value::Object(object).to_string()
}

/// Applies the rule of the document's slice that needs the number of tokens. RedPajama compared
/// code with other code before that rule, so a slice decides whether the document still takes part.
fn refuse_by_tokens<'a>(
    job: &JobSpec,
    recipe: &SourceRecipe,
    document: EvaluatedDocument<'a>,
) -> Evaluation<'a> {
    match recipe.slice.refuse_by_tokens(job, &document.text, document.tokens) {
        None => Evaluation::Kept(document),
        Some(Refusal { reason, compared: true }) => {
            Evaluation::Withdrawn { text: document.text, reason: reason.into() }
        }
        Some(Refusal { reason, compared: false }) => {
            Evaluation::Dropped { reason: reason.into(), measured: None }
        }
    }
}
