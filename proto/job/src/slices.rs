//! The tables of the job file for single slices. `default.toml` documents each key.

use serde::{Deserialize, Serialize};

use super::Bytes;

/// The table `[records]`: limits of all slices except web pages, which have their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsSpec {
    /// Largest size of a record.
    pub max_bytes: Bytes,
}

/// The table `[github]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubSpec {
    pub trees: bool,
    pub licences: Vec<String>,
    pub header: HeaderCut,
    pub drop_lfs_pointers: bool,
    pub endings: Vec<String>,
    pub max_line_chars: u64,
    pub max_mean_line_chars: f64,
    pub min_alphanumeric: f64,
    pub min_letters_per_token: f64,
    pub compares: Compares,
}

/// The files that take part in the comparison of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compares {
    /// The files that no rule drops.
    Kept,
    /// All files whose content was read: a file that a rule drops may be the first of its copies.
    All,
}

/// What is removed from the top of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderCut {
    /// Removes comments about copyright and licence.
    Licence,
    /// Removes what RedPajama removed.
    V1,
    /// Removes nothing.
    Keep,
}

/// The table `[books]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BooksSpec {
    pub cut_boilerplate: bool,
}
