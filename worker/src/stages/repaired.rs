//! Inputs of missing units that have changed since they were listed: a person repaired them.
//!
//! Only inputs of missing units are looked at, so files that were added to a folder since, and
//! inputs of units that are done, stay as they were listed.
//!
//! **Invariant:** a corrected table is the one that LIST would have written if it had found the
//! inputs of missing units as they are now, and all others as they were.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use prost::Message;
use thresher_job::{JobSpec, OnMissing, Slice, SourceSpec};
use thresher_proto::pb::{InputsUnit, PlannedUnit, Stage, UnitRef};

use super::JobContext;
use super::lines::inputs_when_read;
use super::list::{cut, into_pieces};
use thresher_sources::{Input, locate};
use thresher_storage::{Location, ReadOptions, StorageError};
use thresher_unit::UnitError;
use thresher_unit::staging::{InputFacts, InputRow, InputTable};

/// Part of the names of unfinished files.
const TAG: &str = "restart";

/// Inputs that have changed, and the tables with what they are now.
pub struct Repaired {
    /// The inputs, each with what has changed.
    pub named: Vec<String>,
    /// Their sources in the job file.
    pub sources: Vec<usize>,
    /// Whether units that are not missing would read other inputs.
    pub moves_others: bool,
    job: JobSpec,
    tables: Vec<(u32, InputTable)>,
    missing: Vec<UnitRef>,
}

/// Compares the inputs of units of LINES or PREPARE with what the job listed. `work` has the job's
/// work files. Returns `None` if no input has changed.
pub fn repaired_inputs(
    job: &JobSpec,
    work: &Path,
    missing: &[UnitRef],
) -> Result<Option<Repaired>, UnitError> {
    let context = context_in(job, work)?;
    let mut repaired = Repaired {
        named: Vec::new(),
        sources: Vec::new(),
        moves_others: false,
        job: job.clone(),
        tables: Vec::new(),
        missing: missing.to_vec(),
    };
    let mut first_unit = 0;
    for (number, source) in (0_u32..).zip(&job.source) {
        let table = InputTable::read(&context.table_path(number), number)?;
        let planned = cut(number, &table.rows, job.units.target_bytes.0);
        let units = first_unit..first_unit + planned.len() as u32;
        first_unit = units.end;
        let of_source = missing.iter().filter(|unit| units.contains(&unit.ordinal));
        let of_source: BTreeSet<u32> = of_source.map(|unit| unit.ordinal - units.start).collect();
        if of_source.is_empty() {
            continue;
        }
        let listed = ListedSource { source, number, rows: &table.rows, planned: &planned };
        let named_before = repaired.named.len();
        repaired.add_changed(&listed, &of_source)?;
        if repaired.named.len() == named_before
            && missing.iter().all(|unit| unit.stage() == Stage::Prepare)
            && job.dedups_lines(source)
        {
            let ordinals = of_source.iter().map(|unit| unit + units.start);
            repaired.add_edited(&context, &listed, ordinals)?;
        }
        if repaired.named.len() > named_before {
            repaired.sources.push(number as usize);
        }
    }
    Ok((!repaired.named.is_empty()).then_some(repaired))
}

fn context_in(job: &JobSpec, work: &Path) -> Result<JobContext, UnitError> {
    let mut job = job.clone();
    job.job.work_dir = work.to_string_lossy().into_owned();
    Ok(JobContext::new(job, 1, TAG.to_owned())?)
}

/// What LIST found of a source.
struct ListedSource<'a> {
    source: &'a SourceSpec,
    number: u32,
    rows: &'a [InputRow],
    planned: &'a [PlannedUnit],
}

impl Repaired {
    /// Adds inputs that have another size, or another ETag, or exist now.
    fn add_changed(
        &mut self,
        listed: &ListedSource<'_>,
        missing: &BTreeSet<u32>,
    ) -> Result<(), UnitError> {
        let ListedSource { source, number, rows, planned } = *listed;
        let mut now: BTreeMap<&str, Option<InputRow>> = BTreeMap::new();
        for unit in missing {
            for row in &rows[rows_of(planned, *unit)] {
                if !now.contains_key(row.path.as_str()) {
                    let again = listed_again(source, row)?;
                    self.named.extend(again.as_ref().map(|again| difference(row, again)));
                    now.insert(&row.path, again);
                }
            }
        }
        let mut corrected = Vec::with_capacity(rows.len());
        for row in rows {
            match now.get(row.path.as_str()) {
                Some(Some(again)) if starts_input(row) => {
                    corrected.extend(into_pieces(&self.job, source, vec![again.clone()])?);
                }
                Some(Some(_)) => {}
                Some(None) | None => corrected.push(row.clone()),
            }
        }
        if corrected == rows {
            return Ok(());
        }
        let again = cut(number, &corrected, self.job.units.target_bytes.0);
        let keeps = |unit: u32| {
            missing.contains(&unit)
                || rows[rows_of(planned, unit)] == corrected[rows_of(&again, unit)]
        };
        let same_payloads = planned.len() == again.len()
            && planned.iter().zip(&again).all(|(old, new)| old.payload == new.payload);
        let selects_by_size =
            source.slice == Slice::Stackexchange && self.job.stackexchange.largest_sites > 0;
        self.moves_others |=
            selects_by_size || !same_payloads || !(0..planned.len() as u32).all(keeps);
        self.tables.push((number, InputTable { rows: corrected }));
        Ok(())
    }

