//! Reads the rows of Parquet files, for the slices that have such inputs.
//!
//! A file is read by row groups, one page of each column at a time. A truncated file cannot be read
//! at all, because the directory is at its end. A row group that is damaged, or whose pages or rows
//! are too large, is the only one that is lost. The slice knows the columns and what rows mean.
//!
//! **Invariant:** a row group belongs to the piece in which its first column starts.

use std::io::{self, Read};

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use parquet::record::{Field, Row};
use prost::bytes::Bytes;
use serde_json::{Map, Value, json};
use thresher_job::JobSpec;

use super::noted::Owned;
use super::{Input, Meta, ReadRecord, RecordOutcome, RecordSink};
use thresher_formats::gzip::InputDigest;
use thresher_formats::parquet_file::{ParquetFile, Unread};
use thresher_formats::piece::Piece;
use thresher_unit::UnitError;

/// The reason for a file without a directory, or with one that is not valid.
const REASON_DAMAGED: &str = "parquet_damaged";
/// The reason for a row group that cannot be read, or not to its end.
const REASON_GROUP_DAMAGED: &str = "parquet_row_group_damaged";
/// The reason for a row group whose pages, or whose rows together, exceed the limit.
const REASON_GROUP_TOO_LARGE: &str = "parquet_row_group_too_large";

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
    /// Returns the columns of the row as JSON.
    pub(super) fn values(&self, row: &Row) -> Meta {
        let value = |(name, field): (&String, &Field)| {
            // The library has no value of its own for times in nanoseconds.
            let json = if let Field::Long(time) = field
                && self.nanoseconds.contains(name)
            {
                json!(iso_time(*time, 1_000_000_000))
            } else {
                json_of(field)
            };
            (name.clone(), json)
        };
        row.get_column_iter().map(value).collect()
    }

    /// Returns the record of this row with the given size and outcome.
    pub(super) fn read_record<'a>(&self, bytes: u64, outcome: RecordOutcome<'a>) -> ReadRecord<'a> {
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
    let result = Reading { input, reader, sink, record: 0 }.groups(owned, page_bytes);
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
            let read = match misplaced {
                Some(damage) => Err(Unread::Damaged(damage)),
                None => self.rows(&file, group, offset)?,
            };
            match read {
                Ok(()) => {}
                Err(Unread::Damaged(damage)) => {
                    self.damaged(offset, REASON_GROUP_DAMAGED, &damage)?;
                }
                Err(Unread::TooLarge(why)) => {
                    let hint = "raise `records.max_bytes`, or write the file with smaller pages";
                    let detail = format!("{why}; hint: {hint}");
                    self.damaged(offset, REASON_GROUP_TOO_LARGE, &detail)?;
                }
            }
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

/// Returns the bytes of a column of text, whether the file's schema declares text or only bytes.
#[expect(clippy::wildcard_enum_match_arm, reason = "all others are numbers, times and lists")]
pub(super) fn bytes_of(field: &Field) -> Option<&[u8]> {
    match field {
        Field::Str(text) => Some(text.as_bytes()),
        Field::Bytes(bytes) => Some(bytes.data()),
        _ => None,
    }
}

/// Returns a value as JSON. Dates and times are texts in ISO 8601, as far as the file says that
/// they are such.
pub(super) fn json_of(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => json!(value),
        Field::Byte(value) => json!(value),
        Field::Short(value) => json!(value),
        Field::Int(value) | Field::TimeMillis(value) => json!(value),
        Field::Long(value) | Field::TimeMicros(value) => json!(value),
        Field::Date(days) => json!(iso_date(i64::from(*days))),
        Field::TimestampMillis(millis) => json!(iso_time(*millis, 1000)),
        Field::TimestampMicros(micros) => json!(iso_time(*micros, 1_000_000)),
        Field::UByte(value) => json!(value),
        Field::UShort(value) => json!(value),
        Field::UInt(value) => json!(value),
        Field::ULong(value) => json!(value),
        Field::Float(value) => json!(value),
        Field::Double(value) => json!(value),
        Field::Str(value) => json!(value),
        Field::Bytes(bytes) => match str::from_utf8(bytes.data()) {
            Ok(text) => json!(text),
            Err(_) => json!(field.to_string()),
        },
        Field::ListInternal(list) => list.elements().iter().map(json_of).collect(),
        Field::Group(row) => {
            let fields = row.get_column_iter().map(|(name, field)| (name.clone(), json_of(field)));
            Value::Object(fields.collect())
        }
        Field::MapInternal(map) => {
            let entries = map.entries().iter().map(|(key, value)| (key_of(key), json_of(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        Field::Float16(_) | Field::Decimal(_) => json!(field.to_string()),
    }
}

fn key_of(field: &Field) -> String {
    match json_of(field) {
        Value::String(text) => text,
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => other.to_string(),
    }
}

/// Returns the date of a day that is counted from 1970-01-01, in the Gregorian calendar.
fn iso_date(days: i64) -> String {
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years start in March, so that
    // the leap day is the last of a year.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Returns a time that is counted from 1970 in parts of a second, in UTC.
fn iso_time(time: i64, parts: i64) -> String {
    let (seconds, part) = (time.div_euclid(parts), time.rem_euclid(parts));
    let (date, second) = (iso_date(seconds.div_euclid(86_400)), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let digits = parts.ilog10() as usize;
    let part = if part == 0 { String::new() } else { format!(".{part:0digits$}") };
    format!("{date}T{hour:02}:{minute:02}:{second:02}{part}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_written_in_iso_8601() {
        for (days, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_782, "2024-02-29"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
            (-719_528, "0000-01-01"),
        ] {
            assert_eq!(json_of(&Field::Date(days)), date, "{days}");
        }
        let time = 1_700_000_000_000;
        assert_eq!(json_of(&Field::TimestampMillis(time)), "2023-11-14T22:13:20Z");
        assert_eq!(json_of(&Field::TimestampMillis(time + 7)), "2023-11-14T22:13:20.007Z");
        assert_eq!(json_of(&Field::TimestampMicros(-1)), "1969-12-31T23:59:59.999999Z");
        assert_eq!(
            iso_time(1_700_000_000_000_000_007, 1_000_000_000),
            "2023-11-14T22:13:20.000000007Z"
        );
        let most = json_of(&Field::TimestampMillis(i64::MIN));
        assert!(most.as_str().is_some_and(|text| text.starts_with('-')), "{most}");
    }
}
