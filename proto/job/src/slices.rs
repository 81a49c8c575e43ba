//! The tables of the job file for single slices. `default.toml` documents each key.

use serde::{Deserialize, Serialize};

use super::{Bytes, JobError, JobSpec, Slice};

/// The key `columns` of a `[[source]]`: the names of the columns that have the fields of documents.
/// A dot separates the name of a column from that of a field in it. An empty name is no column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnsSpec {
    pub text: String,
    pub id: String,
    pub url: String,
    pub title: String,
    pub date: String,
    pub language: String,
    pub licence: String,
}

impl ColumnsSpec {
    /// Returns whether each column has the name of its field, as it is by default.
    fn is_default(&self) -> bool {
        let Self { text, id, url, title, date, language, licence } = self;
        [text, id, url, title, date, language, licence]
            == ["text", "id", "url", "title", "date", "language", "licence"]
    }
}

impl JobSpec {
    /// Returns an error for columns that no reader looks for.
    pub(super) fn check_columns(&self) -> Result<(), JobError> {
        for (index, source) in self.source.iter().enumerate() {
            let key = format!("source[{index}].columns");
            if source.slice == Slice::Documents && source.columns.text.is_empty() {
                let hint = "name the column with the text of a document";
                return Err(JobError::invalid(&format!("{key}.text"), "not set", hint));
            }
            if source.slice != Slice::Documents && !source.columns.is_default() {
                let problem = format!("set, and slice `{}` has its own", source.slice.name());
                let hint = "only `slice = \"documents\"` has columns of any name";
                return Err(JobError::invalid(&key, problem, hint));
            }
        }
        Ok(())
    }
}

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
