//! The job file's tables of Wikipedia, StackExchange and arXiv. `default.toml` explains each key.

use serde::{Deserialize, Serialize};

use super::Bytes;

/// The table `[wikipedia]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WikipediaSpec {
    pub languages: Vec<String>,
    pub text: TextForm,
    pub max_page_bytes: Bytes,
}

/// The table `[stackexchange]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackExchangeSpec {
    pub answers: AnswerOrder,
    pub titles: TitleForm,
    pub text: TextForm,
    pub largest_sites: u32,
    pub max_row_bytes: Bytes,
    pub sort_memory: Bytes,
}

/// The order of the answers of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerOrder {
    /// By score as a number; of equal scores the accepted answer is first, then by id.
    Score,
    /// By score as text, then by position in the file.
    ScoreText,
}

/// How the title of a question is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TitleForm {
    /// As plain text.
    Plain,
    /// As HTML, like RedPajama.
    Html,
}

/// The form of a text that is made from markup: the HTML of a post, or wikitext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextForm {
    /// As a person would read it: paragraphs, lists and code, without gaps.
    Readable,
    /// As the programs of the published recipe return it.
    #[serde(rename = "redpajama-v1")]
    RedpajamaV1,
}

/// The table `[arxiv]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArxivSpec {
    pub latex: LatexRules,
    pub max_paper_bytes: Bytes,
}

/// How a paper's files are converted to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatexRules {
    /// Thresher's own rules, which correct known defects of the published ones.
    Thresher,
    /// The steps as RedPajama published them.
    #[serde(rename = "redpajama-v1")]
    RedpajamaV1,
}
