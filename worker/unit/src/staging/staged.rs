//! The records that PREPARE stages for LAYOUT and PUBLISH: documents, drop rows, and a summary of
//! each document.
//!
//! A document has all fields that any published schema needs. The renderers in `stages` define the
//! schemas, and nothing here is JSON except `meta`, which only its source knows.
//!
//! **Invariant:** order and types of the fields are the encoding (see `records`).

use serde::{Deserialize, Serialize};

/// What is at one place of a documents file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Staged<'a> {
    /// A document that is published unless it is a duplicate. It is boxed since rows are small.
    #[serde(borrow)]
    Document(Box<StagedDocument<'a>>),
    /// The drop row of a document that only took part in comparisons.
    Withdrawn(StagedRow<'a>),
}

/// A document with everything that a published schema may say of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StagedDocument<'a> {
    /// Unique within its source.
    pub id: &'a str,
    /// The text that is published.
    pub text: &'a str,
    /// URL; empty if there is none.
    pub url: &'a str,
    /// When the page was fetched, as the crawler wrote it.
    pub date: &'a str,
    /// Title; empty if there is none.
    pub title: &'a str,
    /// The licence of the text; unknown for crawled pages.
    pub licence: Option<&'a str>,
    /// Name of the crawl; empty if there is none.
    pub dump: &'a str,
    /// Label of the language, if it is known.
    pub language: Option<&'a str>,
    /// Probability of the language, if the job identified it.
    pub language_score: Option<f32>,
    /// Perplexity under CCNet's language model.
    pub perplexity: Option<f64>,
    /// CCNet's bucket for the perplexity.
    pub bucket: Option<&'a str>,
    /// Result of the classifier, if the job has one.
    pub classified: Option<StagedLabel<'a>>,
    /// Number of tokens of the text, without special ones.
    pub tokens: Option<u64>,
    /// Path of the input, as listed.
    pub input: &'a str,
    /// Offset of the gzip member that holds the record.
    pub offset: u64,
    /// Number of the record in its input.
    pub record: u64,
    /// Number of characters of the text.
    pub chars: u64,
    /// Number of lines of the text.
    pub lines: u64,
    /// Number of characters before duplicate lines were removed.
    pub original_chars: u64,
    /// Number of lines before duplicate lines were removed.
    pub original_lines: u64,
    /// blake3 of the text.
    pub content_hash: [u8; 32],
    /// What the rules of filters measured, as a JSON object, if the job asks for it.
    pub filter_values: Option<&'a str>,
    /// The near-duplicates of the document, once they are known.
    pub cluster: Option<StagedCluster<'a>>,
    /// Further fields that the source gives, as a JSON object; none for crawled pages.
    pub meta: Option<&'a str>,
    /// Who published it before, if it was read from a corpus.
    pub origin: Option<StagedOrigin<'a>>,
}

/// A document and its near-duplicates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedCluster<'a> {
    /// The id of the document that is kept for all of them.
    pub id: &'a str,
    /// Number of documents, with that one.
    pub size: u64,
    /// Number of documents that are removed because of this one.
    pub near_duplicates: u64,
}

/// What a document that was published before keeps of its first job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedOrigin<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// Name of the slice.
    pub slice: &'a str,
    /// Name and version of the recipe.
    pub recipe: &'a str,
}

/// The result of the classifier for a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StagedLabel<'a> {
    /// The best label with fastText's prefix.
    pub label: &'a str,
    /// Probability of the best label.
    pub probability: f32,
    /// Probability of the label that the job wants.
    pub score: f64,
}

/// A record that is not published, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StagedRow<'a> {
    /// Id of the record.
    pub id: &'a str,
    /// URL; empty if there is none.
    pub url: &'a str,
    /// Whether the record was dropped or quarantined.
    pub verdict: RowVerdict,
    /// Name of the rule.
    pub reason: &'a str,
    /// Further details; may be empty.
    pub detail: &'a str,
    /// Path of the input, as listed.
    pub input: &'a str,
    /// Offset of the record in the input.
    pub offset: u64,
    /// Number of the record in its input.
    pub record: u64,
    /// What a rule with a threshold measured.
    pub value: Option<f64>,
    /// The threshold of the rule.
    pub threshold: Option<f64>,
    /// Id of the kept document that a near-duplicate resembles.
    pub witness: Option<&'a str>,
    /// The earlier output that has this document, if it is none of the job. Only PUBLISH knows it.
    #[serde(skip)]
    pub witness_output: Option<&'a str>,
    /// A band that both have.
    pub band: Option<u16>,
    /// The cluster of both: the `cluster` of the kept document.
    pub cluster: Option<&'a str>,
    /// The text, if the job publishes the texts of what it drops and the rule has seen it.
    pub text: Option<&'a str>,
}

/// Why a record has a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowVerdict {
    /// A rule of the recipe dropped it.
    #[default]
    Dropped,
    /// It is damaged or exceeds a limit.
    Quarantined,
}

impl RowVerdict {
    /// Returns the word in the published row.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Quarantined => "quarantined",
        }
    }
}

/// The properties of a document that determine whether and in which shard it is published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentSummary {
    /// Bytes of the line that the job's schema makes of it, or of its drop row if it is withdrawn.
    pub rendered_bytes: u32,
    /// Whether no document of the same input comes before it in the unit.
    pub starts_input: bool,
    /// Whether its place holds a drop row.
    pub is_withdrawn: bool,
    /// SimHash of the text, if the source's near-duplicates are removed.
    pub signature: Option<u64>,
    /// Hash of the address, if the source's documents are kept by their address.
    pub address: Option<u64>,
    /// Number of tokens of the text, if the job counts them.
    pub tokens: Option<u64>,
    /// A hash of the text, which decides on which side of a split the document is.
    pub split_rank: u64,
    /// Hash by which it is chosen, if the source is sampled by number.
    pub choice: Option<u64>,
}
