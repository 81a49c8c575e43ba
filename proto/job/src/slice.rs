//! The slices of a corpus, and the named steps that their documents go through.
//!
//! A slice says how inputs are read; its steps say which of the stages' shared work applies. What
//! a step does is the worker's business.
//!
//! **Invariant:** names are those of the job file, and every slice has a place in every table.

use serde::{Deserialize, Serialize};

/// The parts of a corpus, each with a reader and a recipe of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slice {
    Commoncrawl,
    C4,
    Github,
    Arxiv,
    Books,
    Wikipedia,
    Stackexchange,
    /// Documents that a command of the user's gives.
    External,
}

/// What the published corpora have of a slice, in billions of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedTokens {
    /// RedPajama-Data-1T.
    pub redpajama: u32,
    /// LLaMA (arXiv:2302.13971), as RedPajama's table gives it.
    pub llama: u32,
}

impl Slice {
    /// In the order of RedPajama's table.
    pub const ALL: [Self; 8] = [
        Self::Commoncrawl,
        Self::C4,
        Self::Github,
        Self::Books,
        Self::Arxiv,
        Self::Wikipedia,
        Self::Stackexchange,
        Self::External,
    ];

    /// Its name, as in the job file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Commoncrawl => "commoncrawl",
            Self::C4 => "c4",
            Self::Github => "github",
            Self::Arxiv => "arxiv",
            Self::Books => "books",
            Self::Wikipedia => "wikipedia",
            Self::Stackexchange => "stackexchange",
            Self::External => "external",
        }
    }

    /// The published sizes; a user's own source has none.
    pub const fn published_tokens(self) -> Option<PublishedTokens> {
        let (redpajama, llama) = match self {
            Self::Commoncrawl => (878, 852),
            Self::C4 => (175, 190),
            Self::Github => (59, 100),
            Self::Books => (26, 25),
            Self::Arxiv => (28, 33),
            Self::Wikipedia => (24, 25),
            Self::Stackexchange => (20, 27),
            Self::External => return None,
        };
        Some(PublishedTokens { redpajama, llama })
    }
}

/// A step that slices share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Duplicate lines are dropped; texts come out with their lines stripped.
    Lines,
    /// The language is told, and those that are not kept are dropped.
    Language,
    /// The language is told, whatever it is; nothing is dropped for it.
    Told,
    /// Perplexity and the classifier, as far as the job has their models.
    Quality,
    /// The document filters that the job switches on.
    Filters,
    /// Duplicate documents are dropped.
    Documents,
    /// Documents that are nearly equal to an earlier one of their source are dropped.
    Near,
}

/// The steps of each slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepsSpec {
    pub commoncrawl: Vec<Step>,
    pub c4: Vec<Step>,
    pub github: Vec<Step>,
    pub arxiv: Vec<Step>,
    pub books: Vec<Step>,
    pub wikipedia: Vec<Step>,
    pub stackexchange: Vec<Step>,
    pub external: Vec<Step>,
}

impl StepsSpec {
    /// The steps of a slice.
    pub fn of(&self, slice: Slice) -> &[Step] {
        match slice {
            Slice::Commoncrawl => &self.commoncrawl,
            Slice::C4 => &self.c4,
            Slice::Github => &self.github,
            Slice::Arxiv => &self.arxiv,
            Slice::Books => &self.books,
            Slice::Wikipedia => &self.wikipedia,
            Slice::Stackexchange => &self.stackexchange,
            Slice::External => &self.external,
        }
    }
}
