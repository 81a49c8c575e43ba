//! Reads a Parquet file of the schema `uniform` back as the JSON lines of the same documents.
//!
//! Both forms have the same values, so their lines are equal byte by byte; `verify` compares them,
//! and whatever reads lines reads both forms.

use std::io::{self, Write};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::{COLUMNS, Column, ColumnType, Value};
use super::json::JsonObject;
use super::uniform::write_value;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 256;

/// Passes the line of each row to `sink`, its line feed included.
pub(crate) fn for_each_line(file: Bytes, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(io::Error::other)?;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(io::Error::other)?;
    let mut line = Vec::new();
    for batch in reader {
        let batch = batch.map_err(io::Error::other)?;
        let arrays = columns_of(&batch)?;
        for row in 0..batch.num_rows() {
            line.clear();
            write_row(&arrays, row, &mut line)?;
            sink(&line);
        }
    }
    Ok(())
}

fn columns_of(batch: &RecordBatch) -> io::Result<Vec<(&'static Column, &ArrayRef)>> {
    COLUMNS
        .iter()
        .map(|column| match batch.column_by_name(column.name) {
            Some(array) if is_of(array, column.of) => Ok((column, array)),
            Some(_) => Err(io::Error::other(format!("column `{}` has another type", column.name))),
            None => Err(io::Error::other(format!("it has no column `{}`", column.name))),
        })
        .collect()
}

fn is_of(array: &ArrayRef, of: ColumnType) -> bool {
    match of {
        ColumnType::Text => array.as_string_opt::<i32>().is_some(),
        ColumnType::LongText => array.as_string_opt::<i64>().is_some(),
        ColumnType::Whole => array.as_primitive_opt::<Int64Type>().is_some(),
        ColumnType::Real32 => array.as_primitive_opt::<Float32Type>().is_some(),
        ColumnType::Real64 => array.as_primitive_opt::<Float64Type>().is_some(),
    }
}

fn write_row(
    arrays: &[(&'static Column, &ArrayRef)],
    row: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut line = JsonObject::start(out)?;
    for (column, array) in arrays {
        let here = array.is_valid(row);
        let value = match column.of {
            ColumnType::Text => Value::Text(here.then(|| array.as_string::<i32>().value(row))),
            ColumnType::LongText => Value::Text(here.then(|| array.as_string::<i64>().value(row))),
            ColumnType::Whole => {
                let value = here.then(|| array.as_primitive::<Int64Type>().value(row));
                let value = value.map(u64::try_from).transpose();
                Value::Whole(value.map_err(|_| io::Error::other("a number is negative"))?)
            }
            ColumnType::Real32 => {
                Value::Real32(here.then(|| array.as_primitive::<Float32Type>().value(row)))
            }
            ColumnType::Real64 => {
                Value::Real64(here.then(|| array.as_primitive::<Float64Type>().value(row)))
            }
        };
        write_value(&mut line, column.name, value)?;
    }
    line.end_line()
}
