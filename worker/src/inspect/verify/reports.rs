//! Compares the reports of an output with the checksums that SEAL wrote into `report.json`.

use std::io::Read;

use super::Difference;
use crate::inspect::InspectError;
use crate::stages::report_sums::wrong_sums;
use thresher_storage::{Location, ReadOptions, StorageError};

/// A longer file is not a report.
const MAX_REPORT_BYTES: u64 = 64 << 20;

/// Returns the differences of the reports from their checksums.
pub(super) fn altered(output: &Location) -> Result<Vec<Difference>, InspectError> {
    let Some(json) = content(output, "report.json")? else { return Ok(missing("report.json")) };
    let Some(markdown) = content(output, "REPORT.md")? else { return Ok(missing("REPORT.md")) };
    let wrong = wrong_sums(&json, &markdown).into_iter();
    let difference = wrong.map(|sum| Difference::Hash {
        path: sum.report.to_owned(),
        expected: sum.expected,
        found: sum.found,
    });
    Ok(difference.collect())
}

fn missing(name: &str) -> Vec<Difference> {
    vec![Difference::Missing { path: name.to_owned() }]
}

/// Returns the text of a file of the output, or `None` if it does not exist.
fn content(output: &Location, name: &str) -> Result<Option<String>, StorageError> {
    let location = output.join(name);
    let reader = match thresher_storage::open(&location, &ReadOptions::default()) {
        Ok(reader) => reader,
        Err(StorageError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    let read = reader.take(MAX_REPORT_BYTES).read_to_end(&mut text);
    read.map_err(|error| StorageError::from_io(error, || location.to_string()))?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}
