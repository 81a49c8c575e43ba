//! The slices of a corpus, and the named steps that their documents go through.
//!
//! A slice says how inputs are read; its steps say which of the stages' shared work applies. What
//! a step does is the worker's business.
//!
//! **Invariant:** names are those of the job file, and every slice has a place in every table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A part of a corpus. Each slice has its own reader and its own steps.
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
    /// Documents that one of the user's commands writes.
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

/// What everything but the reader of a slice has to know of it.
struct Facts {
    name: &'static str,
    published: Option<PublishedTokens>,
    joins_rows: bool,
}

impl Slice {
    /// Every slice, in the order of RedPajama's table.
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

    const fn facts(self) -> Facts {
        match self {
            Self::Commoncrawl => Facts::new("commoncrawl").with_tokens(878, 852),
            Self::C4 => Facts::new("c4").with_tokens(175, 190),
            Self::Github => Facts::new("github").with_tokens(59, 100),
            Self::Books => Facts::new("books").with_tokens(26, 25),
            Self::Arxiv => Facts::new("arxiv").with_tokens(28, 33),
            Self::Wikipedia => Facts::new("wikipedia").with_tokens(24, 25),
            Self::Stackexchange => Facts::new("stackexchange").with_tokens(20, 27).joining_rows(),
            Self::External => Facts::new("external"),
        }
    }

    /// Returns the name that the slice has in the job file.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Returns the size that the published corpora have, or `None` for a user's own documents.
    pub const fn published_tokens(self) -> Option<PublishedTokens> {
        self.facts().published
    }

    /// Returns whether a document is put together from rows anywhere in an input, so that inputs
    /// are read twice.
    pub const fn joins_rows(self) -> bool {
        self.facts().joins_rows
    }
}

impl Facts {
    const fn new(name: &'static str) -> Self {
        Self { name, published: None, joins_rows: false }
    }

    const fn with_tokens(self, redpajama: u32, llama: u32) -> Self {
        Self { published: Some(PublishedTokens { redpajama, llama }), ..self }
    }

    const fn joining_rows(self) -> Self {
        Self { joins_rows: true, ..self }
    }
}

/// A step that slices share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Duplicate lines are dropped, and white space is stripped from both ends of lines.
    Lines,
    /// The language is identified; documents in languages that are not kept are dropped.
    Language,
    /// The language is identified and published; no document is dropped for its language.
    #[serde(alias = "told")]
    Label,
    /// Perplexity and the classifier's score are computed, if the job has their models.
    Quality,
    /// The document filters that the job enables are applied.
    Filters,
    /// Duplicate documents are dropped.
    Documents,
    /// Documents that are nearly equal to an earlier one of their source are dropped.
    Near,
}

/// The steps of each slice, by its name. The default job file has an entry for every slice.
pub type StepsSpec = BTreeMap<String, Vec<Step>>;
