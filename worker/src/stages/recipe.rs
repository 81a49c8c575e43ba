//! What a job does with the documents of each source. It is derived once, when a worker opens the
//! job.
//!
//! The job file has it in three places: the steps of the slice or the source, the policies of
//! `[dedup]`, and the models that it names. Stages ask a [`SourceRecipe`] and not the job file, so
//! that two stages cannot answer one question differently.
//!
//! **Invariant:** a recipe is a function of the job file alone.

use thresher_job::{DedupPolicy, JobSpec, KeepBy, SourceSpec, Step};
use thresher_sources::{Source, source_of};

/// The recipes of all sources, in the order of the job file.
pub struct Recipe {
    sources: Vec<SourceRecipe>,
}

/// What a job does with the documents of one source.
#[derive(Clone, Copy)]
pub struct SourceRecipe {
    /// The reader of the slice, which also has the slice's own rules.
    pub slice: &'static dyn Source,
    /// Whether texts are split into lines, and published with their lines stripped.
    pub strips_lines: bool,
    /// Whether duplicate lines are dropped.
    pub dedups_lines: bool,
    /// What happens to the language of a document.
    pub language: LanguageStep,
    /// Whether perplexity and the classifier score documents.
    pub scores: bool,
    /// Whether the document filters run.
    pub filters: bool,
    /// Whether duplicate documents are dropped.
    pub dedups_documents: bool,
    /// Whether documents are kept by the address of the first of their kind.
    pub keeps_urls: bool,
    /// Whether documents whose SimHash is near that of an earlier one of the source are dropped.
    pub compares_signatures: bool,
    /// Whether documents are compared with those of all sources by the bands of their signatures.
    pub compares_bands: bool,
}

/// What happens to the language of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanguageStep {
    /// It is identified, and documents of languages that the job does not keep are dropped.
    Filter,
    /// It is identified, and no document is dropped for it.
    Label,
    /// It is not identified.
    Off,
}

impl Recipe {
    /// Derives the recipe of every source of a job.
    pub fn of(job: &JobSpec) -> Self {
        Self { sources: job.source.iter().map(|source| SourceRecipe::of(job, source)).collect() }
    }

    /// Returns the recipe of a source by its number in the job file.
    pub fn source(&self, number: u32) -> Option<&SourceRecipe> {
        self.sources.get(number as usize)
    }

    /// Returns whether the recipe of any source has a property.
    pub fn any(&self, has: impl Fn(&SourceRecipe) -> bool) -> bool {
        self.sources.iter().any(has)
    }
}

impl SourceRecipe {
    /// Derives the recipe of one source.
    pub fn of(job: &JobSpec, source: &SourceSpec) -> Self {
        let has = |step| job.has_step(source, step);
        let language = match job.language.model.path() {
            Some(_) if has(Step::Language) => LanguageStep::Filter,
            Some(_) if has(Step::Label) => LanguageStep::Label,
            Some(_) | None => LanguageStep::Off,
        };
        let slice = source_of(source.slice);
        let documents = &job.dedup.documents;
        let dedups_documents = has(Step::Documents) && documents.policy != DedupPolicy::Off;
        let by_url = documents.keep == KeepBy::Url && slice.is_crawl();
        Self {
            slice,
            strips_lines: has(Step::Lines),
            dedups_lines: job.dedups_lines(source),
            language,
            scores: has(Step::Quality),
            filters: has(Step::Filters),
            dedups_documents,
            keeps_urls: dedups_documents && by_url,
            compares_signatures: has(Step::Near) && !job.compares_bands(source),
            compares_bands: job.compares_bands(source),
        }
    }

    /// Returns whether a document takes part in comparisons by what PREPARE says of it.
    pub fn compares_documents(&self) -> bool {
        self.dedups_documents || self.compares_signatures
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn recipe(model: &str, slice: &str, more: &str) -> SourceRecipe {
        let text = format!(
            "[job]\nname = \"a\"\n[[source]]\nslice = \"{slice}\"\nlisting = \"*.gz\"\n\
             [language]\nmodel = \"{model}\"\n[output]\npath = \"out\"\n\
             [tokens]\ntokenizer = \"none\"\n{more}"
        );
        let job = JobSpec::parse(&text, Path::new("/jobs")).expect("the job is valid");
        SourceRecipe::of(&job, &job.source[0])
    }

    #[test]
    fn language_is_identified_only_with_a_model_and_a_step() {
        for (model, slice, step) in [
            ("lid.bin", "commoncrawl", LanguageStep::Filter),
            ("lid.bin", "arxiv", LanguageStep::Label),
            ("lid.bin", "books", LanguageStep::Off),
            ("none", "commoncrawl", LanguageStep::Off),
        ] {
            assert_eq!(recipe(model, slice, "").language, step, "{model} {slice}");
        }
    }

    #[test]
    fn a_policy_switches_its_step_off_but_lines_stay_stripped() {
        let off = "[dedup.lines]\npolicy = \"off\"\n[dedup.documents]\npolicy = \"off\"\n";
        let recipe = recipe("none", "commoncrawl", off);
        assert!(recipe.strips_lines && !recipe.dedups_lines);
        assert!(!recipe.compares_documents() && recipe.filters && recipe.scores);
    }

    #[test]
    fn only_crawled_pages_are_kept_by_their_address() {
        let by_url = "[dedup.documents]\nkeep = \"url\"\n";
        assert!(recipe("none", "commoncrawl", by_url).keeps_urls);
        assert!(!recipe("none", "commoncrawl", "").keeps_urls);
        let github = recipe("none", "github", by_url);
        assert!(github.dedups_documents && !github.keeps_urls);
    }
}
