//! The job file's tables of Wikipedia, StackExchange and arXiv. `default.toml` explains each key.

use serde::{Deserialize, Serialize};

use super::Bytes;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WikipediaSpec {
    pub languages: Vec<String>,
    pub max_page_bytes: Bytes,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackExchangeSpec {
    pub answers: AnswerOrder,
    pub titles: TitleForm,
    pub largest_sites: u32,
    pub max_row_bytes: Bytes,
    pub sort_memory: Bytes,
}

/// By what the answers of a question are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerOrder {
    /// The score as a number, the accepted answer first among equals, then the id.
    Score,
    /// The score as a string, then the place in the file.
    ScoreText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TitleForm {
    Plain,
    Html,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArxivSpec {
    pub latex: LatexRules,
    pub max_paper_bytes: Bytes,
}

/// How a paper's files become a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatexRules {
    /// Thresher's own rules, which correct known defects of the published ones.
    #[serde(alias = "mended")]
    Thresher,
    /// The steps as RedPajama published them.
    #[serde(rename = "redpajama-v1")]
    RedpajamaV1,
}
