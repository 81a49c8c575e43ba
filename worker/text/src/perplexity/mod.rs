//! Perplexity under CCNet's language models, and the bucket that follows from it: head, middle,
//! tail.
//!
//! ```text
//! text → CCNet's normal form → SentencePiece's pieces → KenLM's score → perplexity → bucket
//! ```
//! The two models of a language are read for its first document, once for all threads, and kept.
//! The job decides which buckets are kept, and the stage drops the others.
//!
//! **Invariant:** the perplexity is a pure function of models and text; a missing model is an error
//! or an explicit `all`, as the job says, and never ignored silently.

mod cutoffs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use thresher_domain::Bucket;
use thresher_job::{MissingModel, PerplexitySpec};

use cutoffs::bucket_of;
pub use cutoffs::{cutoffs, languages};

use crate::ccnet_document::normalise_document;
use thresher_models::kenlm::{self, WordId};
use thresher_models::sentencepiece::{self, Piece};

/// Why a document cannot be scored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PerplexityError {
    #[error(
        "the {what} of `{language}` is not there: `{}`\n\
         hint: CCNet published it as http://dl.fbaipublicfiles.com/cc_net/lm/{published}; without \
         it `perplexity.missing = \"all\"` puts the language's documents into the bucket `all`, and \
         `perplexity.models = \"none\"` keeps documents of every quality unscored",
        path.display()
    )]
    Missing { what: &'static str, language: String, path: PathBuf, published: String },
    #[error("failed to load the language models of `{language}`: {error}")]
    Unreadable { language: String, error: String },
}

/// Scores documents; all threads share it.
pub struct Perplexity {
    /// The folder with the models of all languages.
    folder: PathBuf,
    spec: PerplexitySpec,
    loaded: Mutex<BTreeMap<String, Loaded>>,
}

type Loaded = Arc<OnceLock<Result<Option<Models>, PerplexityError>>>;

/// The two models of a language.
struct Models {
    pieces: sentencepiece::Model,
    language: kenlm::Model,
    /// The language model's word for each piece.
    words: Vec<WordId>,
}

/// Memory that scoring reuses; one for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    normal: String,
    pieces: sentencepiece::Scratch,
    words: Vec<WordId>,
}

/// The quality of a document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// `None` if its language has no model.
    pub perplexity: Option<f64>,
    /// The bucket of the document.
    pub bucket: Bucket,
}

impl Perplexity {
    /// Creates a scorer as the job says, or returns `None` if the job uses no models.
    ///
    /// Models of the languages that the job keeps must exist from the start.
    pub fn new(spec: &PerplexitySpec, keep: &[String]) -> Result<Option<Self>, PerplexityError> {
        let Some(folder) = spec.models.path() else { return Ok(None) };
        for language in keep {
            find(folder, spec, language)?;
        }
        let folder = folder.to_owned();
        Ok(Some(Self { folder, spec: spec.clone(), loaded: Mutex::default() }))
    }

    /// Scores a document of a language.
    pub fn score(
        &self,
        scratch: &mut Scratch,
        language: &str,
        text: &str,
    ) -> Result<Scored, PerplexityError> {
        let loaded = self.of(language);
        match loaded.get_or_init(|| load(&self.folder, &self.spec, language)) {
            Ok(Some(models)) => {
                let perplexity = models.perplexity(scratch, text);
                let bucket = bucket_of(language, perplexity);
                Ok(Scored { perplexity: Some(perplexity), bucket })
            }
            Ok(None) => Ok(Scored { perplexity: None, bucket: Bucket::All }),
            Err(error) => Err(error.clone()),
        }
    }

    /// Returns whether documents of this bucket are kept.
    pub fn keeps(&self, bucket: Bucket) -> bool {
        self.spec.buckets.iter().any(|name| name == bucket.name())
    }

    fn of(&self, language: &str) -> Loaded {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        match loaded.get(language) {
            Some(models) => Arc::clone(models),
            None => Arc::clone(loaded.entry(language.to_owned()).or_default()),
        }
    }
}

