//! Names of stages and units, as people read and type them: `prepare/17`, `prepare/17#2`.

use std::fmt;

use crate::pb::{Stage, UnitRef};

/// Every stage of a job, in the order in which they run.
pub const STAGES: [Stage; 8] = [
    Stage::List,
    Stage::Lines,
    Stage::ResolveLines,
    Stage::Prepare,
    Stage::ResolveDocuments,
    Stage::Layout,
    Stage::Publish,
    Stage::Seal,
];

/// The stage's name in status, errors and paths.
pub const fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Unspecified => "unspecified",
        Stage::List => "list",
        Stage::Lines => "lines",
        Stage::ResolveLines => "resolve-lines",
        Stage::Prepare => "prepare",
        Stage::ResolveDocuments => "resolve-documents",
        Stage::Layout => "layout",
        Stage::Publish => "publish",
        Stage::Seal => "seal",
    }
}

impl fmt::Display for UnitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", stage_name(self.stage()), self.ordinal)?;
        if self.attempt > 0 {
            write!(f, "#{}", self.attempt)?;
        }
        Ok(())
    }
}

/// Why a text names no unit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` names no unit\nhint: write a stage and a number, like `prepare/17`")]
pub struct UnitNameError(String);

/// Reads `prepare/17` or `prepare/17#2` (the attempt is 0 when absent).
pub fn parse_unit(text: &str) -> Result<UnitRef, UnitNameError> {
    let refuse = || UnitNameError(text.to_owned());
    let (stage, rest) = text.split_once('/').ok_or_else(refuse)?;
    let stage = STAGES.into_iter().find(|s| stage_name(*s) == stage).ok_or_else(refuse)?;
    let (ordinal, attempt) = rest.split_once('#').unwrap_or((rest, "0"));
    Ok(UnitRef {
        stage: stage.into(),
        ordinal: ordinal.parse().map_err(|_| refuse())?,
        attempt: attempt.parse().map_err(|_| refuse())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_reads_back_as_it_is_printed() {
        for stage in STAGES {
            for attempt in [0, 3] {
                let unit = UnitRef { stage: stage.into(), ordinal: 17, attempt };
                assert_eq!(parse_unit(&unit.to_string()), Ok(unit));
            }
        }
    }

    #[test]
    fn nonsense_names_no_unit() {
        for text in ["", "prepare", "prepare/", "prepare/x", "mill/3", "prepare/3#", "prepare/-1"] {
            assert!(parse_unit(text).is_err(), "{text}");
        }
    }
}
