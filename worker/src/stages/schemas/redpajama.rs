//! The schema `redpajama-v1`: the fields that RedPajama-Data-1T has of each slice.
//!
//! Its crawled pages differ from its other slices. Both have one more field here, with the origin
//! of the document.

use std::io::{self, Write};

use thresher_unit::staging::StagedDocument;

use super::Renderer;
use super::json::JsonObject;
use crate::stages::recipe::SourceRecipe;

pub(super) const NAME: &str = "redpajama-v1";

pub(super) struct Redpajama {
    recipe: SourceRecipe,
}

impl Redpajama {
    pub(super) fn new(recipe: SourceRecipe) -> Self {
        Self { recipe }
    }
}

impl Renderer for Redpajama {
    fn render(
        &self,
        document: &StagedDocument<'_>,
        number_in_input: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut line = JsonObject::start(out)?;
        if self.recipe.slice.is_crawl() && document.meta.is_none() {
            line.optional("pred_label", document.classified.map(|found| found.label))?;
            line.optional("pred_label_prob", document.classified.map(|found| found.probability))?;
            line.optional("wiki_prob", document.classified.map(|found| found.score))?;
            line.field("text", document.text)?;
            line.field("source", &address(document, number_in_input))?;
            line.object("meta", |meta| origin(document, meta))?;
        } else {
            line.field("text", document.text)?;
            // A command of the user may return no `meta`.
            line.json("meta", document.meta.unwrap_or("{}"))?;
            line.object("origin", |fields| origin(document, fields))?;
        }
        line.end_line()
    }
}

/// Returns the location of a crawled page. RedPajama numbered the lines of each file from zero,
/// after duplicates had been removed from it.
fn address(document: &StagedDocument<'_>, number_in_input: u64) -> String {
    let file = document.input.rsplit('/').next().unwrap_or_default();
    format!("cc/{}/{file}/line{number_in_input}", document.dump)
}

/// Writes the origin of the document, which RedPajama does not have.
fn origin(document: &StagedDocument<'_>, fields: &mut JsonObject<'_>) -> io::Result<()> {
    fields.field("id", document.id)?;
    fields.field("url", document.url)?;
    fields.field("language", &document.language)?;
    fields.field("input", document.input)?;
    fields.field("offset", &document.offset)?;
    fields.field("record", &document.record)?;
    let hash = blake3::Hash::from_bytes(document.content_hash).to_hex();
    fields.field("content_hash", hash.as_str())?;
    fields.optional("tokens", document.tokens)
}
