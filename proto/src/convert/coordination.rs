//! Converts the messages in which workers and coordinators describe themselves.

use thresher_domain::{
    AllocationEnd, CoordinatorOpened, Directive, PreviousEpoch, RegisterRequest, Report,
    SyncRequest, Timestamp,
};

use super::{MalformedMessage, unit};
use crate::pb;

impl TryFrom<pb::RegisterRequest> for RegisterRequest {
    type Error = MalformedMessage;

    fn try_from(request: pb::RegisterRequest) -> Result<Self, MalformedMessage> {
        let pb::RegisterRequest { host, pid, slots, version, held, gang_ranks, key_memory_bytes } =
            request;
        let held = unit::all(held)?;
        Ok(Self { host, pid, slots, version, held, gang_ranks, key_memory_bytes })
    }
}

impl From<RegisterRequest> for pb::RegisterRequest {
    fn from(request: RegisterRequest) -> Self {
        let RegisterRequest { host, pid, slots, version, held, gang_ranks, key_memory_bytes } =
            request;
        let held = unit::all_to_wire(held);
        Self { host, pid, slots, version, held, gang_ranks, key_memory_bytes }
    }
}

impl TryFrom<pb::SyncRequest> for SyncRequest {
    type Error = MalformedMessage;

    fn try_from(request: pb::SyncRequest) -> Result<Self, MalformedMessage> {
        let reports: Result<Vec<Report>, _> =
            request.reports.into_iter().map(Report::try_from).collect();
        Ok(Self {
            worker_id: request.worker_id,
            want: request.want,
            idle: request.idle,
            reports: reports?,
            resync: request.resync,
            held: unit::all(request.held)?,
            wait_millis: request.wait_millis,
            sequence: request.sequence,
            leaves_within_millis: request.leaves_within_millis,
        })
    }
}

impl From<SyncRequest> for pb::SyncRequest {
    fn from(request: SyncRequest) -> Self {
        Self {
            worker_id: request.worker_id,
            want: request.want,
            idle: request.idle,
            reports: request.reports.into_iter().map(pb::Report::from).collect(),
            resync: request.resync,
            held: unit::all_to_wire(request.held),
            wait_millis: request.wait_millis,
            sequence: request.sequence,
            leaves_within_millis: request.leaves_within_millis,
        }
    }
}

impl From<Directive> for pb::Directive {
    fn from(directive: Directive) -> Self {
        match directive {
            Directive::Continue => Self::Continue,
            Directive::Drain => Self::Drain,
            Directive::Exit => Self::Exit,
        }
    }
}

impl From<pb::CoordinatorOpened> for CoordinatorOpened {
    fn from(opened: pb::CoordinatorOpened) -> Self {
        Self {
            epoch: opened.epoch,
            version: opened.version,
            host: opened.host,
            pid: opened.pid,
            previous: (opened.previous_epoch > 0).then_some(PreviousEpoch {
                epoch: opened.previous_epoch,
                bytes: opened.previous_bytes,
            }),
            allocation: AllocationEnd {
                allocation: opened.allocation,
                ends: moment(opened.ends_millis),
                margin_millis: opened.margin_millis,
            },
            identity: opened.identity,
        }
    }
}

impl From<CoordinatorOpened> for pb::CoordinatorOpened {
    fn from(opened: CoordinatorOpened) -> Self {
        let AllocationEnd { allocation, ends, margin_millis } = opened.allocation;
        Self {
            epoch: opened.epoch,
            version: opened.version,
            host: opened.host,
            pid: opened.pid,
            previous_bytes: opened.previous.map_or(0, |previous| previous.bytes),
            previous_epoch: opened.previous.map_or(0, |previous| previous.epoch),
            allocation,
            ends_millis: ends.map_or(0, Timestamp::millis),
            margin_millis,
            identity: opened.identity,
        }
    }
}

/// Converts a moment of the wire, where 0 means none.
fn moment(millis: u64) -> Option<Timestamp> {
    (millis > 0).then_some(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_and_a_registration_survive_the_wire() {
        let unit = pb::UnitRef { stage: pb::Stage::Publish.into(), ordinal: 1, attempt: 2 };
        let outcome = Some(pb::report::Outcome::Returned(pb::Returned {}));
        let reports = vec![pb::Report { unit: Some(unit), outcome, cpu_millis: 1, wall_millis: 2 }];
        let call = pb::SyncRequest {
            worker_id: 1,
            want: 2,
            idle: true,
            reports,
            resync: true,
            held: vec![unit],
            wait_millis: 3,
            sequence: 4,
            leaves_within_millis: 5,
        };
        assert_eq!(pb::SyncRequest::from(SyncRequest::try_from(call.clone()).unwrap()), call);
        let registration = pb::RegisterRequest {
            host: "node1".to_owned(),
            pid: 1,
            slots: 2,
            version: "0.1.0".to_owned(),
            held: vec![unit],
            gang_ranks: 3,
            key_memory_bytes: 1 << 30,
        };
        let received = RegisterRequest::try_from(registration.clone()).unwrap();
        assert_eq!(pb::RegisterRequest::from(received), registration);
    }

    #[test]
    fn an_opening_survives_the_journal() {
        let known = pb::CoordinatorOpened {
            epoch: 3,
            version: "0.1.0".to_owned(),
            host: "login1".to_owned(),
            pid: 4,
            previous_bytes: 5,
            previous_epoch: 2,
            allocation: "4711".to_owned(),
            ends_millis: 6,
            margin_millis: 7,
            identity: "a1".to_owned(),
        };
        for opened in [known, pb::CoordinatorOpened { epoch: 1, ..Default::default() }] {
            assert_eq!(
                pb::CoordinatorOpened::from(CoordinatorOpened::from(opened.clone())),
                opened
            );
        }
    }
}
