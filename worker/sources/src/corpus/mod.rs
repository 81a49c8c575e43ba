//! The slice `corpus`: a complete output of Thresher, with all columns of its documents.
//!
//! ```text
//! manifest.json → shards of the selected sources → rows → documents as they were published
//! ```
//! The listing is the manifest. A shard is compared with its hash there when it was read; one that
//! differs stops the job, because then the store has lost or changed data. Documents keep where
//! they were first read, their scores, and the names of their source and slice. Without steps, a
//! job publishes the same documents again.
//!
//! Shards in the schema `redpajama-v1` have fewer columns, and are read as far as these go.

mod manifest;
mod row;

use parquet::record::Row as ParquetRow;
use thresher_job::{JobSpec, SourceSpec};

use super::parquet_rows::{self, RowPlace, RowReader};
use super::{Input, Page, RecordOutcome, RecordSink, Source, forms, json_rows};
use manifest::Manifest;
use row::{Columns, Row};
use thresher_formats::form::Form;
use thresher_formats::gzip::InputDigest;
use thresher_unit::UnitError;
use thresher_unit::staging::InputRow;

/// The reader of the slice `corpus`.
pub struct Corpus;

/// Returns the sources of the corpus that `source` selects, with the number of documents of each.
/// This reads the manifest.
pub fn sources_of(source: &SourceSpec) -> Result<Vec<(String, u64)>, UnitError> {
    Ok(Manifest::read(source)?.sources(&source.select))
}

impl Source for Corpus {
    fn list(&self, source: &SourceSpec) -> Result<Option<Vec<InputRow>>, UnitError> {
        let manifest = Manifest::read(source)?;
        match source.earlier {
            true => manifest.index(source).map(Some),
            false => manifest.inputs(source).map(Some),
        }
    }

    fn read(
        &self,
        job: &JobSpec,
        source: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        let reader = ShardReader { job, source, input };
        if input.form()? == Form::Parquet {
            return parquet_rows::read(job, input, sink, &mut { reader });
        }
        json_rows::read(job, (input, &forms::CORPUS), sink, |place, row: Row, sink| {
            reader.emit(&place.id, row, &mut |outcome| sink(place.read_record(outcome)))
        })
    }
}

/// Reads one shard.
struct ShardReader<'a> {
    job: &'a JobSpec,
    source: &'a SourceSpec,
    input: &'a Input<'a>,
}

impl ShardReader<'_> {
    /// Passes on the outcome of a row.
    fn emit(
        &self,
        place: &str,
        row: Row,
        emit: &mut dyn FnMut(RecordOutcome<'_>) -> Result<(), UnitError>,
    ) -> Result<(), UnitError> {
        let columns = Columns::of(row, self.input.published());
        let text = match columns.text() {
            Ok(text) => text,
            Err((reason, detail)) => {
                let (id, url, detail) = (place, columns.url(), detail.as_str());
                return emit(RecordOutcome::Quarantined { id, url, reason, detail });
            }
        };
        let id = if columns.id().is_empty() { place } else { columns.id() };
        let (url, language) = (columns.url(), columns.language());
        let selected = &self.source.select.language;
        if !selected.is_empty() && !selected.iter().any(|one| Some(one.as_str()) == language) {
            let (reason, detail) = ("corpus/not_selected", "");
            return emit(RecordOutcome::Dropped { id, url, reason, detail });
        }
        let published = columns.published();
        emit(RecordOutcome::Page(Page {
            id,
            url,
            date: columns.date(),
            title: columns.title(),
            text,
            licence: columns.licence(),
            language,
            published: Some(&published),
            ..Page::default()
        }))
    }
}

impl RowReader for ShardReader<'_> {
    fn refuse(&self, _: &[String]) -> Result<Option<(&'static str, String)>, UnitError> {
        Ok(None)
    }

    fn row(
        &mut self,
        place: RowPlace<'_>,
        row: &ParquetRow,
        sink: &mut RecordSink<'_>,
    ) -> Result<(), UnitError> {
        let id = format!("{}#{}.{}", self.input.path(), place.group, place.row);
        let mut emit = |damaged: u64, outcome: RecordOutcome<'_>| {
            sink(place.read_record(place.bytes, damaged, outcome))
        };
        if place.bytes > self.job.records.max_bytes.0 {
            let (reason, detail) = ("record_too_large", format!("{} bytes", place.bytes));
            let (id, detail) = (id.as_str(), detail.as_str());
            return emit(0, RecordOutcome::Quarantined { id, url: "", reason, detail });
        }
        let (values, damaged) = place.values(row);
        match serde_json::from_value(values.into()) {
            Ok(row) => self.emit(&id, row, &mut |outcome| emit(damaged, outcome)),
            Err(error) => {
                let (reason, detail) = ("corpus/row", error.to_string());
                let (id, detail) = (id.as_str(), detail.as_str());
                emit(0, RecordOutcome::Quarantined { id, url: "", reason, detail })
            }
        }
    }
}

#[cfg(test)]
mod tests;
