//! Reads the rows of Parquet files, for the slices that have such inputs.
//!
//! A file is read by row groups, one page of each column at a time. A truncated file cannot be read
//! at all, because the directory is at its end. A row group that is damaged, or whose pages or rows
//! are too large, is the only one that is lost, from there on; each lost row is quarantined. A text
//! that is not valid UTF-8 harms nothing else. The slice knows the columns and what rows mean.
//!
//! **Invariant:** a row group belongs to the piece in which its first column starts.

mod values;

use std::io::{self, Read};

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use parquet::record::{Field, Row};
use prost::bytes::Bytes;
use serde_json::json;
use thresher_job::JobSpec;

use super::noted::Owned;
use super::{Input, Meta, Page, ReadRecord, RecordOutcome, RecordSink};
use thresher_formats::gzip::InputDigest;
use thresher_formats::parquet_file::{ParquetFile, Unread};
use thresher_formats::piece::Piece;
use thresher_unit::UnitError;

pub(super) use values::{bytes_of, json_of, lenient};

/// The reason for a file without a directory, or with one that is not valid.
const REASON_DAMAGED: &str = "parquet_damaged";
/// The reason for a row group that cannot be read, or not to its end.
const REASON_GROUP_DAMAGED: &str = "parquet_row_group_damaged";
/// The reason for a row group whose pages, or whose rows together, exceed the limit.
const REASON_GROUP_TOO_LARGE: &str = "parquet_row_group_too_large";
/// The reason for each further row of a group that cannot be read to its end.
const REASON_LOST: &str = "parquet_rows_lost";

/// Largest number of lost rows that are quarantined one by one in a row group, since the number in
/// a damaged file can be any. Common programs write no more rows into a group.
const LOST_ROWS_MAX: u64 = 1 << 20;
/// The same for all groups of a piece, for each of its bytes: a row takes at least a bit.
const LOST_ROWS_PER_BYTE: u64 = 8;

/// Size of the largest page in memory, in multiples of `records.max_bytes`.
const PAGES_IN_RECORDS: u64 = 2;

/// What a slice does with the rows of a file.
pub(super) trait RowReader {
    /// Returns the reason and the detail for which a file with these columns is quarantined as a
    /// whole, or `None` if its rows can be read.
    fn refuse(&self, columns: &[String]) -> Result<Option<(&'static str, String)>, UnitError>;

    /// Turns a row into a record.
    fn row(
        &mut self,
        place: RowPlace<'_>,
        row: &Row,
        sink: &mut RecordSink<'_>,
    ) -> Result<(), UnitError>;
}

/// The location and size of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowPlace<'f> {
    /// The offset in the file at which the row group starts.
    offset: u64,
    /// The number of the row within the piece.
    pub(super) record: u64,
    /// The number of the row group within the file.
    pub(super) group: usize,
    /// The number of the row within its group.
    pub(super) row: u64,
    /// The size of all values.
    pub(super) bytes: u64,
    /// The columns of the file that are times in nanoseconds.
    nanoseconds: &'f [String],
}

impl RowPlace<'_> {
    /// Returns the columns of the row as JSON, and the number of damaged sequences in their texts.
    pub(super) fn values(&self, row: &Row) -> (Meta, u64) {
        let mut damaged = 0;
        let value = |(name, field): (&String, &Field)| {
            // The library has no value of its own for times in nanoseconds.
            let json = if let Field::Long(time) = field
                && self.nanoseconds.contains(name)
            {
                json!(values::iso_time(*time, 1_000_000_000))
            } else {
                json_of(field, &mut damaged)
            };
            (name.clone(), json)
        };
        (row.get_column_iter().map(value).collect(), damaged)
    }

    /// Returns the record of this row with the given size and outcome; `damaged_characters` is the
    /// number of sequences that U+FFFD replaces.
    pub(super) fn read_record<'a>(
        &self,
        bytes: u64,
        damaged_characters: u64,
        outcome: RecordOutcome<'a>,
    ) -> ReadRecord<'a> {
        let outcome = match outcome {
            RecordOutcome::Page(page) => RecordOutcome::Page(Page { damaged_characters, ..page }),
            other @ (RecordOutcome::Dropped { .. } | RecordOutcome::Quarantined { .. }) => other,
        };
        ReadRecord { offset: self.offset, record: self.record, bytes, outcome }
    }
}

impl Length for Owned {
    fn len(&self) -> u64 {
        self.end()
    }
}

