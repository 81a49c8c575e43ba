//! Tests the bytes of each schema. They are published, so the lines here are literal.

use super::*;
use crate::stages::recipe::SourceRecipe;
use thresher_unit::staging::{RowVerdict, StagedCluster, StagedLabel};

const HASH: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn job(schema: &str, slice: &str) -> JobSpec {
    let text = format!(
        "[job]\nname = \"j\"\n[[source]]\nname = \"s\"\nslice = \"{slice}\"\nlisting = \"x\"\n\
         [language]\nmodel = \"none\"\n[tokens]\ntokenizer = \"none\"\n\
         [output]\npath = \"out\"\nschema = \"{schema}\"\n"
    );
    JobSpec::parse(&text, std::path::Path::new("/")).unwrap()
}

fn document<'a>() -> StagedDocument<'a> {
    StagedDocument {
        id: "i",
        text: "a \"quoted\"\nline",
        url: "http://u/",
        date: "2024",
        title: "t\u{1}",
        dump: "CC-MAIN-2024-10",
        language: Some("en"),
        language_score: Some(0.1),
        input: "d/CC-MAIN-2024-10/f.wet.gz",
        offset: 5,
        record: 12,
        chars: 15,
        lines: 2,
        original_chars: 20,
        original_lines: 3,
        content_hash: [7; 32],
        ..StagedDocument::default()
    }
}

