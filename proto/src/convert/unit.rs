//! Stages, units and attempts.

use thresher_domain::{AttemptRef, Stage, UnitKey};

use super::MalformedMessage;
use crate::pb;

impl TryFrom<pb::Stage> for Stage {
    type Error = MalformedMessage;

    fn try_from(stage: pb::Stage) -> Result<Self, MalformedMessage> {
        Ok(match stage {
            pb::Stage::Unspecified => return Err(MalformedMessage::UnspecifiedStage),
            pb::Stage::List => Self::List,
            pb::Stage::Lines => Self::Lines,
            pb::Stage::GatherLines => Self::GatherLines,
            pb::Stage::ResolveLines => Self::ResolveLines,
            pb::Stage::CombineLines => Self::CombineLines,
            pb::Stage::Prepare => Self::Prepare,
            pb::Stage::GatherDocuments => Self::GatherDocuments,
            pb::Stage::ResolveDocuments => Self::ResolveDocuments,
            pb::Stage::CombineDocuments => Self::CombineDocuments,
            pb::Stage::Sign => Self::Sign,
            pb::Stage::GatherBands => Self::GatherBands,
            pb::Stage::ResolveBands => Self::ResolveBands,
            pb::Stage::Connect => Self::Connect,
            pb::Stage::Collect => Self::Collect,
            pb::Stage::Compare => Self::Compare,
            pb::Stage::Decide => Self::Decide,
            pb::Stage::Layout => Self::Layout,
            pb::Stage::Publish => Self::Publish,
            pb::Stage::Seal => Self::Seal,
        })
    }
}

impl From<Stage> for pb::Stage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::List => Self::List,
            Stage::Lines => Self::Lines,
            Stage::GatherLines => Self::GatherLines,
            Stage::ResolveLines => Self::ResolveLines,
            Stage::CombineLines => Self::CombineLines,
            Stage::Prepare => Self::Prepare,
            Stage::GatherDocuments => Self::GatherDocuments,
            Stage::ResolveDocuments => Self::ResolveDocuments,
            Stage::CombineDocuments => Self::CombineDocuments,
            Stage::Sign => Self::Sign,
            Stage::GatherBands => Self::GatherBands,
            Stage::ResolveBands => Self::ResolveBands,
            Stage::Connect => Self::Connect,
            Stage::Collect => Self::Collect,
            Stage::Compare => Self::Compare,
            Stage::Decide => Self::Decide,
            Stage::Layout => Self::Layout,
            Stage::Publish => Self::Publish,
            Stage::Seal => Self::Seal,
        }
    }
}

impl TryFrom<pb::UnitRef> for AttemptRef {
    type Error = MalformedMessage;

    fn try_from(unit: pb::UnitRef) -> Result<Self, MalformedMessage> {
        let stage = pb::Stage::try_from(unit.stage)
            .map_err(|_| MalformedMessage::UnknownStage(unit.stage))?;
        let key = UnitKey { stage: stage.try_into()?, ordinal: unit.ordinal };
        Ok(key.attempt(unit.attempt))
    }
}

impl From<AttemptRef> for pb::UnitRef {
    fn from(unit: AttemptRef) -> Self {
        let AttemptRef { key: UnitKey { stage, ordinal }, attempt } = unit;
        Self { stage: pb::Stage::from(stage).into(), ordinal, attempt }
    }
}

/// Converts the unit that a message must name.
pub(super) fn required(unit: Option<pb::UnitRef>) -> Result<AttemptRef, MalformedMessage> {
    unit.ok_or(MalformedMessage::MissingUnit)?.try_into()
}

/// Converts a list of units in place.
pub(super) fn all(units: Vec<pb::UnitRef>) -> Result<Vec<AttemptRef>, MalformedMessage> {
    units.into_iter().map(AttemptRef::try_from).collect()
}

/// Converts a list of units back, in place.
pub(super) fn all_to_wire(units: Vec<AttemptRef>) -> Vec<pb::UnitRef> {
    units.into_iter().map(pb::UnitRef::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_survives_the_wire_and_keeps_its_number() {
        for stage in Stage::ALL {
            let wire = pb::Stage::from(stage);
            assert_eq!(wire as i32, stage as i32);
            assert_eq!(Stage::try_from(wire), Ok(stage));
        }
    }

    #[test]
    fn a_unit_without_a_stage_is_refused() {
        let unit = |stage| AttemptRef::try_from(pb::UnitRef { stage, ordinal: 1, attempt: 1 });
        assert_eq!(unit(0), Err(MalformedMessage::UnspecifiedStage));
        assert_eq!(unit(99), Err(MalformedMessage::UnknownStage(99)));
        assert_eq!(required(None), Err(MalformedMessage::MissingUnit));
    }
}
