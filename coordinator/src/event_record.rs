//! Events of the scheduler as records of the journal, and back.
//!
//! The scheduler knows nothing of records, and the journal nothing of events.

use thresher_domain::{RegisterRequest, Stage, SyncRequest, Timestamp};
use thresher_proto::convert::MalformedMessage;
use thresher_proto::pb;
use thresher_proto::pb::journal_record::Event as Written;
use thresher_scheduler::{Event, JobPlan};

/// A journal record that does not hold an event.
#[derive(Debug, thiserror::Error)]
pub enum RecordError<E> {
    /// A record without an event: written by a newer version.
    #[error(
        "a journal record of an unknown kind\nhint: run the version of thresher that wrote it, or \
         a newer one"
    )]
    UnknownKind,
    /// A record whose message is malformed.
    #[error("a journal record is malformed: {0}\nhint: run the version of thresher that wrote it")]
    Malformed(#[from] MalformedMessage),
    /// The job in the journal could not be planned.
    #[error("a job in the journal that cannot be planned")]
    Plan(#[source] E),
}

/// Returns the record of an event. It is made after `Scheduler::handle`, so that nothing is
/// copied.
pub fn into_record(event: Event, now: Timestamp) -> pb::JournalRecord {
    let event = match event {
        Event::Opened(opened) => Written::Opened(opened.into()),
        Event::Submitted { plan: _, job_toml } => Written::Submitted(pb::JobSubmitted { job_toml }),
        Event::JobChanged { plan: _, job_toml, from, keep_done } => {
            let from = from.map_or(pb::Stage::Unspecified, pb::Stage::from).into();
            Written::Changed(pb::JobChanged { job_toml, from, keep_done })
        }
        Event::Registered { worker_id, request } => {
            let request = Some(request.into());
            Written::Registered(pb::WorkerRegistered { worker_id, request })
        }
        Event::Sync(request) => Written::Sync(request.into()),
        Event::Lost { worker_id, reason } => Written::Lost(pb::WorkerLost { worker_id, reason }),
        Event::Drained { until } => {
            Written::Drained(pb::JobDrained { until_millis: until.map_or(0, Timestamp::millis) })
        }
        Event::Frozen { millis } => Written::Frozen(pb::CoordinatorFrozen { millis }),
        Event::RunRefused => Written::Refused(pb::RunRefused {}),
        Event::Cancelled => Written::Cancelled(pb::JobCancelled {}),
        Event::FailedUnitsAccepted => Written::GapsAccepted(pb::GapsAccepted {}),
    };
    pb::JournalRecord { now_millis: now.millis(), event: Some(event) }
}

/// Returns the event of a record, and when it was handled. `plan_of` makes the plan of a job's text
/// again, as it did when the job was submitted.
pub fn from_record<E>(
    record: pb::JournalRecord,
    plan_of: impl FnOnce(&str) -> Result<JobPlan, E>,
) -> Result<(Timestamp, Event), RecordError<E>> {
    let event = match record.event.ok_or(RecordError::UnknownKind)? {
        Written::Opened(opened) => Event::Opened(opened.into()),
        Written::Submitted(pb::JobSubmitted { job_toml }) => {
            let plan = plan_of(&job_toml).map_err(RecordError::Plan)?;
            Event::Submitted { plan, job_toml }
        }
        Written::Changed(pb::JobChanged { job_toml, from, keep_done }) => {
            let plan = plan_of(&job_toml).map_err(RecordError::Plan)?;
            let from = pb::Stage::try_from(from).map_err(|_| RecordError::UnknownKind)?;
            let is_named = from != pb::Stage::Unspecified;
            let from = is_named.then(|| Stage::try_from(from)).transpose()?;
            Event::JobChanged { plan, job_toml, from, keep_done }
        }
        Written::Registered(pb::WorkerRegistered { worker_id, request }) => {
            let request = request.ok_or(MalformedMessage::MissingRequest)?;
            Event::Registered { worker_id, request: RegisterRequest::try_from(request)? }
        }
        Written::Sync(request) => Event::Sync(SyncRequest::try_from(request)?),
        Written::Lost(pb::WorkerLost { worker_id, reason }) => Event::Lost { worker_id, reason },
        Written::Drained(pb::JobDrained { until_millis }) => {
            let until = (until_millis > 0).then_some(Timestamp::from_millis(until_millis));
            Event::Drained { until }
        }
        Written::Frozen(pb::CoordinatorFrozen { millis }) => Event::Frozen { millis },
        Written::Refused(pb::RunRefused {}) => Event::RunRefused,
        Written::Cancelled(pb::JobCancelled {}) => Event::Cancelled,
        Written::GapsAccepted(pb::GapsAccepted {}) => Event::FailedUnitsAccepted,
    };
    Ok((Timestamp::from_millis(record.now_millis), event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event: Option<Written>) -> Result<Event, RecordError<std::convert::Infallible>> {
        let planned = |_: &str| unreachable!("no job is submitted");
        from_record(pb::JournalRecord { now_millis: 5, event }, planned).map(|(_, event)| event)
    }

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let until = Some(Timestamp::from_millis(7));
        let lost = Event::Lost { worker_id: 3, reason: "silent".to_owned() };
        let registered = Event::Registered { worker_id: 1, request: RegisterRequest::default() };
        let events = [
            Event::Drained { until },
            Event::Drained { until: None },
            Event::RunRefused,
            Event::Cancelled,
            Event::Frozen { millis: 9 },
            Event::FailedUnitsAccepted,
            Event::Sync(SyncRequest { worker_id: 1, want: 2, ..SyncRequest::default() }),
            lost,
            registered,
        ];
        for event in events {
            let record = into_record(event.clone(), Timestamp::from_millis(5));
            assert_eq!(read(record.event).unwrap(), event);
        }
    }

    #[test]
    fn malformed_records_are_refused_by_name() {
        assert!(matches!(read(None), Err(RecordError::UnknownKind)));
        let registered = pb::WorkerRegistered { worker_id: 1, request: None };
        let error = read(Some(Written::Registered(registered))).unwrap_err();
        assert!(matches!(error, RecordError::Malformed(MalformedMessage::MissingRequest)));
        let reports = vec![pb::Report::default()];
        let sync = pb::SyncRequest { reports, ..pb::SyncRequest::default() };
        let error = read(Some(Written::Sync(sync))).unwrap_err();
        assert!(error.to_string().contains("hint: "), "{error}");
    }
}
