//! Tests with files of the parquet crate's own writer: whole, in pieces and damaged.

use std::path::PathBuf;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::super::Github;
use crate::testing::{Seen, job, read_bytes, read_with};
use crate::{Input, RecordOutcome, Source};
use thresher_formats::parquet_file::{ParquetFile, Unread};
use thresher_formats::piece::Piece;
use thresher_storage::Location;
use thresher_unit::staging::InputRow;

const SCHEMA: &str = "message row {
    required binary hexsha (UTF8);
    required int64 size;
    required binary max_stars_repo_path (UTF8);
    required binary max_stars_repo_name (UTF8);
    optional group max_stars_repo_licenses (LIST) {
        repeated group list { optional binary element (UTF8); }
    }
    required binary content (UTF8);
}";

/// Returns a file with a row group for each content.
fn file_of(contents: &[&str], licence: &str) -> Vec<u8> {
    let contents: Vec<&[u8]> = contents.iter().map(|content| content.as_bytes()).collect();
    file_with(SCHEMA, &contents, licence)
}

fn file_with(schema: &str, contents: &[&[u8]], licence: &str) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for (number, content) in contents.iter().enumerate() {
        let hash = format!("hash{number}");
        let licence = licence.as_bytes();
        let texts: [Option<&[u8]>; 6] = [
            Some(hash.as_bytes()),
            None,
            Some(b"a.py"),
            Some(b"u/r"),
            Some(licence),
            Some(content),
        ];
        let mut group = writer.next_row_group().unwrap();
        for text in texts {
            let mut column = group.next_column().unwrap().unwrap();
            match text {
                None => column.typed::<Int64Type>().write_batch(&[7], None, None).map(|_| ()),
                Some(text) => {
                    let levels = (text == licence).then_some((&[3_i16][..], &[0_i16][..]));
                    let values = [ByteArray::from(text.to_vec())];
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&values, levels.map(|l| l.0), levels.map(|l| l.1))
                        .map(|_| ())
                }
            }
            .unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

/// Returns a file with one row group of these contents, compressed with Zstandard.
fn group_of(contents: &[ByteArray], page_bytes: usize) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_size_limit(page_bytes)
        .set_dictionary_page_size_limit(1 << 30)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_write_batch_size(1);
    let properties = Arc::new(properties.build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let count = contents.len();
    let mut group = writer.next_row_group().unwrap();
    let names = [Some("hash"), None, Some("a.py"), Some("u/r"), Some("MIT")];
    for name in names {
        let mut column = group.next_column().unwrap().unwrap();
        match name {
            None => column.typed::<Int64Type>().write_batch(&vec![7; count], None, None),
            Some(name) => {
                let values = vec![ByteArray::from(name); count];
                let (defined, repeated) = (vec![3_i16; count], vec![0_i16; count]);
                let levels = (name == "MIT").then_some((&defined[..], &repeated[..]));
                let typed = column.typed::<ByteArrayType>();
                typed.write_batch(&values, levels.map(|l| l.0), levels.map(|l| l.1))
            }
        }
        .unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(contents, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn outcomes_of(bytes: &[u8]) -> Vec<String> {
    read_bytes(&Github, "github", "a.parquet", bytes).iter().map(Seen::outcome).collect()
}

#[test]
fn rows_of_the_stack_are_files() {
    let bytes = file_of(&["x = 1", "y = 2"], "MIT");
    let seen = read_bytes(&Github, "github", "a.parquet", &bytes);
    let Seen::Page { id, url, title, text, licence, meta, .. } = &seen[0] else {
        panic!("{seen:?}")
    };
    assert_eq!((id.as_str(), title.as_str(), text.as_str()), ("hash0", "a.py", "x = 1"));
    assert_eq!(url, "https://github.com/u/r/blob/HEAD/a.py");
    assert_eq!(licence.as_deref(), Some("MIT"));
    assert_eq!((&meta["size"], &meta["max_stars_repo_licenses"][0]), (&7.into(), &"MIT".into()));
    assert!(!meta.contains_key("content"));
    assert_eq!(seen[1].outcome(), "y = 2");
    assert_eq!(outcomes_of(&file_of(&["x = 1"], "GPL-3.0")), ["github/licence"]);
}

/// The file that other tests damage.
const TWO: &[u8] = include_bytes!("../../../../testdata/github/two.parquet");

#[test]
fn the_fixture_equals_the_output_of_the_writer() {
    let texts = ["x = 1\n", "y = 2\n"];
    assert_eq!(outcomes_of(TWO), texts);
    assert_eq!(outcomes_of(&file_of(&texts, "MIT")), texts);
}

#[test]
fn columns_that_are_not_declared_as_text_are_read_as_text_if_valid() {
    let unmarked = SCHEMA.replace(" (UTF8)", "");
    let bytes = file_with(&unmarked, &[b"x = 1\n", b"y = \xff\n"], "MIT");
    let seen = read_bytes(&Github, "github", "a.parquet", &bytes);
    let Seen::Page { id, text, licence, meta, .. } = &seen[0] else { panic!("{seen:?}") };
    assert_eq!((id.as_str(), text.as_str(), licence.as_deref()), ("hash0", "x = 1\n", Some("MIT")));
    assert_eq!(meta["max_stars_repo_path"], "a.py");
    assert_eq!(seen[1].outcome(), "invalid_utf8");
}

#[test]
fn a_damaged_byte_in_any_column_harms_no_other_row() {
    let bytes =
        group_of(&["x = 1\n".into(), b"caf\xe9 = 1\n".to_vec().into(), "y = 2\n".into()], 1);
    assert_eq!(outcomes_of(&bytes), ["x = 1\n", "invalid_utf8", "y = 2\n"]);
    let mut bytes = file_of(&["x = 1\n", "y = 2\n"], "MIT");
    // Each row has its own group and dictionary here, and this is the first.
    let path = bytes.windows(4).position(|bytes| bytes == b"a.py").unwrap();
    bytes[path] = 0xe9;
    let seen = read_bytes(&Github, "github", "a.parquet", &bytes);
    let Seen::Page { url, text, meta, damaged, .. } = &seen[0] else { panic!("{seen:?}") };
    assert_eq!(url, "https://github.com/u/r/blob/HEAD/\u{fffd}.py");
    assert_eq!((text.as_str(), *damaged), ("x = 1\n", 1));
    assert_eq!(meta["max_stars_repo_path"], "\u{fffd}.py");
    let Seen::Page { text, damaged, .. } = &seen[1] else { panic!("{seen:?}") };
    assert_eq!((text.as_str(), *damaged), ("y = 2\n", 0));
}

#[test]
fn a_truncated_file_or_one_that_is_not_parquet_is_quarantined() {
    let bytes = file_of(&["x = 1", "y = 2"], "MIT");
    for length in [0, 3, 100, bytes.len() - 1] {
        assert_eq!(outcomes_of(&bytes[..length]), ["parquet_damaged"], "{length}");
    }
}

#[test]
fn a_file_without_the_columns_that_rows_need_is_quarantined_once() {
    let schema = "message row { required binary text (UTF8); required binary content (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        let values = [ByteArray::from("x = 1"), ByteArray::from("y = 2")];
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    let bytes = writer.into_inner().unwrap();
    let seen = read_bytes(&Github, "github", "a.parquet", &bytes);
    let [Seen::Quarantined { reason, detail, .. }] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(reason, "parquet_columns_missing");
    let expected = "no column `max_stars_repo_name`, `max_stars_repo_path`, \
                    `max_stars_repo_licenses`; there are `text`, `content`; hint: ";
    assert!(detail.starts_with(expected), "{detail}");
}

#[test]
fn a_damaged_row_group_is_the_only_one_lost() {
    let long = "abcdefgh = 1\n".repeat(20);
    let mut bytes = file_of(&[&long, "y = 2"], "MIT");
    // The header of the first column's first page.
    bytes[4..12].fill(0xff);
    assert_eq!(outcomes_of(&bytes), ["parquet_row_group_damaged", "y = 2"]);
}

#[test]
fn a_row_that_is_too_large_is_the_only_one_lost() {
    let large = vec![b'x'; 1500];
    let contents = ["x = 1".into(), ByteArray::from(large), "y = 2".into()];
    let job = job("github", "thresher", "[records]\nmax_bytes = \"1KiB\"");
    let seen = read_with(&Github, &job, "a.parquet", &group_of(&contents, 1));
    let outcomes: Vec<String> = seen.iter().map(Seen::outcome).collect();
    assert_eq!(outcomes, ["x = 1", "record_too_large", "y = 2"]);
}

#[test]
fn a_page_that_is_too_large_is_not_unpacked() {
    let large = |byte: u8| ByteArray::from(vec![byte; 1000]);
    let contents = [large(b'x'), large(b'y'), large(b'z')];
    let job = job("github", "thresher", "[records]\nmax_bytes = \"1KiB\"");
    let seen = read_with(&Github, &job, "a.parquet", &group_of(&contents, 1 << 20));
    let outcomes: Vec<String> = seen[1..].iter().map(Seen::outcome).collect();
    assert_eq!(outcomes, ["parquet_rows_lost", "parquet_rows_lost"]);
    let Seen::Quarantined { reason, detail, .. } = &seen[0] else { panic!("{seen:?}") };
    assert_eq!(reason, "parquet_row_group_too_large");
    let expected = "column `content` has a page of 3012 bytes";
    assert!(detail.starts_with(expected), "{detail}");
    assert!(
        detail.contains("no more than 2048 may be; hint: raise `records.max_bytes`"),
        "{detail}"
    );
}

#[test]
fn a_dictionary_value_is_not_repeated_without_limit() {
    let large = ByteArray::from(vec![b'x'; 4 << 20]);
    let bytes = group_of(&vec![large; 2000], 1 << 20);
    assert!(bytes.len() < 10_000, "{}", bytes.len());
    let file = ParquetFile::open(prost::bytes::Bytes::from(bytes), 16 << 20).unwrap();
    let mut rows = 0;
    let read = file.rows(0, |_, bytes| {
        assert!(bytes > 4 << 20, "{bytes}");
        rows += 1;
        Ok::<(), ()>(())
    });
    let Ok(Err(Unread::TooLarge(why))) = read else { panic!("{read:?}") };
    assert_eq!(rows, 255, "a GiB");
    assert!(why.starts_with("after 255 of 2000 rows: "), "{why}");
}

#[test]
fn a_panic_of_the_library_is_damage() {
    let bytes = include_bytes!("../../../../testdata/github/no-dictionary.parquet");
    let outcomes = outcomes_of(bytes);
    assert!(outcomes.contains(&"parquet_row_group_damaged".to_owned()), "{outcomes:?}");
}

#[test]
fn pieces_yield_every_row_group_once() {
    let contents: Vec<String> = (0..9).map(|n| format!("x{n} = {n}")).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let bytes = file_of(&contents, "MIT");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let job = job("github", "thresher", "");
    for target in [50, 400, 1500] {
        let mut found = Vec::new();
        for piece in Piece::even(bytes.len() as u64, target) {
            let row = InputRow {
                bytes: Some(bytes.len() as u64),
                piece: Some(piece),
                ..InputRow::named("a.parquet".to_owned())
            };
            let input = Input::stored(Location::from(file.path()), &row, PathBuf::new()).unwrap();
            let digest = Github.read(&job, &job.source[0], &input, &mut |record| {
                if let RecordOutcome::Page(page) = record.outcome {
                    found.push(page.text.to_owned());
                }
                Ok(())
            });
            assert_eq!(digest.unwrap().bytes, piece.length);
        }
        assert_eq!(found, contents, "pieces of {target}");
    }
}
