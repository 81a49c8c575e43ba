//! Reports of workers.

use thresher_domain::{
    Accounting, AttemptRef, Count, Done, Failure, FailureClass, Listed, Outcome, PlannedUnit,
    Report,
};

use super::counter::{counters_from_wire, counters_to_wire};
use super::{MalformedMessage, unit};
use crate::pb;

impl TryFrom<pb::Report> for Report {
    type Error = MalformedMessage;

    fn try_from(report: pb::Report) -> Result<Self, MalformedMessage> {
        let pb::Report { unit, outcome, cpu_millis, wall_millis } = report;
        let outcome = match outcome.ok_or(MalformedMessage::MissingOutcome)? {
            pb::report::Outcome::Done(done) => Outcome::Done(done.try_into()?),
            pb::report::Outcome::Failed(failed) => Outcome::Failed(failed.try_into()?),
            pb::report::Outcome::Returned(pb::Returned {}) => Outcome::Returned,
            pb::report::Outcome::Listed(listed) => Outcome::Listed(listed.into()),
        };
        Ok(Self { unit: unit::required(unit)?, outcome, cpu_millis, wall_millis })
    }
}

impl From<Report> for pb::Report {
    fn from(report: Report) -> Self {
        let Report { unit, outcome, cpu_millis, wall_millis } = report;
        let outcome = match outcome {
            Outcome::Done(done) => pb::report::Outcome::Done(done.into()),
            Outcome::Failed(failure) => pb::report::Outcome::Failed(failure.into()),
            Outcome::Returned => pb::report::Outcome::Returned(pb::Returned {}),
            Outcome::Listed(listed) => pb::report::Outcome::Listed(listed.into()),
        };
        Self { unit: Some(unit.into()), outcome: Some(outcome), cpu_millis, wall_millis }
    }
}

impl TryFrom<pb::Done> for Done {
    type Error = MalformedMessage;

    fn try_from(done: pb::Done) -> Result<Self, MalformedMessage> {
        let pb::Done { accounting, digest, keys, counters } = done;
        let accounting = accounting.map(Accounting::from);
        Ok(Self { accounting, digest, keys, counters: counters_from_wire(counters)? })
    }
}

impl From<Done> for pb::Done {
    fn from(done: Done) -> Self {
        let Done { accounting, digest, keys, counters } = done;
        let accounting = accounting.map(pb::Accounting::from);
        Self { accounting, digest, keys, counters: counters_to_wire(counters) }
    }
}

impl TryFrom<pb::Failed> for Failure {
    type Error = MalformedMessage;

    fn try_from(failed: pb::Failed) -> Result<Self, MalformedMessage> {
        use pb::failed::Class;
        let unknown = || MalformedMessage::UnknownFailureClass(failed.class);
        let class = match Class::try_from(failed.class).map_err(|_| unknown())? {
            Class::Unspecified => return Err(unknown()),
            Class::Node => FailureClass::Node,
            Class::Data => FailureClass::Data,
            Class::Damaged => {
                let producer = failed.producer.ok_or(MalformedMessage::MissingProducer)?;
                FailureClass::Damaged { producer: AttemptRef::try_from(producer)?.key }
            }
            Class::Storage => FailureClass::Storage,
            Class::Service => FailureClass::Service,
            Class::Program => FailureClass::Program,
            Class::JobFile => FailureClass::JobFile,
            Class::Defect => FailureClass::Defect,
        };
        Ok(Self { class, error: failed.error })
    }
}

impl From<Failure> for pb::Failed {
    fn from(failure: Failure) -> Self {
        use pb::failed::Class;
        let (class, producer) = match failure.class {
            FailureClass::Node => (Class::Node, None),
            FailureClass::Data => (Class::Data, None),
            FailureClass::Damaged { producer } => {
                (Class::Damaged, Some(producer.attempt(0).into()))
            }
            FailureClass::Storage => (Class::Storage, None),
            FailureClass::Service => (Class::Service, None),
            FailureClass::Program => (Class::Program, None),
            FailureClass::JobFile => (Class::JobFile, None),
            FailureClass::Defect => (Class::Defect, None),
        };
        Self { class: class.into(), error: failure.error, producer }
    }
}

impl From<pb::Listed> for Listed {
    fn from(listed: pb::Listed) -> Self {
        let planned = |pb::PlannedUnit { payload, cost_bytes }| PlannedUnit { payload, cost_bytes };
        Self { piece: listed.piece, units: listed.units.into_iter().map(planned).collect() }
    }
}

