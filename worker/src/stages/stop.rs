//! Stops an attempt whose result is not needed any more, to free its slot. The attempt checks for
//! it at every record, and its readers inside a record.
//!
//! **Invariant:** a stopped attempt publishes nothing more, unless it was past its last record.

use thresher_formats::stop::Stop;
use thresher_unit::UnitError;

/// Counts a record; returns an error if the attempt was asked to stop.
pub(super) fn check_record(stop: &Stop) -> Result<(), UnitError> {
    stop.count_record();
    check(stop)
}

/// Returns an error if the attempt was asked to stop.
pub(super) fn check(stop: &Stop) -> Result<(), UnitError> {
    if stop.is_set() {
        return Err(UnitError::Node("its result is not needed any more".to_owned()));
    }
    Ok(())
}
