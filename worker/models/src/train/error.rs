//! Why no model was made.

use std::io;
use std::path::{Path, PathBuf};

use super::{BadLines, WORDS_MAX};

/// A failed training. Every cause is for a person to fix.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Nothing can be distinguished.
    #[error("both labels are `{0}`\nhint: give the two sets different labels")]
    SameLabel(String),
    /// Training with such settings does nothing, or does not end.
    #[error("dim {dim}, epochs {epochs} and lr {lr} must be more than 0")]
    Settings { dim: u16, epochs: u32, lr: f32 },
    /// A file cannot be opened, read or decompressed.
    #[error("failed to read `{path}`: {error}")]
    Read { path: PathBuf, error: io::Error },
    /// The files of one set have no document.
    #[error(
        "no document in {}{}\nhint: give JSON lines with a field `text`, or `.txt` files",
        names(files),
        lines(skipped)
    )]
    NoDocuments { files: Vec<PathBuf>, skipped: Vec<BadLines> },
    /// fastText has the same limit.
    #[error("more than {WORDS_MAX} different words\nhint: give fewer documents")]
    TooManyWords,
    /// Each word is rarer than the setting demands.
    #[error("no word occurs `{min_count}` times\nhint: use a lower `--min-count`")]
    NoWords { min_count: u64 },
}

impl TrainError {
    /// Wraps an error of a file.
    pub(super) fn read(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::Read { path: path.to_owned(), error }
    }
}

fn names(files: &[PathBuf]) -> String {
    files.iter().map(|file| format!("`{}`", file.display())).collect::<Vec<_>>().join(", ")
}

fn lines(skipped: &[BadLines]) -> String {
    skipped.iter().map(|lines| format!("\n{lines}")).collect()
}
