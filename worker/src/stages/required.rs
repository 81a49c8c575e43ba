//! Checks what a job needs before its first unit: the models and lists that it names, and an output
//! that does not belong to another job.
//!
//! A job must not fail after hours because a model is missing, so this is checked at the start. All
//! missing files are reported at once, with a hint for each.

use thresher_job::JobSpec;

use super::recipe::{LanguageStep, Recipe};
use super::seal::{Manifest, other_corpus};
use super::{pipeline, read_language};
use thresher_filters::FilterChain;
use thresher_models::tokens::TokenizerFile;
use thresher_storage::{Output, ReadOptions, s3};
use thresher_text::perplexity;

/// Returns the reasons why the job cannot start, one message each; empty if it can. An output that
/// cannot be read is reported when the job lists its inputs.
pub fn obstacles(job: &JobSpec) -> Vec<String> {
    let mut obstacles = missing_files(job);
    let recipe = job.recipe().resolved();
    let of_this_job = |there: &Manifest| there.job_name == job.job.name && there.recipe == recipe;
    s3::configure(&job.s3);
    let briefly = ReadOptions { attempts_max: 2, ..ReadOptions::default() };
    if let Ok(output) = Output::new(&job.output.path)
        && let Ok(Some(other)) = other_corpus(&output, &briefly, of_this_job)
    {
        obstacles.push(other);
    }
    obstacles
}

/// Returns a message for each file that the job names and that cannot be used. Small files are read
/// completely; CCNet's language models have gigabytes, so only their existence is checked.
fn missing_files(job: &JobSpec) -> Vec<String> {
    let mut missing = Vec::new();
    let recipe = Recipe::of(job);
    if recipe.any(|source| source.language != LanguageStep::Off) {
        missing.extend(read_language(job).err());
    }
    if recipe.any(|source| source.scores) {
        missing.extend(perplexity::missing_models(&job.perplexity, &job.language.keep));
        missing.extend(pipeline::read_classifier(job).err());
    }
    if let Some(path) = job.tokens.tokenizer.path() {
        missing.extend(TokenizerFile::load(path).err().map(|error| error.to_string()));
    }
    if recipe.any(|source| source.filters) {
        let filters = FilterChain::new(&job.filters);
        missing.extend(filters.err().map(|error| format!("failed to {error}")));
    }
    missing
}