/// Returns which languages' models a job may need and lacks, with a message for the first of them.
/// A job that keeps every language may need those of all that CCNet has models of.
pub fn missing_models(spec: &PerplexitySpec, keep: &[String]) -> Option<String> {
    let folder = spec.models.path()?;
    let kept: Vec<&str> = match keep {
        [] => languages().collect(),
        some => some.iter().map(String::as_str).collect(),
    };
    let mut refusals = kept.iter().filter_map(|language| {
        let refusal = find(folder, spec, language).err()?;
        Some((*language, refusal))
    });
    let (_, first) = refusals.next()?;
    let others: Vec<&str> = refusals.map(|(language, _)| language).collect();
    if others.is_empty() {
        return Some(first.to_string());
    }
    let why = if keep.is_empty() {
        "`language.keep` names no languages, so all of CCNet's may occur: name the wanted ones"
    } else {
        "they are languages of `language.keep`"
    };
    Some(format!("{first}\nmodels of {} are missing too; {why}", others.join(", ")))
}

impl Models {
    fn perplexity(&self, scratch: &mut Scratch, text: &str) -> f64 {
        let Scratch { normal, pieces, words } = scratch;
        normalise_document(text, normal);
        words.clear();
        self.pieces.encode(pieces, normal, |piece| match piece {
            Piece::Known(id) => words.push(self.words[id as usize]),
            // KenLM sees the pieces with spaces in between, and a stretch may contain one.
            Piece::Unknown(text) => {
                words.extend(text.split_ascii_whitespace().map(|word| self.language.word(word)));
            }
        });
        let score = f64::from(self.language.score(words.iter().copied()));
        rounded_to_tenths(libm::pow(10.0, -score / (words.len() + 1) as f64))
    }
}

/// Rounds to one decimal as Python does: by the exact value, ties to even.
fn rounded_to_tenths(number: f64) -> f64 {
    format!("{number:.1}").parse().unwrap_or(number)
}

/// Returns the paths of a language's models, or `None` if it has none.
fn find(
    folder: &Path,
    spec: &PerplexitySpec,
    language: &str,
) -> Result<Option<(PathBuf, PathBuf)>, PerplexityError> {
    let path = |template: &str| folder.join(template.replace("{lang}", language));
    let (pieces, model) = (path(&spec.sp), path(&spec.lm));
    let missing =
        [("SentencePiece model", &pieces, "sp.model"), ("KenLM model", &model, "arpa.bin")]
            .into_iter()
            .find(|(_, path, _)| {
                !path.metadata().is_ok_and(|file| file.is_file() && file.len() > 0)
            });
    let Some((what, path, ending)) = missing else { return Ok(Some((pieces, model))) };
    // CCNet has no models of other languages, so a missing one is not an error.
    if spec.missing == MissingModel::All || cutoffs(language).is_none() {
        return Ok(None);
    }
    Err(PerplexityError::Missing {
        what,
        language: language.to_owned(),
        path: path.clone(),
        published: format!("{language}.{ending}"),
    })
}

