//! What the job's models say of a document, and which documents do not stay for that.
//!
//! The place is between language and filters; tokens are counted last, of the text that is
//! published. A model that the job does without leaves its fields null.

use thresher_domain::{Bucket, Counter};
use thresher_job::JobSpec;

use thresher_models::classifier::{Classified, Classifier, ClassifierScratch};
use thresher_models::fasttext::Model;
use thresher_models::tokens::{TokenCounter, TokenizerFile};
use thresher_text::perplexity::{self, Perplexity};
use thresher_unit::document::Scores;
use thresher_unit::{Tally, UnitError};

/// The models, shared by the slots.
pub struct Scorers {
    perplexity: Option<Perplexity>,
    classifier: Option<Classifier>,
    min_score: f64,
    tokens: Option<TokenizerFile>,
}

/// Memory for scoring, one for each unit.
#[derive(Debug, Default)]
pub struct ScoresScratch {
    perplexity: perplexity::Scratch,
    classifier: ClassifierScratch,
}

/// A document's scores, and the classifier's own words for the old schema.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scored<'a> {
    pub scores: Scores,
    pub classified: Option<Classified<'a>>,
}

impl Scorers {
    pub(super) fn read(job: &JobSpec) -> Result<Self, String> {
        let perplexity = Perplexity::new(&job.perplexity, &job.language.keep)
            .map_err(|error| error.to_string())?;
        let tokens = match job.tokens.tokenizer.as_str() {
            "" | "none" => None,
            path => Some(TokenizerFile::load(path.as_ref()).map_err(|error| error.to_string())?),
        };
        let min_score = job.classifier.min_score;
        Ok(Self { perplexity, classifier: read_classifier(job)?, min_score, tokens })
    }

    /// Scores a document before the filters see it; the inner error is why it is dropped.
    pub fn score(
        &self,
        scratch: &mut ScoresScratch,
        language: Option<&str>,
        text: &str,
        tally: &mut Tally,
    ) -> Result<Result<Scored<'_>, &'static str>, UnitError> {
        let mut scored = Scored::default();
        if let (Some(scorer), Some(language)) = (&self.perplexity, language) {
            let found = scorer
                .score(&mut scratch.perplexity, language, text)
                .map_err(|error| UnitError::Barred(error.to_string()))?;
            let bucket = found.bucket;
            tally.count(Counter::Bucket { language: language.to_owned(), bucket }, 1);
            if !scorer.keeps(bucket) {
                return Ok(Err(dropped_with(bucket)));
            }
            scored.scores.perplexity = found.perplexity;
            scored.scores.bucket = Some(bucket.name());
        }
        if let Some(classifier) = &self.classifier {
            let found = classifier.classify(&mut scratch.classifier, text);
            match found.filter(|found| found.score >= self.min_score) {
                None => return Ok(Err("classifier/low_score")),
                Some(found) => scored.scores.reference_score = Some(found.score),
            }
            scored.classified = found;
        }
        Ok(Ok(scored))
    }

    /// The tokens of the final text.
    pub fn tokens(&self, text: &str) -> Result<Option<u64>, UnitError> {
        let count = self.tokens.as_ref().map(|counter| counter.count(text)).transpose();
        count.map_err(|error| UnitError::Fatal(error.to_string()))
    }

    /// Counts tokens for whoever needs them while judging.
    pub fn token_counter(&self) -> Option<&dyn TokenCounter> {
        self.tokens.as_ref().map(|counter| counter as &dyn TokenCounter)
    }
}

pub(super) fn read_classifier(job: &JobSpec) -> Result<Option<Classifier>, String> {
    let spec = &job.classifier;
    if matches!(spec.model.as_str(), "" | "none") {
        return Ok(None);
    }
    let failed = |error: String| {
        format!(
            "failed to load the classifier: {error}\nhint: `classifier.model` names a fastText \
             model with the label `{}`: RedPajama's \
             (https://data.together.xyz/redpajama-data-v2/v1.0.0/artifacts/wikiref.model.bin), or \
             one that `thresher train classifier` made; `\"none\"` keeps documents unscored",
            spec.label
        )
    };
    let model = Model::load(spec.model.as_ref()).map_err(|error| failed(error.to_string()))?;
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
