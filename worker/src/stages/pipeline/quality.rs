//! The quality step: scores of the job's models, and the documents that are dropped for them.
//!
//! It comes between language and filters; tokens are counted last, of the text that is published. A
//! model that the job does not use leaves its score empty.

use thresher_domain::{Bucket, Counter};
use thresher_job::JobSpec;

use super::Verdict;
use thresher_models::classifier::{Classified, Classifier, ClassifierScratch};
use thresher_models::fasttext::Model;
use thresher_models::tokens::{TokenCounter, TokenizerFile};
use thresher_text::perplexity::{self, Perplexity};
use thresher_unit::{Tally, UnitError};

/// The models, shared by the slots.
pub struct QualityModels {
    perplexity: Option<Perplexity>,
    classifier: Option<Classifier>,
    min_score: f64,
    tokens: Option<TokenizerFile>,
}

/// Memory for scoring, one for each unit.
#[derive(Debug, Default)]
pub(super) struct QualityScratch {
    perplexity: perplexity::Scratch,
    classifier: ClassifierScratch,
}

/// The scores of a document; a model that the job does not use gives no score.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QualityScores<'a> {
    /// Perplexity under CCNet's language model, if there is one for the language.
    pub(crate) perplexity: Option<f64>,
    /// CCNet's bucket for the perplexity.
    pub(crate) bucket: Option<&'static str>,
    /// The classifier's labels and probabilities.
    pub(crate) classified: Option<Classified<'a>>,
}

impl QualityModels {
    pub(in crate::stages) fn read(job: &JobSpec) -> Result<Self, String> {
        let perplexity = Perplexity::new(&job.perplexity, &job.language.keep)
            .map_err(|error| error.to_string())?;
        let tokens = job.tokens.tokenizer.path().map(TokenizerFile::load).transpose();
        let tokens = tokens.map_err(|error| error.to_string())?;
        let min_score = job.classifier.min_score;
        Ok(Self { perplexity, classifier: read_classifier(job)?, min_score, tokens })
    }

    /// Scores a document before the filters see it.
    pub(super) fn evaluate(
        &self,
        scratch: &mut QualityScratch,
        language: Option<&str>,
        text: &str,
        tally: &mut Tally,
    ) -> Result<Verdict<QualityScores<'_>>, UnitError> {
        let mut scores = QualityScores::default();
        if let (Some(scorer), Some(language)) = (&self.perplexity, language) {
            let found = scorer
                .score(&mut scratch.perplexity, language, text)
                .map_err(|error| UnitError::Node(error.to_string()))?;
            let bucket = found.bucket;
            tally.count(Counter::Bucket { language: language.to_owned(), bucket }, 1);
            if !scorer.keeps(bucket) {
                return Ok(Verdict::Dropped(dropped_with(bucket).into()));
            }
            scores.perplexity = found.perplexity;
            scores.bucket = Some(bucket.name());
        }
        if let Some(classifier) = &self.classifier {
            let found = classifier.classify(&mut scratch.classifier, text);
            scores.classified = found.filter(|found| found.score >= self.min_score);
            if scores.classified.is_none() {
                return Ok(Verdict::Dropped("classifier/low_score".into()));
            }
        }
        Ok(Verdict::Kept(scores))
    }

    /// Returns the job's tokenizer.
    pub(in crate::stages) fn tokenizer(&self) -> Option<&TokenizerFile> {
        self.tokens.as_ref()
    }

    /// Counts the tokens of the final text.
    pub fn tokens(&self, text: &str) -> Result<Option<u64>, UnitError> {
        let count = self.tokens.as_ref().map(|counter| counter.count(text)).transpose();
        count.map_err(|error| UnitError::JobFile(error.to_string()))
    }
}

pub(in crate::stages) fn read_classifier(job: &JobSpec) -> Result<Option<Classifier>, String> {
    let spec = &job.classifier;
    let Some(path) = spec.model.path() else { return Ok(None) };
    let failed = |error: String| {
        format!(
            "failed to load the classifier: {error}\nhint: `classifier.model` names a fastText \
             model with the label `{}`: RedPajama's \
             (https://data.together.xyz/redpajama-data-v2/v1.0.0/artifacts/wikiref.model.bin), or \
             one that `thresher train classifier` made; `\"none\"` keeps documents unscored",
            spec.label
        )
    };
    let model = Model::load(path).map_err(|error| failed(error.to_string()))?;
    Classifier::new(model, &spec.label).map(Some).map_err(failed)
}

fn dropped_with(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Head => "perplexity/head",
        Bucket::Middle => "perplexity/middle",
        Bucket::Tail => "perplexity/tail",
        Bucket::All => "perplexity/all",
    }
}
