//! LIST: find the inputs of one source and cut them into units.
//!
//! **Invariant:** the units depend on the listing, the inputs' sizes and `units.target_bytes`
//! alone: never on workers or memory, or positions would not be the same in two runs.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use prost::Message;
use thresher_proto::job::{JobSpec, OnMissing, SourceSpec};
use thresher_proto::pb::{self, InputsUnit, ListUnit, PlannedUnit};

use super::{Finished, JobContext, Task, UnitError, digest_of};
use crate::sources::{PlannedInput, source_of};
use crate::staging::{InputRow, InputTable, hash_of};
use crate::storage::{self, Location, ReadOptions, StorageError};

/// A longer line in a listing is no path.
const MAX_PATH_BYTES: u64 = 8 << 10;
/// How many missing inputs an error names.
const MISSING_NAMED: usize = 5;

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let ListUnit { source: number } = task.decode()?;
    let source = context.source(number)?;
    // Better now than after hours of work.
    context
        .output
        .probe()
        .map_err(|error| UnitError::by(error.remedy_of_place(), error.to_string()))?;
    let inputs = find_inputs(&context.job, source)?;
    let found = inputs.len() as u64;
    let table = InputTable { rows: into_pieces(&context.job, source, inputs)? };
    let planned = cut(number, &table.rows, context.job.units.target_bytes.0);
    let committed = table.write(&context.table_path(number), &task.tag)?;
    let done = pb::Done {
        digest: digest_of(&[hash_of(committed)]),
        counts: vec![pb::Count { name: "inputs".to_owned(), value: found }],
        ..pb::Done::default()
    };
    Ok(Finished { done, planned })
}

/// The inputs of a source in canonical order, with their sizes where the place tells them.
pub(crate) fn find_inputs(job: &JobSpec, source: &SourceSpec) -> Result<Vec<InputRow>, UnitError> {
    let reader = source_of(source.slice)?;
    let mut rows = listed_inputs(source)?;
    for row in &mut rows {
        // No request for each object: a dump has ninety thousand of them.
        let location @ Location::Path(_) = locate(source, &row.path)? else { continue };
        match storage::size(&location, &ReadOptions::default()) {
            Ok(bytes) => row.bytes = bytes,
            Err(StorageError::NotFound { .. }) => row.missing = true,
            Err(error) => return Err(error.into()),
        }
    }
    let missing = rows.iter().filter(|row| row.missing);
    let missing = missing.map(|row| Ok(locate(source, &row.path)?.to_string()));
    let missing: Vec<String> = missing.collect::<Result<_, UnitError>>()?;
    match source.on_missing {
        OnMissing::Fail if !missing.is_empty() => Err(UnitError::Fatal(missing_text(&missing))),
        OnMissing::Fail | OnMissing::Quarantine => reader.select(job, rows),
    }
}

/// A row for each piece of the inputs that are cut.
pub(crate) fn into_pieces(
    job: &JobSpec,
    source: &SourceSpec,
    inputs: Vec<InputRow>,
) -> Result<Vec<InputRow>, UnitError> {
    let reader = source_of(source.slice)?;
    let mut rows = Vec::with_capacity(inputs.len());
    for row in inputs {
        let input = PlannedInput { source, path: &row.path, bytes: row.bytes };
        let pieces = match row.missing {
            true => Vec::new(),
            false => reader.pieces(job, &input, job.units.target_bytes.0)?,
        };
        if pieces.is_empty() {
            rows.push(row);
            continue;
        }
        rows.extend(pieces.into_iter().map(|piece| InputRow { piece: Some(piece), ..row.clone() }));
    }
    Ok(rows)
}

/// The place of an input of this source.
pub(crate) fn locate(source: &SourceSpec, path: &str) -> Result<Location, UnitError> {
    let whole = if path.contains("://") || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", source.base.trim_end_matches('/'))
    };
    Ok(whole.parse::<Location>()?)
}

fn missing_text(missing: &[String]) -> String {
    let named = missing.iter().take(MISSING_NAMED).map(|path| format!("\n  `{path}`"));
    let more = missing.len().saturating_sub(MISSING_NAMED);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!(
        "{} of the listed inputs do not exist:{}{more}\nhint: check `base`, or set `on_missing = \
         \"quarantine\"` to count them and go on",
        missing.len(),
        named.collect::<String>()
    )
}

fn listed_inputs(source: &SourceSpec) -> Result<Vec<InputRow>, UnitError> {
    let listing = source.listing.as_str();
    let name = listing.strip_suffix(".gz").unwrap_or(listing);
    let is_list = [".paths", ".txt", ".list"].iter().any(|ending| name.ends_with(ending));
    let paths = if listing.contains(['*', '?', '[']) {
        if let location @ Location::S3 { .. } = locate(source, "")? {
            return matching_objects(&location, listing);
        }
        matching_paths(source, listing)?
    } else if is_list {
        read_listing(&locate(source, listing)?)?
    } else {
        vec![listing.to_owned()]
    };
    Ok(paths.into_iter().map(InputRow::named).collect())
}

