//! Tests of rows with texts that are not UTF-8, and of rows that are lost.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use prost::bytes::Bytes;
use serde_json::{Value, json};

use super::LOST_ROWS_PER_BYTE;
use crate::documents::Documents;
use crate::testing::{Seen, read_bytes};

/// The number of the row that is damaged, and of all rows.
const BAD: usize = 1;
const ROWS: usize = 4;

/// Columns of text at several depths. The one of each number is damaged in turn.
const SCHEMA: &str = "message row {
    required binary text (UTF8);
    required binary name (UTF8);
    optional binary kind (ENUM);
    optional binary more (JSON);
    optional group at { optional binary place (UTF8); required int64 year; }
    optional group tags (LIST) { repeated group list { optional binary element (UTF8); } }
    optional group map (MAP) {
        repeated group key_value { required binary key (UTF8); optional binary value (UTF8); }
    }
    repeated binary old (UTF8);
}";
/// The definition level of a value in each column.
const DEFINED: [i16; 10] = [0, 0, 1, 1, 2, 1, 3, 2, 3, 1];
const YEAR: usize = 5;

fn text_of(column: usize, row: usize) -> String {
    format!("text {row} of column {column}")
}

/// Returns a file of one row group, in which a column has a text that is not UTF-8.
fn file_of(bad_column: usize, dictionary: bool) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = WriterProperties::builder().set_dictionary_enabled(dictionary).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (number, level) in DEFINED.into_iter().enumerate() {
        let mut column = group.next_column().unwrap().unwrap();
        let (defined, repeated) = (vec![level; ROWS], vec![0_i16; ROWS]);
        let (defined, repeated) = (Some(&defined[..]), Some(&repeated[..]));
        if number == YEAR {
            column.typed::<Int64Type>().write_batch(&[2000; ROWS], defined, repeated).unwrap();
        } else {
            let value = |row: usize| {
                let mut text = text_of(number, row).into_bytes();
                if (number, row) == (bad_column, BAD) {
                    text[1] = 0xe9;
                }
                ByteArray::from(text)
            };
            let values: Vec<ByteArray> = (0..ROWS).map(value).collect();
            column.typed::<ByteArrayType>().write_batch(&values, defined, repeated).unwrap();
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

/// Returns the text and the `meta` of a row.
fn expected(bad_column: usize, row: usize) -> (String, Value) {
    let text = |column: usize| {
        let text = text_of(column, row);
        if (column, row) == (bad_column, BAD) { text.replacen('e', "\u{fffd}", 1) } else { text }
    };
    let meta = json!({
        "name": text(1),
        "kind": text(2),
        "more": text(3),
        "at": {"place": text(4), "year": 2000},
        "tags": [text(6)],
        "map": {text(7): text(8)},
        "old": [text(9)],
    });
    (text(0), meta)
}

#[test]
fn a_damaged_text_at_any_depth_harms_no_other_value() {
    for bad_column in (0..DEFINED.len()).filter(|column| *column != YEAR) {
        for dictionary in [false, true] {
            let bytes = file_of(bad_column, dictionary);
            let seen = read_bytes(&Documents, "documents", "a.parquet", &bytes);
            assert_eq!(seen.len(), ROWS, "column {bad_column}: {seen:?}");
            for (row, seen) in seen.iter().enumerate() {
                let Seen::Page { text, meta, damaged, .. } = seen else { panic!("{seen:?}") };
                let found = (text.clone(), Value::Object(meta.clone()));
                assert_eq!(found, expected(bad_column, row), "column {bad_column}");
                assert_eq!(*damaged, u64::from(row == BAD), "column {bad_column}");
            }
        }
    }
}

/// Returns a file of one column of texts, as pages of one row each.
fn texts_of(declared: &str, texts: &[&[u8]]) -> Vec<u8> {
    let schema = format!("message row {{ required binary text{declared}; }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(1)
        .set_write_batch_size(1)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<ByteArray> = texts.iter().map(|text| text.to_vec().into()).collect();
    column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn outcomes_of(bytes: &[u8]) -> Vec<String> {
    let seen = read_bytes(&Documents, "documents", "a.parquet", bytes);
    seen.iter().map(Seen::outcome).collect()
}

#[test]
fn a_text_is_utf_8_with_damage_or_quarantined_whatever_its_declaration() {
    let latin = b"d\xe8s No\xebl, o\xf9 un z\xe9phyr ha\xef me v\xeat de gla\xe7ons".as_slice();
    for declared in ["", " (UTF8)"] {
        let bytes = texts_of(declared, &[b"one", b"caf\xe9 x", latin, b"\xff", b"two"]);
        let found = outcomes_of(&bytes);
        assert_eq!(found, ["one", "caf\u{fffd} x", "invalid_utf8", "invalid_utf8", "two"]);
        let seen = read_bytes(&Documents, "documents", "a.parquet", &bytes);
        let Seen::Page { damaged, .. } = seen[1] else { panic!("{seen:?}") };
        assert_eq!(damaged, 1, "{declared}");
        let Seen::Quarantined { detail, .. } = &seen[2] else { panic!("{seen:?}") };
        assert_eq!(detail, "byte 1 of `text` is not valid UTF-8");
    }
}

#[test]
fn each_row_behind_a_damaged_page_is_quarantined() {
    let texts: Vec<String> = (0..50).map(|row| format!("the text of row {row:02}")).collect();
    let slices: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    let whole = texts_of(" (UTF8)", &slices);
    assert_eq!(outcomes_of(&whole), texts);
    for bad in [0, 7, 49] {
        let mut bytes = whole.clone();
        let text = texts[bad].as_bytes();
        let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
        // The length of the text, which is before it.
        bytes[at - 4..at].fill(0x7f);
        // The library reads a row ahead, so the one before the damage is lost too.
        let mut expected: Vec<&str> =
            texts[..bad.saturating_sub(1)].iter().map(String::as_str).collect();
        expected.push("parquet_row_group_damaged");
        expected.resize(texts.len(), "parquet_rows_lost");
        assert_eq!(outcomes_of(&bytes), expected, "row {bad}");
    }
}

#[test]
fn a_changed_page_with_a_checksum_is_damaged() {
    let whole = include_bytes!("../../../testdata/forms/parquet/page-checksums.parquet");
    let texts: Vec<String> =
        (0..40).map(|n| format!("row number {n:03}, a text of its own")).collect();
    assert_eq!(outcomes_of(whole), texts);
    let mut bytes = whole.to_vec();
    let changed = texts[25].as_bytes();
    let at = bytes.windows(changed.len()).position(|window| window == changed).unwrap();
    // The digit of another row: without the checksum it is a text like any other.
    bytes[at + 13] = b'8';
    // There are ten rows in a page, and the library reads a row ahead.
    let mut expected: Vec<&str> = texts[..19].iter().map(String::as_str).collect();
    expected.push("parquet_row_group_damaged");
    expected.resize(texts.len(), "parquet_rows_lost");
    assert_eq!(outcomes_of(&bytes), expected);
    let seen = read_bytes(&Documents, "documents", "a.parquet", &bytes);
    let Seen::Quarantined { detail, .. } = &seen[19] else { panic!("{seen:?}") };
    assert!(detail.contains("checksum"), "{detail}");
}

#[test]
fn a_wrong_number_of_rows_costs_bounded_work() {
    let bytes = texts_of(" (UTF8)", &[b"one", b"two"]);
    let read = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(bytes.clone())).unwrap();
    let huge = i64::MAX / 4;
    for rows in [-5, 0, 1, huge] {
        let mut metadata = read.clone().into_builder();
        let group = metadata.take_row_groups().remove(0);
        let groups = (0..3).map(|_| group.clone().into_builder().set_num_rows(rows).build());
        let groups = groups.collect::<Result<Vec<_>, _>>().unwrap();
        let metadata = metadata.set_row_groups(groups).build();
        let mut file = bytes.clone();
        ParquetMetaDataWriter::new(&mut file, &metadata).finish().unwrap();
        let found = outcomes_of(&file);
        let lost = found.iter().filter(|outcome| *outcome == "parquet_rows_lost").count() as u64;
        assert!(lost <= file.len() as u64 * LOST_ROWS_PER_BYTE, "{rows}: {lost}");
        assert_eq!(lost > 0, rows == huge, "{rows}: {lost}");
    }
}
