//! A unit that is told to stop: nobody waits for its result any more, so its slot is worth more
//! than its end. It is asked between two records.
//!
//! **Invariant:** a unit that was told to stop publishes nothing more, unless it was past its last
//! record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thresher_unit::UnitError;

/// Shared by the slot that runs a unit and by whoever may stop it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Ends the unit if it was told to stop.
    pub(super) fn check(&self) -> Result<(), UnitError> {
        if self.is_set() {
            return Err(UnitError::Retry("nobody waits for its result any more".to_owned()));
        }
        Ok(())
    }
}
