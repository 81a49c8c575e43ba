//! Keeps the records that LINES reads for PREPARE, if reading the inputs again would cost more.
//!
//! ```text
//! LINES    inputs ──→ records ──→ keys, and work/lines/<unit>.records
//! PREPARE  work/lines/<unit>.records, otherwise the inputs again ──→ records ──→ documents
//! ```
//! PREPARE removes the file when its own files are published, so an attempt that runs later reads
//! the inputs.
//!
//! **Invariant:** the file changes no byte of the output: PREPARE uses it only if it has the inputs
//! of which LINES wrote the keys.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde_json::Value;
use thresher_job::{JobSpec, KeepText, SourceSpec};
use thresher_proto::pb::{InputsUnit, Stage};

use super::read::Reading;
use super::recipe::SourceRecipe;
use super::{JobContext, Task, stop};
use thresher_sources::{Meta, Page, ReadRecord, RecordOutcome, locate};
use thresher_storage::Location;
use thresher_storage::commit::AttemptFile;
use thresher_unit::UnitError;
use thresher_unit::staging::{
    InputFacts, KeptOutcome, KeptPage, KeptRecord, KeptRecords, KeptRecordsWriter, KeptRefusal,
    create,
};

fn path_of(context: &JobContext, unit: u32) -> PathBuf {
    context.work.unit_file(Stage::Lines, unit, "records")
}

/// Returns whether the records of a unit are kept: it has an input whose records are.
fn are_kept(context: &JobContext, unit: &InputsUnit) -> Result<bool, UnitError> {
    let (source, recipe) = (context.source(unit.source)?, context.recipe(unit.source)?);
    let table = context.table(unit.source)?;
    let first = unit.first_input as usize;
    for row in table.rows.iter().skip(first).take(unit.inputs as usize) {
        if is_kept(&context.job, source, recipe, &row.path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether the records of an input are kept.
pub(crate) fn is_kept(
    job: &JobSpec,
    source: &SourceSpec,
    recipe: &SourceRecipe,
    path: &str,
) -> Result<bool, UnitError> {
    if !recipe.dedups_lines {
        return Ok(false);
    }
    Ok(match job.dedup.lines.keep_text {
        KeepText::Always => true,
        KeepText::Never => false,
        KeepText::Auto => {
            recipe.slice.is_costly_to_read(path)
                || !matches!(locate(source, path)?, Location::Path(_))
        }
    })
}

/// The file of a LINES unit while it is written.
pub(super) struct Keeping {
    /// `None` if records are not kept, or the disk is full.
    file: Option<KeptRecordsWriter<AttemptFile>>,
}

impl Keeping {
    pub(super) fn start(
        context: &JobContext,
        task: &Task,
        unit: &InputsUnit,
    ) -> Result<Self, UnitError> {
        if !are_kept(context, unit)? {
            return Ok(Self { file: None });
        }
        let file = create(&path_of(context, task.unit.ordinal), &task.tag)?;
        let mut keeping = Self { file: None };
        keeping.file = keeping.unless_full(KeptRecordsWriter::new(file))?;
        Ok(keeping)
    }

    /// Adds a record of the input in row `input` of the source's table.
    pub(super) fn push(&mut self, input: u64, record: &ReadRecord<'_>) -> Result<(), UnitError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let pushed = match kept(input, record) {
            Some(record) => file.push(&record),
            None => {
                self.file = None;
                return Ok(());
            }
        };
        if self.unless_full(pushed)?.is_none() {
            self.file = None;
        }
        Ok(())
    }

    /// Names the file, after the keys: without them nobody reads it.
    pub(super) fn finish(mut self, inputs: &[InputFacts]) -> Result<(), UnitError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let finished = file.finish(inputs);
        match self.unless_full(finished)? {
            Some(file) => Ok(file.commit_unsynced()?),
            None => Ok(()),
        }
    }

    /// Returns `None` if the disk has no room: the job can do without the file.
    fn unless_full<T>(&self, written: std::io::Result<T>) -> Result<Option<T>, UnitError> {
        match written {
            Ok(value) => Ok(Some(value)),
            Err(error)
                if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
            {
                tracing::warn!(%error, "the text of a unit is not kept and will be read again");
                Ok(None)
            }
            Err(error) => {
                let text = format!("failed to keep the text of a unit: {error}");
                Err(UnitError::writing(&error, text))
            }
        }
    }
}

/// Passes on the records that LINES kept. Returns the inputs as they were read, or `None` if
/// none were kept of the inputs whose keys LINES wrote, which are `before`. After this the attempt
/// is past its last record.
pub(super) fn read_kept(
    context: &JobContext,
    task: &Task,
    unit: &InputsUnit,
    before: &[InputFacts],
    sink: &mut dyn FnMut(&Reading<'_>, ReadRecord<'_>) -> Result<(), UnitError>,
) -> Result<Option<Vec<InputFacts>>, UnitError> {
    let number = task.unit.ordinal;
    if !are_kept(context, unit)? {
        return Ok(None);
    }
    let Some(records) = KeptRecords::open(&path_of(context, number), number)? else {
        return Ok(None);
    };
    if records.inputs() != before {
        return Ok(None);
    }
    let table = context.table(unit.source)?;
    let inputs = records.for_each(|record| {
        stop::check_record(&task.stop)?;
        let reading = Reading::of(context, unit.source, &table, record.input)?;
        read(record, |record| sink(&reading, record))
    })?;
    stop::check(&task.stop)?;
    task.stop.end_records();
    Ok(Some(inputs))
}

/// Removes the records of a unit whose documents are staged.
pub(super) fn remove(context: &JobContext, number: u32, unit: &InputsUnit) {
    let path = path_of(context, number);
    if !are_kept(context, unit).unwrap_or(true) {
        return;
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "failed to remove the kept text");
        }
        _ => {}
    }
}

