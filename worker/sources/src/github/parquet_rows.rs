//! Reads The Stack: rows of code in Parquet files (bigcode/the-stack, the-stack-dedup).
//!
//! A file without the columns that a row needs is quarantined as a whole; other columns are kept
//! unchanged. A file is read by row groups, one page of each column at a time. A truncated file
//! cannot be read at all, because the directory is at its end. A row group that is damaged, or
//! whose pages or rows are too large, is the only one that is lost.
//!
//! **Invariant:** a row group belongs to the piece in which its first column starts.

use std::io::{self, Read};

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use parquet::record::{Field, Row};
use prost::bytes::Bytes;
use serde_json::{Value, json};
use thresher_job::JobSpec;

use super::{CodeFile, Evaluated};
use crate::noted::Owned;
use crate::{Input, Meta, ReadRecord, RecordOutcome, RecordSink};
use thresher_formats::gzip::InputDigest;
use thresher_formats::parquet_file::{ParquetFile, Unread};
use thresher_unit::UnitError;

/// The reason for a file without a directory, or with one that is not valid.
const REASON_DAMAGED: &str = "parquet_damaged";
/// The reason for a file whose rows are not those of The Stack.
const REASON_COLUMNS: &str = "parquet_columns_missing";
/// The reason for a row group that cannot be read, or not to its end.
const REASON_GROUP_DAMAGED: &str = "parquet_row_group_damaged";
/// The reason for a row group whose pages, or whose rows together, exceed the limit.
const REASON_GROUP_TOO_LARGE: &str = "parquet_row_group_too_large";

/// Size of the largest page in memory, in multiples of `records.max_bytes`.
const PAGES_IN_RECORDS: u64 = 2;
/// Length in bytes of the longest text that is used as a name.
const NAME_BYTES: usize = 4096;

/// The columns that a row needs.
const COLUMNS: [&str; 4] =
    ["content", "max_stars_repo_name", "max_stars_repo_path", "max_stars_repo_licenses"];

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
) -> Result<InputDigest, UnitError> {
    let owned = input.owned()?;
    let noted = owned.noted();
    let mut reading = Reading { job, input, sink, record: 0 };
    let result = read_groups(owned, &mut reading);
    if let Some(error) = noted.take() {
        return Err(input.failed(&error));
    }
    result?;
    input.digest()
}

fn read_groups(owned: Owned, reading: &mut Reading<'_, '_>) -> Result<(), UnitError> {
    let piece = reading.input.piece();
    let page_bytes = reading.job.records.max_bytes.0.saturating_mul(PAGES_IN_RECORDS);
    let opened = ParquetFile::open(owned, page_bytes).map_err(|damage| (REASON_DAMAGED, damage));
    let file = match opened.and_then(with_columns) {
        Ok(file) => file,
        // Only the first piece of such a file reports it.
        Err((reason, detail)) if piece.is_none_or(|piece| piece.offset == 0) => {
            return reading.damaged(0, reason, &detail);
        }
        Err(_) => return Ok(()),
    };
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
            None => file.rows(group, |row, bytes| reading.row(offset, row, bytes))?,
        };
        match read {
            Ok(()) => {}
            Err(Unread::Damaged(damage)) => {
                reading.damaged(offset, REASON_GROUP_DAMAGED, &damage)?;
            }
            Err(Unread::TooLarge(why)) => {
                let hint = "raise `records.max_bytes`, or write the file with smaller pages";
                let detail = format!("{why}; hint: {hint}");
                reading.damaged(offset, REASON_GROUP_TOO_LARGE, &detail)?;
            }
        }
    }
    Ok(())
}

/// Returns the file if it has the columns that rows need. Otherwise returns the reason and a detail
/// with the columns that it has.
fn with_columns(file: ParquetFile<Owned>) -> Result<ParquetFile<Owned>, (&'static str, String)> {
    let columns = file.columns();
    let missing = COLUMNS.iter().filter(|needed| !columns.iter().any(|name| name == *needed));
    let missing: Vec<&str> = missing.copied().collect();
    if missing.is_empty() {
        return Ok(file);
    }
    let detail = format!(
        "no column {}; there are {}; hint: rows must be as in The Stack v1",
        named(&missing),
        named(&columns)
    );
    Err((REASON_COLUMNS, detail))
}

