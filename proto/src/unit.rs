//! Names of stages and units, for those who hold messages.

use std::fmt;

use crate::pb::{Stage, UnitRef};

/// Returns the stage's name in status, errors and paths.
pub fn stage_name(stage: Stage) -> &'static str {
    thresher_domain::Stage::try_from(stage).map_or("unspecified", thresher_domain::Stage::name)
}

/// The same text as that of a [`thresher_domain::AttemptRef`].
impl fmt::Display for UnitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", stage_name(self.stage()), self.ordinal)?;
        if self.attempt > 0 {
            write!(f, "#{}", self.attempt)?;
        }
        Ok(())
    }
}
