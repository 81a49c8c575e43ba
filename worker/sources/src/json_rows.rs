//! Reads inputs of JSON lines, in which one object is one record. Several slices use it.
//!
//! `formats::json_lines` finds lines, their offsets and damage, and `formats::json_values` the
//! objects of arrays and of texts that are not line by line; the slice interprets the objects. A
//! line that JSON forbids, but Python reads, is read (`repair`), and so is one with a field that is
//! repeated, null or of another type, unless that field is the text (`fields`). Several objects on
//! one line are as many rows (`objects`), an object over several lines is one (`spread`), numbers
//! keep their digits (`numbers`), and rows may be nested deeply (`nesting`). Other lines are
//! quarantined with their location and a reason that names the rule.

mod fields;
mod nesting;
mod numbers;
mod objects;
mod repair;
mod spread;

use std::io::{self, Read};

pub(super) use fields::{Loose, Text};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thresher_job::JobSpec;

use super::{Input, Page, PlannedInput, ReadRecord, RecordOutcome, RecordSink};
use spread::{Added, Spread};
use thresher_formats::gzip::{GzipLimits, InputDigest};
use thresher_formats::json_lines::{InsideLine, Item, Line, LineReader};
use thresher_formats::json_values::ValueReader;
use thresher_formats::piece::Piece;
use thresher_formats::unpack::Expected;
use thresher_formats::utf8::{self, Utf8Text};
use thresher_unit::UnitError;

/// The location of a row, from which its record is made.
#[derive(Debug, Clone)]
pub(super) struct RowPlace {
    /// `<input>#<offset>`, the id of rows that have no other.
    pub(super) id: String,
    /// The offset of the row in the input.
    pub(super) offset: u64,
    /// The number of the line within the piece.
    pub(super) record: u64,
    /// The length of the row in bytes.
    pub(super) bytes: u64,
    /// Number of damaged sequences in the line, which U+FFFD replaces.
    pub(super) damaged: u64,
}

impl RowPlace {
    /// Returns the record of this row with the given outcome.
    pub(super) fn read_record<'a>(&self, outcome: RecordOutcome<'a>) -> ReadRecord<'a> {
        let outcome = match outcome {
            RecordOutcome::Page(page) => {
                RecordOutcome::Page(Page { damaged_characters: self.damaged, ..page })
            }
            other @ (RecordOutcome::Dropped { .. } | RecordOutcome::Quarantined { .. }) => other,
        };
        ReadRecord { offset: self.offset, record: self.record, bytes: self.bytes, outcome }
    }
}

/// Returns the pieces of an uncompressed file. A compressed file has none, because it can only be
/// read from its start.
pub(super) fn pieces(input: &PlannedInput<'_>, target_bytes: u64) -> Vec<Piece> {
    let plain = [".json", ".jsonl", ".ndjson"].iter().any(|ending| input.path.ends_with(ending));
    match input.bytes {
        Some(bytes) if plain => Piece::even(bytes, target_bytes),
        Some(_) | None => Vec::new(),
    }
}

