//! The index of an earlier output (`near.against`), as a source of the job without records.
//!
//! ```text
//! LIST     the manifest of the output ─▶ the files of its index, with their hashes
//! PREPARE  a file ─▶ a copy in the work directory; no document is staged
//! SIGN     the copy ─▶ band keys            COLLECT  the copy ─▶ members
//! ```
//! The text of the earlier documents is not read. Their place in COMPARE is before all documents of
//! the job, and they are kept whatever they resemble.
//!
//! **Invariant:** what is compared is what LIST found: a file with another hash is refused.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use thresher_clusters::index_file::{INDEX_FILE, IndexFile, Indexed};
use thresher_job::JobSpec;
use thresher_proto::pb::{InputsUnit, Stage};

use super::super::manifest::read_manifest;
use super::super::read::gone_since;
use super::super::{JobContext, Task, stop};
use super::index::{INDEX_FORMAT, IndexHeader, rule_of, rule_of_job};
use super::rule::differences;
use thresher_formats::hashed::HashedReader;
use thresher_sources::locate;
use thresher_storage::{Location, ReadOptions};
use thresher_unit::UnitError;
use thresher_unit::staging::{DocumentFile, InputFacts, create, publish_blocks};

const COPY_BYTES: usize = 1 << 20;

/// Returns the reasons why the earlier outputs cannot be compared with, one message for each.
pub(in crate::stages) fn unusable_outputs(job: &JobSpec, options: &ReadOptions) -> Vec<String> {
    let unusable = |output: &String| unusable(job, output, options);
    job.near.against.iter().filter_map(unusable).collect()
}

fn unusable(job: &JobSpec, output: &str, options: &ReadOptions) -> Option<String> {
    let named = format!("`near.against` names `{output}`");
    let complete = "hint: name the output of a complete job that had `near.index = true`";
    let manifest = match output.parse::<Location>().map(|root| read_manifest(&root, options)) {
        Err(error) => return Some(format!("{named}, which is not a location: {error}")),
        Ok(Err(error)) => return Some(format!("{named}, which cannot be read: {error}")),
        Ok(Ok(None)) => return Some(format!("{named}, which has no manifest\n{complete}")),
        Ok(Ok(Some(Err(error)))) => {
            return Some(format!("{named}, whose manifest is damaged: {error}\n{complete}"));
        }
        Ok(Ok(Some(Ok(manifest)))) => manifest,
    };
    let Some(index) = manifest.near_index else {
        return Some(format!(
            "{named}, which has no index of its documents\nhint: make it again with `near.index = \
             true` in its job file, or read it as a source (`slice = \"corpus\"`)"
        ));
    };
    if index.format != INDEX_FORMAT {
        return Some(format!(
            "{named}, whose index has format `{}`, and this version reads `{INDEX_FORMAT}`\nhint: \
             make that output again with this version",
            index.format
        ));
    }
    let own = match rule_of_job(job) {
        Ok(own) => own,
        Err(error) => return Some(error),
    };
    let differs = differences(&index.rule, &own)?;
    Some(format!("{named}, whose index was made by other parameters: {differs}"))
}

/// Copies the files of a unit into the work directory. Returns what was read.
pub(in crate::stages) fn copy_index(
    context: &JobContext,
    task: &Task,
    unit: &InputsUnit,
) -> Result<Vec<InputFacts>, UnitError> {
    let source = context.source(unit.source)?;
    let table = context.table(unit.source)?;
    let rows = table.rows.iter().skip(unit.first_input as usize).take(unit.inputs as usize);
    let mut facts = Vec::new();
    for (number, row) in (0..).zip(rows) {
        let location = locate(source, &row.path)?;
        let name = location.to_string();
        let opened = thresher_storage::open(&location, &ReadOptions::default());
        let mut input = HashedReader::new(opened.map_err(|error| gone_since(row, error))?);
        let path = copy_path(context, task.unit.ordinal, number);
        let mut copy = create(&path, &task.tag)?;
        let mut bytes = vec![0; COPY_BYTES];
        loop {
            stop::check(&task.stop)?;
            let read = input.read(&mut bytes).map_err(|error| UnitError::input(&name, &error))?;
            if read == 0 {
                break;
            }
            copy.write_all(&bytes[..read]).map_err(|error| {
                UnitError::writing(&error, format!("failed to copy `{name}`: {error}"))
            })?;
        }
        let digest = input.finish().map_err(|error| UnitError::input(&name, &error))?;
        facts.push(InputFacts::of_read(&name, row, digest)?);
        publish_blocks(copy, INDEX_FILE)?;
        check_header(context, &path, &name)?;
    }
    task.stop.end_records();
    Ok(facts)
}

/// Refuses an index that other parameters made than its manifest says, or than it said at the
/// start.
fn check_header(context: &JobContext, path: &Path, name: &str) -> Result<(), UnitError> {
    let refused = |why: String| {
        UnitError::JobFile(format!(
            "the index `{name}` cannot be used: {why}\nhint: it was altered; make that output again"
        ))
    };
    let file = IndexFile::open(path).map_err(|error| refused(error.to_string()))?;
    let header: IndexHeader = serde_json::from_slice(file.metadata())
        .map_err(|error| refused(format!("its header is not valid: {error}")))?;
    if header.format != INDEX_FORMAT {
        return Err(refused(format!("it has format `{}`, not `{INDEX_FORMAT}`", header.format)));
    }
    differences(&header.rule, &rule_of(context)?).map_or(Ok(()), |differs| Err(refused(differs)))
}

fn copy_path(context: &JobContext, unit: u32, number: usize) -> PathBuf {
    context.work.unit_file(Stage::Prepare, unit, &format!("index-{number}"))
}

/// Passes on the documents that a unit copied, with their places, in order.
pub(super) fn for_each(
    context: &JobContext,
    unit: u32,
    mut each: impl FnMut(u32, Indexed) -> Result<(), UnitError>,
) -> Result<(), UnitError> {
    let documents = context.work.unit_file(Stage::Prepare, unit, "documents");
    let files = DocumentFile::open(&documents, unit)?.facts()?.inputs.len();
    let mut place = 0_u32;
    for number in 0..files {
        let staged = |error| UnitError::staged(Stage::Prepare, unit, &error);
        let file = IndexFile::open(&copy_path(context, unit, number)).map_err(staged)?;
        let mut documents = file.documents().map_err(staged)?;
        while let Some(document) = documents.next_document().map_err(staged)? {
            each(place, document)?;
            place = place.checked_add(1).ok_or_else(|| {
                UnitError::JobFile(
                    "a unit of an index has more documents than can be numbered\nhint: lower \
                     `units.target_bytes`"
                        .to_owned(),
                )
            })?;
        }
    }
    Ok(())
}
