//! The row of a document in a shard, in any published schema.
//!
//! | schema | where the columns are |
//! |---|---|
//! | `uniform/1` | in the row; `meta` is an object |
//! | `uniform/2`, `uniform/3` | in the row; `meta` is a text with JSON; absent values are null |
//! | `redpajama-v1` | in `origin`; of crawled pages in `meta` |
//!
//! **Invariant:** numbers keep every digit, and `meta` its bytes, so that they can be published
//! again unchanged.

use serde::Deserialize;
use serde_json::value::RawValue;
use thresher_unit::staging::{PublishedShard, StagedCluster};

use crate::json_rows::{Loose, Text};
use crate::source::Published;

/// A row as it is in a shard. A column that is absent is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    text: Text,
    id: Loose,
    source: Loose,
    slice: Loose,
    url: Loose,
    date: Loose,
    /// The source's own words, of which `date` is a normal form.
    date_stated: Loose,
    dump: Loose,
    title: Loose,
    licence: Loose,
    /// The source's own words, of which `licence` is a normal form.
    licence_stated: Loose,
    recipe: Loose,
    language: Loose,
    language_score: Option<Box<RawValue>>,
    perplexity: Option<Box<RawValue>>,
    bucket: Loose,
    reference_score: Option<Box<RawValue>>,
    /// The name of `reference_score` in `redpajama-v1`.
    wiki_prob: Option<Box<RawValue>>,
    tokens: Option<u64>,
    input: Loose,
    offset: Option<u64>,
    record: Option<u64>,
    original_chars: Option<u64>,
    original_lines: Option<u64>,
    filter_values: Loose,
    cluster: Loose,
    cluster_size: Option<u64>,
    near_duplicates: Option<u64>,
    meta: Option<Box<RawValue>>,
    /// The columns of `redpajama-v1` that Thresher adds.
    origin: Option<Origin>,
}

/// What `redpajama-v1` says of a document beside its text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Origin {
    id: Loose,
    url: Loose,
    language: Loose,
    input: Loose,
    offset: Option<u64>,
    record: Option<u64>,
    tokens: Option<u64>,
    content_hash: Loose,
}

/// The columns of a document, whatever the schema.
#[derive(Debug)]
pub(super) struct Columns {
    row: Row,
    source: String,
    slice: String,
    meta: Option<String>,
}

impl Columns {
    /// Brings the columns of a row into one form. `shard` says what the row does not.
    pub(super) fn of(mut row: Row, shard: Option<&PublishedShard>) -> Self {
        let mut meta = row.meta.take().and_then(|meta| json_text(&meta));
        let mut origin = row.origin.take();
        if row.id.0.is_empty() && origin.is_none() {
            let crawled = meta.as_deref().and_then(|meta| serde_json::from_str(meta).ok());
            origin = crawled.filter(|origin: &Origin| !origin.content_hash.0.is_empty());
            if origin.is_some() {
                meta = None;
            }
        }
        let (mut source, mut slice) = (row.source.0.clone(), row.slice.0.clone());
        if let Some(origin) = origin {
            let Origin { id, url, language, input, offset, record, tokens, .. } = origin;
            let reference_score = row.wiki_prob.take();
            row = Row { id, url, language, input, offset, record, tokens, reference_score, ..row };
            // Here it is the name of the line.
            source.clear();
        }
        if let Some(shard) = shard {
            for (own, given) in [(&mut source, &shard.source), (&mut slice, &shard.slice)] {
                if own.is_empty() {
                    own.clone_from(given);
                }
            }
        }
        Self { row, source, slice, meta }
    }

    /// Returns the text, or the reason and the detail for which the row is quarantined.
    pub(super) fn text(&self) -> Result<&str, (&'static str, String)> {
        self.row.text.get("text")
    }

    pub(super) fn id(&self) -> &str {
        &self.row.id.0
    }

    pub(super) fn url(&self) -> &str {
        &self.row.url.0
    }

    /// Returns the date in the words of the source.
    pub(super) fn date(&self) -> &str {
        given(&self.row.date_stated.0).unwrap_or(&self.row.date.0)
    }

    pub(super) fn title(&self) -> &str {
        &self.row.title.0
    }

    pub(super) fn language(&self) -> Option<&str> {
        given(&self.row.language.0)
    }

    /// Returns the licence in the words of the source.
    pub(super) fn licence(&self) -> Option<&str> {
        given(&self.row.licence_stated.0).or(given(&self.row.licence.0))
    }

    /// Returns the columns that no step computes again.
    pub(super) fn published(&self) -> Published<'_> {
        let row = &self.row;
        Published {
            source: &self.source,
            slice: &self.slice,
            recipe: &row.recipe.0,
            dump: &row.dump.0,
            language_score: number(row.language_score.as_deref()),
            perplexity: number(row.perplexity.as_deref()),
            bucket: given(&row.bucket.0),
            reference_score: number(row.reference_score.as_deref()),
            tokens: row.tokens,
            input: &row.input.0,
            offset: row.offset.unwrap_or_default(),
            record: row.record.unwrap_or_default(),
            original_chars: row.original_chars,
            original_lines: row.original_lines,
            filter_values: given(&row.filter_values.0),
            cluster: given(&row.cluster.0).map(|id| StagedCluster {
                id,
                size: row.cluster_size.unwrap_or_default(),
                near_duplicates: row.near_duplicates.unwrap_or_default(),
            }),
            meta: self.meta.as_deref(),
        }
    }
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// Returns a number with all of its digits, which the parser of JSON does not promise.
fn number<T: std::str::FromStr>(value: Option<&RawValue>) -> Option<T> {
    value.and_then(|value| value.get().parse().ok())
}

/// Returns `meta` as JSON, whether it is an object or a text with one.
fn json_text(meta: &RawValue) -> Option<String> {
    let meta = meta.get();
    match meta.as_bytes().first() {
        Some(b'"') => serde_json::from_str(meta).ok(),
        Some(b'{') => Some(meta.to_owned()),
        Some(_) | None => None,
    }
}
