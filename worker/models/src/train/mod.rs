//! Training: makes a fastText model from two sets of documents.
//!
//! ```text
//! files → documents → vocabulary, examples → shuffle → epochs → model file
//! ```
//! It does what `fasttext supervised` does with its defaults, in one thread, and produces
//! fastText's own format. Examples are held in memory: four bytes for each word of the input.
//!
//! **Invariant:** the same files, settings and seed give the same bytes on every machine.

mod bad_lines;
mod documents;
mod error;
mod file;
mod random;
mod supervised;
mod vocabulary;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use thresher_domain::SplitMix64;

use documents::read_texts;
use supervised::Settings;
use vocabulary::Builder;

pub use bad_lines::BadLines;
pub use error::TrainError;

/// fastText's own limit of different words.
const WORDS_MAX: usize = 30_000_000;

/// Files of documents, and the label that all of these documents have.
#[derive(Debug, Clone)]
pub struct LabelledFiles {
    /// The label, with or without fastText's prefix `__label__`.
    pub label: String,
    /// JSON lines with a field `text`, or `.txt` with one document a line; also `.gz` and `.zst`.
    pub files: Vec<PathBuf>,
}

/// How a model is trained; the names are fastText's.
#[derive(Debug, Clone, Copy)]
pub struct TrainSettings {
    /// Length of the vectors.
    pub dim: u16,
    /// Learning rate at the start; it falls to 0.
    pub lr: f32,
    /// Number of times that each document is seen.
    pub epochs: u32,
    /// Rarer words are left out.
    pub min_count: u64,
    /// Determines the order of the documents and the first vectors.
    pub seed: u64,
}

/// A trained model, and figures about it.
#[derive(Debug)]
pub struct TrainedModel {
    /// The model as a file of fastText.
    pub bytes: Vec<u8>,
    /// Number of documents that it was trained on.
    pub documents: usize,
    /// Number of words in the vocabulary.
    pub words: usize,
    /// Mean loss in the last epoch.
    pub last_loss: f64,
    /// Files with lines that were skipped.
    pub skipped: Vec<BadLines>,
}

/// Trains a model that distinguishes the documents of two sets.
pub fn train_classifier(
    sets: &[LabelledFiles; 2],
    settings: &TrainSettings,
) -> Result<TrainedModel, TrainError> {
    check(sets, settings)?;
    let mut builder = Builder::new([&sets[0].label, &sets[1].label]);
    let mut skipped = Vec::new();
    for (label, LabelledFiles { files, .. }) in sets.iter().enumerate() {
        for file in files {
            skipped.extend(read_texts(file, &mut |text| builder.add(label, text))?);
        }
        if builder.examples_of(label) == 0 {
            return Err(TrainError::NoDocuments { files: files.clone(), skipped });
        }
    }
    let mut corpus = builder.finish(settings.min_count)?;
    let mut random = SplitMix64::new(settings.seed);
    random.shuffle(&mut corpus.examples);
    let TrainSettings { dim, lr, epochs, min_count, .. } = *settings;
    let settings = Settings { dimensions: dim.into(), rate: lr, epochs };
    let weights = supervised::train(&corpus, &settings, &mut random);
    Ok(TrainedModel {
        bytes: file::bytes(&corpus, &settings, min_count, &weights),
        documents: corpus.examples.len(),
        words: corpus.words.len(),
        last_loss: weights.last_loss,
        skipped,
    })
}

fn check(sets: &[LabelledFiles; 2], settings: &TrainSettings) -> Result<(), TrainError> {
    let [first, second] = sets;
    if first.label == second.label {
        return Err(TrainError::SameLabel(first.label.clone()));
    }
    let TrainSettings { dim, lr, epochs, .. } = *settings;
    if dim > 0 && epochs > 0 && lr.is_finite() && lr > 0.0 {
        Ok(())
    } else {
        Err(TrainError::Settings { dim, epochs, lr })
    }
}
