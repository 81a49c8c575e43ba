//! LIST: finds the inputs of one source and groups them into units.
//!
//! **Invariant:** the units depend only on the listing, the inputs' sizes and `units.target_bytes`,
//! and not on workers or memory. Otherwise positions would differ between two runs.

mod places;
mod walk;

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use prost::Message;
use thresher_domain::Counter;
use thresher_formats::gzip::GzipLimits;
use thresher_formats::unpack::{UnpackedReader, Unpacker};
use thresher_job::{JobSpec, OnMissing, SourceSpec};
use thresher_proto::pb::{self, InputsUnit, ListUnit, PlannedUnit};

use super::{Finished, JobContext, Task, digest_of};
use thresher_sources::locate;
use thresher_sources::{Input, PlannedInput, Selected, Source, source_of};
use thresher_storage::{Location, ReadOptions, StorageError, probe_folder};
use thresher_unit::staging::{InputRow, InputTable, hash_of};
use thresher_unit::{UnitError, wire_counters};

pub(super) use places::output_below_pattern;

/// Length limit of a line in a listing. A longer line is not a path.
const MAX_PATH_BYTES: u64 = 8 << 10;
/// Number of excluded inputs whose names are kept.
const LEFT_OUT_NAMED: usize = 500;
/// Length in bytes of the longest of these names.
const LEFT_OUT_BYTES: usize = 200;
/// Number of missing inputs that an error names.
const MISSING_NAMED: usize = 5;
/// Number of remote inputs whose first bytes are read because they are to be cut.
const PROBES_MAX: usize = 256;

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let ListUnit { source: number } = task.decode()?;
    let source = context.source(number)?;
    // It is better to refuse now than after hours of work.
    let tag = format!("{number}-{}", task.tag);
    context.output.probe(&tag)?;
    probe_folder(Path::new(&context.job.job.work_dir), &tag)?;
    let Selected { inputs, left_out } = find_inputs(&context.job, source)?;
    places::refuse_output_among_inputs(context.output.root(), source, &inputs)?;
    // The index of an earlier output is no input of which records are expected.
    let found = if source.earlier { 0 } else { inputs.len() as u64 };
    let table = InputTable { rows: into_pieces(&context.job, source, inputs)? };
    let planned = cut(number, &table.rows, context.job.units.target_bytes.0);
    let committed = table.write(&context.table_path(number), &task.tag)?;
    let done = pb::Done {
        digest: digest_of(&[hash_of(committed)]),
        counters: wire_counters(counters(found, &left_out)),
        ..pb::Done::default()
    };
    Ok(Finished { done, planned, ..Finished::default() })
}

/// Returns counters for the inputs that are read and for those that are excluded, with the names of
/// the first ones.
fn counters(found: u64, left_out: &[String]) -> Vec<(Counter, u64)> {
    let mut counters = vec![(Counter::Inputs, found)];
    if !left_out.is_empty() {
        counters.push((Counter::ExcludedInputs, left_out.len() as u64));
    }
    let short = left_out.iter().filter(|name| name.len() <= LEFT_OUT_BYTES);
    let first = short.take(LEFT_OUT_NAMED).cloned();
    counters.extend(first.map(|input| (Counter::ExcludedInput { input }, 1)));
    counters
}

/// Returns the inputs of a source in canonical order, with their sizes if the storage reports them.
pub(crate) fn find_inputs(job: &JobSpec, source: &SourceSpec) -> Result<Selected, UnitError> {
    let reader = source_of(source.slice);
    let mut rows = match reader.list(source)? {
        Some(rows) => rows,
        None => listed_inputs(source)?,
    };
    for row in &mut rows {
        // There must not be a request for each object: a dump has ninety thousand of them.
        let location @ Location::Path(_) = locate(source, &row.path)? else { continue };
        match thresher_storage::size(&location, &ReadOptions::default()) {
            Ok(Some(bytes)) if row.published.is_some() && row.bytes != Some(bytes) => {
                return Err(UnitError::Storage(format!(
                    "the shard `{location}` has {bytes} bytes, not the {} of the manifest of its \
                     corpus\nhint: it was damaged or changed; copy it from its origin again, and \
                     check the corpus with `thresher verify`",
                    row.bytes.unwrap_or_default()
                )));
            }
            Ok(bytes) => row.bytes = bytes,
            Err(StorageError::NotFound { .. }) => row.missing = true,
            Err(error) => return Err(error.into()),
        }
    }
    let missing = rows.iter().filter(|row| row.missing);
    let missing = missing.map(|row| Ok(locate(source, &row.path)?.to_string()));
    let missing: Vec<String> = missing.collect::<Result<_, UnitError>>()?;
    match source.on_missing {
        OnMissing::Fail if !missing.is_empty() => {
            Err(places::blame_for_base(&source.base, missing_text(&missing)))
        }
        OnMissing::Quarantine if !missing.is_empty() && places::is_empty(&source.base) => {
            Err(places::blame_for_base(&source.base, missing_text(&missing)))
        }
        OnMissing::Fail | OnMissing::Quarantine => reader.select(job, rows),
    }
}

