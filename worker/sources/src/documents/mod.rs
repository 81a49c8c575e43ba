//! The slice `documents`: rows with a text each, in JSON or Parquet, with any names of columns.
//!
//! | input | a record is |
//! |---|---|
//! | JSON lines, plain or packed | a line |
//! | a JSON array, or objects over several lines, plain or packed | an object |
//! | Parquet | a row |
//!
//! ```text
//! row → fields by `columns` of the source, all others → meta → document; dropped: documents/empty
//! ```
//! An input of which no row has the column of the text is a fault of the job file, which names
//! another one; a single row without it is quarantined.
//!
//! **Invariant:** every value of a row is in a field of the document or in its `meta`, except null.

mod columns;

use parquet::record::{Field, Row};
use serde_json::Value;
use thresher_job::{ColumnsSpec, JobSpec, SourceSpec};

use super::parquet_rows::{self, RowPlace, RowReader, bytes_of};
use super::{Input, Meta, Page, PlannedInput, RecordOutcome, RecordSink, Source, forms, json_rows};
use columns::{Names, take_text};
use thresher_formats::form::Form;
use thresher_formats::gzip::InputDigest;
use thresher_formats::piece::Piece;
use thresher_formats::utf8;
use thresher_unit::UnitError;

const PARQUET: &str = ".parquet";

const REASON_NO_TEXT: &str = "documents/no_text";
const REASON_TEXT_TYPE: &str = "documents/text_type";

/// The reader of the slice `documents`.
pub struct Documents;

impl Source for Documents {
    fn pieces(
        &self,
        _: &JobSpec,
        input: &PlannedInput<'_>,
        target_bytes: u64,
    ) -> Result<Vec<Piece>, UnitError> {
        match input.bytes {
            Some(bytes) if input.path.ends_with(PARQUET) => Ok(Piece::even(bytes, target_bytes)),
            Some(_) | None => Ok(json_rows::pieces(input, target_bytes)),
        }
    }

    fn can_cut(&self, form: Form) -> bool {
        forms::can_be_cut(form, &[Form::Json, Form::Parquet])
    }

    fn read(
        &self,
        job: &JobSpec,
        source: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        let (path, name, names) = (input.path(), input.name(), Names::default());
        let mut rows = Rows { job, source, path, name, names };
        // A Parquet file that is packed is refused by its form.
        let form = input.form_of_content()?;
        let is_parquet = input.form()? == Form::Parquet;
        let is_unknown = matches!(form, Form::Other | Form::Empty);
        if is_parquet || (is_unknown && input.path().ends_with(PARQUET)) {
            return parquet_rows::read(job, input, sink, &mut rows);
        }
        let each = |place: &json_rows::RowPlace, row: Meta, sink: &mut RecordSink<'_>| {
            let document = rows.document(place.id.clone(), row);
            sink(place.read_record(document.outcome()))
        };
        let expected = (input, &forms::DOCUMENTS);
        let digest = if matches!(form, Form::JsonArray | Form::JsonText) {
            json_rows::read_values(job, expected, sink, each)?
        } else {
            json_rows::read(job, expected, sink, each)?
        };
        rows.names.check(input.name(), source)?;
        Ok(digest)
    }
}

/// The rows of one input.
struct Rows<'a> {
    job: &'a JobSpec,
    source: &'a SourceSpec,
    /// The path of the input.
    path: &'a str,
    /// The name of the input in messages.
    name: &'a str,
    names: Names,
}

impl Rows<'_> {
    fn document(&mut self, id: String, row: Meta) -> Document {
        self.names.see(&self.source.columns.text, &row);
        Document::of(&self.source.columns, id, row)
    }
}

