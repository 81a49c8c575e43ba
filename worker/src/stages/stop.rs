//! Stops an attempt whose result is not needed any more, to free its slot. The attempt checks for
//! it between two records.
//!
//! **Invariant:** a stopped attempt publishes nothing more, unless it was past its last record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thresher_unit::UnitError;

/// A flag shared by the slot that runs a unit and the code that may stop it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the attempt to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether the attempt was asked to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns an error if the attempt was asked to stop.
    pub(super) fn check(&self) -> Result<(), UnitError> {
        if self.is_set() {
            return Err(UnitError::Node("its result is not needed any more".to_owned()));
        }
        Ok(())
    }
}
