//! The schema `uniform`: the same fields for every slice.

use std::io::{self, Write};

use thresher_job::{JobSpec, SourceSpec};
use thresher_unit::staging::StagedDocument;

use super::Renderer;
use super::json::JsonObject;

pub(super) const NAME: &str = "uniform/1";

pub(super) struct Uniform<'j> {
    source: &'j SourceSpec,
    /// Name and version of the recipe.
    recipe: String,
}

impl<'j> Uniform<'j> {
    pub(super) fn new(job: &'j JobSpec, source: &'j SourceSpec) -> Self {
        Self { source, recipe: format!("{}/{}", job.job.preset, thresher_proto::VERSION) }
    }
}

impl Renderer for Uniform<'_> {
    fn render(
        &self,
        document: &StagedDocument<'_>,
        _number_in_input: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let hash = blake3::Hash::from_bytes(document.content_hash).to_hex();
        // A document of a corpus keeps what it was published with, as far as that is known.
        let origin = document.origin.unwrap_or_default();
        let mut line = JsonObject::start(out)?;
        line.field("id", document.id)?;
        line.field("text", document.text)?;
        line.field("source", known(origin.source, &self.source.name))?;
        line.field("slice", known(origin.slice, self.source.slice.name()))?;
        line.field("url", document.url)?;
        line.field("date", document.date)?;
        line.field("dump", document.dump)?;
        line.field("licence", &document.licence)?;
        line.field("title", document.title)?;
        line.field("language", &document.language)?;
        line.field("language_score", &document.language_score)?;
        line.field("perplexity", &document.perplexity)?;
        line.field("bucket", &document.bucket)?;
        line.field("reference_score", &document.classified.map(|found| found.score))?;
        line.field("tokens", &document.tokens)?;
        line.field("input", document.input)?;
        line.field("offset", &document.offset)?;
        line.field("record", &document.record)?;
        line.field("chars", &document.chars)?;
        line.field("bytes", &document.text.len())?;
        line.field("lines", &document.lines)?;
        line.field("original_chars", &document.original_chars)?;
        line.field("original_lines", &document.original_lines)?;
        line.field("content_hash", hash.as_str())?;
        line.field("recipe", known(origin.recipe, &self.recipe))?;
        if let Some(meta) = document.meta {
            line.json("meta", meta)?;
        }
        line.end_line()
    }
}

/// Returns the first of two texts, unless it is empty.
fn known<'t>(first: &'t str, otherwise: &'t str) -> &'t str {
    if first.is_empty() { otherwise } else { first }
}
