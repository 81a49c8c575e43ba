//! The values of a row as JSON.
//!
//! **Invariant:** a value that is not valid UTF-8 becomes a text all the same. If the file declares
//! it as text, U+FFFD replaces what is damaged; other bytes are listed as numbers.

use std::borrow::Cow;

use parquet::record::Field;
use serde_json::{Map, Value, json};
use thresher_formats::parquet_file::text_of;
use thresher_formats::utf8;

/// Returns the bytes of a column of text, whether the file's schema declares text or only bytes.
pub(in super::super) fn bytes_of(field: &Field) -> Option<&[u8]> {
    if let Field::Bytes(bytes) = field { Some(bytes.data()) } else { text_of(field) }
}

/// Returns a text with U+FFFD in place of what is not UTF-8, however much that is, and adds the
/// number of replaced sequences to `damaged`.
pub(in super::super) fn lenient<'b>(bytes: &'b [u8], damaged: &mut u64) -> Cow<'b, str> {
    if let Ok(read) = utf8::read(bytes) {
        *damaged += read.damaged;
        return read.text;
    }
    let invalid = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty());
    *damaged += invalid.count() as u64;
    String::from_utf8_lossy(bytes)
}

/// Returns a value as JSON, and adds the number of damaged sequences in its texts to `damaged`.
/// Dates and times are texts in ISO 8601, as far as the file says that they are such.
pub(in super::super) fn json_of(field: &Field, damaged: &mut u64) -> Value {
    if let Some(text) = text_of(field) {
        return json!(lenient(text, damaged));
    }
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
        Field::ListInternal(list) => {
            list.elements().iter().map(|element| json_of(element, damaged)).collect()
        }
        Field::Group(row) => {
            let fields = row.get_column_iter();
            let fields = fields.map(|(name, field)| (name.clone(), json_of(field, damaged)));
            Value::Object(fields.collect())
        }
        Field::MapInternal(map) => {
            let mut entries = Map::new();
            for (key, value) in map.entries() {
                entries.insert(key_of(key, damaged), json_of(value, damaged));
            }
            Value::Object(entries)
        }
        Field::Float16(_) | Field::Decimal(_) => json!(field.to_string()),
    }
}

fn key_of(field: &Field, damaged: &mut u64) -> String {
    match json_of(field, damaged) {
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
pub(super) fn iso_time(time: i64, parts: i64) -> String {
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

    fn json(field: &Field) -> Value {
        json_of(field, &mut 0)
    }

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
            assert_eq!(json(&Field::Date(days)), date, "{days}");
        }
        let time = 1_700_000_000_000;
        assert_eq!(json(&Field::TimestampMillis(time)), "2023-11-14T22:13:20Z");
        assert_eq!(json(&Field::TimestampMillis(time + 7)), "2023-11-14T22:13:20.007Z");
        assert_eq!(json(&Field::TimestampMicros(-1)), "1969-12-31T23:59:59.999999Z");
        assert_eq!(
            iso_time(1_700_000_000_000_000_007, 1_000_000_000),
            "2023-11-14T22:13:20.000000007Z"
        );
        let most = json(&Field::TimestampMillis(i64::MIN));
        assert!(most.as_str().is_some_and(|text| text.starts_with('-')), "{most}");
    }
}