/// Formats the first names of a list, which can have any length.
fn named<T: AsRef<str>>(names: &[T]) -> String {
    const MOST: usize = 40;
    let first = names.iter().take(MOST).map(|name| format!("`{}`", name.as_ref()));
    let first = first.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

struct Reading<'a, 't> {
    job: &'a JobSpec,
    input: &'a Input<'a>,
    sink: &'a mut RecordSink<'t>,
    record: u64,
}

impl Reading<'_, '_> {
    fn damaged(&mut self, offset: u64, reason: &str, detail: &str) -> Result<(), UnitError> {
        let outcome = RecordOutcome::Quarantined { id: "", url: "", reason, detail };
        let record = self.record;
        self.record += 1;
        (self.sink)(ReadRecord { offset, record, bytes: 0, outcome })
    }

    fn row(&mut self, offset: u64, row: &Row, all_bytes: u64) -> Result<(), UnitError> {
        let record = self.record;
        self.record += 1;
        let (repository, path) =
            (text(row, "max_stars_repo_name"), text(row, "max_stars_repo_path"));
        let id = match text(row, "hexsha") {
            "" => format!("{}#{record}", self.input.path()),
            hash => hash.to_owned(),
        };
        let url = match text(row, "max_stars_repo_head_hexsha") {
            "" => format!("https://github.com/{repository}/blob/HEAD/{path}"),
            head => format!("https://github.com/{repository}/blob/{head}/{path}"),
        };
        let content = column(row, "content").and_then(bytes_of);
        let bytes = content.map_or(0, <[u8]>::len) as u64;
        let mut emit =
            |outcome: RecordOutcome<'_>| (self.sink)(ReadRecord { offset, record, bytes, outcome });
        if all_bytes > self.job.records.max_bytes.0 {
            let (reason, detail) = ("record_too_large", format!("{all_bytes} bytes"));
            return emit(RecordOutcome::Quarantined {
                id: &id,
                url: &url,
                reason,
                detail: &detail,
            });
        }
        let Some(content) = content else {
            let reason = "github/no_content";
            return emit(RecordOutcome::Dropped { id: &id, url: &url, reason, detail: "" });
        };
        let content = match str::from_utf8(content) {
            Ok(content) => content,
            Err(error) => {
                let (reason, detail) = ("invalid_utf8", format!("`content`: {error}"));
                return emit(RecordOutcome::Quarantined {
                    id: &id,
                    url: &url,
                    reason,
                    detail: &detail,
                });
            }
        };
        let others = row.get_column_iter().filter(|(name, _)| *name != "content");
        let columns: Meta = others.map(|(name, field)| (name.clone(), json_of(field))).collect();
        let licences = columns.get("max_stars_repo_licenses").and_then(Value::as_array);
        let mut licences = licences.into_iter().flatten().filter_map(Value::as_str);
        let known = |licence: &&str| {
            let lower = licence.to_ascii_lowercase();
            self.job.github.licences.iter().any(|prefix| lower.starts_with(prefix))
        };
        let licence = licences.find(known).unwrap_or_default().to_owned();
        let file = CodeFile { path, licence: &licence, content, columns };
        let evaluated = Evaluated::of(&self.job.github, file);
        emit(evaluated.outcome((&id, &url), path, &licence))
    }
}

fn column<'r>(row: &'r Row, name: &str) -> Option<&'r Field> {
    row.get_column_iter().find(|(column, _)| *column == name).map(|(_, field)| field)
}

/// Returns the bytes of a column of text, whether the file's schema declares text or only bytes.
#[expect(clippy::wildcard_enum_match_arm, reason = "all others are numbers, times and lists")]
fn bytes_of(field: &Field) -> Option<&[u8]> {
    match field {
        Field::Str(text) => Some(text.as_bytes()),
        Field::Bytes(bytes) => Some(bytes.data()),
        _ => None,
    }
}

/// Returns the text of a column that is a name, or an empty text if it is missing or not valid.
fn text<'r>(row: &'r Row, name: &str) -> &'r str {
    let bytes = column(row, name).and_then(bytes_of).filter(|bytes| bytes.len() <= NAME_BYTES);
    bytes.and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
}

fn json_of(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => json!(value),
        Field::Byte(value) => json!(value),
        Field::Short(value) => json!(value),
        Field::Int(value) | Field::Date(value) | Field::TimeMillis(value) => json!(value),
        Field::Long(value)
        | Field::TimeMicros(value)
        | Field::TimestampMillis(value)
        | Field::TimestampMicros(value) => json!(value),
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
        Field::Float16(_) | Field::Decimal(_) | Field::Group(_) | Field::MapInternal(_) => {
            json!(field.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
