//! Reads a unit's inputs, for LINES and PREPARE.
//!
//! **Invariant:** both get the same records in the same order, including those for missing inputs.

use std::path::Path;

use thresher_job::{OnMissing, SourceSpec};
use thresher_proto::pb::InputsUnit;

use super::join::Part;
use super::recipe::SourceRecipe;
use super::{JobContext, Task, stop};
use thresher_sources::{Input, ReadRecord, RecordOutcome, RecordSink};
use thresher_sources::{check_piece, locate};
use thresher_storage::StorageError;
use thresher_unit::UnitError;
use thresher_unit::staging::{InputFacts, InputRow, InputTable};

/// The input that is being read.
pub(super) struct Reading<'a> {
    source: &'a SourceSpec,
    recipe: &'a SourceRecipe,
    pub(super) path: &'a str,
    /// Its row in the source's input table.
    pub(super) number: u64,
    /// Number of its part of the source, of the `dedup.lines.shards` parts of the job.
    pub(super) shard: u32,
}

impl<'a> Reading<'a> {
    /// Describes the input in row `number` of a source's table.
    pub(super) fn of(
        context: &'a JobContext,
        source: u32,
        table: &'a InputTable,
        number: u64,
    ) -> Result<Self, UnitError> {
        let (recipe, source) = (context.recipe(source)?, context.source(source)?);
        let row = usize::try_from(number).ok().and_then(|number| table.rows.get(number));
        let row = row.ok_or_else(|| {
            UnitError::Defect(format!("source `{}` has no input {number}", source.name))
        })?;
        let shards = u64::from(context.job.dedup.lines.shards);
        let shard = shard_of(number, table.rows.len() as u64, shards);
        Ok(Self { source, recipe, path: &row.path, number, shard })
    }
}

/// Reads every input of a unit, in order. `scratch` names a folder that this attempt may make.
/// After this the attempt is past its last record.
pub(super) fn read_unit(
    context: &JobContext,
    task: &Task,
    unit: &InputsUnit,
    scratch: &Path,
    sink: &mut dyn FnMut(&Reading<'_>, ReadRecord<'_>) -> Result<(), UnitError>,
) -> Result<Vec<InputFacts>, UnitError> {
    let source = context.source(unit.source)?;
    let recipe = context.recipe(unit.source)?;
    if let Some(reader) = context.job.command(&source.reader) {
        context.command_files.check(reader)?;
    }
    let table = context.table(unit.source)?;
    let first = unit.first_input as usize;
    let rows = table.rows.get(first..first + unit.inputs as usize).ok_or_else(|| {
        UnitError::Defect(format!("source `{}` has fewer inputs than planned", source.name))
    })?;
    let mut facts = Vec::with_capacity(rows.len());
    for (number, row) in (first as u64..).zip(rows) {
        let reading = Reading::of(context, unit.source, &table, number)?;
        let mut sink = |record: ReadRecord<'_>| {
            stop::check_record(&task.stop)?;
            sink(&reading, record)
        };
        // The first record of an input may last long too.
        stop::check_record(&task.stop)?;
        let read = match recipe.slice.joined().filter(|_| row.piece.is_some()) {
            _ if row.missing => None,
            None => read_row(context, task, (&reading, row), scratch, &mut sink)?,
            Some(joined) => {
                let part = Part::of(context, (task.unit.ordinal, unit), number as usize)?;
                Some(part.gather(context, joined, scratch, &mut sink)?)
            }
        };
        match read {
            Some(input) => facts.push(input),
            None => sink(missing())?,
        }
    }
    // A reader may take the end of a stopped input for its own.
    stop::check(&task.stop)?;
    task.stop.end_records();
    Ok(facts)
}

/// Reads one input or piece. Returns `None` if it is missing and the job accepts that.
fn read_row(
    context: &JobContext,
    task: &Task,
    (Reading { source, recipe, .. }, row): (&Reading<'_>, &InputRow),
    scratch: &Path,
    sink: &mut RecordSink<'_>,
) -> Result<Option<InputFacts>, UnitError> {
    let location = locate(source, &row.path)?;
    let input = match Input::stored(location, row, scratch.to_owned()) {
        Ok(input) => input.stopped_by(&task.stop),
        Err(StorageError::NotFound { .. }) if source.on_missing == OnMissing::Quarantine => {
            return Ok(None);
        }
        Err(error) => return Err(gone_since(row, error)),
    };
    check_piece(recipe.slice, &input)?;
    let digest = recipe.slice.read(&context.job, source, &input, sink)?;
    InputFacts::of_read(input.name(), row, digest).map(Some)
}

/// Turns "not found" into "changed" if the input's size was known, because it existed when it was
/// listed. A shard of a corpus is known from its manifest, so the storage has lost it.
pub(super) fn gone_since(listed: &InputRow, error: StorageError) -> UnitError {
    let StorageError::NotFound { location } = &error else { return error.into() };
    if listed.published.is_some() {
        return UnitError::Storage(format!(
            "the shard `{location}` does not exist, although it is in the manifest of its \
             corpus\nhint: copy it from its origin again, and check the corpus with `thresher \
             verify`"
        ));
    }
    if listed.bytes.is_some() {
        let detail = "it existed when it was listed, and is gone".to_owned();
        return StorageError::Changed { location: location.clone(), detail }.into();
    }
    error.into()
}

fn missing() -> ReadRecord<'static> {
    let outcome =
        RecordOutcome::Quarantined { id: "", url: "", reason: "input_missing", detail: "" };
    ReadRecord { offset: 0, record: 0, bytes: 0, outcome }
}

/// Returns the shard of an input. CCNet's shard i of n has the inputs i·F/n to (i+1)·F/n, rounded
/// down.
fn shard_of(input: u64, inputs: u64, shards: u64) -> u32 {
    if shards == 0 { 0 } else { (((input + 1) * shards).div_ceil(inputs) - 1) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thresher_unit::staging::PublishedShard;

    #[test]
    fn shards_are_those_of_ccnet() {
        for (inputs, shards) in [(10, 3), (7, 7), (90_000, 5000), (5, 8)] {
            for shard in 0..shards {
                for input in shard * inputs / shards..(shard + 1) * inputs / shards {
                    assert_eq!(u64::from(shard_of(input, inputs, shards)), shard, "{input}");
                }
            }
        }
        assert_eq!(shard_of(5, 10, 0), 0);
    }

    #[test]
    fn an_input_that_disappeared_after_listing_counts_as_changed() {
        let missing = || StorageError::NotFound { location: "in.gz".to_owned() };
        let mut row = InputRow::named("in.gz".to_owned());
        let error = gone_since(&row, missing()).to_string();
        assert!(error.contains("does not exist") && !error.contains("is gone"), "{error}");
        row.bytes = Some(5);
        let error = gone_since(&row, missing()).to_string();
        assert!(error.contains("is gone") && error.contains("inputs must not change"), "{error}");
        let (blake3, source, slice) = (String::new(), String::new(), String::new());
        row.published = Some(PublishedShard { blake3, source, slice });
        let error = gone_since(&row, missing());
        assert!(matches!(&error, UnitError::Storage(why) if why.contains("manifest")), "{error}");
    }
}
