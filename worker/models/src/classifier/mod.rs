//! The reference classifier: how similar a document is to pages that Wikipedia cites.
//!
//! A thin layer over a fastText model with two labels or more. The stage decides whether the
//! document is kept.
//!
//! **Invariant:** the score is a pure function of model, label and text.

use crate::fasttext::{LabelId, LineFeeds, Model, Scratch};

const LABEL_PREFIX: &str = "__label__";

/// Scores documents; all threads share it.
pub struct Classifier {
    model: Model,
    /// The label of good documents, with its prefix.
    label: String,
}

/// Memory that scoring reuses; one for each thread.
#[derive(Debug, Default)]
pub struct ClassifierScratch {
    fasttext: Scratch,
    best: Vec<(LabelId, f32)>,
}

/// The result for one document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classified<'a> {
    /// The most probable label, with its prefix.
    pub label: &'a str,
    /// Probability of that label.
    pub probability: f32,
    /// Probability that it is one of the good documents.
    pub score: f64,
}

impl Classifier {
    /// Creates a classifier that returns the probability of `label` (with or without fastText's
    /// prefix) under `model`.
    pub fn new(model: Model, label: &str) -> Result<Self, String> {
        let label = match label.starts_with(LABEL_PREFIX) {
            true => label.to_owned(),
            false => format!("{LABEL_PREFIX}{label}"),
        };
        let mut labels = (0..model.label_count() as u32).map(|id| model.label(LabelId(id)));
        if labels.clone().any(|known| known == label) {
            return Ok(Self { model, label });
        }
        let known: Vec<&str> = labels.by_ref().take(5).collect();
        Err(format!("the model has no label `{label}`, but `{}`", known.join("`, `")))
    }

    /// Scores a text, whose lines are joined by spaces; returns `None` if the model knows nothing
    /// in it.
    ///
    /// As in RedPajama, the score is the probability of the best label if that is the good one, and
    /// 1 minus that probability if it is another.
    pub fn classify(&self, scratch: &mut ClassifierScratch, text: &str) -> Option<Classified<'_>> {
        let ClassifierScratch { fasttext, best } = scratch;
        self.model.predict(fasttext, text, LineFeeds::Separate, 1, best);
        let &(id, probability) = best.first()?;
        let label = self.model.label(id);
        let certainty = f64::from(probability);
        let score = if label == self.label { certainty } else { 1.0 - certainty };
        Some(Classified { label, probability, score })
    }
}
