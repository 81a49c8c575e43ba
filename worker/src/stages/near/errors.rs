//! The errors of the search for near-duplicates, as errors of a unit: which unit has to run again,
//! or who is at fault.

use thresher_clusters::ScratchError;
use thresher_clusters::compare::CompareError;
use thresher_clusters::connect::ConnectError;
use thresher_clusters::decisions::DecideError;
use thresher_clusters::runs::{RunWriteError, RunsError};
use thresher_proto::pb::Stage;

use thresher_unit::UnitError;

/// Returns the error of a file of sorted records that was not written.
pub(super) fn run_error(what: &str, error: RunWriteError) -> UnitError {
    match error {
        RunWriteError::Output(error) => writing(what, &error),
        RunWriteError::Scratch(error) => scratch_error(&error),
    }
}

/// Returns the error of files that were not written.
pub(super) fn writing(what: &str, error: &std::io::Error) -> UnitError {
    UnitError::writing(error, format!("failed to write {what}: {error}"))
}

fn scratch_error(error: &ScratchError) -> UnitError {
    match error {
        ScratchError::Io { source, .. } => UnitError::writing(source, error.to_string()),
        ScratchError::Damaged { .. } => UnitError::Node(error.to_string()),
    }
}

fn runs_error(stage: Stage, error: &RunsError) -> UnitError {
    UnitError::staged(stage, error.number, &error.source)
}

/// Returns the error of documents that were not connected. `ranges` has the key range of each file
/// of edges.
pub(super) fn connect_error(error: &ConnectError, ranges: &[u32]) -> UnitError {
    match error {
        ConnectError::EdgeFile { file, source } => {
            let range = ranges.get(*file).copied().unwrap_or_default();
            UnitError::staged(Stage::ResolveBands, range, source)
        }
        ConnectError::Memory { .. } => UnitError::JobFile(error.to_string()),
        ConnectError::Scratch { source, .. } | ConnectError::Output(source) => {
            UnitError::writing(source, error.to_string())
        }
        ConnectError::TasksDiffer => UnitError::Defect(error.to_string()),
        ConnectError::ScratchRead(_)
        | ConnectError::OtherRank { .. }
        | ConnectError::Message { .. }
        | ConnectError::Lost { .. }
        | ConnectError::Panicked { .. }
        | ConnectError::Comm(_) => UnitError::Node(error.to_string()),
    }
}

/// Returns the error of a part that was not compared.
pub(super) fn compare_error(error: &CompareError) -> UnitError {
    match error {
        CompareError::Members(error) => runs_error(Stage::Collect, error),
        CompareError::Scratch(error) => scratch_error(error),
        CompareError::TooLarge { .. } => UnitError::JobFile(error.to_string()),
        CompareError::Output(error) => writing("decisions", error),
    }
}

/// Returns the error of a group whose decisions were not joined.
pub(super) fn decide_error(error: &DecideError) -> UnitError {
    match error {
        DecideError::Part(error) => runs_error(Stage::Compare, error),
        DecideError::Repeated { .. } => UnitError::Defect(error.to_string()),
        DecideError::Output(error) => writing("decisions", error),
    }
}