fn classified(document: StagedDocument<'_>) -> StagedDocument<'_> {
    let classified = StagedLabel { label: "__label__wiki", probability: 0.7, score: 0.75 };
    let (perplexity, bucket) = (Some(300.25), Some("head"));
    StagedDocument { classified: Some(classified), perplexity, bucket, tokens: Some(4), ..document }
}

fn rendered(job: &JobSpec, document: &StagedDocument<'_>) -> String {
    let mut line = Vec::new();
    renderer(job, &job.source[0], SourceRecipe::of(job, &job.source[0]))
        .render(document, 3, &mut line)
        .unwrap();
    String::from_utf8(line).unwrap()
}

#[test]
fn a_document_of_the_uniform_schema_has_every_field() {
    let job = job("uniform", "commoncrawl");
    let version = thresher_proto::VERSION;
    let cluster = "null,\"cluster_size\":null,\"near_duplicates\":null";
    let line = |language, score, scores, hash: &str, meta| {
        format!(
            r#"{{"id":"i","text":"a \"quoted\"\nline","source":"s","slice":"commoncrawl","url":"http://u/","date":"2024","date_stated":null,"dump":"CC-MAIN-2024-10","licence":null,"licence_stated":null,"title":"t\u0001","language":{language},"language_score":{score},{scores},"input":"d/CC-MAIN-2024-10/f.wet.gz","offset":5,"record":12,"chars":15,"bytes":15,"lines":2,"original_chars":20,"original_lines":3,"content_hash":"{hash}","recipe":"thresher/{version}","filter_values":null,"cluster":{cluster},"meta":{meta}}}"#
        ) + "\n"
    };
    let none = r#""perplexity":null,"bucket":null,"reference_score":null,"tokens":null"#;
    assert_eq!(rendered(&job, &document()), line(r#""en""#, "0.1", none, HASH, "null"));
    let unknown = StagedDocument { language: None, language_score: None, ..document() };
    assert_eq!(rendered(&job, &unknown), line("null", "null", none, HASH, "null"));
    let all = r#""perplexity":300.25,"bucket":"head","reference_score":0.75,"tokens":4"#;
    let meta = r#"{"b":1,"a":[null]}"#;
    let with_meta = StagedDocument { meta: Some(meta), ..classified(document()) };
    let expected = line(r#""en""#, "0.1", all, HASH, r#""{\"b\":1,\"a\":[null]}""#);
    assert_eq!(rendered(&job, &with_meta), expected);
    let cluster = Some(StagedCluster { id: "k", size: 4, near_duplicates: 3 });
    let with_cluster = rendered(&job, &StagedDocument { cluster, ..document() });
    let columns = r#""cluster":"k","cluster_size":4,"near_duplicates":3,"meta":null}"#;
    assert!(with_cluster.ends_with(&format!("{columns}\n")), "{with_cluster}");
}

#[test]
fn a_page_of_redpajama_is_named_after_its_line() {
    let job = job("redpajama-v1", "commoncrawl");
    let origin = format!(
        r#""id":"i","url":"http://u/","language":"en","input":"d/CC-MAIN-2024-10/f.wet.gz","offset":5,"record":12,"content_hash":"{HASH}""#
    );
    let page = concat!(
        r#""text":"a \"quoted\"\nline","#,
        r#""source":"cc/CC-MAIN-2024-10/f.wet.gz/line3""#
    );
    let expected = format!("{{{page},\"meta\":{{{origin}}}}}\n");
    assert_eq!(rendered(&job, &document()), expected);
    let labels = r#""pred_label":"__label__wiki","pred_label_prob":0.7,"wiki_prob":0.75"#;
    let expected = format!("{{{labels},{page},\"meta\":{{{origin},\"tokens\":4}}}}\n");
    assert_eq!(rendered(&job, &classified(document())), expected);
}

#[test]
fn a_record_of_redpajamas_other_slices_has_its_meta() {
    let job = job("redpajama-v1", "books");
    let text = r#""text":"a \"quoted\"\nline""#;
    let origin = format!(
        r#""origin":{{"id":"i","url":"http://u/","language":"en","input":"d/CC-MAIN-2024-10/f.wet.gz","offset":5,"record":12,"content_hash":"{HASH}"}}"#
    );
    assert_eq!(rendered(&job, &document()), format!("{{{text},\"meta\":{{}},{origin}}}\n"));
    let with_meta = StagedDocument { meta: Some(r#"{"a":1}"#), ..document() };
    let expected = format!("{{{text},\"meta\":{{\"a\":1}},{origin}}}\n");
    assert_eq!(rendered(&job, &with_meta), expected);
}

#[test]
fn a_row_names_its_detail_if_it_has_one() {
    let job = job("redpajama-v1", "books");
    let row = StagedRow {
        id: "i",
        url: "",
        verdict: RowVerdict::Quarantined,
        reason: "gzip_damaged",
        detail: "at byte 5",
        input: "f",
        offset: 7,
        record: 9,
        ..StagedRow::default()
    };
    let rendered = |row: &StagedRow<'_>| {
        let mut line = Vec::new();
        render_row(&job.source[0], row, &mut line).unwrap();
        String::from_utf8(line).unwrap()
    };
    let line = |verdict, detail| {
        format!(
            r#"{{"id":"i","url":"","verdict":"{verdict}","reason":"gzip_damaged",{detail}"source":"s","input":"f","offset":7,"record":9}}"#
        ) + "\n"
    };
    assert_eq!(rendered(&row), line("quarantined", r#""detail":"at byte 5","#));
    let row = StagedRow { verdict: RowVerdict::Dropped, detail: "", ..row };
    assert_eq!(rendered(&row), line("dropped", ""));
    let (value, threshold) = (Some(3.0), Some(50.0));
    let measured = rendered(&StagedRow { value, threshold, text: Some("a\nb"), ..row });
    assert!(measured.contains(r#""value":3.0,"threshold":50.0,"source""#), "{measured}");
    assert!(measured.ends_with(",\"record\":9,\"text\":\"a\\nb\"}\n"), "{measured}");
}

#[test]
fn bytes_are_counted_as_if_the_record_were_the_line() {
    for (schema, slice) in [("uniform", "commoncrawl"), ("redpajama-v1", "commoncrawl")] {
        let job = job(schema, slice);
        let (renderer, source) = (
            renderer(&job, &job.source[0], SourceRecipe::of(&job, &job.source[0])),
            &job.source[0],
        );
        let mut line = Vec::new();
        renderer.render(&document(), 12, &mut line).unwrap();
        let staged = Staged::Document(Box::new(document()));
        let bytes = rendered_bytes(&*renderer, source, &staged).unwrap();
        assert_eq!(bytes as usize, line.len(), "{schema}");
    }
}
