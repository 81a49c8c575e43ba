//! Units and their attempts, and their names as people read and type them: `prepare/17`,
//! `prepare/17#2`.

use std::fmt;
use std::str::FromStr;

use crate::Stage;

/// A unit of a job, whichever attempt runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitKey {
    /// The stage that the unit belongs to.
    pub stage: Stage,
    /// Position in the stage's canonical order, from 0.
    pub ordinal: u32,
}

impl UnitKey {
    /// Returns the unit of that stage and position.
    pub const fn new(stage: Stage, ordinal: u32) -> Self {
        Self { stage, ordinal }
    }

    /// Returns an attempt of this unit.
    pub const fn attempt(self, attempt: u32) -> AttemptRef {
        AttemptRef { key: self, attempt }
    }
}

impl fmt::Display for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stage, self.ordinal)
    }
}

/// One attempt of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptRef {
    /// The unit.
    pub key: UnitKey,
    /// Counts the leases of this unit from 1, which fences late reports of failures. 0 when no
    /// attempt is meant in particular.
    pub attempt: u32,
}

impl fmt::Display for AttemptRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)?;
        if self.attempt > 0 {
            write!(f, "#{}", self.attempt)?;
        }
        Ok(())
    }
}

/// A text that is not the name of a unit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a valid name of a unit\nhint: write a stage and a number, like `prepare/17`")]
pub struct UnitNameError(String);

impl FromStr for AttemptRef {
    type Err = UnitNameError;

    /// Reads `prepare/17` or `prepare/17#2`. The attempt is 0 when it is absent.
    fn from_str(text: &str) -> Result<Self, UnitNameError> {
        let refuse = || UnitNameError(text.to_owned());
        let (stage, rest) = text.split_once('/').ok_or_else(refuse)?;
        let stage = Stage::from_name(stage).ok_or_else(refuse)?;
        let (ordinal, attempt) = rest.split_once('#').unwrap_or((rest, "0"));
        let ordinal = ordinal.parse().map_err(|_| refuse())?;
        let attempt = attempt.parse().map_err(|_| refuse())?;
        Ok(UnitKey { stage, ordinal }.attempt(attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_reads_back_as_it_is_printed() {
        for stage in Stage::ALL {
            for attempt in [0, 3] {
                let unit = UnitKey { stage, ordinal: 17 }.attempt(attempt);
                assert_eq!(unit.to_string().parse(), Ok(unit));
            }
        }
    }

    #[test]
    fn text_that_is_not_a_unit_name_is_refused() {
        for text in ["", "prepare", "prepare/", "prepare/x", "mill/3", "prepare/3#", "prepare/-1"] {
            assert_eq!(text.parse::<AttemptRef>(), Err(UnitNameError(text.to_owned())));
        }
    }
}