    /// Adds inputs that have the size of before, but other bytes than those of which LINES has read
    /// the lines.
    fn add_edited(
        &mut self,
        context: &JobContext,
        listed: &ListedSource<'_>,
        ordinals: impl Iterator<Item = u32>,
    ) -> Result<(), UnitError> {
        for unit in ordinals {
            for InputFacts { path, piece, blake3, .. } in inputs_when_read(context, unit)? {
                let mut rows = listed.rows.iter();
                let Some(row) = rows.find(|row| row.path == path && row.piece == piece) else {
                    continue;
                };
                let location = locate(listed.source, &path)?;
                let scratch = context.table_path(listed.number);
                let digest = Input::stored(location, row, scratch)?.digest()?;
                if digest.blake3.to_hex().as_str() != blake3 {
                    self.named.push(format!("`{path}` (other content)"));
                }
            }
        }
        Ok(())
    }

    /// Writes the corrected tables into the work directory `work`, and removes the files that
    /// missing units left there.
    pub fn write(&self, work: &Path) -> Result<(), UnitError> {
        let context = context_in(&self.job, work)?;
        for (source, table) in &self.tables {
            table.write(&context.table_path(*source), TAG)?;
        }
        for unit in &self.missing {
            let any = context.work.unit_file(unit.stage(), unit.ordinal, "");
            let Some(name) = any.file_name().and_then(|name| name.to_str()) else { continue };
            for entry in any.parent().into_iter().flat_map(std::fs::read_dir).flatten().flatten() {
                if entry.file_name().to_str().is_some_and(|file| file.starts_with(name)) {
                    remove(&entry.path())?;
                }
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), UnitError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(UnitError::Node(format!("failed to remove `{}`: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Returns the rows of a unit of one source.
fn rows_of(planned: &[PlannedUnit], unit: u32) -> Range<usize> {
    let payload = planned.get(unit as usize).map(|unit| unit.payload.as_slice());
    // This program has just encoded it.
    let unit = InputsUnit::decode(payload.unwrap_or_default()).unwrap_or_default();
    unit.first_input as usize..(unit.first_input + unit.inputs) as usize
}

fn starts_input(row: &InputRow) -> bool {
    row.piece.is_none_or(|piece| piece.offset == 0)
}

/// Returns the row of an input as LIST would write it now, if that differs.
fn listed_again(source: &SourceSpec, row: &InputRow) -> Result<Option<InputRow>, UnitError> {
    let mut again = InputRow { piece: None, ..row.clone() };
    let briefly = ReadOptions { attempts_max: 2, ..ReadOptions::default() };
    match locate(source, &row.path)? {
        location @ Location::Path(_) => match thresher_storage::size(&location, &briefly) {
            Ok(bytes) => (again.bytes, again.missing) = (bytes, false),
            Err(StorageError::NotFound { .. }) if source.on_missing == OnMissing::Quarantine => {
                (again.bytes, again.missing) = (None, true);
            }
            // It is still as it was when the unit failed.
            Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        },
        // Only a pattern gave sizes; they were those of the bucket's listing.
        Location::S3 { bucket, key } if row.bytes.is_some() => {
            let objects = thresher_storage::list_objects(&bucket, &key, &briefly)?;
            if let Some(object) = objects.into_iter().find(|object| object.key == key) {
                (again.bytes, again.etag) = (Some(object.bytes), object.etag);
            }
        }
        Location::S3 { .. } | Location::Http(_) => {}
    }
    let before = InputRow { piece: None, ..row.clone() };
    Ok((again != before).then_some(again))
}

fn difference(before: &InputRow, now: &InputRow) -> String {
    let size = |row: &InputRow| match row.bytes {
        _ if row.missing => "missing".to_owned(),
        Some(bytes) => format!("{bytes} bytes"),
        None => "unknown size".to_owned(),
    };
    let path = &now.path;
    match (size(before), size(now)) {
        (old, new) if old == new => format!("`{path}` (another ETag)"),
        (old, new) => format!("`{path}` ({old} -> {new})"),
    }
}
