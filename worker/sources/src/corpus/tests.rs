//! Tests of rows of every schema, and of the selection of languages.

use std::path::PathBuf;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;
use crate::Published;
use crate::testing::{Seen, job, read_with};
use thresher_unit::staging::StagedCluster;

/// Reads a shard with one document, and passes it to `check`.
fn one(bytes: &[u8], check: impl Fn(&Page<'_>, &Published<'_>)) {
    let job = job("corpus", "thresher", "");
    let path = "documents/wiki-00000.jsonl.zst";
    let input = Input::sample(path, path, bytes, PathBuf::new());
    let mut documents = 0;
    let read = Corpus.read(&job, &job.source[0], &input, &mut |record| {
        let RecordOutcome::Page(page) = record.outcome else { panic!("{record:?}") };
        check(&page, page.published.expect("a document of a corpus was published"));
        documents += 1;
        Ok(())
    });
    read.unwrap();
    assert_eq!(documents, 1);
}

#[test]
fn every_column_of_the_uniform_schema_is_kept() {
    let old = r#"{"id":"i","text":"a\nb","source":"wiki","slice":"wikipedia","url":"http://u/","date":"2024","dump":"CC-MAIN-2024-10","licence":"MIT","title":"t","language":"en","language_score":0.1,"perplexity":312.70000000000005,"bucket":"head","reference_score":0.30000000000000004,"tokens":4,"input":"f.xml","offset":5,"record":12,"chars":3,"bytes":3,"lines":2,"original_chars":20,"original_lines":3,"content_hash":"07","recipe":"thresher/0.1.0","filter_values":"{\"length/too_few_chars\":3}","cluster":"k","cluster_size":4,"near_duplicates":3,"meta":{"b":1.10,"a":[null]}}"#;
    let new = old
        .replace(r#""meta":{"b":1.10,"a":[null]}"#, r#""meta":"{\"b\":1.10,\"a\":[null]}""#)
        .replace(r#""date":"2024""#, r#""date":null,"date_stated":"2024""#)
        .replace(r#""licence":"MIT""#, r#""licence":null,"licence_stated":"MIT""#);
    for line in [old, &new] {
        one(&zstd::encode_all(line.as_bytes(), 1).unwrap(), |page, published| {
            let texts = [page.id, page.text, page.url, page.date, page.title];
            assert_eq!(texts, ["i", "a\nb", "http://u/", "2024", "t"]);
            assert_eq!((page.language, page.licence), (Some("en"), Some("MIT")));
            let expected = Published {
                source: "wiki",
                slice: "wikipedia",
                recipe: "thresher/0.1.0",
                dump: "CC-MAIN-2024-10",
                language_score: Some(0.1),
                // The shortest texts of these numbers, which a fast parser may miss by one digit.
                perplexity: Some(312.700_000_000_000_05),
                bucket: Some("head"),
                reference_score: Some(0.300_000_000_000_000_04),
                tokens: Some(4),
                input: "f.xml",
                offset: 5,
                record: 12,
                original_chars: Some(20),
                original_lines: Some(3),
                filter_values: Some(r#"{"length/too_few_chars":3}"#),
                cluster: Some(StagedCluster { id: "k", size: 4, near_duplicates: 3 }),
                meta: Some(r#"{"b":1.10,"a":[null]}"#),
            };
            assert_eq!(*published, expected);
        });
    }
    let absent = br#"{"id":"i","text":"a","url":null,"date":null,"language":null,"meta":null}"#;
    one(absent, |page, published| {
        assert_eq!((page.url, page.language, published.meta), ("", None, None));
    });
}

#[test]
fn redpajamas_documents_are_read_as_far_as_their_columns_go() {
    let place = r#""id":"i","url":"u","language":"en","input":"f.gz","offset":5,"record":12,"content_hash":"07","tokens":4"#;
    let crawled = format!(
        r#"{{"pred_label":"x","pred_label_prob":0.7,"wiki_prob":0.75,"text":"a","source":"cc/d/f/line3","meta":{{{place}}}}}"#
    );
    let other = format!(r#"{{"text":"a","meta":{{"k":1}},"origin":{{{place}}}}}"#);
    for (line, score, meta) in [(crawled, Some(0.75), None), (other, None, Some("{\"k\":1}"))] {
        one(line.as_bytes(), |page, published| {
            assert_eq!((page.id, page.url, page.language), ("i", "u", Some("en")));
            assert_eq!((published.input, published.offset, published.record), ("f.gz", 5, 12));
            assert_eq!((published.tokens, published.source), (Some(4), ""));
            assert_eq!((published.reference_score, published.meta), (score, meta));
        });
    }
}

#[test]
fn rows_of_parquet_have_the_same_columns() {
    let schema = "message row {
        required binary id (UTF8);
        required binary text (UTF8);
        optional float language_score;
        optional double perplexity;
        optional int64 tokens;
        optional binary meta (UTF8);
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut number = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        let text = |text: &str| [ByteArray::from(text)];
        let is_optional = number > 1;
        let levels = is_optional.then_some(&[1_i16][..]);
        match number {
            0 => column.typed::<ByteArrayType>().write_batch(&text("i"), levels, None),
            1 => column.typed::<ByteArrayType>().write_batch(&text("a\nb"), levels, None),
            2 => column.typed::<FloatType>().write_batch(&[0.1], levels, None),
            3 => column.typed::<DoubleType>().write_batch(&[312.700_000_000_000_05], levels, None),
            4 => column.typed::<Int64Type>().write_batch(&[4], levels, None),
            _ => column.typed::<ByteArrayType>().write_batch(&text("{\"a\":1}"), levels, None),
        }
        .unwrap();
        column.close().unwrap();
        number += 1;
    }
    group.close().unwrap();
    one(&writer.into_inner().unwrap(), |page, published| {
        assert_eq!((page.id, page.text), ("i", "a\nb"));
        assert_eq!(published.language_score, Some(0.1));
        assert_eq!(published.perplexity, Some(312.700_000_000_000_05));
        assert_eq!((published.tokens, published.meta), (Some(4), Some("{\"a\":1}")));
    });
}

#[test]
fn documents_in_other_languages_are_dropped_and_rows_without_text_quarantined() {
    let mut job = job("corpus", "thresher", "");
    job.source[0].select.language = vec!["de".to_owned()];
    let lines = b"{\"text\":\"a\",\"language\":\"de\"}\n{\"text\":\"b\",\"language\":\"en\"}\n\
                  {\"text\":\"c\"}\n{\"language\":\"de\"}\n";
    let seen = read_with(&Corpus, &job, "documents/a-00000.jsonl.zst", lines);
    let found: Vec<String> = seen.iter().map(Seen::outcome).collect();
    assert_eq!(found, ["a", "corpus/not_selected", "corpus/not_selected", "json_no_text"]);
}
