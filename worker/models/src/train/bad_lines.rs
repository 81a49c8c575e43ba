//! Lines of training files that are skipped, for a warning.

use std::fmt;
use std::path::PathBuf;

/// Lines of a file that are not documents.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLines {
    /// The file.
    pub file: PathBuf,
    /// Number of such lines.
    pub count: u64,
    /// Number of the first one, from 1.
    pub first: u64,
    /// What is wrong with the first one.
    pub reason: String,
}

impl fmt::Display for BadLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, count, first, reason } = self;
        let lines = if *count == 1 { "line is not a document" } else { "lines are not documents" };
        write!(f, "`{}`: {count} {lines}; line {first}: {reason}", file.display())
    }
}
