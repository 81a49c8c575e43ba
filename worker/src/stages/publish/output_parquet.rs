//! Writes a Parquet file of the schema `uniform` to the output.
//!
//! ```text
//! document → one row in the batch → a few MiB: pages → 96 MiB of values: a row group
//! ```
//! Pages end where the content says so (content-defined chunking), as the `datasets` library and
//! the Hugging Face Hub want it: when a corpus is filtered again, most of its pages are unchanged
//! and need no upload. Memory holds one batch of rows and the compressed pages of one row group.
//!
//! **Invariant:** batches and row groups are cut by the bytes of their values, so the file is a
//! function of its documents.

use std::io;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, Float32Builder, Float64Builder, Int64Builder, LargeStringBuilder, StringBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{CdcOptions, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::stages::JobContext;
use crate::stages::output_file::{HashedOutput, PublishedFile, fail};
use crate::stages::schemas::columns::{COLUMNS, COUNT, ColumnType, NAME, Value};
use thresher_unit::UnitError;

/// Bytes of values in a batch.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes of values in a row group. Viewers read whole row groups, and ask for 100 MB at most.
const GROUP_BYTES: usize = 96 << 20;
/// Columns whose values hardly repeat, for which a dictionary is wasted.
const WITHOUT_DICTIONARY: [&str; 6] = ["id", "text", "url", "title", "content_hash", "meta"];

/// A Parquet file that is being written.
pub(super) struct OutputParquet {
    name: String,
    schema: Arc<Schema>,
    writer: ArrowWriter<HashedOutput>,
    columns: Vec<Builder>,
    /// Bytes of values in the batch, and in the row group with it.
    batch_bytes: usize,
    group_bytes: usize,
    rows: u64,
    /// Bytes of all values.
    all_bytes: u64,
}

/// The values of a column in the batch.
enum Builder {
    Text(StringBuilder),
    LongText(LargeStringBuilder),
    Whole(Int64Builder),
    Real32(Float32Builder),
    Real64(Float64Builder),
}

impl OutputParquet {
    pub(super) fn new(context: &JobContext, name: &str, tag: &str) -> Result<Self, UnitError> {
        let file = HashedOutput::create(context, name, tag)?;
        let schema = Arc::new(schema());
        let properties = properties(context.job.output.zstd_level);
        let writer = properties
            .and_then(|properties| {
                ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            })
            .map_err(|error| failed(name, error))?;
        let columns = COLUMNS.iter().map(|column| Builder::new(column.of)).collect();
        let name = name.to_owned();
        Ok(Self {
            name,
            schema,
            writer,
            columns,
            batch_bytes: 0,
            group_bytes: 0,
            rows: 0,
            all_bytes: 0,
        })
    }

    /// Adds a row.
    pub(super) fn row(&mut self, values: &[Value<'_>; COUNT]) -> Result<(), UnitError> {
        let bytes: usize = values.iter().map(bytes_of).sum();
        if self.group_bytes > 0 && self.group_bytes + bytes > GROUP_BYTES {
            self.end_batch()?;
            self.writer.flush().map_err(|error| failed(&self.name, error))?;
            self.group_bytes = 0;
        }
        for (builder, value) in self.columns.iter_mut().zip(values) {
            builder.push(*value).map_err(|error| fail(&self.name, &error))?;
        }
        self.rows += 1;
        self.all_bytes += bytes as u64;
        self.batch_bytes += bytes;
        self.group_bytes += bytes;
        if self.batch_bytes >= BATCH_BYTES { self.end_batch() } else { Ok(()) }
    }

    /// Publishes the file.
    pub(super) fn finish(mut self, earlier: &[PublishedFile]) -> Result<PublishedFile, UnitError> {
        self.end_batch()?;
        let file = self.writer.into_inner().map_err(|error| failed(&self.name, error))?;
        file.publish(self.rows, self.all_bytes, earlier)
    }

    fn end_batch(&mut self) -> Result<(), UnitError> {
        self.batch_bytes = 0;
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Builder::finish).collect();
        if arrays.first().is_none_or(|array| array.is_empty()) {
            return Ok(());
        }
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(ParquetError::from)
            .and_then(|batch| self.writer.write(&batch))
            .map_err(|error| failed(&self.name, error))
    }
}

impl Builder {
    fn new(of: ColumnType) -> Self {
        match of {
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::LongText => Self::LongText(LargeStringBuilder::new()),
            ColumnType::Whole => Self::Whole(Int64Builder::new()),
            ColumnType::Real32 => Self::Real32(Float32Builder::new()),
            ColumnType::Real64 => Self::Real64(Float64Builder::new()),
        }
    }

    fn push(&mut self, value: Value<'_>) -> io::Result<()> {
        match (self, value) {
            (Self::Text(builder), Value::Text(value)) => builder.append_option(value),
            (Self::LongText(builder), Value::Text(value)) => builder.append_option(value),
            (Self::Whole(builder), Value::Whole(value)) => {
                let signed = value.map(i64::try_from).transpose();
                builder.append_option(signed.map_err(io::Error::other)?);
            }
            (Self::Real32(builder), Value::Real32(value)) => builder.append_option(value),
            (Self::Real64(builder), Value::Real64(value)) => builder.append_option(value),
            _ => return Err(io::Error::other("a value is not of its column's type")),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Self::Text(builder) => builder,
            Self::LongText(builder) => builder,
            Self::Whole(builder) => builder,
            Self::Real32(builder) => builder,
            Self::Real64(builder) => builder,
        };
        builder.finish()
    }
}

/// Returns the bytes of a value as Parquet counts them before compression.
fn bytes_of(value: &Value<'_>) -> usize {
    match value {
        Value::Text(value) => value.map_or(0, str::len) + size_of::<u32>(),
        Value::Whole(_) | Value::Real64(_) => size_of::<u64>(),
        Value::Real32(_) => size_of::<f32>(),
    }
}

fn schema() -> Schema {
    let field = |name, of| {
        let of = match of {
            ColumnType::Text => DataType::Utf8,
            ColumnType::LongText => DataType::LargeUtf8,
            ColumnType::Whole => DataType::Int64,
            ColumnType::Real32 => DataType::Float32,
            ColumnType::Real64 => DataType::Float64,
        };
        Field::new(name, of, true)
    };
    Schema::new(COLUMNS.iter().map(|column| field(column.name, column.of)).collect::<Vec<_>>())
}

fn properties(zstd_level: i32) -> Result<WriterProperties, ParquetError> {
    let chunks = CdcOptions::default();
    let in_footer = format!(
        "{{\"min_chunk_size\":{},\"max_chunk_size\":{},\"norm_level\":{}}}",
        chunks.min_chunk_size, chunks.max_chunk_size, chunks.norm_level
    );
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
        .set_content_defined_chunking(Some(chunks))
        // Row groups are cut by bytes, in `row`.
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(vec![
            KeyValue::new("content_defined_chunking".to_owned(), in_footer),
            KeyValue::new("thresher_schema".to_owned(), NAME.to_owned()),
        ]));
    for column in WITHOUT_DICTIONARY {
        let column = ColumnPath::from(column);
        properties = properties.set_column_dictionary_enabled(column, false);
    }
    Ok(properties.build())
}

/// Returns the error for a file that could not be written, which the library may have wrapped.
fn failed(name: &str, error: ParquetError) -> UnitError {
    let error = if let ParquetError::External(source) = error {
        source.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error)
    } else {
        io::Error::other(error)
    };
    fail(name, &error)
}