/// Returns the record as the file has it, or `None` if it could not be read back exactly.
pub(crate) fn kept<'a>(input: u64, record: &ReadRecord<'a>) -> Option<KeptRecord<'a>> {
    let outcome = match record.outcome {
        RecordOutcome::Page(page) => {
            let Page { id, url, date, title, text, payload_digest, .. } = page;
            let Page { licence, language, withdrawn, .. } = page;
            // The columns of a corpus have no place in a kept page; it is read again.
            if page.published.is_some() {
                return None;
            }
            let Page { missing_files, omitted_files, damaged_characters, .. } = page;
            let meta = match page.meta {
                Some(meta) if !meta.values().all(is_exact) => return None,
                Some(meta) => Some(Cow::Owned(serde_json::to_string(meta).ok()?)),
                None => None,
            };
            KeptOutcome::Page(Box::new(KeptPage {
                id,
                url,
                date,
                title,
                text,
                payload_digest,
                licence,
                language,
                meta,
                withdrawn,
                missing_files,
                omitted_files,
                damaged_characters,
            }))
        }
        RecordOutcome::Dropped { id, url, reason, detail } => {
            KeptOutcome::Dropped(KeptRefusal { id, url, reason, detail })
        }
        RecordOutcome::Quarantined { id, url, reason, detail } => {
            KeptOutcome::Quarantined(KeptRefusal { id, url, reason, detail })
        }
    };
    let ReadRecord { offset, record, bytes, .. } = *record;
    Some(KeptRecord { input, offset, record, bytes, outcome })
}

/// Returns whether a value equals what is parsed from its JSON. The last bit of a fraction may be
/// another one.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(values) => values.iter().all(is_exact),
        Value::Object(fields) => fields.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// Passes on a record that [`kept`] returned.
fn read(
    kept: &KeptRecord<'_>,
    sink: impl FnOnce(ReadRecord<'_>) -> Result<(), UnitError>,
) -> Result<(), UnitError> {
    let KeptRecord { offset, record, bytes, .. } = *kept;
    let meta: Option<Meta>;
    let outcome = match &kept.outcome {
        KeptOutcome::Page(page) => {
            let KeptPage { id, url, date, title, text, payload_digest, .. } = **page;
            let KeptPage { licence, language, withdrawn, missing_files, .. } = **page;
            let KeptPage { omitted_files, damaged_characters, .. } = **page;
            meta = page.meta.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
                UnitError::Defect(format!("the fields of a kept page are not JSON: {error}"))
            })?;
            RecordOutcome::Page(Page {
                id,
                url,
                date,
                title,
                text,
                payload_digest,
                licence,
                language,
                meta: meta.as_ref(),
                withdrawn,
                missing_files,
                omitted_files,
                damaged_characters,
                published: None,
            })
        }
        KeptOutcome::Dropped(KeptRefusal { id, url, reason, detail }) => {
            RecordOutcome::Dropped { id, url, reason, detail }
        }
        KeptOutcome::Quarantined(KeptRefusal { id, url, reason, detail }) => {
            RecordOutcome::Quarantined { id, url, reason, detail }
        }
    };
    sink(ReadRecord { offset, record, bytes, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page<'a>(meta: &'a Meta) -> ReadRecord<'a> {
        let outcome = RecordOutcome::Page(Page {
            id: "id",
            url: "url",
            date: "date",
            title: "title",
            text: "text",
            payload_digest: "digest",
            licence: Some("licence"),
            language: Some("en"),
            meta: Some(meta),
            withdrawn: Some("reason"),
            missing_files: 3,
            omitted_files: 5,
            damaged_characters: 7,
            published: None,
        });
        ReadRecord { offset: 1, record: 2, bytes: 4, outcome }
    }

    #[test]
    fn every_field_of_a_page_is_read_back() {
        let meta: Meta = serde_json::from_str(r#"{"b": [1, -2, null], "a": {"c": "x"}}"#).unwrap();
        let record = page(&meta);
        let kept = kept(9, &record).unwrap();
        assert_eq!(kept.input, 9);
        let mut seen = String::new();
        read(&kept, |record| {
            seen = format!("{record:?}");
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, format!("{record:?}"));
    }

    #[test]
    fn a_page_with_a_fraction_is_not_kept_because_its_last_bit_could_change() {
        let meta: Meta = serde_json::from_str(r#"{"a": [{"b": 0.1}]}"#).unwrap();
        assert!(kept(0, &page(&meta)).is_none());
    }
}
