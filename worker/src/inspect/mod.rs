//! Reads inputs and outputs outside of a job, for `verify`, `trace`, `diff`, `report` and `survey`.
//!
//! Each verb has its arguments and its function here; the command line prints and sets exit
//! statuses. Nothing here writes. What the files mean is defined by `stages` (the manifest, the
//! rows) and `document`; this folder only reads them back.
//!
//! **Invariant:** an answer depends on the files alone: threads share the reading, and their
//! results are put in the order of the manifest.

mod diff;
mod lines;
mod report;
mod row;
mod survey;
mod trace;
mod verify;

use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use diff::{CorpusDiff, DiffArgs, Found};
pub use report::ReportArgs;
pub use row::Outcome;
pub use survey::{Sample, SourceSurvey, Survey, SurveyArgs, SurveyError, survey};
pub use trace::{KeptDocument, Sighting, Trace, TraceArgs, trace};
pub use verify::{DROPPED_FOLDER, Difference, VerifyArgs, VerifyReport, verify};

use thresher_job::JobSpec;

pub use crate::stages::SHARD_FOLDER;
use crate::stages::{MANIFEST_FORMAT, Manifest};
use thresher_storage::{Location, ReadOptions, StorageError};

/// The name of the manifest at an output's root.
const MANIFEST: &str = "manifest.json";
/// Limit of threads; with more, the disk is the limit.
const MAX_THREADS: usize = 8;

/// Why an output cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error(
        "`{path}` does not exist\nhint: an output has a manifest when its job is complete; {}",
        where_to_look(.path)
    )]
    NoManifest { path: Location },
    #[error("`{path}` is not a manifest of this version: {reason}")]
    BadManifest { path: Location, reason: String },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Returns what a person does about a file that is not at the root of an output.
fn where_to_look(file: &Location) -> String {
    let beside = match file {
        Location::Path(file) => file.parent().map(|output| {
            let mut state = output.as_os_str().to_owned();
            state.push(".state");
            std::path::PathBuf::from(state)
        }),
        Location::S3 { .. } | Location::Http(_) => None,
    };
    match beside.filter(|state| state.is_dir()) {
        Some(state) => format!(
            "`thresher status --state {}` shows whether the job has ended, or the output is gone; \
             then the same `thresher run` makes it again",
            state.display()
        ),
        None => "check the path, or name the job file; if the output is gone, the same `thresher \
                 run` makes it again"
            .to_owned(),
    }
}

/// Returns the location that a person names: a directory, an address, or a job file, which also
/// configures the access to its storage.
pub(crate) fn output_place(text: &str) -> anyhow::Result<Location> {
    if !text.ends_with(".toml") {
        return Ok(text.parse()?);
    }
    let job = JobSpec::load(Path::new(text))?;
    thresher_storage::s3::configure(&job.s3);
    Ok(job.output.path.parse()?)
}

/// Reads the manifest of the output that a person names.
pub fn manifest_of(text: &str) -> anyhow::Result<Manifest> {
    Ok(read_manifest(&output_place(text)?)?)
}

/// Reads the manifest of an output.
fn read_manifest(output: &Location) -> Result<Manifest, InspectError> {
    let path = output.join(MANIFEST);
    let text = match read_whole(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(InspectError::NoManifest { path });
        }
        Err(error) => return Err(StorageError::from_io(error, || path.to_string()).into()),
    };
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| {
        InspectError::BadManifest { path: path.clone(), reason: error.to_string() }
    })?;
    if !(1..=MANIFEST_FORMAT).contains(&manifest.format) {
        let reason = format!("its format is {}, known are 1 to {MANIFEST_FORMAT}", manifest.format);
        return Err(InspectError::BadManifest { path, reason });
    }
    Ok(manifest)
}

fn read_whole(location: &Location) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    thresher_storage::open(location, &ReadOptions::default())?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Runs `look` on every item over a few threads; the answers are in the order of the items.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    look: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while let Some((place, item)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    items.get(place).map(|item| (place, item))
                } {
                    let answer = look(item);
                    found
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push((place, answer));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_unstable_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, answer)| answer).collect()
}

/// Returns the number of cores, up to [`MAX_THREADS`].
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_THREADS)
}

#[cfg(test)]
mod tests;
