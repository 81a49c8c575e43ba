//! Reads The Stack: rows of code in Parquet files (bigcode/the-stack, the-stack-dedup).
//!
//! A file without the columns that a row needs is quarantined as a whole; other columns are kept
//! unchanged.

use std::borrow::Cow;

use parquet::record::{Field, Row};
use serde_json::Value;
use thresher_job::JobSpec;

use super::{CodeFile, Evaluated};
use crate::parquet_rows::{self, RowPlace, RowReader, bytes_of, json_of, lenient, named};
use crate::{Input, Meta, RecordOutcome, RecordSink};
use thresher_formats::gzip::InputDigest;
use thresher_unit::UnitError;

/// The reason for a file whose rows are not those of The Stack.
const REASON_COLUMNS: &str = "parquet_columns_missing";

/// Length in bytes of the longest text that is used as a name.
const NAME_BYTES: usize = 4096;

/// The columns that a row needs.
const COLUMNS: [&str; 4] =
    ["content", "max_stars_repo_name", "max_stars_repo_path", "max_stars_repo_licenses"];

/// Reads a Parquet file, and returns the digest of the input.
pub(super) fn read(
    job: &JobSpec,
    input: &Input<'_>,
    sink: &mut RecordSink<'_>,
) -> Result<InputDigest, UnitError> {
    parquet_rows::read(job, input, sink, &mut StackRows { job, path: input.path() })
}

struct StackRows<'a> {
    job: &'a JobSpec,
    /// The path of the input.
    path: &'a str,
}

impl RowReader for StackRows<'_> {
    fn refuse(&self, columns: &[String]) -> Result<Option<(&'static str, String)>, UnitError> {
        let missing = COLUMNS.iter().filter(|needed| !columns.iter().any(|name| name == *needed));
        let missing: Vec<&str> = missing.copied().collect();
        let detail = format!(
            "no column {}; there are {}; hint: rows must be as in The Stack v1",
            named(&missing),
            named(columns)
        );
        Ok((!missing.is_empty()).then_some((REASON_COLUMNS, detail)))
    }

    fn row(
        &mut self,
        place: RowPlace<'_>,
        row: &Row,
        sink: &mut RecordSink<'_>,
    ) -> Result<(), UnitError> {
        let (repository, path) =
            (text(row, "max_stars_repo_name"), text(row, "max_stars_repo_path"));
        let id = match &*text(row, "hexsha") {
            "" => format!("{}#{}", self.path, place.record),
            hash => hash.to_owned(),
        };
        let url = match &*text(row, "max_stars_repo_head_hexsha") {
            "" => format!("https://github.com/{repository}/blob/HEAD/{path}"),
            head => format!("https://github.com/{repository}/blob/{head}/{path}"),
        };
        let content = column(row, "content").and_then(bytes_of);
        let bytes = content.map_or(0, <[u8]>::len) as u64;
        let mut emit = |damaged: u64, outcome: RecordOutcome<'_>| {
            sink(place.read_record(bytes, damaged, outcome))
        };
        let quarantined =
            |reason, detail| RecordOutcome::Quarantined { id: &id, url: &url, reason, detail };
        if place.bytes > self.job.records.max_bytes.0 {
            return emit(0, quarantined("record_too_large", &format!("{} bytes", place.bytes)));
        }
        let Some(content) = content else {
            let reason = "github/no_content";
            return emit(0, RecordOutcome::Dropped { id: &id, url: &url, reason, detail: "" });
        };
        // Code with a replaced byte is not the code that was written.
        let content = match str::from_utf8(content) {
            Ok(content) => content,
            Err(error) => {
                return emit(0, quarantined("invalid_utf8", &format!("`content`: {error}")));
            }
        };
        let mut damaged = 0;
        let others = row.get_column_iter().filter(|(name, _)| *name != "content");
        let columns = others.map(|(name, field)| (name.clone(), json_of(field, &mut damaged)));
        let columns: Meta = columns.collect();
        let licences = columns.get("max_stars_repo_licenses").and_then(Value::as_array);
        let mut licences = licences.into_iter().flatten().filter_map(Value::as_str);
        let known = |licence: &&str| {
            let lower = licence.to_ascii_lowercase();
            self.job.github.licences.iter().any(|prefix| lower.starts_with(prefix))
        };
        let licence = licences.find(known).unwrap_or_default().to_owned();
        let file = CodeFile { path: &path, licence: &licence, content, columns };
        let evaluated = Evaluated::of(&self.job.github, file);
        emit(damaged, evaluated.outcome((&id, &url), &path, &licence))
    }
}

fn column<'r>(row: &'r Row, name: &str) -> Option<&'r Field> {
    row.get_column_iter().find(|(column, _)| *column == name).map(|(_, field)| field)
}

/// Returns the text of a column that is a name, or an empty text if it is missing or too long.
fn text<'r>(row: &'r Row, name: &str) -> Cow<'r, str> {
    let bytes = column(row, name).and_then(bytes_of).filter(|bytes| bytes.len() <= NAME_BYTES);
    // What is damaged is counted where all columns are read.
    bytes.map(|bytes| lenient(bytes, &mut 0)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
