//! The keys of a `[[source]]` that reads a corpus, and the sources of which it consists.
//!
//! A job file names a corpus once. Before the job starts, such a source is replaced by one for each
//! source of the corpus, so that each has its own shards, limits and figures. The names come from
//! the manifest, which this crate does not read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{JobError, JobSpec, Slice, SourceSpec};

/// The key `select`: names of sources, languages and splits of a corpus. Empty lists select all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectSpec {
    pub source: Vec<String>,
    pub language: Vec<String>,
    pub split: Vec<String>,
}

/// The key `sample`: which part of the documents of a source is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleSpec {
    /// Share of the documents, by their hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Number of documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<u64>,
    #[serde(default)]
    pub seed: u64,
}

impl JobSpec {
    /// Returns an error for selections of other slices, and for samples that are not one.
    pub(super) fn check_corpora(&self) -> Result<(), JobError> {
        for (index, source) in self.source.iter().enumerate() {
            if source.slice != Slice::Corpus && source.select != SelectSpec::default() {
                let key = format!("source[{index}].select");
                let problem =
                    format!("set, and slice `{}` has nothing to select", source.slice.name());
                let hint = "only `slice = \"corpus\"` selects sources, languages and splits";
                return Err(JobError::invalid(&key, problem, hint));
            }
            let Some(sample) = &source.sample else { continue };
            let key = format!("source[{index}].sample");
            if sample.rate.is_some() == sample.documents.is_some() {
                let hint = "write either `rate` or `documents`";
                return Err(JobError::invalid(&key, "not one part of the documents", hint));
            }
            if let Some(rate) = sample.rate.filter(|rate| !(0.0..=1.0).contains(rate)) {
                let problem = format!("`{rate}`");
                return Err(JobError::invalid(
                    &format!("{key}.rate"),
                    problem,
                    "choose 0.0 to 1.0",
                ));
            }
        }
        Ok(())
    }

    /// Returns the job with each source that reads a corpus replaced by one for each source of the
    /// corpus, and with a source for each output of `near.against`. `sources_of` returns the names
    /// of those that are selected.
    pub fn with_corpora<E: From<JobError>>(
        mut self,
        mut sources_of: impl FnMut(&SourceSpec) -> Result<Vec<String>, E>,
    ) -> Result<Self, E> {
        self.source.retain(|source| !source.earlier);
        let mut sources = Vec::with_capacity(self.source.len());
        for source in self.source {
            let is_corpus = source.slice == Slice::Corpus;
            let names = if is_corpus { sources_of(&source)? } else { Vec::new() };
            if names.is_empty() {
                sources.push(source);
                continue;
            }
            let is_only = names.len() == 1;
            sources.extend(names.into_iter().map(|name| part_of(&source, name, is_only)));
        }
        self.source = sources;
        self.add_earlier();
        self.check()?;
        Ok(self)
    }
}

/// Returns the slice of each source that the recipe of a manifest has. Recipes of other versions
/// may have keys that are not known here, so nothing else of it is looked at.
pub fn slices_in_recipe(recipe: &str) -> BTreeMap<String, String> {
    let table: Table = recipe.parse().unwrap_or_default();
    let sources = table.get("source").and_then(Value::as_array).into_iter().flatten();
    let named = sources.filter_map(|source| {
        let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((text("name")?, text("slice")?))
    });
    named.collect()
}

/// Returns a source for one source of a corpus.
fn part_of(source: &SourceSpec, name: String, is_only: bool) -> SourceSpec {
    let mut part = source.clone();
    // A source without a name has that of its slice.
    part.name = match source.name.as_str() {
        own if own == source.slice.name() => name.clone(),
        own if is_only => own.to_owned(),
        own => format!("{own}-{name}"),
    };
    part.select.source = vec![name];
    part
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(source: &str) -> Result<JobSpec, JobError> {
        let text = format!(
            "[job]\nname = \"a\"\n[[source]]\nslice = \"corpus\"\nlisting = \"manifest.json\"\n\
             base = \"/c\"\n{source}\n[output]\npath = \"/out\"\n"
        );
        JobSpec::parse(&text, Path::new("/"))
    }

    fn expanded(source: &str, names: &[&str]) -> Result<Vec<(String, Vec<String>)>, JobError> {
        let names = || Ok(names.iter().map(|name| (*name).to_owned()).collect());
        let job = parse(source)?.with_corpora(|_| names())?;
        let again = JobSpec::from_resolved(&job.resolved())?;
        assert_eq!(again, job, "a resolved job is read as it was");
        Ok(job.source.into_iter().map(|source| (source.name, source.select.source)).collect())
    }

    #[test]
    fn a_corpus_becomes_one_source_for_each_of_its_own() {
        let pair = |name: &str, source: &str| (name.to_owned(), vec![source.to_owned()]);
        let both = [pair("wiki", "wiki"), pair("c4", "c4")];
        assert_eq!(expanded("", &["wiki", "c4"]).unwrap(), both);
        let named = [pair("old-wiki", "wiki"), pair("old-c4", "c4")];
        assert_eq!(expanded("name = \"old\"", &["wiki", "c4"]).unwrap(), named);
        let one = [pair("old", "wiki")];
        assert_eq!(expanded("name = \"old\"", &["wiki"]).unwrap(), one);
    }

    #[test]
    fn the_slices_of_a_corpus_are_in_its_recipe() {
        let job = parse("name = \"a\"").unwrap();
        let slices = slices_in_recipe(&job.recipe().resolved());
        assert_eq!(slices, BTreeMap::from([("a".to_owned(), "corpus".to_owned())]));
        assert!(slices_in_recipe("not TOML").is_empty());
    }

    #[test]
    fn no_model_is_needed_without_a_step_that_uses_it() {
        assert!(parse("").is_ok());
        let error = parse("steps = [\"label\"]").unwrap_err().to_string();
        assert!(error.contains("language.model"), "{error}");
    }

    #[test]
    fn selections_and_samples_are_checked() {
        for (source, expected) in [
            ("sample = { rate = 1.5 }", "source[0].sample.rate"),
            ("sample = { seed = 1 }", "either `rate` or `documents`"),
            ("sample = { rate = 0.5, documents = 1 }", "either `rate` or `documents`"),
            ("sample = { share = 0.5 }", "share"),
            ("select = { sources = [\"a\"] }", "sources"),
        ] {
            let error = parse(source).unwrap_err().to_string();
            assert!(error.contains(expected), "{source}: {error}");
        }
        let sample =
            parse("sample = { documents = 5, seed = 7 }").unwrap().source[0].sample.clone();
        assert_eq!(sample, Some(SampleSpec { rate: None, documents: Some(5), seed: 7 }));
    }
}