impl ChunkReader for Owned {
    type T = io::BufReader<Box<dyn Read + Send>>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let opened = self.open(start..u64::MAX);
        opened.map(io::BufReader::new).map_err(|error| ParquetError::External(Box::new(error)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // A wrong length in the directory must not allocate more memory than the file can fill.
        if start.saturating_add(length as u64) > self.end() {
            return Err(ParquetError::EOF("beyond the end of the file".to_owned()));
        }
        let mut bytes = Vec::with_capacity(length);
        let opened = self.open(start..start + length as u64);
        let read = opened.and_then(|mut reader| reader.read_to_end(&mut bytes));
        read.map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(Bytes::from(bytes))
    }
}

/// Reads a Parquet file, and returns the digest of the input.
pub(super) fn read(
    job: &JobSpec,
    input: &Input<'_>,
    sink: &mut RecordSink<'_>,
    reader: &mut dyn RowReader,
) -> Result<InputDigest, UnitError> {
    let owned = input.owned()?;
    let noted = owned.noted();
    let page_bytes = job.records.max_bytes.0.saturating_mul(PAGES_IN_RECORDS);
    let bytes = input.piece().map_or(owned.end(), |piece| piece.length);
    let lost_max = bytes.saturating_mul(LOST_ROWS_PER_BYTE);
    let result = Reading { input, reader, sink, record: 0, lost_max }.groups(owned, page_bytes);
    if let Some(error) = noted.take() {
        return Err(input.failed(&error));
    }
    result?;
    input.digest()
}

/// Returns the part of a Parquet file up to the end of its first row group; `None` if it has none,
/// or is damaged.
pub fn first_group(job: &JobSpec, input: &Input<'_>) -> Result<Option<Piece>, UnitError> {
    let page_bytes = job.records.max_bytes.0.saturating_mul(PAGES_IN_RECORDS);
    let Ok(file) = ParquetFile::open(input.owned()?, page_bytes) else { return Ok(None) };
    if file.groups() == 0 {
        return Ok(None);
    }
    let end = file.begin(0).and_then(|begin| Ok(begin.saturating_add(file.group_bytes(0)?)));
    Ok(end.ok().map(|length| Piece { offset: 0, length }))
}

struct Reading<'a, 't> {
    input: &'a Input<'a>,
    reader: &'a mut dyn RowReader,
    sink: &'a mut RecordSink<'t>,
    record: u64,
    /// Number of lost rows that can still be quarantined.
    lost_max: u64,
}

impl Reading<'_, '_> {
    fn groups(&mut self, owned: Owned, page_bytes: u64) -> Result<(), UnitError> {
        let piece = self.input.piece();
        // Only the first piece of a file that cannot be read reports it.
        let is_first = piece.is_none_or(|piece| piece.offset == 0);
        let file = match ParquetFile::open(owned, page_bytes) {
            Ok(file) => file,
            Err(damage) if is_first => return self.damaged(0, REASON_DAMAGED, &damage),
            Err(_) => return Ok(()),
        };
        match self.reader.refuse(&file.columns())? {
            Some((reason, detail)) if is_first => return self.damaged(0, reason, &detail),
            Some(_) => return Ok(()),
            None => {}
        }
        for group in 0..file.groups() {
            // A group whose offset is not valid is also reported by the first piece.
            let (offset, misplaced) = match file.begin(group) {
                Ok(offset) => (offset, None),
                Err(damage) => (0, Some(damage)),
            };
            if piece.is_some_and(|piece| !piece.range().contains(&offset)) {
                continue;
            }
            let before = self.record;
            let read = match misplaced {
                Some(damage) => Err(Unread::Damaged(damage)),
                None => self.rows(&file, group, offset)?,
            };
            let lost = file.group_rows(group).saturating_sub(self.record - before);
            match read {
                Ok(()) => {}
                Err(Unread::Damaged(damage)) => {
                    self.lost(offset, lost, (REASON_GROUP_DAMAGED, &damage))?;
                }
                Err(Unread::TooLarge(why)) => {
                    let hint = "raise `records.max_bytes`, or write the file with smaller pages";
                    let detail = format!("{why}; hint: {hint}");
                    self.lost(offset, lost, (REASON_GROUP_TOO_LARGE, &detail))?;
                }
            }
        }
        Ok(())
    }

    /// Quarantines the lost rows of a group: the first with the reason and the detail.
    fn lost(
        &mut self,
        offset: u64,
        rows: u64,
        (reason, detail): (&str, &str),
    ) -> Result<(), UnitError> {
        self.damaged(offset, reason, detail)?;
        let rows = rows.saturating_sub(1).min(LOST_ROWS_MAX).min(self.lost_max);
        self.lost_max -= rows;
        for _ in 0..rows {
            self.damaged(offset, REASON_LOST, "")?;
        }
        Ok(())
    }

    fn rows(
        &mut self,
        file: &ParquetFile<Owned>,
        group: usize,
        offset: u64,
    ) -> Result<Result<(), Unread>, UnitError> {
        let (mut number, nanoseconds) = (0, file.nanosecond_columns());
        file.rows(group, |row, bytes| {
            let (record, nanoseconds) = (self.record, nanoseconds.as_slice());
            let place = RowPlace { offset, record, group, row: number, bytes, nanoseconds };
            (self.record, number) = (self.record + 1, number + 1);
            self.reader.row(place, row, self.sink)
        })
    }

    fn damaged(&mut self, offset: u64, reason: &str, detail: &str) -> Result<(), UnitError> {
        let outcome = RecordOutcome::Quarantined { id: "", url: "", reason, detail };
        let record = self.record;
        self.record += 1;
        (self.sink)(ReadRecord { offset, record, bytes: 0, outcome })
    }
}

/// Formats the first names of a list, which can have any length.
pub(super) fn named<T: AsRef<str>>(names: &[T]) -> String {
    const MOST: usize = 40;
    let first = names.iter().take(MOST).map(|name| format!("`{}`", name.as_ref()));
    let first = first.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
