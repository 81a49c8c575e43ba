//! Language identification: the language of a document, and the probability of that language.
//!
//! A thin layer over a fastText model: it decides how the model sees the text and reads the best
//! label. A filter decides whether the document is kept.
//!
//! Invariant: the result is a pure function of model, view and text.

mod names;

use std::sync::Arc;

use thresher_models::fasttext::{LabelId, LineFeeds, Model, Scratch};

/// Prefix of labels in the models that fastText publishes.
const LABEL_PREFIX: &str = "__label__";

/// How the model sees a document, and how its score is rounded; one for each preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As in CCNet for RedPajama: line feeds are deleted, which joins the words at the ends of
    /// lines; the score is rounded to two decimals.
    RedpajamaV1,
    /// Line feeds separate words; the score is not rounded.
    Thresher,
}

/// The best label of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Language<'a> {
    /// The label without fastText's prefix: `en`.
    pub label: &'a str,
    /// The label's probability; fastText lets it exceed 1 by 0.00001.
    pub score: f32,
}

/// Identifies languages; all threads share it.
pub struct LanguageIdentifier {
    model: Arc<Model>,
    view: View,
}

/// Memory that identification reuses; one for each thread.
#[derive(Debug, Default)]
pub struct LanguageScratch {
    fasttext: Scratch,
    best: Vec<(LabelId, f32)>,
}

impl LanguageIdentifier {
    /// Creates an identifier with `model`, which sees texts as `view` says.
    pub fn new(model: Arc<Model>, view: View) -> Self {
        Self { model, view }
    }

    /// Returns the language of `text`, or `None` if the model knows nothing in it.
    pub fn identify(&self, scratch: &mut LanguageScratch, text: &str) -> Option<Language<'_>> {
        self.identify_as(self.view, scratch, text)
    }

    /// Does the same with another view, for slices that differ from the job's pages.
    pub fn identify_as(
        &self,
        view: View,
        scratch: &mut LanguageScratch,
        text: &str,
    ) -> Option<Language<'_>> {
        let feeds = match view {
            View::RedpajamaV1 => LineFeeds::Vanish,
            View::Thresher => LineFeeds::Separate,
        };
        self.model.predict(&mut scratch.fasttext, text, feeds, 1, &mut scratch.best);
        let &(id, score) = scratch.best.first()?;
        let label = self.model.label(id);
        let label = label.strip_prefix(LABEL_PREFIX).unwrap_or(label);
        let score = match view {
            View::RedpajamaV1 => rounded_to_hundredths(score),
            View::Thresher => score,
        };
        Some(Language { label, score })
    }
}

/// A label that a job names and its model does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLabel {
    /// The label of the job.
    pub label: String,
    /// The label of the model that was probably meant.
    pub nearest: Option<String>,
}

/// Returns the labels of the model, without fastText's prefix.
pub fn labels(model: &Model) -> Vec<&str> {
    let ids = 0..u32::try_from(model.label_count()).unwrap_or(u32::MAX);
    let labels = ids.map(|id| model.label(LabelId(id)));
    labels.map(|label| label.strip_prefix(LABEL_PREFIX).unwrap_or(label)).collect()
}

/// Returns those of `wanted` that are not labels of the model.
pub fn unknown_labels(model: &Model, wanted: &[String]) -> Vec<UnknownLabel> {
    let labels = labels(model);
    let unknown = wanted.iter().filter(|label| !labels.contains(&label.as_str()));
    let explain = |label: &String| UnknownLabel {
        label: label.clone(),
        nearest: names::nearest(label, &labels).map(str::to_owned),
    };
    unknown.map(explain).collect()
}

/// Rounds as numpy does: the product with 100, to the nearest integer, ties to even.
fn rounded_to_hundredths(score: f32) -> f32 {
    ((f64::from(score) * 100.0).round_ties_even() / 100.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(view: View) -> LanguageIdentifier {
        let file = include_bytes!("../../../testdata/lid/lid.176.ftz");
        LanguageIdentifier::new(Arc::new(Model::from_bytes(file, "lid.176.ftz").unwrap()), view)
    }

    #[test]
    fn line_feeds_vanish_in_redpajamas_view_and_separate_in_ours() {
        let text = "Alle Menschen sind frei\nund gleich an Würde\n\nund Rechten geboren.";
        let (ours, theirs) = (identifier(View::Thresher), identifier(View::RedpajamaV1));
        let scratch = &mut LanguageScratch::default();
        let spaced = ours.identify(scratch, &text.replace('\n', " ")).unwrap();
        assert_eq!(ours.identify(scratch, text).unwrap(), spaced);
        let glued = ours.identify(scratch, &text.replace('\n', "")).unwrap();
        assert_ne!(glued.score, spaced.score);
        let found = theirs.identify(scratch, text).unwrap();
        assert_eq!(found.label, "de");
        assert_eq!(found.score, rounded_to_hundredths(glued.score));
    }

    #[test]
    fn labels_that_the_model_lacks_are_found_with_the_nearest() {
        let identifier = identifier(View::Thresher);
        let wanted = ["de", "english", "en", "xx-none"].map(str::to_owned);
        let unknown = unknown_labels(&identifier.model, &wanted);
        let unknown: Vec<_> =
            unknown.iter().map(|one| (one.label.as_str(), one.nearest.as_deref())).collect();
        assert_eq!(unknown[0], ("english", Some("en")));
        assert_eq!((unknown.len(), unknown[1].0), (2, "xx-none"));
    }

    #[test]
    fn scores_round_as_numpy_rounds() {
        for (score, rounded) in
            [(0.495, 0.5), (0.125, 0.12), (0.375, 0.38), (1.00001, 1.0), (0.494_999, 0.49)]
        {
            assert_eq!(rounded_to_hundredths(score), rounded, "{score}");
        }
    }

    #[test]
    fn an_empty_text_has_a_language_since_the_end_of_line_is_a_word() {
        let identifier = identifier(View::Thresher);
        let found = identifier.identify(&mut LanguageScratch::default(), "");
        assert_eq!(found.unwrap().label, "en");
    }
}