/// Splits large inputs, and returns one row for each piece. An input whose name hides that it is
/// packed stays whole; how many of the remote ones are opened to find that out is bounded.
pub(crate) fn into_pieces(
    job: &JobSpec,
    source: &SourceSpec,
    inputs: Vec<InputRow>,
) -> Result<Vec<InputRow>, UnitError> {
    let reader = source_of(source.slice);
    let mut rows = Vec::with_capacity(inputs.len());
    let mut probes = 0;
    for row in inputs {
        let input = PlannedInput { source, path: &row.path, bytes: row.bytes };
        let mut pieces = match row.missing {
            true => Vec::new(),
            false => reader.pieces(job, &input, job.units.target_bytes.0)?,
        };
        if !pieces.is_empty() && !can_cut(reader, source, &row, &mut probes)? {
            pieces.clear();
        }
        if pieces.is_empty() {
            rows.push(row);
            continue;
        }
        rows.extend(pieces.into_iter().map(|piece| InputRow { piece: Some(piece), ..row.clone() }));
    }
    Ok(rows)
}

/// Returns whether the first bytes of an input have a form that can be cut. A remote input beyond
/// the bound of `probes` is taken for what its name says; units check it before they read it.
fn can_cut(
    reader: &dyn Source,
    source: &SourceSpec,
    row: &InputRow,
    probes: &mut usize,
) -> Result<bool, UnitError> {
    let location = locate(source, &row.path)?;
    if !matches!(location, Location::Path(_)) {
        *probes += 1;
        if *probes > PROBES_MAX {
            return Ok(true);
        }
    }
    Ok(reader.can_cut(Input::form_of_stored(&location, row)?))
}

fn missing_text(missing: &[String]) -> String {
    let named = missing.iter().take(MISSING_NAMED).map(|path| format!("\n  `{path}`"));
    let more = missing.len().saturating_sub(MISSING_NAMED);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!(
        "{} of the listed inputs do not exist:{}{more}\nhint: check `base`, or set `on_missing = \
         \"quarantine\"` to count them and continue",
        missing.len(),
        named.collect::<String>()
    )
}

fn listed_inputs(source: &SourceSpec) -> Result<Vec<InputRow>, UnitError> {
    let listing = source.listing.as_str();
    let name = listing.strip_suffix(".gz").unwrap_or(listing);
    let is_list = [".paths", ".txt", ".list"].iter().any(|ending| name.ends_with(ending));
    let paths = if walk::is_pattern(listing) && !is_name(source)? {
        if let location @ Location::S3 { .. } = locate(source, "")? {
            return matching_objects(&location, listing);
        }
        matching_paths(source, listing)?
    } else if is_list {
        read_listing(source, &locate(source, listing)?)?
    } else {
        vec![listing.to_owned()]
    };
    Ok(paths.into_iter().map(InputRow::named).collect())
}

/// Returns whether a file has exactly this name, although the name reads like a pattern.
fn is_name(source: &SourceSpec) -> Result<bool, UnitError> {
    Ok(match locate(source, &source.listing)? {
        Location::Path(path) => path.is_file(),
        Location::Http(_) | Location::S3 { .. } => false,
    })
}

fn matches_nothing(pattern: &str, base: &str) -> UnitError {
    let text = format!(
        "`listing = \"{pattern}\"` matches nothing in `{base}`\nhint: check `base`; a `[`, `*` or \
         `?` in a name is written `[[]`, `[*]` or `[?]`"
    );
    places::blame_for_base(base, text)
}

/// Reads a list of paths, one on each line, plain or packed. A local list may name any place; one
/// from a server only what is below `base`.
fn read_listing(source: &SourceSpec, location: &Location) -> Result<Vec<String>, UnitError> {
    let is_remote = !matches!(location, Location::Path(_));
    let fail = |error: &io::Error| UnitError::input(&location.to_string(), error);
    let raw = match thresher_storage::open(location, &ReadOptions::default()) {
        Ok(raw) => raw,
        Err(
            error @ (StorageError::NotFound { .. }
            | StorageError::Refused { .. }
            | StorageError::BadLocation { .. }),
        ) => {
            let hint = "hint: `listing` names a list of paths or a pattern, relative to `base`";
            return Err(places::blame_for_base(&source.base, format!("{error}\n{hint}")));
        }
        Err(error) => return Err(error.into()),
    };
    let unpacked = Unpacker::new(raw, GzipLimits::default()).as_text();
    let mut lines = BufReader::new(UnpackedReader::new(unpacked));
    let mut paths = Vec::new();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let mut bounded = lines.by_ref().take(MAX_PATH_BYTES);
        if bounded.read_until(b'\n', &mut line).map_err(|error| fail(&error))? == 0 {
            break;
        }
        let refuse = |why: &str| {
            UnitError::JobFile(format!("line {number} of the listing `{location}` {why}"))
        };
        if line.len() as u64 == MAX_PATH_BYTES {
            return Err(refuse("is too long for a path"));
        }
        let path = str::from_utf8(&line).map_err(|_| refuse("is not valid UTF-8"))?;
        let path = path.strip_prefix('\u{feff}').filter(|_| number == 1).unwrap_or(path).trim();
        if is_remote && let Some(why) = places::leaves_base(&source.base, path) {
            return Err(refuse(&format!(
                "names `{path}`, which {why}\nhint: a listing on a server may only name files \
                 below `base = \"{}\"`; copy it to a folder, read it, and use the copy",
                source.base
            )));
        }
        if !path.is_empty() {
            paths.push(path.to_owned());
        }
    }
    if paths.is_empty() {
        return Err(UnitError::JobFile(format!(
            "the listing `{location}` lists no inputs\nhint: it must have one path on each line"
        )));
    }
    Ok(paths)
}

