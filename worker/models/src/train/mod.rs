//! `thresher-worker train classifier`: makes a fastText model from two sets of documents.
//!
//! ```text
//! files → documents → vocabulary, examples → shuffle → epochs → model file
//! ```
//! It does what `fasttext supervised` does with its defaults, in one thread, and writes fastText's
//! own format. Examples are held in memory: four bytes for each word of the input.
//!
//! **Invariant:** the same files, settings and seed give the same bytes on every machine.

mod documents;
mod file;
mod random;
mod supervised;
mod vocabulary;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use thresher_domain::SplitMix64;

use documents::{BadLines, read_texts};
use supervised::Settings;
use vocabulary::Builder;

/// The arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Train a fastText model that distinguishes good documents from others
    Classifier(ClassifierArgs),
}

#[derive(Debug, Args)]
struct ClassifierArgs {
    /// Files of good documents: JSON lines with `text`, or `.txt` with one a line; also `.gz`,
    /// `.zst`
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    positive: Vec<PathBuf>,
    /// Files of other documents
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    negative: Vec<PathBuf>,
    /// File to write the model to
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
    /// Number of times that each document is used
    #[arg(long, default_value_t = 5)]
    epochs: u32,
    /// Words that occur less often are left out
    #[arg(long, default_value_t = 1)]
    min_count: u64,
    /// Seed for the order of documents and the first vectors
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Trains a model and prints a summary.
pub fn run_train(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let What::Classifier(args) = &args.what;
    let (model, summary, warnings) = train_classifier(args)?;
    for warning in warnings {
        writeln!(std::io::stderr(), "warning: {warning}")?;
    }
    write_whole(&args.output, &model)
        .with_context(|| format!("failed to write `{}`", args.output.display()))?;
    writeln!(std::io::stdout(), "{summary}")?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the bytes of the model, a summary for people, and warnings about files.
fn train_classifier(args: &ClassifierArgs) -> anyhow::Result<(Vec<u8>, String, Vec<String>)> {
    anyhow::ensure!(
        args.positive_label != args.negative_label,
        "both labels are `{}`\nhint: give the two sets different labels",
        args.positive_label
    );
    anyhow::ensure!(
        args.dim > 0 && args.epochs > 0 && args.lr.is_finite() && args.lr > 0.0,
        "dim {}, epochs {} and lr {} must be more than 0",
        args.dim,
        args.epochs,
        args.lr
    );
    let mut builder = Builder::new([&args.positive_label, &args.negative_label]);
    let mut warnings = Vec::new();
    for (label, files) in [(0, &args.positive), (1, &args.negative)] {
        for file in files {
            if let Some(bad) = read_texts(file, &mut |text| builder.add(label, text))? {
                warnings.push(warning(file, &bad));
            }
        }
        anyhow::ensure!(
            builder.examples_of(label) > 0,
            "no document in `{}`{}\nhint: give JSON lines with a field `text`, or `.txt` files",
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join("`, `"),
            warnings.iter().map(|warning| format!("\n{warning}")).collect::<String>()
        );
    }
    let mut corpus = builder.finish(args.min_count)?;
    let mut random = SplitMix64::new(args.seed);
    random.shuffle(&mut corpus.examples);
    let settings = Settings { dimensions: args.dim.into(), rate: args.lr, epochs: args.epochs };
    let weights = supervised::train(&corpus, &settings, &mut random);
    let model = file::bytes(&corpus, &settings, args.min_count, &weights);
    let summary = format!(
        "{} documents, {} words in the vocabulary, mean loss {:.4} in the last epoch",
        corpus.examples.len(),
        corpus.words.len(),
        weights.last_loss,
    );
    Ok((model, summary, warnings))
}

/// Renders a warning such as `words.jsonl: 2 lines are not documents; line 7: expected value at
/// line 1 column 1`.
fn warning(file: &Path, bad: &BadLines) -> String {
    let (number, why) = &bad.first;
    let lines = if bad.count == 1 { "line is not a document" } else { "lines are not documents" };
    format!("`{}`: {} {lines}; line {number}: {why}", file.display(), bad.count)
}

/// Writes a file under another name first, so that it is never incomplete under its own.
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