impl From<Listed> for pb::Listed {
    fn from(listed: Listed) -> Self {
        let planned = |PlannedUnit { payload, cost_bytes }| pb::PlannedUnit { payload, cost_bytes };
        Self { piece: listed.piece, units: listed.units.into_iter().map(planned).collect() }
    }
}

impl From<pb::Accounting> for Accounting {
    fn from(accounting: pb::Accounting) -> Self {
        Self {
            records_in: accounting.records_in,
            kept: accounting.kept,
            dropped: counts_from_wire(accounting.dropped),
            quarantined: counts_from_wire(accounting.quarantined),
            bytes_in: accounting.bytes_in,
            bytes_kept: accounting.bytes_kept,
        }
    }
}

impl From<Accounting> for pb::Accounting {
    fn from(accounting: Accounting) -> Self {
        Self {
            records_in: accounting.records_in,
            kept: accounting.kept,
            dropped: counts_to_wire(accounting.dropped),
            quarantined: counts_to_wire(accounting.quarantined),
            bytes_in: accounting.bytes_in,
            bytes_kept: accounting.bytes_kept,
        }
    }
}

fn counts_from_wire(counts: Vec<pb::Count>) -> Vec<Count> {
    counts.into_iter().map(|pb::Count { name, value }| Count { name, value }).collect()
}

/// Converts counts back, in place.
fn counts_to_wire(counts: Vec<Count>) -> Vec<pb::Count> {
    counts.into_iter().map(|Count { name, value }| pb::Count { name, value }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pb::failed::Class;
    use thresher_domain::Counter;

    fn report(outcome: pb::report::Outcome) -> pb::Report {
        let unit = pb::UnitRef { stage: pb::Stage::Prepare.into(), ordinal: 3, attempt: 2 };
        pb::Report { unit: Some(unit), outcome: Some(outcome), cpu_millis: 5, wall_millis: 6 }
    }

    fn failed(class: i32, producer: Option<pb::UnitRef>) -> pb::report::Outcome {
        pb::report::Outcome::Failed(pb::Failed { class, error: "it broke".to_owned(), producer })
    }

    #[test]
    fn every_outcome_survives_the_wire() {
        let count = |name: &str| vec![pb::Count { name: name.to_owned(), value: 7 }];
        let accounting = pb::Accounting {
            records_in: 9,
            kept: 1,
            dropped: count("short"),
            quarantined: count("gzip"),
            bytes_in: 3,
            bytes_kept: 2,
        };
        let done = pb::Done {
            accounting: Some(accounting),
            digest: vec![1, 2],
            keys: 4,
            counters: vec![Counter::LinesIn.with(7).into()],
        };
        let units = vec![pb::PlannedUnit { payload: vec![3], cost_bytes: 8 }];
        let producer = pb::UnitRef { stage: pb::Stage::Lines.into(), ordinal: 4, attempt: 0 };
        for outcome in [
            pb::report::Outcome::Done(done),
            pb::report::Outcome::Listed(pb::Listed { piece: 2, units }),
            pb::report::Outcome::Returned(pb::Returned {}),
            failed(Class::Node.into(), None),
            failed(Class::Data.into(), None),
            failed(Class::Storage.into(), None),
            failed(Class::Service.into(), None),
            failed(Class::Program.into(), None),
            failed(Class::JobFile.into(), None),
            failed(Class::Defect.into(), None),
            failed(Class::Damaged.into(), Some(producer)),
        ] {
            let sent = report(outcome);
            let received = Report::try_from(sent.clone()).unwrap();
            assert_eq!(pb::Report::from(received), sent);
        }
    }

    #[test]
    fn malformed_reports_are_refused_by_name() {
        use MalformedMessage::{MissingOutcome, MissingProducer, MissingUnit, UnknownFailureClass};
        let returned = pb::report::Outcome::Returned(pb::Returned {});
        for (sent, error) in [
            (pb::Report { unit: None, ..report(returned.clone()) }, MissingUnit),
            (pb::Report { outcome: None, ..report(returned) }, MissingOutcome),
            (report(failed(0, None)), UnknownFailureClass(0)),
            (report(failed(99, None)), UnknownFailureClass(99)),
            (report(failed(Class::Damaged.into(), None)), MissingProducer),
        ] {
            assert_eq!(Report::try_from(sent), Err(error));
        }
    }
}