/// Returns the objects that match the pattern, with the sizes and ETags of the bucket's listing.
fn matching_objects(base: &Location, pattern: &str) -> Result<Vec<InputRow>, UnitError> {
    let Location::S3 { bucket, key } = base else { return Ok(Vec::new()) };
    let base =
        if key.is_empty() { String::new() } else { format!("{}/", key.trim_end_matches('/')) };
    let compiled = walk::compiled(pattern)?;
    let literal = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    let found = thresher_storage::list_objects(
        bucket,
        &format!("{base}{literal}"),
        &ReadOptions::default(),
    )?;
    let rows = found.into_iter().filter_map(|object| {
        let path = object.key.strip_prefix(&base)?.to_owned();
        let fits = compiled.matches_with(&path, walk::LIKE_A_SHELL);
        let bytes = Some(object.bytes);
        fits.then_some(InputRow { bytes, etag: object.etag, ..InputRow::named(path) })
    });
    let rows: Vec<InputRow> = rows.collect();
    if rows.is_empty() {
        return Err(matches_nothing(pattern, &format!("s3://{bucket}/{key}")));
    }
    Ok(rows)
}

fn matching_paths(source: &SourceSpec, pattern: &str) -> Result<Vec<String>, UnitError> {
    if source.base.contains("://") {
        return Err(UnitError::JobFile(format!(
            "`listing = \"{pattern}\"` is a pattern, but `{}` cannot be listed\nhint: name a list \
             of paths, such as `wet.paths.gz`",
            source.base
        )));
    }
    let paths = walk::files_below(Path::new(&source.base), pattern)?;
    if paths.is_empty() {
        return Err(matches_nothing(pattern, &source.base));
    }
    Ok(paths)
}

/// Groups neighbouring inputs until a unit has `target_bytes`.
pub(crate) fn cut(source: u32, rows: &[InputRow], target_bytes: u64) -> Vec<PlannedUnit> {
    let mut planned = Vec::new();
    let (mut first, mut bytes) = (0_usize, 0_u64);
    for (number, row) in rows.iter().enumerate() {
        // An input of unknown size is a separate unit.
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

    pub(super) fn source(base: &Path, listing: &str) -> SourceSpec {
        let base = base.display();
        let text = format!(
            "[job]\nname = \"t\"\n[[source]]\nslice = \"c4\"\nlisting = \"{listing}\"\n\
             base = \"{base}\"\n[language]\nmodel = \"none\"\n[output]\npath = \"o\"\n\
             [tokens]\ntokenizer = \"none\"\n"
        );
        JobSpec::parse(&text, Path::new("/")).unwrap().source.remove(0)
    }

    #[test]
    fn a_file_named_like_a_pattern_is_found_or_explained() {
        let base = tempfile::tempdir().unwrap();
        let source = source(base.path(), "b[1].json.gz");
        let error = listed_inputs(&source).unwrap_err().to_string();
        assert!(error.contains("is written `[[]`"), "{error}");
        std::fs::write(base.path().join("b[1].json.gz"), "").unwrap();
        std::fs::write(base.path().join("b1.json.gz"), "").unwrap();
        let found = listed_inputs(&source).unwrap();
        assert_eq!(found, [InputRow::named("b[1].json.gz".to_owned())]);
    }

    #[test]
    fn an_empty_listing_and_a_path_that_is_not_utf8_are_errors() {
        let base = tempfile::tempdir().unwrap();
        let source = source(base.path(), "x.paths");
        for (content, expected) in [
            (&b""[..], "lists no inputs"),
            (b"\n \n", "lists no inputs"),
            (b"a\n\n\xff", "line 3 "),
        ] {
            std::fs::write(base.path().join("x.paths"), content).unwrap();
            let error = listed_inputs(&source).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
