//! Tests of what people are shown of an allocation.

use super::super::history::tests::{
    ended, history, pending, running, started, submission, submitted,
};
use super::super::records::Record;
use super::*;
use std::time::Duration;

/// Returns a time at which the job still gives signs of life.
fn at(unix_seconds: u64) -> Now {
    Now { unix_seconds, alive_unix_seconds: unix_seconds }
}

#[test]
fn only_an_allocation_that_failed_without_a_reason_lacks_a_cause() {
    let lacks = |records: Vec<Record>, state: Option<&AllocationState>| {
        let first = [submission("", 1), submitted("1")];
        history(first.into_iter().chain(records)).allocation("1").unwrap().lacks_cause(state)
    };
    let state = |ending| AllocationState::Ended { ending, reason: String::new(), ran: None };
    let failed = state(Ending::Failed { code: Some(1), signal: None });
    assert!(lacks(vec![], Some(&failed)), "its script never recorded its start");
    assert!(lacks(vec![started("1", 4)], Some(&failed)));
    assert!(!lacks(vec![started("1", 4)], Some(&state(Ending::Walltime))));
    assert!(!lacks(vec![started("1", 4)], None));
    for (status, units_done, expected) in
        [(0, 4, false), (4, 4, false), (5, 4, true), (5, 5, false), (1, 4, true), (1, 9, true)]
    {
        let run = vec![started("1", 4), ended("1", status, units_done)];
        assert_eq!(lacks(run, None), expected, "{status}, {units_done} units done");
    }
}

#[test]
fn node_hours_count_every_run() {
    let records = [submission("", 1), submitted("1"), started("1", 0), started("1", 0)];
    let allocation = history(records).allocation("1").unwrap().clone();
    // It ran 1000 s until it was started again, then to the end of its hour.
    assert_eq!(allocation.node_seconds(None, at(1_000_000)), (1000 + 3600) * 4);
    assert_eq!(allocation.node_seconds(None, at(4500)), (1000 + 500) * 4);
    assert_eq!(allocation.describe(None).0, Phase::Unknown);
}

#[test]
fn an_end_is_described_by_the_batch_system_and_by_our_record() {
    let records = [submission("", 1), submitted("1"), started("1", 0), ended("1", 5, 3)];
    let allocation = history(records).allocation("1").unwrap().clone();
    let ending = Ending::Completed;
    let state = AllocationState::Ended { ending, reason: String::new(), ran: None };
    let (phase, why) = allocation.describe(Some(&state));
    assert_eq!(phase, Phase::Ended);
    assert_eq!(why, "completed; drained, requested by USR1; 3 units done");
}

#[test]
fn suspended_and_unreachable_allocations_are_shown_as_such() {
    let records = [submission("", 1), submitted("1"), started("1", 0)];
    let recorded = history(records).allocation("1").unwrap().clone();
    for (condition, expected, part) in [
        (Condition::Starting, Phase::Starting, ""),
        (Condition::Working, Phase::Running, ""),
        (Condition::Suspended, Phase::Suspended, "no unit runs"),
        (Condition::Unreachable, Phase::Unreachable, "unknown to the batch system"),
        (Condition::Finishing, Phase::Ending, ""),
    ] {
        let (phase, why) = recorded.describe(Some(&running(condition)));
        assert_eq!(phase, expected);
        assert!(why.contains(part) && phase.is_alive() && phase.has_nodes(), "{why}");
    }
    let held = AllocationState::Held { reason: "JobHeldUser".to_owned() };
    let (phase, why) = recorded.describe(Some(&held));
    assert!(phase == Phase::Held && phase.is_alive() && !phase.has_nodes());
    assert!(why.contains("suspended in the queue") && why.ends_with("; JobHeldUser"), "{why}");
}

#[test]
fn an_allocation_that_waits_to_run_again_is_queued_although_its_end_is_recorded() {
    let records = [submission("", 1), submitted("1"), started("1", 0), ended("1", 5, 3)];
    let mut again = history(records).allocation("1").unwrap().clone();
    let (phase, why) = again.describe(Some(&pending()));
    assert_eq!(phase, Phase::Queued);
    assert_eq!(why, "runs again after 1 runs, 3 units done; BeginTime");
    assert_eq!(again.describe(Some(&running(Condition::Working))).0, Phase::Ending);
    again.withdrawn = Some("the job was cancelled".to_owned());
    let (_, why) = again.describe(Some(&pending()));
    assert!(why.starts_with("does nothing when it starts: the job was cancelled"), "{why}");
}

#[test]
fn node_hours_and_the_end_stop_with_the_allocation() {
    let records = [submission("", 1), submitted("1"), started("1", 0)];
    let mut recorded = history(records).allocation("1").unwrap().clone();
    recorded.runs[0].ends_unix_seconds = Some(6600);
    // It started at 3000 s; its last sign of life was 400 s later, and now it is 5000 s.
    let now = Now { unix_seconds: 5000, alive_unix_seconds: 3400 };
    let over = |ran: Option<u64>| AllocationState::Ended {
        ending: Ending::NodeFailed,
        reason: String::new(),
        ran: ran.map(Duration::from_secs),
    };
    for (state, seconds, ends) in [
        (Some(running(Condition::Working)), 2000, Some(6600)),
        (Some(over(Some(450))), 450, Some(3450)),
        (Some(over(None)), 400, Some(3400)),
        (Some(pending()), 400, Some(3400)),
        // Nobody knows whether it still runs.
        (None, 400, Some(6600)),
    ] {
        assert_eq!(recorded.node_seconds(state.as_ref(), now), seconds * 4, "{state:?}");
        assert_eq!(recorded.ends(state.as_ref(), now), ends, "{state:?}");
    }
}
