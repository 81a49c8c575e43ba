//! Checks what a job needs before its first unit: the models and lists that it names, and an output
//! that does not belong to another job.
//!
//! A job must not fail after hours because a model is missing, so this is checked at the start. All
//! missing files are reported at once, with a hint for each.

use std::collections::BTreeSet;

use thresher_job::JobSpec;

use super::recipe::{LanguageStep, Recipe};
use super::seal::{Manifest, other_corpus};
use super::{pipeline, read_language_model};
use thresher_filters::FilterChain;
use thresher_models::fasttext::Model;
use thresher_models::tokens::TokenizerFile;
use thresher_storage::{Output, ReadOptions, s3};
use thresher_text::language::unknown_labels;
use thresher_text::perplexity;

/// Returns the reasons why the job cannot start, one message each; empty if it can. An output that
/// cannot be read is reported when the job lists its inputs. A corpus of `known` is no obstacle: it
/// is the job that the state directory has, which a restart removes.
pub fn obstacles(job: &JobSpec, known: Option<&JobSpec>) -> Vec<String> {
    let mut obstacles = missing_files(job);
    let ours: Vec<(&str, String)> = std::iter::once(job)
        .chain(known)
        .map(|job| (job.job.name.as_str(), job.recipe().resolved()))
        .collect();
    let of_this_job = |there: &Manifest| {
        ours.iter().any(|(name, recipe)| there.job_name == *name && there.recipe == *recipe)
    };
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
        match read_language_model(job) {
            Ok(Some(model)) => missing.extend(unknown_languages(job, &recipe, &model)),
            Ok(None) => {}
            Err(error) => missing.push(error),
        }
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

/// Returns the message for languages to keep that the model does not have: no document would be in
/// them.
fn unknown_languages(job: &JobSpec, recipe: &Recipe, model: &Model) -> Option<String> {
    if !recipe.any(|source| source.language == LanguageStep::Filter) {
        return None;
    }
    let unknown = unknown_labels(model, &job.language.keep);
    let named = |label: &String| format!("`{label}`");
    let labels: Vec<String> = unknown.iter().map(|one| named(&one.label)).collect();
    let meant: BTreeSet<String> =
        unknown.iter().filter_map(|one| one.nearest.as_ref().map(named)).collect();
    let words = if labels.len() == 1 { "no label" } else { "no labels" };
    let hint = match meant.is_empty() {
        true => "the labels of lid.176 are ISO 639 codes such as `en` and `de`".to_owned(),
        false => format!("did you mean {}?", Vec::from_iter(meant).join(", ")),
    };
    (!labels.is_empty()).then(|| {
        format!(
            "the model of `language.model` has {words} {}, which `language.keep` names\nhint: {hint}",
            labels.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn obstacles_of(keep: &str, slice: &str) -> Vec<String> {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/lid/lid.176.ftz");
        let text = format!(
            "[job]\nname = \"a\"\n[[source]]\nslice = \"{slice}\"\nlisting = \"x\"\n[language]\n\
             model = \"{}\"\nkeep = {keep}\n[tokens]\ntokenizer = \"none\"\n[output]\n\
             path = \"/nowhere/out\"\n",
            model.display()
        );
        obstacles(&JobSpec::parse(&text, Path::new("/nowhere")).unwrap(), None)
    }

    #[test]
    fn a_language_that_the_model_lacks_is_refused_with_the_one_that_was_meant() {
        let found = obstacles_of("[\"english\", \"de\"]", "c4");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("no label `english`"), "{found:?}");
        assert!(found[0].ends_with("hint: did you mean `en`?"), "{found:?}");
        assert_eq!(obstacles_of("[\"en\", \"de\"]", "c4"), Vec::<String>::new());
        // Its documents are labelled, and none is dropped for its language.
        assert_eq!(obstacles_of("[\"english\"]", "arxiv"), Vec::<String>::new());
    }
}
