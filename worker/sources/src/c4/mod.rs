//! The slice `c4`: the published files `c4-train.*.json.gz`, with one document on each line.
//!
//! RedPajama used C4 unchanged, and so does this reader; the steps of the slice decide what else
//! happens to a document. By default they are language and document dedup, and in `redpajama-v1`
//! there are none. This slice does not rebuild C4 from web pages: a `commoncrawl` source with C4's
//! rules as filters does. The language of a file of mC4 is in its name
//! (`c4-de.tfrecord-00000-of-02048.json.gz`).
//!
//! ```text
//! {"text", "timestamp", "url"} → document, licence ODC-BY; dropped: c4/empty
//! ```

use serde::Deserialize;
use serde_json::json;
use thresher_job::{JobSpec, SourceSpec};

use super::commoncrawl::dump_in;
use super::forms;
use super::json_rows::{Loose, Text};
use super::{Input, Meta, Page, PlannedInput, RecordOutcome, RecordSink, Source, json_rows};
use thresher_formats::form::Form;
use thresher_formats::gzip::InputDigest;
use thresher_formats::piece::Piece;
use thresher_unit::UnitError;

/// The licence of the collection; the pages belong to their owners.
const LICENCE: &str = "ODC-BY-1.0";

/// The reader of the slice `c4`.
pub struct C4;

/// A line of a file; other fields are ignored.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(default)]
    text: Text,
    #[serde(default)]
    timestamp: Loose,
    #[serde(default)]
    url: Loose,
}

impl Source for C4 {
    fn dump_of<'p>(&self, path: &'p str) -> &'p str {
        dump_in(path)
    }

    fn pieces(
        &self,
        _: &JobSpec,
        input: &PlannedInput<'_>,
        target_bytes: u64,
    ) -> Result<Vec<Piece>, UnitError> {
        Ok(json_rows::pieces(input, target_bytes))
    }

    fn can_cut(&self, form: Form) -> bool {
        forms::can_be_cut(form, &[Form::Json])
    }

    fn read(
        &self,
        job: &JobSpec,
        _: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        let language = language_of(input.path());
        json_rows::read(job, (input, &forms::C4), sink, |place, row: Row, sink| {
            let Row { text, timestamp: Loose(timestamp), url: Loose(url) } = &row;
            let text = match text.get("text") {
                Ok(text) => text,
                Err((reason, detail)) => {
                    let (id, detail) = (&place.id, detail.as_str());
                    let outcome = RecordOutcome::Quarantined { id, url, reason, detail };
                    return sink(place.read_record(outcome));
                }
            };
            if text.is_empty() {
                let outcome =
                    RecordOutcome::Dropped { id: &place.id, url, reason: "c4/empty", detail: "" };
                return sink(place.read_record(outcome));
            }
            let meta = meta(&row, language);
            sink(place.read_record(RecordOutcome::Page(Page {
                id: &place.id,
                url,
                date: timestamp,
                text,
                licence: Some(LICENCE),
                language: Some(language),
                meta: Some(&meta),
                ..Page::default()
            })))
        })
    }
}

/// Returns the language in the name of a file: `de` for mC4's `c4-de.tfrecord-…` and
/// `c4-de-validation.…`, and `en` for C4's own `c4-train.…`.
fn language_of(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.strip_prefix("c4-").and_then(|rest| rest.split('.').next()).unwrap_or_default();
    let name = name.strip_suffix("-validation").unwrap_or(name);
    // Other parts of a name are C4's, such as `train`, or not of this form.
    let code = name.split('-').next().unwrap_or_default();
    let is_code = (2..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase());
    if is_code { name } else { "en" }
}

/// Returns the fields of `meta` that RedPajama published.
fn meta(row: &Row, language: &str) -> Meta {
    let mut meta = Meta::new();
    meta.insert("timestamp".into(), json!(row.timestamp.0));
    meta.insert("url".into(), json!(row.url.0));
    meta.insert("language".into(), json!(language));
    meta.insert("source".into(), json!("c4"));
    meta
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Seen, read_bytes};

    const REAL: &[u8] = include_bytes!("testdata/c4-sample.01.json.gz");

    #[test]
    fn published_documents_come_out_as_they_are() {
        let seen = read_bytes(&C4, "c4", "c4-train.00000-of-01024.json.gz", REAL);
        assert!(seen.len() > 3, "{}", seen.len());
        for record in &seen {
            let Seen::Page { id, url, text, meta, licence, .. } = record else {
                panic!("{record:?}")
            };
            assert!(id.starts_with("c4-train.00000-of-01024.json.gz#"));
            assert!(url.starts_with("http") && text.len() > 100);
            assert_eq!(meta["source"], "c4");
            assert_eq!(meta["url"], url.as_str());
            assert_eq!(licence.as_deref(), Some("ODC-BY-1.0"));
        }
    }

    #[test]
    fn the_language_of_a_file_of_mc4_is_in_its_name() {
        for (path, language) in [
            ("en/c4-train.00000-of-01024.json.gz", "en"),
            ("c4-validation.00000-of-00008.json.gz", "en"),
            ("multilingual/c4-de.tfrecord-00000-of-02048.json.gz", "de"),
            ("c4-fil-validation.tfrecord-00000-of-00001.json.gz", "fil"),
            ("c4-zh-Latn.tfrecord-00000-of-00128.json.gz", "zh-Latn"),
            ("pages.jsonl", "en"),
        ] {
            assert_eq!(language_of(path), language, "{path}");
        }
    }

    #[test]
    fn rows_that_are_not_documents_are_reported_with_their_offset() {
        let input =
            b"{\"text\":\"a\",\"url\":\"u\",\"timestamp\":\"t\"}\n{\"text\":\"\"}\nnothing\n\
                      {\"url\":\"u\"}\n{\"text\":\"\xff\xff\"}\n[1]\n{\"text\":\"b\"}\n";
        let seen = read_bytes(&C4, "c4", "x.json", input);
        let outcomes: Vec<(u64, String)> =
            seen.iter().map(|record| (record.offset(), record.outcome())).collect();
        let expected = [
            (0, "a"),
            (39, "c4/empty"),
            (51, "invalid_json"),
            (59, "json_no_text"),
            (71, "invalid_utf8"),
            (85, "json_not_an_object"),
            (89, "b"),
        ];
        assert_eq!(outcomes, expected.map(|(at, outcome)| (at, outcome.to_owned())));
    }
}