/// Passes each object to `each`, which passes a record to `sink`, and returns the digest of the
/// piece.
pub(super) fn read<T: DeserializeOwned>(
    job: &JobSpec,
    (input, expected): (&Input<'_>, &'static Expected),
    sink: &mut RecordSink<'_>,
    each: impl FnMut(&RowPlace, T, &mut RecordSink<'_>) -> Result<(), UnitError>,
) -> Result<InputDigest, UnitError> {
    let max_bytes = job.records.max_bytes.0 as usize;
    read_rows(Rows::Lines(open(job, input, expected)?), (input, max_bytes), sink, each)
}

/// Does the same for an input whose objects are in an array, or extend over several lines.
pub(super) fn read_values<T: DeserializeOwned>(
    job: &JobSpec,
    (input, expected): (&Input<'_>, &'static Expected),
    sink: &mut RecordSink<'_>,
    each: impl FnMut(&RowPlace, T, &mut RecordSink<'_>) -> Result<(), UnitError>,
) -> Result<InputDigest, UnitError> {
    let unpacked = input.unpacked(expected, GzipLimits::default())?.as_text();
    let max_bytes = job.records.max_bytes.0 as usize;
    let values = ValueReader::new(unpacked, max_bytes);
    read_rows(Rows::Values(values), (input, max_bytes), sink, each)
}

/// The objects of an input.
enum Rows<R> {
    Lines(LineReader<R>),
    Values(ValueReader<R>),
}

impl<R: Read> Rows<R> {
    fn next_item(&mut self) -> io::Result<Option<Item<'_>>> {
        match self {
            Self::Lines(lines) => lines.next_item(),
            Self::Values(values) => values.next_item(),
        }
    }

    fn finish(self) -> io::Result<InputDigest> {
        match self {
            Self::Lines(lines) => lines.finish(),
            Self::Values(values) => values.finish(),
        }
    }
}

fn read_rows<T: DeserializeOwned>(
    mut rows: Rows<impl Read>,
    (input, max_bytes): (&Input<'_>, usize),
    sink: &mut RecordSink<'_>,
    mut each: impl FnMut(&RowPlace, T, &mut RecordSink<'_>) -> Result<(), UnitError>,
) -> Result<InputDigest, UnitError> {
    let is_by_lines = matches!(rows, Rows::Lines(_));
    let mut spread: Option<Spread> = None;
    let mut take = |line: &Line<'_>, whole: Parsed<T>, sink: &mut RecordSink<'_>| {
        take_line(input.path(), line, whole, sink, &mut each)
    };
    while let Some(item) = rows.next_item().map_err(|error| input.failed(&error))? {
        let line = match item {
            Item::Line(line) => line,
            Item::Quarantined(bad) => {
                take_lines(spread.take(), &mut |line| take(line, parsed(line), sink))?;
                let (reason, detail) = (bad.reason, bad.detail.as_str());
                let id = format!("{}#{}", input.path(), bad.offset);
                let outcome = RecordOutcome::Quarantined { id: &id, url: "", reason, detail };
                sink(ReadRecord { offset: bad.offset, record: bad.number, bytes: 0, outcome })?;
                continue;
            }
        };
        // NULs at the start are not padding, but an input that was never written.
        let has_text = line.offset > 0 || !line.bytes.contains(&0);
        if objects::is_padding(line.bytes) && has_text {
            continue;
        }
        match spread.as_mut().map(|spread| spread.add(&line)) {
            None => {}
            Some(Added::Open) => continue,
            Some(Added::Whole) => {
                if let Some(spread) = spread.take() {
                    take(&spread.whole(), parsed(&spread.whole()), sink)?;
                }
                continue;
            }
            Some(Added::Refused) => {
                take_lines(spread.take(), &mut |line| take(line, parsed(line), sink))?;
            }
        }
        let whole = parsed(&line);
        if whole.is_err() && is_by_lines {
            spread = Spread::of(&line, max_bytes);
        }
        if spread.is_none() {
            take(&line, whole, sink)?;
        }
    }
    take_lines(spread, &mut |line| take(line, parsed(line), sink))?;
    rows.finish().map_err(|error| input.failed(&error))
}

/// Passes each line of an object on that is not one.
fn take_lines(
    spread: Option<Spread>,
    take: &mut dyn FnMut(&Line<'_>) -> Result<(), UnitError>,
) -> Result<(), UnitError> {
    spread.map_or(Ok(()), |spread| spread.lines().try_for_each(|line| take(&line)))
}

/// Parses what is in a line as one row.
fn parsed<T: DeserializeOwned>(line: &Line<'_>) -> Parsed<T> {
    parse(objects::trimmed(line.bytes).1)
}

/// Passes the row of a line on, or its rows if it is not one.
fn take_line<T: DeserializeOwned>(
    path: &str,
    line: &Line<'_>,
    whole: Parsed<T>,
    sink: &mut RecordSink<'_>,
    each: &mut impl FnMut(&RowPlace, T, &mut RecordSink<'_>) -> Result<(), UnitError>,
) -> Result<(), UnitError> {
    let place = |from: usize, bytes: usize| {
        let offset = line.offset + from as u64;
        let id = format!("{path}#{offset}");
        RowPlace { id, offset, record: line.number, bytes: bytes as u64, damaged: 0 }
    };
    let mut take = |mut place: RowPlace, row: Parsed<T>| match row {
        Ok((row, damaged)) => {
            place.damaged = damaged;
            each(&place, row, sink)
        }
        Err((reason, detail)) => {
            let outcome =
                RecordOutcome::Quarantined { id: &place.id, url: "", reason, detail: &detail };
            sink(place.read_record(outcome))
        }
    };
    let parts = if whole.is_err() { objects::parts(line.bytes) } else { Vec::new() };
    if parts.is_empty() {
        return take(place(0, line.bytes.len()), whole);
    }
    parts.into_iter().try_for_each(|part| {
        let row = parse(&line.bytes[part.clone()]);
        take(place(part.start, part.len()), row)
    })
}

fn open<'a>(
    job: &JobSpec,
    input: &Input<'a>,
    expected: &'static Expected,
) -> Result<LineReader<Box<dyn Read + Send + 'a>>, UnitError> {
    let line_max_bytes = job.records.max_bytes.0 as usize;
    let Some(piece) = input.piece() else {
        let unpacked = input.unpacked(expected, GzipLimits::default())?.as_text();
        return Ok(LineReader::unpacked(unpacked, line_max_bytes));
    };
    let inside = if input.starts_inside_line()? { InsideLine::Yes } else { InsideLine::No };
    Ok(LineReader::piece(input.open()?, line_max_bytes, piece, inside))
}

/// A row with the number of damaged sequences, or the reason and the detail for which it is
/// quarantined.
type Parsed<T> = Result<(T, u64), (&'static str, String)>;

/// Parses a row.
fn parse<T: DeserializeOwned>(line: &[u8]) -> Parsed<T> {
    let Utf8Text { text, damaged } = utf8::read(line)
        .map_err(|at| ("invalid_utf8", format!("byte {at} of the line is not valid UTF-8")))?;
    // A type also accepts a list of its fields.
    let is_object = text.trim_ascii_start().starts_with('{');
    if is_object && let Ok(row) = serde_json::from_str(&numbers::exact(&text)) {
        return Ok((row, damaged));
    }
    let text = nesting::bounded(&text);
    let text = numbers::exact(&text);
    // A type refuses a field that is repeated; of a map, Python and this take the last one.
    let invalid = |error: serde_json::Error| ("invalid_json", error.to_string());
    let value: Value = serde_json::from_str(&repair::repaired(&text)).map_err(invalid)?;
    let row: Map<String, Value> = match value {
        Value::Object(row) => row,
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)) => {
            let what = other.to_string().chars().take(40).collect::<String>();
            return Err(("json_not_an_object", format!("the line is `{what}`")));
        }
    };
    let row = serde_json::from_value(Value::Object(row)).map_err(invalid)?;
    Ok((row, damaged))
}

#[cfg(test)]
mod tests;
