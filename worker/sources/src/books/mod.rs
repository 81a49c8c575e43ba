//! The slice `books`: PG-19 as JSON lines, and plain texts of Project Gutenberg.
//!
//! | input | a record is |
//! |---|---|
//! | JSON lines: `short_book_title`, `publication_date`, `url`, `text` | a row |
//! | anything else (`train/1234.txt`) | the whole file |
//!
//! Both can be packed. The name decides if it ends with `.json(l)`, and the first bytes otherwise.
//!
//! The header and the licence that Project Gutenberg adds to a text are removed; title, date and
//! language are read from the header. A file that is not valid UTF-8 is decoded with the encoding
//! that its header names. The preset `redpajama-v1` removes nothing. The step `near` finds
//! near-duplicates.
//!
//! **Invariant:** of the text between the marks only the line ends are changed.

mod fields;
mod gutenberg;

use std::borrow::Cow;
use std::io::Read;

use serde::Deserialize;
use serde_json::{Value, json};
use thresher_job::{JobSpec, SourceSpec};

use super::json_rows::{Loose, Text};
use super::{
    Input, Meta, Page, PlannedInput, ReadRecord, RecordOutcome, RecordSink, Source, forms,
    json_rows,
};
use thresher_formats::form::Form;
use thresher_formats::gzip::{Damage, GzipLimits, InputDigest};
use thresher_formats::piece::Piece;
use thresher_formats::unpack::{DamageError, UnpackedReader};
use thresher_formats::utf8::Utf8Text;
use thresher_unit::UnitError;

/// The licence of Project Gutenberg's texts, which are free of copyright in the United States.
const LICENCE: &str = "public domain (US)";

/// The reader of the slice `books`.
pub struct Books;

/// A row of PG-19.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(default)]
    short_book_title: Loose,
    #[serde(default)]
    title: Loose,
    /// A number or a text.
    #[serde(default)]
    publication_date: Value,
    #[serde(default)]
    url: Loose,
    #[serde(default)]
    text: Text,
}

impl Source for Books {
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
        let rows = [".json", ".jsonl", ".ndjson"].iter().any(|ending| {
            let name = input.path();
            name.ends_with(ending) || name.contains(&format!("{ending}."))
        });
        if !rows && input.form_of_content()? != Form::Json {
            return read_file(job, input, sink);
        }
        json_rows::read(job, (input, &forms::BOOK_ROWS), sink, |place, row: Row, sink| {
            let Row { short_book_title, title: Loose(title), url: Loose(url), .. } = &row;
            let title = Some(&short_book_title.0).filter(|it| !it.is_empty()).unwrap_or(title);
            let id = if url.is_empty() { &place.id } else { url };
            let text = match row.text.get("text") {
                Ok(text) => text,
                Err((reason, detail)) => {
                    let detail = detail.as_str();
                    let outcome = RecordOutcome::Quarantined { id, url, reason, detail };
                    return sink(place.read_record(outcome));
                }
            };
            let date = match &row.publication_date {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other
                @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    other.to_string()
                }
            };
            let meta = meta(title, &row.publication_date, url);
            let text = with_line_feeds(text, job.books.cut_boilerplate);
            let book = gutenberg::read(&text, job.books.cut_boilerplate);
            sink(place.read_record(outcome(&Page {
                id,
                url,
                date: &date,
                title,
                text: &book.text,
                language: book.language,
                meta: Some(&meta),
                ..Page::default()
            })))
        })
    }
}

/// Reads a file that is one book.
fn read_file(
    job: &JobSpec,
    input: &Input<'_>,
    sink: &mut RecordSink<'_>,
) -> Result<InputDigest, UnitError> {
    let limit = job.records.max_bytes.0;
    let unpacked = input.unpacked(&forms::BOOK, GzipLimits::default())?.as_text();
    let mut reader = UnpackedReader::new(unpacked);
    let mut raw = Vec::new();
    let bounded = reader.by_ref().take(limit + 1).read_to_end(&mut raw);
    let damage = match bounded {
        Ok(_) => None,
        Err(error) => Some(DamageError::of(&error).cloned().ok_or_else(|| input.failed(&error))?),
    };
    let digest = reader.finish().map_err(|error| input.failed(&error))?;
    let id = input.path();
    let mut emit = |outcome: RecordOutcome<'_>| {
        sink(ReadRecord { offset: 0, record: 0, bytes: digest.bytes, outcome })
    };
    if let Some(Damage { reason, detail, .. }) = damage {
        emit(RecordOutcome::Quarantined { id, url: "", reason, detail: &detail })?;
        return Ok(digest);
    }
    if raw.len() as u64 > limit {
        let detail = format!("a book of more than {limit} bytes");
        let reason = "record_too_large";
        emit(RecordOutcome::Quarantined { id, url: "", reason, detail: &detail })?;
        return Ok(digest);
    }
    let Utf8Text { text, damaged } = match fields::decode(&raw) {
        Ok(text) => text,
        Err(detail) => {
            let reason = "invalid_utf8";
            emit(RecordOutcome::Quarantined { id, url: "", reason, detail: &detail })?;
            return Ok(digest);
        }
    };
    let text = with_line_feeds(&text, job.books.cut_boilerplate);
    let book = gutenberg::read(&text, job.books.cut_boilerplate);
    let stem = id.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
    let number = book.number.unwrap_or(stem);
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let url =
        if numbered { format!("http://www.gutenberg.org/ebooks/{number}") } else { String::new() };
    let title = book.title.unwrap_or(stem);
    let published = book.published.filter(|_| job.books.cut_boilerplate);
    let meta = meta(title, &json!(published), &url);
    emit(outcome(&Page {
        id,
        url: &url,
        date: book.released.unwrap_or_default(),
        title,
        text: &book.text,
        language: book.language,
        meta: Some(&meta),
        damaged_characters: damaged,
        ..Page::default()
    }))?;
    Ok(digest)
}

