//! Predicts labels with fastText's supervised models, with the same scores as fastText.
//!
//! ```text
//!   file ──▶ load ──▶ vocabulary, input rows, output rows, loss      = Model (shared)
//!   text ──▶ words ──▶ hidden vector ──▶ output ──▶ best k labels      Scratch (one a thread)
//! ```
//!
//! Language identification and quality classifiers build on this. Word vectors are left to
//! fastText, and training to [`crate::train`].
//! Invariant: the same model and text give the same bits on every machine, whatever the scratch was
//! used for before. Scores differ from fastText's only by the rounding of a sum, whose order is
//! ours (see `words`).

mod best;
mod error;
mod load;
mod matrix;
mod output;
mod source;
mod vocabulary;
mod words;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

pub use best::LabelId;
pub use error::LoadError;
pub use words::{LineFeeds, Scratch};

use source::Source;

/// A supervised model, ready for prediction. It does not change, and threads share it.
pub struct Model {
    /// Distinguishes models in a [`Scratch`]; never 0.
    identity: u64,
    settings: vocabulary::Settings,
    vocabulary: vocabulary::Vocabulary,
    ngrams: vocabulary::NgramRows,
    input: matrix::Matrix,
    output: matrix::Matrix,
    loss: output::Output,
}

static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(1);

impl Model {
    /// Loads a `.bin` or `.ftz` file.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let open = || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) =
            open().map_err(|source| LoadError::Open { name: name.clone(), source })?;
        Self::read(Source::new(BufReader::with_capacity(1 << 16, file), name, length))
    }

    /// Reads a model from memory; `name` is for messages.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, LoadError> {
        Self::read(Source::new(bytes, name.to_owned(), bytes.len() as u64))
    }

    fn read<R: std::io::Read>(mut source: Source<R>) -> Result<Self, LoadError> {
        let parts = load::read(&mut source)?;
        Ok(Self {
            identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed),
            settings: parts.settings,
            vocabulary: parts.vocabulary,
            ngrams: parts.ngrams,
            input: parts.input,
            output: parts.output,
            loss: parts.loss,
        })
    }

    /// Returns the number of labels of the model.
    pub fn label_count(&self) -> usize {
        self.vocabulary.labels().len()
    }

    /// Returns a label with its prefix, as in the training data (`__label__en`).
    pub fn label(&self, id: LabelId) -> &str {
        &self.vocabulary.labels()[id.0 as usize]
    }

    /// Writes the `k` best labels of `text`, best first, with their probabilities to `out`, which
    /// is cleared first. It stays empty if the model knows no part of the text and not the end of a
    /// line.
    ///
    /// To fastText, the text is one line; line feeds in it are read as `feeds` says. As in
    /// fastText, the token `</s>` ends the text wherever it occurs, and a probability may exceed 1
    /// by 0.00001.
    pub fn predict(
        &self,
        scratch: &mut Scratch,
        text: &str,
        feeds: LineFeeds,
        k: usize,
        out: &mut Vec<(LabelId, f32)>,
    ) {
        out.clear();
        if k == 0 || !words::embed(self, scratch, text, feeds) {
            return;
        }
        let limit = k.min(self.label_count());
        self.loss.predict(&self.output, &scratch.hidden, limit, &mut scratch.output);
        let best = scratch.output.best.sorted();
        out.extend(best.iter().map(|&(score, id)| (id, libm::expf(score))));
    }
}
