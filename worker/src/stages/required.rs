//! Checks what a job needs before its first unit: the models and lists that it names, and an output
//! that does not belong to another job.
//!
//! A job must not fail after hours because a model is missing, so this is checked at the start. All
//! missing files are reported at once, with a hint for each.

use std::collections::BTreeSet;

use thresher_job::JobSpec;

use super::list::output_below_pattern;
use super::manifest::{Manifest, read_manifest};
use super::near::unusable_outputs;
use super::recipe::{LanguageStep, Recipe};
use super::seal::{foreign_card, other_corpus};
use super::{pipeline, read_language_model};
use thresher_filters::FilterChain;
use thresher_models::fasttext::Model;
use thresher_models::tokens::{TokenizerFile, Vocabulary};
use thresher_storage::{Location, Output, ReadOptions, s3};
use thresher_text::language::{labels, unknown_labels};
use thresher_text::perplexity;

/// Returns the reasons why the job cannot start, one message each; empty if it can. An output that
/// cannot be read is reported when the job lists its inputs. A corpus of `known` is no obstacle: it
/// is the job that the state directory has, which a restart removes.
pub fn obstacles(job: &JobSpec, known: Option<&JobSpec>) -> Vec<String> {
    let mut obstacles = missing_files(job);
    obstacles.extend(unknown_eod(job));
    let ours: Vec<(&str, String)> = std::iter::once(job)
        .chain(known)
        .map(|job| (job.job.name.as_str(), job.recipe().resolved()))
        .collect();
    let of_this_job = |there: &Manifest| {
        ours.iter().any(|(name, recipe)| there.job_name == *name && there.recipe == *recipe)
    };
    s3::configure(&job.s3);
    let briefly = ReadOptions { attempts_max: 2, ..ReadOptions::default() };
    obstacles.extend(unusable_outputs(job, &briefly));
    if let Ok(output) = Output::new(&job.output.path) {
        obstacles.extend(other_corpus(&output, &briefly, of_this_job).ok().flatten());
        obstacles.extend(foreign_card(&output, &briefly).ok().flatten());
        obstacles.extend(corpus_around(output.root(), &briefly));
        let among = |source| output_below_pattern(output.root(), source);
        obstacles.extend(job.source.iter().find_map(among));
    }
    obstacles
}

/// Returns the message for an output in a folder of another corpus, which would not be the one that
/// its manifest describes any more.
fn corpus_around(output: &Location, options: &ReadOptions) -> Option<String> {
    let Location::Path(output) = output else { return None };
    let output = std::path::absolute(output).ok()?;
    let mut above = output.ancestors().skip(1);
    let (folder, job) = above.find_map(|folder| {
        let found = read_manifest(&Location::Path(folder.to_owned()), options).ok()??;
        Some((folder, found.ok()?.job_name))
    })?;
    Some(format!(
        "`output.path = \"{}\"` is in `{}`, which has the corpus of the job `{job}`\nhint: choose \
         an `output.path` outside of it",
        output.display(),
        folder.display()
    ))
}

/// Returns a message for each file that the job names and that cannot be used. Small files are read
/// completely; CCNet's language models have gigabytes, so only their existence is checked.
/// Returns the message for a token that ends documents and that the tokenizer does not have.
fn unknown_eod(job: &JobSpec) -> Option<String> {
    let tokenizer =
        job.tokens.tokenizer.path().filter(|_| !job.output.tokens.formats.is_empty())?;
    // A file that cannot be read is reported by itself.
    let vocabulary = Vocabulary::load(tokenizer).ok()?;
    vocabulary.id(&job.output.tokens.eod).err().map(|error| error.to_string())
}

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
    let lacking: Vec<String> = unknown.iter().map(|one| named(&one.label)).collect();
    let meant: BTreeSet<String> =
        unknown.iter().filter_map(|one| one.nearest.as_ref().map(named)).collect();
    let words = if lacking.len() == 1 { "no label" } else { "no labels" };
    let hint = match meant.is_empty() {
        true => {
            let mut known = labels(model);
            known.sort_unstable();
            format!("its labels are {}", known.join(" "))
        }
        false => format!("did you mean {}?", Vec::from_iter(meant).join(", ")),
    };
    (!lacking.is_empty()).then(|| {
        format!(
            "the model of `language.model` has {words} {}, which `language.keep` names\nhint: {hint}",
            lacking.join(", ")
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
    fn an_output_in_another_corpus_or_among_inputs_is_an_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        std::fs::create_dir_all(folder.path().join("corpus/documents")).unwrap();
        let manifest = Manifest { job_name: "other".to_owned(), ..Manifest::default() };
        let manifest = serde_json::to_vec(&manifest).unwrap();
        std::fs::write(folder.path().join("corpus/manifest.json"), manifest).unwrap();
        std::fs::create_dir_all(folder.path().join("in/out")).unwrap();
        std::fs::create_dir_all(folder.path().join("in/sub/out")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("in"), folder.path().join("link")).unwrap();
        for (output, listing, expected) in [
            ("corpus/documents", "x", "has the corpus of the job `other`"),
            ("corpus/a/b", "x", "has the corpus of the job `other`"),
            // The job file is refused for such an output, unless a link hides it.
            ("link/out", "in/*/*.gz", "where source `c4` reads its inputs"),
            ("link/sub/out", "in/**/*.gz", "where source `c4` reads its inputs"),
            ("link/out", "in/*.gz", ""),
            ("out", "in/*.gz", ""),
        ] {
            let text = format!(
                "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nbase = \"{place}\"\n\
                 listing = \"{listing}\"\n[language]\nmodel = \"none\"\n[tokens]\n\
                 tokenizer = \"none\"\n[output]\npath = \"{place}/{output}\"\n"
            );
            let found = obstacles(&JobSpec::parse(&text, folder.path()).unwrap(), None);
            let all = found.join("\n");
            assert_eq!(found.len(), usize::from(!expected.is_empty()), "{output}: {all}");
            assert!(all.contains(expected), "{output}: {all}");
        }
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