/// Returns the text with line feeds in place of the line ends of DOS, if it is changed at all.
fn with_line_feeds(text: &str, changes: bool) -> Cow<'_, str> {
    if changes && text.contains('\r') {
        return Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"));
    }
    Cow::Borrowed(text)
}

/// Returns the outcome of a book: it is dropped if its text is empty.
fn outcome<'a>(page: &Page<'a>) -> RecordOutcome<'a> {
    if page.text.trim().is_empty() {
        return RecordOutcome::Dropped {
            id: page.id,
            url: page.url,
            reason: "books/empty",
            detail: "",
        };
    }
    RecordOutcome::Page(Page { licence: Some(LICENCE), ..*page })
}

/// Returns the fields of `meta` that RedPajama published.
fn meta(title: &str, publication_date: &Value, url: &str) -> Meta {
    let mut meta = Meta::new();
    meta.insert("short_book_title".into(), json!(title));
    meta.insert("publication_date".into(), publication_date.clone());
    meta.insert("url".into(), json!(url));
    meta
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Seen, job, read_bytes, read_with};

    const BOOK: &str = "The Project Gutenberg EBook of A Tale, by B\r\n\r\nTitle: A Tale\r\n\
        Author: B\r\nRelease Date: May 1, 2005 [EBook #4242]\r\nLanguage: English\r\n\r\n\
        *** START OF THIS PROJECT GUTENBERG EBOOK A TALE ***\r\n\r\nIt was night.\r\n\
        \x20 Indented.\r\n\r\n*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***\r\nLicence terms\r\n";

    #[test]
    fn header_and_licence_of_a_plain_book_are_removed_and_its_fields_are_kept() {
        let seen = read_bytes(&Books, "books", "train/9.txt", BOOK.as_bytes());
        let [Seen::Page { id, url, date, title, text, .. }] = seen.as_slice() else {
            panic!("{seen:?}")
        };
        assert_eq!(text, "It was night.\n  Indented.");
        assert_eq!((id.as_str(), title.as_str()), ("train/9.txt", "A Tale"));
        assert_eq!(url, "http://www.gutenberg.org/ebooks/4242");
        assert_eq!(date, "May 1, 2005");
    }

    #[test]
    fn the_published_recipe_removes_nothing() {
        let seen = read_with(&Books, &job("books", "redpajama-v1", ""), "9.txt", BOOK.as_bytes());
        assert_eq!(seen[0].outcome(), BOOK);
    }

    #[test]
    fn a_row_of_pg19_keeps_its_fields() {
        let row = b"{\"short_book_title\":\"T\",\"publication_date\":1913,\"url\":\"u\",\"text\":\"x y\"}\n\
                    {\"title\":\"T\",\"text\":\" \"}\n{\"title\":\"T\"}\n";
        let seen = read_bytes(&Books, "books", "pg19.jsonl", row);
        let Seen::Page { id, date, title, meta, .. } = &seen[0] else { panic!("{seen:?}") };
        assert_eq!((id.as_str(), date.as_str(), title.as_str()), ("u", "1913", "T"));
        let expected = json!({"short_book_title": "T", "publication_date": 1913, "url": "u"});
        assert_eq!(json!(meta), expected);
        let dos = b"{\"text\":\"x\\r\\ny\\rz\"}\n";
        assert_eq!(read_bytes(&Books, "books", "a.jsonl", dos)[0].outcome(), "x\ny\nz");
        let published = job("books", "redpajama-v1", "");
        assert_eq!(read_with(&Books, &published, "a.jsonl", dos)[0].outcome(), "x\r\ny\rz");
        let null = b"{\"publication_date\":null,\"short_book_title\":\"T\",\"text\":\"x\"}\n";
        let seen_null = read_bytes(&Books, "books", "pg19.jsonl", null);
        let Seen::Page { date, meta, .. } = &seen_null[0] else { panic!("{seen_null:?}") };
        assert_eq!((date.as_str(), &meta["publication_date"]), ("", &Value::Null));
        assert_eq!(seen[1].outcome(), "books/empty");
        assert_eq!(seen[2].outcome(), "json_no_text");
    }

    #[test]
    fn a_book_that_is_not_text_or_is_too_large_is_quarantined() {
        let seen = read_bytes(&Books, "books", "a.txt", b"abc\xff\xff");
        assert_eq!(seen[0].outcome(), "invalid_utf8");
        let latin = b"Character set encoding: ISO-8859-1\n\ncaf\xe9";
        let seen = read_bytes(&Books, "books", "a.txt", latin);
        assert!(seen[0].outcome().ends_with("caf\u{e9}"));
        let small = job("books", "thresher", "[records]\nmax_bytes = \"1KiB\"\n");
        let seen = read_with(&Books, &small, "a.txt", &[b'a'; 1025]);
        assert_eq!(seen[0].outcome(), "record_too_large");
        assert_eq!(read_with(&Books, &small, "a.txt", &[b'a'; 1024])[0].outcome().len(), 1024);
    }
}