/// A list of paths, one a line, plain or gzip.
fn read_listing(location: &Location) -> Result<Vec<String>, UnitError> {
    let fail = |error: &io::Error| UnitError::input(&location.to_string(), error);
    let raw = storage::open(location, &ReadOptions::default())?;
    let mut lines = BufReader::new(gunzipped(raw).map_err(|error| fail(&error))?);
    let mut paths = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = lines.by_ref().take(MAX_PATH_BYTES);
        if bounded.read_until(b'\n', &mut line).map_err(|error| fail(&error))? == 0 {
            break;
        }
        let number = paths.len() + 1;
        let refuse = |why: &str| {
            UnitError::Fatal(format!("line {number} of the listing `{location}` {why}"))
        };
        if line.len() as u64 == MAX_PATH_BYTES {
            return Err(refuse("is too long for a path"));
        }
        let path = str::from_utf8(&line).map_err(|_| refuse("is no UTF-8"))?.trim();
        if !path.is_empty() {
            paths.push(path.to_owned());
        }
    }
    Ok(paths)
}

/// What a listing holds, whether it is compressed or not: told by its first bytes.
fn gunzipped(raw: Box<dyn Read + Send>) -> io::Result<Box<dyn Read>> {
    let mut raw = BufReader::new(raw);
    let gzip = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzip { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) })
}

/// The objects that fit, with the sizes and ETags of the bucket's own listing.
fn matching_objects(base: &Location, pattern: &str) -> Result<Vec<InputRow>, UnitError> {
    let Location::S3 { bucket, key } = base else { return Ok(Vec::new()) };
    let base =
        if key.is_empty() { String::new() } else { format!("{}/", key.trim_end_matches('/')) };
    let compiled = glob::Pattern::new(pattern).map_err(|error| {
        UnitError::Fatal(format!("`listing = \"{pattern}\"` is no pattern: {error}"))
    })?;
    // As of a file system: `*` stops at a slash.
    let like_paths = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let literal = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    let found =
        storage::list_objects(bucket, &format!("{base}{literal}"), &ReadOptions::default())?;
    let rows = found.into_iter().filter_map(|object| {
        let path = object.key.strip_prefix(&base)?.to_owned();
        let fits = compiled.matches_with(&path, like_paths);
        let bytes = Some(object.bytes);
        fits.then_some(InputRow { bytes, etag: object.etag, ..InputRow::named(path) })
    });
    let rows: Vec<InputRow> = rows.collect();
    if rows.is_empty() {
        return Err(UnitError::Fatal(format!(
            "`listing = \"{pattern}\"` matches nothing in `s3://{bucket}/{key}`\nhint: check `base`"
        )));
    }
    Ok(rows)
}

fn matching_paths(source: &SourceSpec, pattern: &str) -> Result<Vec<String>, UnitError> {
    if source.base.contains("://") {
        return Err(UnitError::Fatal(format!(
            "`listing = \"{pattern}\"` is a pattern, but `{}` cannot be listed\nhint: name a list \
             of paths, such as `wet.paths.gz`",
            source.base
        )));
    }
    let base = Path::new(&source.base);
    let whole = format!("{}/{pattern}", glob::Pattern::escape(&source.base));
    let bad = |error: glob::PatternError| {
        UnitError::Fatal(format!("`listing = \"{pattern}\"` is no pattern: {error}"))
    };
    let mut paths = Vec::new();
    for entry in glob::glob(&whole).map_err(bad)? {
        let path: PathBuf = entry.map_err(|error| {
            UnitError::Retry(format!("failed to list `{}`: {error}", error.path().display()))
        })?;
        if path.is_dir() {
            continue;
        }
        let path = path.strip_prefix(base).unwrap_or(&path);
        match path.to_str() {
            Some(path) => paths.push(path.to_owned()),
            None => {
                return Err(UnitError::Fatal(format!("`{}` is no UTF-8", path.display())));
            }
        }
    }
    paths.sort_unstable();
    if paths.is_empty() {
        return Err(UnitError::Fatal(format!(
            "`listing = \"{pattern}\"` matches nothing in `{}`\nhint: check `base`",
            source.base
        )));
    }
    Ok(paths)
}

/// Neighbouring inputs go together until a unit has `target_bytes`.
pub(crate) fn cut(source: u32, rows: &[InputRow], target_bytes: u64) -> Vec<PlannedUnit> {
    let mut planned = Vec::new();
    let (mut first, mut bytes) = (0_usize, 0_u64);
    for (number, row) in rows.iter().enumerate() {
        // An input of unknown size is a unit of its own.
        bytes += row.bytes_to_read().unwrap_or(if row.missing { 0 } else { target_bytes });
        if bytes >= target_bytes || number + 1 == rows.len() {
            let inputs = InputsUnit {
                source,
                first_input: first as u32,
                inputs: (number + 1 - first) as u32,
            };
            planned.push(PlannedUnit { payload: inputs.encode_to_vec(), cost_bytes: bytes });
            (first, bytes) = (number + 1, 0);
        }
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bytes: u64) -> InputRow {
        InputRow { bytes: Some(bytes), ..InputRow::named("x".to_owned()) }
    }

    #[test]
    fn neighbours_share_a_unit_until_it_is_full() {
        let rows = [row(40), row(50), row(20), row(300), row(1)];
        let units: Vec<_> = cut(2, &rows, 100)
            .iter()
            .map(|unit| {
                let inputs = InputsUnit::decode(unit.payload.as_slice()).unwrap();
                (inputs.source, inputs.first_input, inputs.inputs, unit.cost_bytes)
            })
            .collect();
        assert_eq!(units, [(2, 0, 3, 110), (2, 3, 1, 300), (2, 4, 1, 1)]);
        assert!(cut(0, &[], 100).is_empty());
    }
}
