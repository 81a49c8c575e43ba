//! The slices of a corpus, and the named steps that their documents go through.
//!
//! A slice determines how inputs are read; its steps determine which work of the stages applies to
//! its documents. The worker implements the steps.
//!
//! **Invariant:** names are those of the job file, and every slice has an entry in every table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The kinds of data, each with its own reader and recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slice {
    /// Web pages of CommonCrawl, from WET or WARC files.
    Commoncrawl,
    /// Documents of C4.
    C4,
    /// Source code.
    Github,
    /// LaTeX sources of papers on arXiv.
    Arxiv,
    /// Books.
    Books,
    /// Articles of Wikipedia, from its dumps.
    Wikipedia,
    /// Questions and answers of StackExchange, from its dumps.
    Stackexchange,
    /// Documents that a command of the user reads.
    External,
    /// Documents in JSON or Parquet, with any names of columns.
    Documents,
    /// The documents of an output of Thresher.
    Corpus,
}

/// Tokens of a slice in the published corpora, in billions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedTokens {
    /// Tokens in RedPajama-Data-1T.
    pub redpajama: u32,
    /// Tokens in LLaMA (arXiv:2302.13971), from RedPajama's table.
    pub llama: u32,
}

/// The properties of a slice that code other than its reader needs.
struct Facts {
    name: &'static str,
    published: Option<PublishedTokens>,
    joins_rows: bool,
}

impl Slice {
    /// Every slice, in the order of RedPajama's table.
    pub const ALL: [Self; 10] = [
        Self::Commoncrawl,
        Self::C4,
        Self::Github,
        Self::Books,
        Self::Arxiv,
        Self::Wikipedia,
        Self::Stackexchange,
        Self::External,
        Self::Documents,
        Self::Corpus,
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
            Self::Documents => Facts::new("documents"),
            Self::Corpus => Facts::new("corpus"),
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

/// A step of the recipe, which any slice may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Drops duplicate lines, and strips the others.
    Lines,
    /// Identifies the language, and drops documents in languages that are not kept.
    Language,
    /// Identifies the language, and drops nothing.
    Label,
    /// Scores documents by perplexity and the classifier, if the job has these models.
    Quality,
    /// Runs the document filters that the job enables.
    Filters,
    /// Drops duplicate documents.
    Documents,
    /// Drops documents that are nearly equal to an earlier one of their source.
    Near,
}

/// The steps of each slice, by its name. The default job file has an entry for every slice.
pub type StepsSpec = BTreeMap<String, Vec<Step>>;
