//! What a job needs before its first unit: the models and lists that it names, and an output that
//! is no other job's.
//!
//! Hours of reading must not end at a model that is not there, so this is asked at the start, and
//! all that is missing is told at once: which file, where it may be had, what goes without it.

use thresher_job::JobSpec;

use super::recipe::{LanguageStep, Recipe};
use super::seal::{Manifest, other_corpus};
use super::{pipeline, read_language};
use thresher_filters::FilterChain;
use thresher_models::tokens::TokenizerFile;
use thresher_storage::{Output, ReadOptions, s3};
use thresher_text::perplexity;

/// Why the job may not begin, a message each; empty where it may. An output that cannot be asked
/// is found out when the job lists its inputs.
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

/// Everything that the job names and that cannot be used, a message each; empty for a job that may
/// begin. Small files are read whole; of CCNet's language models, which have gigabytes, it is only
/// seen to that they are there.
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