impl RowReader for Rows<'_> {
    fn refuse(&self, columns: &[String]) -> Result<Option<(&'static str, String)>, UnitError> {
        let text = &self.source.columns.text;
        let outer = text.split_once('.').map_or(text.as_str(), |(outer, _)| outer);
        if columns.iter().any(|name| name == text || name == outer) {
            return Ok(None);
        }
        Err(columns::no_text_column(self.name, self.source, columns))
    }

    fn row(
        &mut self,
        place: RowPlace<'_>,
        row: &Row,
        sink: &mut RecordSink<'_>,
    ) -> Result<(), UnitError> {
        // Numbers within the piece would not be unique.
        let id = format!("{}#{}.{}", self.path, place.group, place.row);
        let mut emit = |damaged: u64, outcome: RecordOutcome<'_>| {
            sink(place.read_record(place.bytes, damaged, outcome))
        };
        let quarantined =
            |reason, detail| RecordOutcome::Quarantined { id: &id, url: "", reason, detail };
        if place.bytes > self.job.records.max_bytes.0 {
            return emit(0, quarantined("record_too_large", &format!("{} bytes", place.bytes)));
        }
        let name = &self.source.columns.text;
        let text = field_at(row, name).and_then(|field| Some((field, bytes_of(field)?)));
        let (mut values, mut damaged) = place.values(row);
        match text.map(|(field, bytes)| (field, utf8::read(bytes))) {
            Some((_, Err(at))) => {
                let detail = format!("byte {at} of `{name}` is not valid UTF-8");
                return emit(0, quarantined("invalid_utf8", &detail));
            }
            // Bytes that are not declared as text are one here.
            Some((Field::Bytes(_), Ok(read))) if read.damaged > 0 => {
                damaged += read.damaged;
                columns::replace(&mut values, name, read.text.into_owned());
            }
            Some(_) | None => {}
        }
        emit(damaged, Document::of(&self.source.columns, id, values).outcome())
    }
}

/// Returns the value of a column, or of a field inside of it.
fn field_at<'r>(row: &'r Row, path: &str) -> Option<&'r Field> {
    let column = |name: &str| {
        let mut columns = row.get_column_iter();
        columns.find(|(column, _)| *column == name).map(|(_, field)| field)
    };
    column(path).or_else(|| {
        let (outer, inner) = path.split_once('.')?;
        let Field::Group(row) = column(outer)? else { return None };
        field_at(row, inner)
    })
}

/// A row whose columns were assigned to the fields of a document.
struct Document {
    id: String,
    url: String,
    title: String,
    date: String,
    language: String,
    licence: String,
    /// The text, or the reason and the detail for which the row is quarantined.
    text: Result<String, (&'static str, String)>,
    meta: Meta,
}

impl Document {
    /// Takes the fields out of a row; `id` is for a row that has none.
    fn of(columns: &ColumnsSpec, id: String, mut row: Meta) -> Self {
        let name = &columns.text;
        let text = match columns::take(&mut row, name) {
            Some(Value::String(text)) => Ok(text),
            None => Err((REASON_NO_TEXT, format!("the row has no `{name}`"))),
            Some(Value::Null) => Err((REASON_NO_TEXT, format!("`{name}` is null"))),
            Some(other @ (Value::Bool(_) | Value::Number(_))) => {
                Err((REASON_TEXT_TYPE, format!("`{name}` is `{other}`, not a string")))
            }
            Some(Value::Array(_)) => {
                Err((REASON_TEXT_TYPE, format!("`{name}` is a list, not a string")))
            }
            Some(Value::Object(_)) => {
                Err((REASON_TEXT_TYPE, format!("`{name}` is an object, not a string")))
            }
        };
        let own = take_text(&mut row, &columns.id);
        Self {
            id: if own.is_empty() { id } else { own },
            url: take_text(&mut row, &columns.url),
            title: take_text(&mut row, &columns.title),
            date: take_text(&mut row, &columns.date),
            language: take_text(&mut row, &columns.language),
            licence: columns::take_licence(&mut row, &columns.licence),
            text,
            meta: row,
        }
    }

    /// Returns the outcome of the row.
    fn outcome(&self) -> RecordOutcome<'_> {
        let Self { id, url, .. } = self;
        let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
        match &self.text {
            Err((reason, detail)) => RecordOutcome::Quarantined { id, url, reason, detail },
            Ok(text) if text.is_empty() => {
                RecordOutcome::Dropped { id, url, reason: "documents/empty", detail: "" }
            }
            Ok(text) => RecordOutcome::Page(Page {
                id,
                url,
                date: &self.date,
                title: &self.title,
                text,
                licence: given(&self.licence),
                language: given(&self.language),
                meta: Some(&self.meta),
                ..Page::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests;
