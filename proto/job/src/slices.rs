//! The tables of the job file for single slices. What each key means stands in `default.toml`.

use serde::{Deserialize, Serialize};

use super::{Bytes, Span};

/// Limits of all slices but web pages, whose records have their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsSpec {
    pub max_bytes: Bytes,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubSpec {
    pub trees: bool,
    pub licences: Vec<String>,
    pub header: HeaderCut,
    pub endings: Vec<String>,
    pub max_line_chars: u64,
    pub max_mean_line_chars: f64,
    pub min_alphanumeric: f64,
    pub min_letters_per_token: f64,
    pub compares: Compares,
}

/// Which files take part in the comparison of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compares {
    /// Those that no rule drops.
    Kept,
    /// All whose content was looked at: a file that a rule drops may be the first of its copies.
    All,
}

/// What is cut from the top of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderCut {
    /// Comments about copyright and licence.
    Licence,
    /// What RedPajama cut.
    V1,
    /// Nothing.
    Keep,
}

/// A program of the user's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    pub name: String,
    /// The program and its arguments.
    pub run: Vec<String>,
    pub folder: String,
    pub timeout: Span,
    pub memory: Bytes,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BooksSpec {
    pub cut_boilerplate: bool,
}
