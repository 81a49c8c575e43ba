//! Evaluates the pages of a survey as PREPARE does, and compresses them as PUBLISH does.
//!
//! It keeps only counts: documents go into an encoder whose output is only measured.

use std::io::{self, Write};

use zstd::stream::Encoder;

use super::cpu_micros;
use crate::stages::pipeline::{Evaluation, Pipeline, RecordPlace};
use crate::stages::schemas::{Renderer, renderer};
use crate::stages::{JobContext, SourceRecipe};
use thresher_formats::stop::Stop;
use thresher_job::SourceSpec;
use thresher_sources::{Page, ReadRecord};
use thresher_unit::{Tally, UnitError};

const PIECE_BYTES: usize = 1 << 20;

/// The figures of the documents that a job would publish of the sample.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Published {
    pub(super) documents: u64,
    pub(super) json_bytes: u64,
    pub(super) shard_bytes: u64,
    pub(super) cpu_micros: u64,
}

/// Evaluates the pages of a sample, and compresses what would be published of them.
pub(super) struct SampledDocuments<'a> {
    source: &'a SourceSpec,
    renderer: Box<dyn Renderer + 'a>,
    pipeline: Pipeline<'a>,
    /// The pipeline needs it; a survey does not report it.
    tally: Tally,
    sink: Compressed,
}

impl<'a> SampledDocuments<'a> {
    pub(super) fn new(context: &'a JobContext, source: &'a SourceSpec) -> Result<Self, UnitError> {
        let recipe = SourceRecipe::of(&context.job, source);
        Ok(Self {
            source,
            renderer: renderer(&context.job, source, recipe),
            pipeline: Pipeline::start(context, source, recipe, &Stop::default())?,
            tally: Tally::default(),
            sink: Compressed::new(context.job.output.zstd_level)?,
        })
    }

    /// Returns the CPU time of compression, which PUBLISH will need.
    pub(super) fn publish_cpu_micros(&self) -> u64 {
        self.sink.published.cpu_micros
    }

    /// Evaluates a page; `is_duplicate` answers for each of its lines in turn.
    pub(super) fn page(
        &mut self,
        input: &str,
        record: &ReadRecord<'_>,
        page: &Page<'_>,
        is_duplicate: impl FnMut() -> Result<bool, UnitError>,
    ) -> Result<(), UnitError> {
        match self.pipeline.evaluate(page, is_duplicate, &mut self.tally)? {
            Evaluation::Kept(document) => {
                let hash = blake3::hash(document.text.as_bytes());
                let meta = document.meta(page);
                let place = RecordPlace { input, offset: record.offset, record: record.record };
                let staged = document.staged(self.source, place, page, hash, meta.as_deref());
                let renderer = &self.renderer;
                self.sink.push(|out| renderer.render(&staged, record.record, out))
            }
            Evaluation::Withdrawn { .. } | Evaluation::Dropped { .. } => Ok(()),
        }
    }

    pub(super) fn finish(mut self) -> Result<Published, UnitError> {
        self.pipeline.finish(&mut self.tally)?;
        self.sink.finish()
    }
}

/// Compresses lines as PUBLISH does, and counts the bytes.
struct Compressed {
    encoder: Encoder<'static, Counted>,
    piece: Vec<u8>,
    published: Published,
}

impl Compressed {
    fn new(zstd_level: i32) -> Result<Self, UnitError> {
        let encoder = Encoder::new(Counted::default(), zstd_level);
        let encoder = encoder.map_err(|error| compressing(&error))?;
        Ok(Self { encoder, piece: Vec::new(), published: Published::default() })
    }

    /// Adds the line that `render` writes.
    fn push(
        &mut self,
        render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), UnitError> {
        render(&mut self.piece).map_err(|error| compressing(&error))?;
        self.published.documents += 1;
        if self.piece.len() >= PIECE_BYTES { self.compress() } else { Ok(()) }
    }

    fn finish(mut self) -> Result<Published, UnitError> {
        self.compress()?;
        let start = cpu_micros();
        let counted = self.encoder.finish().map_err(|error| compressing(&error))?;
        self.published.cpu_micros += cpu_micros() - start;
        self.published.shard_bytes = counted.bytes;
        Ok(self.published)
    }

    fn compress(&mut self) -> Result<(), UnitError> {
        let start = cpu_micros();
        self.encoder.write_all(&self.piece).map_err(|error| compressing(&error))?;
        self.published.cpu_micros += cpu_micros() - start;
        self.published.json_bytes += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }
}

fn compressing(error: &io::Error) -> UnitError {
    UnitError::Defect(format!("failed to compress a sample: {error}"))
}

/// A writer that only counts bytes.
#[derive(Default)]
struct Counted {
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
