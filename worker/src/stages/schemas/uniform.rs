//! The schema `uniform`: the same columns for every slice.

use std::io::{self, Write};

use thresher_job::{JobSpec, SourceSpec};
use thresher_unit::staging::StagedDocument;

use super::Renderer;
use super::columns::{COLUMNS, COUNT, Value};
use super::json::JsonObject;
use super::stated::{date_of, licence_of};

/// Makes the rows of one source.
pub(crate) struct Uniform<'j> {
    source: &'j SourceSpec,
    /// Name and version of the recipe.
    recipe: String,
}

impl<'j> Uniform<'j> {
    pub(crate) fn new(job: &'j JobSpec, source: &'j SourceSpec) -> Self {
        Self { source, recipe: format!("{}/{}", job.job.preset, thresher_proto::VERSION) }
    }

    /// Returns the name of a document's source: one of a corpus keeps what it was published with.
    pub(crate) fn source<'a>(&'a self, document: &StagedDocument<'a>) -> &'a str {
        known(document.origin.unwrap_or_default().source, &self.source.name)
    }

    /// Returns the slice of a document, likewise.
    pub(crate) fn slice<'a>(&'a self, document: &StagedDocument<'a>) -> &'a str {
        known(document.origin.unwrap_or_default().slice, self.source.slice.name())
    }

    /// Returns the SPDX expression of a document's licence, if it is known.
    pub(crate) fn licence(&self, document: &StagedDocument<'_>) -> Option<String> {
        document.licence.and_then(licence_of)
    }

    /// Passes the values of a document to `sink`, in the order of [`COLUMNS`].
    pub(crate) fn row<T>(
        &self,
        document: &StagedDocument<'_>,
        sink: impl FnOnce(&[Value<'_>; COUNT]) -> T,
    ) -> T {
        let hash = blake3::Hash::from_bytes(document.content_hash).to_hex();
        let date = date_of(document.date);
        let licence = self.licence(document);
        let of_corpus = document.origin.unwrap_or_default();
        // An empty string means that the input has no value.
        let text = |text| Value::Text(Some(text).filter(|text: &&str| !text.is_empty()));
        let other = |stated, known: &Option<String>| match stated {
            Some(stated) if known.as_deref() != Some(stated) => text(stated),
            Some(_) | None => Value::Text(None),
        };
        sink(&[
            Value::Text(Some(document.id)),
            Value::Text(Some(document.text)),
            Value::Text(Some(self.source(document))),
            Value::Text(Some(self.slice(document))),
            text(document.url),
            Value::Text(date.as_deref()),
            other(Some(document.date), &date),
            text(document.dump),
            Value::Text(licence.as_deref()),
            other(document.licence, &licence),
            text(document.title),
            Value::Text(document.language),
            Value::Real32(document.language_score),
            Value::Real64(document.perplexity),
            Value::Text(document.bucket),
            Value::Real64(document.classified.map(|found| found.score)),
            Value::Whole(document.tokens),
            Value::Text(Some(document.input)),
            Value::Whole(Some(document.offset)),
            Value::Whole(Some(document.record)),
            Value::Whole(Some(document.chars)),
            Value::Whole(Some(document.text.len() as u64)),
            Value::Whole(Some(document.lines)),
            Value::Whole(Some(document.original_chars)),
            Value::Whole(Some(document.original_lines)),
            Value::Text(Some(hash.as_str())),
            Value::Text(Some(known(of_corpus.recipe, &self.recipe))),
            Value::Text(document.filter_values),
            Value::Text(document.cluster.map(|cluster| cluster.id)),
            Value::Whole(document.cluster.map(|cluster| cluster.size)),
            Value::Whole(document.cluster.map(|cluster| cluster.near_duplicates)),
            Value::Text(document.meta),
        ])
    }
}

impl Renderer for Uniform<'_> {
    fn render(
        &self,
        document: &StagedDocument<'_>,
        _number_in_input: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.row(document, |values| {
            let mut line = JsonObject::start(out)?;
            for (column, value) in COLUMNS.iter().zip(values) {
                write_value(&mut line, column.name, *value)?;
            }
            line.end_line()
        })
    }
}

/// Writes one value as a field of a JSON object.
pub(super) fn write_value(
    line: &mut JsonObject<'_>,
    name: &str,
    value: Value<'_>,
) -> io::Result<()> {
    match value {
        Value::Text(value) => line.field(name, &value),
        Value::Whole(value) => line.field(name, &value),
        Value::Real32(value) => line.field(name, &value),
        Value::Real64(value) => line.field(name, &value),
    }
}

/// Returns the first of two texts, unless it is empty.
fn known<'t>(first: &'t str, otherwise: &'t str) -> &'t str {
    if first.is_empty() { otherwise } else { first }
}