fn load(
    folder: &Path,
    spec: &PerplexitySpec,
    language: &str,
) -> Result<Option<Models>, PerplexityError> {
    let Some((pieces, model)) = find(folder, spec, language)? else { return Ok(None) };
    let unreadable =
        |error: String| PerplexityError::Unreadable { language: language.to_owned(), error };
    let pieces =
        sentencepiece::Model::load(&pieces).map_err(|error| unreadable(error.to_string()))?;
    let model = kenlm::Model::load(&model).map_err(|error| unreadable(error.to_string()))?;
    let words = (0..pieces.piece_count() as u32)
        .map(|id| model.word(pieces.spelling(Piece::Known(id))))
        .collect();
    Ok(Some(Models { pieces, language: model, words }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(missing: MissingModel) -> PerplexitySpec {
        PerplexitySpec {
            models: format!("{}/../testdata/lm", env!("CARGO_MANIFEST_DIR")).into(),
            lm: "{lang}.arpa.bin".to_owned(),
            sp: "{lang}.sp.model".to_owned(),
            buckets: vec!["head".to_owned(), "middle".to_owned()],
            missing,
        }
    }

    #[test]
    fn perplexities_are_ccnets_formula_over_kenlms_scores() {
        let scorer = Perplexity::new(&spec(MissingModel::Fail), &[]).unwrap().unwrap();
        let rows = include_str!("../../../testdata/lm/reference_scores.jsonl");
        let mut scratch = Scratch::default();
        let mut checked = 0;
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            if row["model"] != "fr.arpa.bin" {
                continue;
            }
            let text = row["text"].as_str().unwrap();
            let found = scorer.score(&mut scratch, "fr", text).unwrap();
            let length = row["length"].as_f64().unwrap();
            let expected = 10_f64.powf(-row["log10"].as_f64().unwrap() / length);
            let perplexity = found.perplexity.unwrap();
            // Rounding accounts for half a tenth, and KenLM's score is given to 1e-4.
            assert!((perplexity - expected).abs() < 0.051, "{perplexity}, not {expected}: {text}");
            assert_eq!(found.bucket, bucket_of("fr", perplexity));
            checked += 1;
        }
        assert_eq!(checked, 25);
    }

    #[test]
    fn a_missing_model_is_named_with_its_download_address() {
        let spec = spec(MissingModel::Fail);
        let refusal = Perplexity::new(&spec, &["fr".to_owned(), "en".to_owned()]).err().unwrap();
        let text = refusal.to_string();
        for part in ["SentencePiece model of `en`", "/testdata/lm/en.sp.model`", "cc_net/lm/en.sp"]
        {
            assert!(text.contains(part), "{text}\nlacks {part}");
        }
        // German has pieces, but its language model has another file ending.
        let scorer = Perplexity::new(&spec, &[]).unwrap().unwrap();
        let error = scorer.score(&mut Scratch::default(), "de", "Das Haus").unwrap_err();
        assert!(error.to_string().contains("KenLM model of `de`"), "{error}");
    }

    #[test]
    fn missing_models_of_all_possible_languages_are_reported() {
        let missing = |keep: &[&str]| {
            let keep: Vec<String> = keep.iter().map(|it| (*it).to_owned()).collect();
            missing_models(&spec(MissingModel::Fail), &keep)
        };
        assert_eq!(missing(&["fr", "sv"]), None);
        let english = missing(&["fr", "en"]).unwrap();
        assert!(english.contains("model of `en`") && !english.contains("too"), "{english}");
        let two = missing(&["en", "it"]).unwrap();
        assert!(two.contains("models of it are missing too"), "{two}");
        let any = missing(&[]).unwrap();
        assert!(any.contains("model of `af`") && any.contains(", zh are missing too"), "{any}");
        assert!(any.contains("`language.keep`"), "{any}");
        assert_eq!(missing_models(&spec(MissingModel::All), &[]), None);
    }

    #[test]
    fn a_language_without_a_model_is_in_the_bucket_all_if_the_job_says_so() {
        let all = Scored { perplexity: None, bucket: Bucket::All };
        let scratch = &mut Scratch::default();
        let scorer = Perplexity::new(&spec(MissingModel::All), &[]).unwrap().unwrap();
        assert_eq!(scorer.score(scratch, "en", "The house").unwrap(), all);
        assert!(!scorer.keeps(Bucket::All) && scorer.keeps(Bucket::Middle));
        // CCNet never had a model of Swedish.
        let strict = Perplexity::new(&spec(MissingModel::Fail), &["sv".to_owned()]).unwrap();
        assert_eq!(strict.unwrap().score(scratch, "sv", "Huset").unwrap(), all);
    }

    #[test]
    fn perplexities_round_as_python_rounds() {
        for (number, rounded) in [(0.25, 0.2), (0.35, 0.3), (0.75, 0.8), (1e300, 1e300)] {
            assert_eq!(rounded_to_tenths(number), rounded, "{number}");
        }
    }
}
