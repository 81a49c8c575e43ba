//! `train`: trains a model on files of documents, and writes it as one file.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use thresher_models::train::{LabelledFiles, TrainSettings, TrainedModel, train_classifier};

/// Train a model, such as a `classifier` of good and other documents
///
/// The model has fastText's own format. The same files and seed give the same bytes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  thresher train classifier --positive cited.jsonl.zst \\\n      \
                  --negative crawl.jsonl.zst -o wiki.bin"
)]
pub struct TrainArgs {
    #[command(subcommand)]
    what: Model,
}

#[derive(Debug, clap::Subcommand)]
enum Model {
    Classifier(ClassifierArgs),
}

/// Train a fastText model that distinguishes good documents from others
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  thresher train classifier --positive cited.jsonl.zst \\\n      \
                  --negative crawl.jsonl.zst -o wiki.bin"
)]
struct ClassifierArgs {
    /// Files of good documents: JSON lines with `text`, or `.txt` with one a line; also `.gz`,
    /// `.zst`
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    positive: Vec<PathBuf>,
    /// Files of other documents
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    negative: Vec<PathBuf>,
    /// File for the model
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Label of the good documents; the job file's `classifier.label`
    #[arg(long, default_value = "wiki")]
    positive_label: String,
    /// Label of the others
    #[arg(long, default_value = "cc")]
    negative_label: String,
    /// Length of the vectors
    #[arg(long, default_value_t = 100)]
    dim: u16,
    /// Learning rate at the start; it falls to 0
    #[arg(long, default_value_t = 0.1)]
    lr: f32,
    /// Number of passes over the documents
    #[arg(long, default_value_t = 5)]
    epochs: u32,
    /// Ignore words with fewer occurrences
    #[arg(long, default_value_t = 1)]
    min_count: u64,
    /// Seed for the order of documents and the first vectors
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// The figures of a training. Its text is one line.
#[derive(Debug)]
pub struct Training {
    model: TrainedModel,
}

impl Training {
    /// Returns a warning for each file with lines that were skipped.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.model.skipped.iter().map(ToString::to_string)
    }
}

impl fmt::Display for Training {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TrainedModel { documents, words, last_loss, .. } = &self.model;
        writeln!(
            f,
            "{documents} documents, {words} words in the vocabulary, mean loss {last_loss:.4} in \
             the last epoch"
        )
    }
}

impl TrainArgs {
    /// Trains the model and writes it to its file.
    pub fn run(self) -> anyhow::Result<Training> {
        let Model::Classifier(args) = self.what;
        let sets = [
            LabelledFiles { label: args.positive_label, files: args.positive },
            LabelledFiles { label: args.negative_label, files: args.negative },
        ];
        let ClassifierArgs { dim, lr, epochs, min_count, seed, output, .. } = args;
        let settings = TrainSettings { dim, lr, epochs, min_count, seed };
        let model = train_classifier(&sets, &settings)?;
        write_whole(&output, &model.bytes)
            .with_context(|| format!("failed to write `{}`", output.display()))?;
        Ok(Training { model })
    }
}

/// Writes a file under another name first, so that a partial file never has the final name.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let unfinished = path.with_file_name(name);
    let written = std::fs::write(&unfinished, bytes);
    let result = written.and_then(|()| std::fs::rename(&unfinished, path));
    if result.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&unfinished);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_replaces_the_file_and_a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        for bytes in [b"old", b"new"] {
            write_whole(&path, bytes).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        let folder_in_the_way = folder.path().join("folder");
        std::fs::create_dir_all(folder_in_the_way.join("full")).unwrap();
        assert!(write_whole(&folder_in_the_way, b"new").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
