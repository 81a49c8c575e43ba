//! A document on its way, and the forms in which it is published.
//!
//! Field names and order are the published schema: changing one changes every byte after it.

use serde::Serialize;
use serde_json::{Map, Value};

/// A document as every slice publishes it.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    /// Unique within its source.
    pub id: &'a str,
    pub text: &'a str,
    /// Name of the source in the job file, and the slice whose recipe read it.
    pub source: &'a str,
    pub slice: &'a str,
    pub url: &'a str,
    /// When the page was fetched, as the crawler wrote it.
    pub date: &'a str,
    pub dump: &'a str,
    /// Of what the text may be used under; unknown for crawled pages.
    pub licence: Option<&'a str>,
    pub title: &'a str,
    pub language: Option<&'a str>,
    pub language_score: Option<f32>,
    #[serde(flatten)]
    pub scores: Scores,
    /// Where it was read: the input as listed, the offset of its gzip member, its number there.
    pub input: &'a str,
    pub offset: u64,
    pub record: u64,
    /// Of the text.
    pub chars: u64,
    pub bytes: u64,
    pub lines: u64,
    /// Before duplicate lines were dropped.
    pub original_chars: u64,
    pub original_lines: u64,
    /// blake3 of the text.
    pub content_hash: &'a str,
    /// Name and version of the recipe.
    pub recipe: &'a str,
    /// What else the source says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'a Map<String, Value>>,
}

/// What models say of a document; null is what the job does without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Scores {
    /// Of CCNet's language model, and the bucket by that.
    pub perplexity: Option<f64>,
    pub bucket: Option<&'static str>,
    /// How much the classifier takes it for one of the good documents.
    pub reference_score: Option<f64>,
    /// Of the text, without special ones.
    pub tokens: Option<u64>,
}

/// The fields that RedPajama-Data-1T has of a slice, and below `origin` where the document came
/// from.
#[derive(Debug, Serialize)]
pub struct RedPajamaRecord<'a> {
    pub text: &'a str,
    pub meta: &'a Map<String, Value>,
    pub origin: Origin<'a>,
}

/// The fields that it has of crawled pages, and below `meta` where the document came from.
#[derive(Debug, Serialize)]
pub struct RedPajamaDocument<'a> {
    /// The classifier's best label, its probability, and that of the good label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pred_label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pred_label_prob: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wiki_prob: Option<f64>,
    pub text: &'a str,
    /// `cc/<dump>/<input>/line<record>`.
    pub source: &'a str,
    pub meta: Origin<'a>,
}

/// Where a document of the old schema came from.
#[derive(Debug, Serialize)]
pub struct Origin<'a> {
    pub id: &'a str,
    pub url: &'a str,
    pub language: Option<&'a str>,
    pub input: &'a str,
    pub offset: u64,
    pub record: u64,
    pub content_hash: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// What is published of a record that is no document.
#[derive(Debug, Serialize)]
pub struct DroppedRow<'a> {
    pub id: &'a str,
    pub url: &'a str,
    /// `dropped` or `quarantined`.
    pub verdict: &'a str,
    pub reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub detail: &'a str,
    pub source: &'a str,
    pub input: &'a str,
    pub offset: u64,
    pub record: u64,
}
