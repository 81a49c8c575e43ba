//! The reference classifier: how much a document is like pages that Wikipedia cites.
//!
//! A thin step over a fastText model with two labels or more. Whether the document stays is the
//! stage's decision.
//!
//! **Invariant:** the score is a pure function of model, label and text.

use crate::fasttext::{LabelId, LineFeeds, Model, Scratch};

const LABEL_PREFIX: &str = "__label__";

/// Scores documents; shared by all threads.
pub struct Classifier {
    model: Model,
    /// The label of the good documents, with its prefix.
    label: String,
}

/// Memory for scoring, one for each thread.
#[derive(Debug, Default)]
pub struct ClassifierScratch {
    fasttext: Scratch,
    best: Vec<(LabelId, f32)>,
}

/// What the classifier says of a document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classified<'a> {
    /// The best label with its prefix, and its probability.
    pub label: &'a str,
    pub probability: f32,
    /// How much it is one of the good documents.
    pub score: f64,
}

impl Classifier {
    /// Scores how probable `label` (with or without fastText's prefix) is under `model`.
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

    /// Scores a text, its lines joined by spaces; none if the model knows nothing in it.
    ///
    /// As RedPajama does it, the score is the best label's probability when that is the good one,
    /// and what is left of 1 when it is another.
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
