//! One line of an output: a document of any schema, or the row of a record that was not published.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is in a shard.
    Published,
    /// A rule dropped it.
    Dropped,
    /// It is damaged or exceeds a limit.
    Quarantined,
}

/// A line, with the fields that lines of all kinds have about their record.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) outcome: Outcome,
    pub(super) id: Cow<'a, str>,
    pub(super) url: Option<Cow<'a, str>>,
    pub(super) source: Cow<'a, str>,
    pub(super) input: Cow<'a, str>,
    /// Offset of the record in the input, in bytes.
    pub(super) offset: u64,
    pub(super) record: u64,
    pub(super) language: Option<Cow<'a, str>>,
    pub(super) content_hash: Option<Cow<'a, str>>,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) detail: Option<Cow<'a, str>>,
    /// Id of the kept document that a near-duplicate resembles.
    pub(super) witness: Option<Cow<'a, str>>,
    /// The earlier output that has this document.
    pub(super) witness_output: Option<Cow<'a, str>>,
    /// What the rule measured, such as the similarity to the witness.
    pub(super) value: Option<f64>,
    /// The threshold of the rule.
    pub(super) threshold: Option<f64>,
    /// The group of near-duplicates.
    pub(super) cluster: Option<Cow<'a, str>>,
    pub(super) cluster_size: Option<u64>,
    pub(super) near_duplicates: Option<u64>,
    /// The text as a JSON string.
    text: Option<&'a RawValue>,
}

/// The fields that a line of either kind has about its record.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Cow<'a, str>,
    offset: u64,
    record: u64,
    #[serde(borrow)]
    language: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content_hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    verdict: Cow<'a, str>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    detail: Option<Cow<'a, str>>,
    #[serde(borrow)]
    witness: Option<Cow<'a, str>>,
    #[serde(borrow)]
    witness_output: Option<Cow<'a, str>>,
    value: Option<f64>,
    threshold: Option<f64>,
    #[serde(borrow)]
    cluster: Option<Cow<'a, str>>,
    cluster_size: Option<u64>,
    near_duplicates: Option<u64>,
}

/// The tables that may have these fields: RedPajama's records have their origin below `origin` or
/// `meta`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nested<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    content_hash: Option<serde::de::IgnoredAny>,
    verdict: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    origin: Option<Named<'a>>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

impl<'a> Row<'a> {
    /// Returns the record of one line, or `None` if the line is not valid.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let nested: Nested<'a> = serde_json::from_slice(line).ok()?;
        let flat = nested.content_hash.is_some() || nested.verdict.is_some();
        let named = match (nested.origin, nested.meta) {
            (Some(origin), _) => origin,
            (None, Some(meta)) if !flat => serde_json::from_str(meta.get()).ok()?,
            (None, _) => serde_json::from_slice(line).ok()?,
        };
        Some(Self {
            outcome: match &*named.verdict {
                "dropped" => Outcome::Dropped,
                "quarantined" => Outcome::Quarantined,
                _ => Outcome::Published,
            },
            id: named.id,
            url: named.url,
            source: nested.source,
            input: named.input,
            offset: named.offset,
            record: named.record,
            language: named.language,
            content_hash: named.content_hash,
            reason: named.reason,
            detail: named.detail,
            witness: named.witness,
            witness_output: named.witness_output,
            value: named.value,
            threshold: named.threshold,
            cluster: named.cluster,
            cluster_size: named.cluster_size,
            near_duplicates: named.near_duplicates,
            text: nested.text,
        })
    }

    /// Returns the hash of a document's text: the one that is stated, or else that of the text.
    pub(super) fn text_hash(&self) -> Option<blake3::Hash> {
        if let Some(stated) = &self.content_hash {
            return blake3::Hash::from_hex(stated.as_bytes()).ok();
        }
        let text: Cow<'_, str> = serde_json::from_str(self.text?.get()).ok()?;
        Some(blake3::hash(text.as_bytes()))
    }
}
