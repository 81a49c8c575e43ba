//! The published schemas: how a staged document becomes a line of a shard.
//!
//! Each schema is one renderer, in a file of its own, and PUBLISH is the only stage that publishes
//! what it renders. PREPARE renders into a counter, because LAYOUT cuts shards by the bytes of
//! their lines before PUBLISH writes them; a survey renders a sample.
//!
//! **Invariant:** names and order of the fields are the published schema: changing one changes
//! every byte after it.

pub(crate) mod columns;
mod json;
pub(crate) mod parquet_rows;
mod redpajama;
mod stated;
mod uniform;

use std::io::{self, Write};

use thresher_job::{JobSpec, Schema, SourceSpec};
use thresher_unit::staging::{Staged, StagedDocument, StagedRow};

use super::recipe::SourceRecipe;
use json::JsonObject;
pub(crate) use uniform::Uniform;

/// Renders the documents of one source.
pub(crate) trait Renderer {
    /// Writes a document as one line, line feed included. `number_in_input` counts the published
    /// documents of the same input, from zero.
    fn render(
        &self,
        document: &StagedDocument<'_>,
        number_in_input: u64,
        out: &mut dyn Write,
    ) -> io::Result<()>;
}

/// Returns the name of the job's schema in the manifest.
pub(super) fn name(job: &JobSpec) -> &'static str {
    match job.output.schema {
        Schema::Uniform => columns::NAME,
        Schema::RedpajamaV1 => redpajama::NAME,
    }
}

/// Returns the renderer of the job's schema.
pub(crate) fn renderer<'j>(
    job: &'j JobSpec,
    source: &'j SourceSpec,
    recipe: SourceRecipe,
) -> Box<dyn Renderer + 'j> {
    match job.output.schema {
        Schema::Uniform => Box::new(uniform::Uniform::new(job, source)),
        Schema::RedpajamaV1 => Box::new(redpajama::Redpajama::new(recipe)),
    }
}

/// Writes the row of a record that is not published. It is the same in every schema.
pub(crate) fn render_row(
    source: &SourceSpec,
    row: &StagedRow<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut line = JsonObject::start(out)?;
    line.field("id", row.id)?;
    line.field("url", row.url)?;
    line.field("verdict", row.verdict.name())?;
    line.field("reason", row.reason)?;
    line.optional("detail", Some(row.detail).filter(|detail| !detail.is_empty()))?;
    line.optional("value", row.value)?;
    line.optional("threshold", row.threshold)?;
    line.optional("witness", row.witness)?;
    line.optional("witness_output", row.witness_output)?;
    line.optional("band", row.band)?;
    line.optional("cluster", row.cluster)?;
    line.field("source", &source.name)?;
    line.field("input", row.input)?;
    line.field("offset", &row.offset)?;
    line.field("record", &row.record)?;
    line.optional("text", row.text)?;
    line.end_line()
}

/// Returns the bytes of the line that PUBLISH will write for a document. The number of a document
/// in its input is known only when duplicates are, so it is counted as long as that of its record:
/// shards are cut by these sizes, and must not move.
pub(super) fn rendered_bytes(
    renderer: &dyn Renderer,
    source: &SourceSpec,
    staged: &Staged<'_>,
) -> io::Result<u32> {
    let mut counter = Counter(0);
    match staged {
        Staged::Document(document) => renderer.render(document, document.record, &mut counter)?,
        Staged::Withdrawn(row) => render_row(source, row, &mut counter)?,
    }
    u32::try_from(counter.0).map_err(|_| io::Error::other("a line of more than 4 GiB"))
}

/// A writer that only counts bytes.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
