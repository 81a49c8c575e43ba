//! Tests of rows in JSON and Parquet, with files of the parquet crate's own writer.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use super::*;
use crate::testing::{Seen, job, read_with};
use crate::{check_piece, source_of};
use thresher_storage::Location;
use thresher_unit::staging::InputRow;

const RENAMED: &str = "columns = { text = \"content\", url = \"meta.link\", id = \"key\", \
                       title = \"name\", date = \"at\", language = \"lang\", licence = \"terms\" }";

/// A job whose source has these keys too.
fn job_with(keys: &str) -> JobSpec {
    let text = format!(
        "[job]\nname = \"t\"\n[[source]]\nslice = \"documents\"\nlisting = \"x\"\n{keys}\n\
         [language]\nmodel = \"none\"\n[output]\npath = \"out\"\n"
    );
    JobSpec::parse(&text, std::path::Path::new("/")).unwrap()
}

fn outcomes(job: &JobSpec, path: &str, bytes: &[u8]) -> Vec<String> {
    read_with(&Documents, job, path, bytes).iter().map(Seen::outcome).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn an_array_that_is_cut_is_reported_after_its_rows() {
    let job = job_with("");
    let start = r#"[{"text":"x1"},{"text":"x2"}"#;
    let spread = "{\"text\": \"x1\"}\n{\n \"text\": \"x2\"\n}\n";
    for (text, expected) in [
        (format!("{start}]"), &["x1", "x2"][..]),
        (format!("{start},"), &["x1", "x2", "json_truncated"]),
        (start.to_owned(), &["x1", "x2", "json_truncated"]),
        (format!("{start},{{\"text\":\"x"), &["x1", "x2", "json_truncated"]),
        (format!("{start},{{\"text\":\"x}}]"), &["x1", "x2", "json_rest_unreadable"]),
        (spread.to_owned(), &["x1", "x2"]),
    ] {
        assert_eq!(outcomes(&job, "a.json", text.as_bytes()), expected, "{text}");
        assert_eq!(outcomes(&job, "a.json.gz", &gzip(text.as_bytes())), expected, "{text}");
    }
}

#[test]
fn a_deeply_nested_column_is_published() {
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let line = format!("{{\"text\": \"a\", \"deep\": {deep}, \"flat\": [1]}}");
    let seen = read_with(&Documents, &job_with(""), "a.jsonl", line.as_bytes());
    let [Seen::Page { text, meta, .. }] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((text.as_str(), &meta["flat"]), ("a", &json!([1])));
    assert_eq!(meta["deep"].to_string().matches('[').count(), 1000);
}

/// Returns a file with a row group for each text, in the columns of [`RENAMED`].
fn parquet(texts: &[&[u8]]) -> Vec<u8> {
    const SCHEMA: &str = "message row {
        required binary content;
        required group meta { required binary link (UTF8); required int64 stars; }
        required int64 at (TIMESTAMP(NANOS, true));
        required group terms (LIST) { repeated group list { required binary element (UTF8); } }
    }";
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for text in texts {
        let mut group = writer.next_row_group().unwrap();
        let values: [Option<&[u8]>; 5] = [Some(text), Some(b"http://u/"), None, None, Some(b"MIT")];
        for (number, value) in values.into_iter().enumerate() {
            let mut column = group.next_column().unwrap().unwrap();
            match value {
                Some(value) => {
                    let levels = (number == 4).then_some((&[1_i16][..], &[0_i16][..]));
                    let typed = column.typed::<ByteArrayType>();
                    let (defined, repeated) = (levels.map(|it| it.0), levels.map(|it| it.1));
                    typed.write_batch(&[ByteArray::from(value.to_vec())], defined, repeated)
                }
                None => {
                    let value = [if number == 3 { 3_000_000_000 } else { 2000 }];
                    column.typed::<Int64Type>().write_batch(&value, None, None)
                }
            }
            .unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn columns_become_fields_and_all_others_meta() {
    let row = json!({"content": "a text", "meta": {"link": "http://u/", "stars": 5}, "key": 7,
                     "name": "T", "at": "2024-01-01", "lang": "de", "terms": "MIT", "score": 0.5,
                     "text": "other"});
    let bytes = format!("{row}\n");
    for packed in [bytes.clone().into_bytes(), gzip(bytes.as_bytes())] {
        let seen = read_with(&Documents, &job_with(RENAMED), "a.jsonl", &packed);
        let [Seen::Page { id, url, date, title, text, licence, meta, .. }] = &seen[..] else {
            panic!("{seen:?}")
        };
        let fields = [id, url, date, title, text].map(String::as_str);
        assert_eq!(fields, ["7", "http://u/", "2024-01-01", "T", "a text"]);
        assert_eq!(licence.as_deref(), Some("MIT"));
        let rest = json!({"meta": {"stars": 5}, "score": 0.5, "text": "other"});
        assert_eq!(Value::Object(meta.clone()), rest);
    }
}

#[test]
fn arrays_objects_over_lines_and_packed_lines_give_the_same_documents() {
    let rows = [json!({"text": "a } \"b\"", "n": [1, {"x": 2}]}), json!({"text": "c", "n": null})];
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    let array = Value::Array(rows.to_vec());
    let lines = format!("{}\n{}\n", rows[0], rows[1]);
    let texts = [
        lines.clone(),
        format!("\u{feff}{lines}"),
        array.to_string(),
        pretty(&array),
        format!("[\n{},\n{}\n]", rows[0], rows[1]),
        format!("{}\n{}\n", pretty(&rows[0]), pretty(&rows[1])),
    ];
    let utf16 = |text: &str| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    for text in &texts {
        let bytes = text.as_bytes();
        let packed = [bytes.to_vec(), gzip(bytes), zstd::encode_all(bytes, 1).unwrap()];
        for bytes in packed {
            let found = outcomes(&job_with(""), "a.json", &bytes);
            assert_eq!(found, ["a } \"b\"", "c"], "{text}");
        }
    }
    assert_eq!(outcomes(&job_with(""), "a.json", &utf16(&lines)), ["a } \"b\"", "c"]);
    let one = outcomes(&job_with(""), "one.json", pretty(&rows[0]).as_bytes());
    assert_eq!(one, ["a } \"b\""], "a file that is one object");
}

#[test]
fn rows_that_are_not_documents_are_reported_with_their_reason() {
    let lines = "{\"text\": \"a\"}\n{\"text\": \"\"}\n{\"url\": \"u\"}\n{\"text\": null}\n\
                 {\"text\": 5}\nnothing\n[1]\n";
    let expected = [
        "a",
        "documents/empty",
        "documents/no_text",
        "documents/no_text",
        "documents/text_type",
        "invalid_json",
        "json_not_an_object",
    ];
    assert_eq!(outcomes(&job_with(""), "a.jsonl", lines.as_bytes()), expected);
    let array = "[{\"text\": \"a\"}, 5, {\"text\": [1]}, {\"text\": \"b\"}]";
    let expected = ["a", "json_not_an_object", "documents/text_type", "b"];
    assert_eq!(outcomes(&job_with(""), "a.json", array.as_bytes()), expected);
}

#[test]
fn a_row_beyond_the_limit_is_the_only_one_lost() {
    let mut job = job_with("");
    job.records.max_bytes = thresher_job::Bytes(1024);
    let long = "x".repeat(2000);
    let rows = format!("{{\"text\": \"a\"}},\n{{\"text\": \"{long}\"}},\n{{\"text\": \"b\"}}");
    let array = format!("[\n{rows}\n]");
    assert_eq!(outcomes(&job, "a.json", array.as_bytes()), ["a", "record_too_large", "b"]);
    let lines = rows.replace(",\n", "\n");
    assert_eq!(outcomes(&job, "a.json", lines.as_bytes()), ["a", "line_too_long", "b"]);
    let mut job = job_with(RENAMED);
    job.records.max_bytes = thresher_job::Bytes(1024);
    let bytes = parquet(&[b"a", &[b'x'; 1500], b"b"]);
    assert_eq!(outcomes(&job, "a.parquet", &bytes), ["a", "record_too_large", "b"]);
}

#[test]
fn rows_of_parquet_are_documents_whatever_the_name() {
    let bytes = parquet(&[b"one", b"", b"\xff", b"two"]);
    for path in ["a.parquet", "part-0", "a.json"] {
        let seen = read_with(&Documents, &job_with(RENAMED), path, &bytes);
        let found: Vec<String> = seen.iter().map(Seen::outcome).collect();
        assert_eq!(found, ["one", "documents/empty", "invalid_utf8", "two"], "{path}");
        let Seen::Page { id, url, date, licence, meta, .. } = &seen[3] else { panic!("{seen:?}") };
        assert_eq!(*id, format!("{path}#3.0"));
        assert_eq!((url.as_str(), date.as_str()), ("http://u/", "1970-01-01T00:00:03Z"));
        assert_eq!(licence.as_deref(), Some("MIT"));
        assert_eq!(Value::Object(meta.clone()), json!({"meta": {"stars": 2000}}));
    }
    let cut = outcomes(&job_with(RENAMED), "a.parquet", &bytes[..bytes.len() - 1]);
    assert_eq!(cut, ["parquet_damaged"]);
}

#[test]
fn an_input_without_the_column_is_a_fault_of_the_job_file() {
    let lines = b"{\"body\": \"a\", \"url\": \"u\"}\n{\"body\": \"b\", \"n\": 1}\n".to_vec();
    let array = b"[{\"body\": \"a\", \"n\": 1, \"url\": \"\"}]".to_vec();
    for (bytes, columns) in [
        (lines, "`body`, `n`, `url`"),
        (array, "`body`, `n`, `url`"),
        (parquet(&[b"one"]), "`content`, `meta`, `at`, `terms`"),
    ] {
        let job = job_with("");
        let input = Input::sample("in", "in", &bytes, PathBuf::new());
        let error = Documents.read(&job, &job.source[0], &input, &mut |_| Ok(())).unwrap_err();
        let UnitError::JobFile(text) = error else { panic!("{error:?}") };
        let expected = format!(
            "has no column `text`, in which source `documents` has its texts; \
                                its columns are {columns}\nhint: name the column"
        );
        assert!(text.contains(&expected), "{text}");
    }
    let damaged = outcomes(&job_with(""), "a.jsonl", b"not json\n");
    assert_eq!(damaged, ["invalid_json"], "without a row there is no column to miss");
}

#[test]
fn pieces_give_every_row_once() {
    let texts: Vec<String> = (0..9).map(|n| format!("text {n}")).collect();
    let slices: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    let lines: String =
        texts.iter().map(|text| json!({"content": text}).to_string() + "\n").collect();
    for (path, bytes) in [("a.parquet", parquet(&slices)), ("a.jsonl", lines.into_bytes())] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let (job, length) = (job_with(RENAMED), bytes.len() as u64);
        for target in [20, 90, 400] {
            let planned = PlannedInput { source: &job.source[0], path, bytes: Some(length) };
            let pieces = Documents.pieces(&job, &planned, target).unwrap();
            let (mut found, mut ids) = (Vec::new(), std::collections::BTreeSet::new());
            for piece in pieces.iter().copied().map(Some).chain(pieces.is_empty().then_some(None)) {
                let row = InputRow { bytes: Some(length), piece, ..InputRow::named(path.into()) };
                let location = Location::from(file.path());
                let input = Input::stored(location, &row, PathBuf::new()).unwrap();
                check_piece(&Documents, &input).unwrap();
                let read = Documents.read(&job, &job.source[0], &input, &mut |record| {
                    if let RecordOutcome::Page(page) = record.outcome {
                        found.push(page.text.to_owned());
                        ids.insert(page.id.to_owned());
                    }
                    Ok(())
                });
                assert_eq!(read.unwrap().bytes, piece.map_or(length, |piece| piece.length));
            }
            assert_eq!(found, texts, "{path} in pieces of {target}");
            assert_eq!(ids.len(), texts.len(), "{path} in pieces of {target}: {ids:?}");
        }
    }
}

#[test]
fn what_cannot_be_cut_stays_whole() {
    let source = source_of(job("documents", "thresher", "").source[0].slice);
    for (form, cut) in [
        (Form::Json, true),
        (Form::Parquet, true),
        (Form::JsonArray, false),
        (Form::JsonText, false),
        (Form::Gzip, false),
    ] {
        assert_eq!(source.can_cut(form), cut, "{form}");
    }
}
