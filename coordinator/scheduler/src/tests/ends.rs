//! How stages and jobs end: by themselves, by drain, by cancel.

use super::*;

#[test]
fn an_empty_job_is_sealed() {
    let mut room = Room::listed(true, 0);
    let layout = room.lease_one(1);
    assert_eq!(layout, unit(Stage::Layout, 0, 1));
    room.report(1, layout, done("layout"));
    let seal = room.lease_one(1);
    assert_eq!(seal, unit(Stage::Seal, 0, 1));
    let effects = room.report(1, seal, done("seal"));
    assert_eq!(
        effects,
        [
            Effect::StageEnded { stage: Stage::Seal },
            Effect::JobEnded { state: JobState::Complete, reason: String::new() },
            Effect::WorkAvailable,
        ]
    );
    let asked = SyncRequest { worker_id: 1, want: 1, ..SyncRequest::default() };
    assert_eq!(directive(&room.sync(asked).0), Directive::Exit);
}

#[test]
fn workers_that_never_came_back_are_not_listed_at_the_end() {
    let mut room = Room::listed(true, 0);
    let absent = room.register(77);
    room.reopen();
    let listed = |room: &Room| -> Vec<u32> {
        let status = room.scheduler.status(Timestamp::from_millis(room.now));
        status.workers.iter().map(|worker| worker.worker_id).collect()
    };
    assert_eq!(listed(&room), [1, absent], "it may still come");
    for output in ["layout", "seal"] {
        let unit = room.lease_one(1);
        room.report(1, unit, done(output));
    }
    assert_eq!(room.job_state(), JobState::Complete);
    assert_eq!(listed(&room), [1]);
}

#[test]
fn a_job_goes_through_its_stages_in_order() {
    let mut room = Room::listed(true, 2);
    let mut stages = Vec::new();
    for _ in 0..20 {
        let Some(lease) = room.lease(1, 1).pop() else { break };
        let run = lease.unit;
        stages.push(run.key.stage);
        if run.key.stage == Stage::Layout {
            room.report(1, run, listed(0, 2));
        }
        room.report(1, run, done_with_keys(1));
    }
    use Stage::{Layout, Lines, Prepare, Publish, ResolveDocuments, ResolveLines, Seal};
    assert_eq!(
        stages,
        [
            Lines,
            Lines,
            ResolveLines,
            Prepare,
            Prepare,
            ResolveDocuments,
            Layout,
            Publish,
            Publish,
            Seal
        ]
    );
    assert_eq!(room.job_state(), JobState::Complete);
}

#[test]
fn a_job_with_a_failed_unit_completes_with_missing_units() {
    let mut room = Room::listed(false, 1);
    let prepare = room.lease_one(1);
    room.report(1, prepare, failed(FailureClass::Data));
    for stage in [Stage::Layout, Stage::Seal] {
        let unit = room.lease_one(1);
        assert_eq!(unit.key.stage, stage);
        room.report(1, unit, done("it"));
    }
    assert_eq!(room.job_state(), JobState::CompleteWithGaps);
}

#[test]
fn a_failed_listing_stops_the_job_and_the_next_coordinator_retries_it() {
    let mut room = Room::new(true);
    let worker = room.register(1);
    for epoch in 2..10 {
        let list = room.lease_one(worker);
        assert_eq!(list.key.stage, Stage::List);
        let class = if epoch % 2 == 0 { FailureClass::Data } else { FailureClass::JobFile };
        room.report(worker, list, failed(class));
        assert_eq!(room.job_state(), JobState::Drained);
        assert_eq!(room.is_refused(), class == FailureClass::JobFile);
        assert!(room.reason().contains("no luck\nhint: "), "{}", room.reason());
        room.give(&Event::Opened(CoordinatorOpened { epoch, ..CoordinatorOpened::default() }));
    }
    assert_eq!(room.row(Stage::List).failed, 0);
}

#[test]
fn an_outage_is_waited_for_until_its_limit() {
    let mut room = Room::listed(false, 2);
    let mut attempts = 0;
    while room.job_state() == JobState::Running {
        room.now += 10_000;
        if let Some(lease) = room.lease(1, 1).pop() {
            room.report(1, lease.unit, failed(FailureClass::Service));
            attempts += 1;
        }
    }
    assert!((10..=40).contains(&attempts), "it is tried again and again: {attempts}");
    assert!((605_000..700_000).contains(&room.now), "{}", room.now);
    let reason = room.reason();
    assert!(reason.starts_with("nothing succeeded for 600 s (`units.outage`)"), "{reason}");
    assert!(!room.is_refused(), "it may answer the next coordinator");
    assert_eq!(room.row(Stage::Prepare).failed, 0);
}

#[test]
fn a_failed_unit_that_all_others_need_stops_the_job_and_is_retried_by_the_next_coordinator() {
    let mut room = Room::listed(true, 0);
    let layout = room.lease_one(1);
    let effects = room.report(1, layout, failed(FailureClass::Data));
    let reason = room.reason();
    assert!(reason.starts_with("`layout/0`: no luck\nhint: "), "{reason}");
    assert!(
        effects.contains(&Effect::JobEnded { state: JobState::Drained, reason }),
        "{effects:?}"
    );
    assert_eq!(room.lease(1, 1), []);
    room.reopen();
    assert_eq!(room.lease_one(1), unit(Stage::Layout, 0, 2));
}

#[test]
fn a_coordinator_that_is_refused_leaves_the_job_as_it_was() {
    let mut room = Room::listed(true, 0);
    let layout = room.lease_one(1);
    room.report(1, layout, failed(FailureClass::Data));
    let reason = room.reason();
    room.reopen();
    assert_eq!((room.job_state(), room.reason().as_str()), (JobState::Running, ""));
    room.give(&Event::RunRefused);
    assert_eq!((room.job_state(), room.reason()), (JobState::Drained, reason));
    room.reopen();
    assert_eq!(room.lease_one(1), unit(Stage::Layout, 0, 2), "the next one tries again");

    let mut room = Room::listed(true, 0);
    room.reopen();
    assert_eq!(room.give(&Event::RunRefused), []);
    assert_eq!(room.job_state(), JobState::Running, "it was neither drained nor blocked");
}

#[test]
fn a_job_that_stopped_for_failed_units_retries_them_in_the_next_coordinator() {
    let mut room = Room::listed_with(true, 2, |limits| limits.stop_at_failed_units = true);
    let bad = room.lease_one(1);
    room.report(1, bad, failed(FailureClass::Data));
    assert_eq!(room.job_state(), JobState::Running, "the others continue");
    assert_eq!(room.finish(1, 1), [unit(Stage::Lines, 1, 1)]);
    assert_eq!(room.job_state(), JobState::Drained);
    let reason = room.reason();
    assert!(
        reason.starts_with("1 unit failed permanently, the first `lines/0`: no luck"),
        "{reason}"
    );
    assert_eq!(room.lease(1, 1), []);

    room.reopen();
    assert_eq!(room.row(Stage::Lines).failed, 0);
    assert_eq!(room.row(Stage::Prepare).failed, 0, "with the unit that reads the same");
    assert_eq!(room.finish(1, 1), [unit(Stage::Lines, 0, 2)]);
    let resolve = room.lease_one(1);
    room.report(1, resolve, done("resolved"));
    assert_eq!(room.finish(1, 2), [unit(Stage::Prepare, 0, 1), unit(Stage::Prepare, 1, 1)]);
    assert_eq!(room.job_state(), JobState::Running);
}

#[test]
fn accepted_failed_units_are_retried_once_and_then_left_out() {
    let mut room = Room::listed_with(false, 2, |limits| limits.stop_at_failed_units = true);
    for attempt in 1..=2 {
        let bad = room.lease_one(1);
        assert_eq!(bad, unit(Stage::Prepare, 0, attempt));
        room.report(1, bad, failed(FailureClass::Data));
        if attempt == 1 {
            room.finish(1, 1);
            assert_eq!(room.job_state(), JobState::Drained);
            room.reopen();
            assert_eq!(room.give(&Event::FailedUnitsAccepted), []);
        }
    }
    assert_eq!(room.job_state(), JobState::Running);
    assert_eq!(room.row(Stage::Prepare).failed, 1);
    let next = room.lease_one(1);
    assert_eq!(next.key.stage, Stage::ResolveDocuments);
}

#[test]
fn a_drain_leases_nothing_and_waits_for_running_units_and_the_next_coordinator_resumes() {
    let mut room = Room::listed(true, 2);
    let running = room.lease_one(1);
    assert_eq!(room.give(&Event::Drained { until: None }), [Effect::WorkAvailable]);
    let asked = SyncRequest { worker_id: 1, want: 1, ..SyncRequest::default() };
    let (answer, _) = room.sync(asked);
    assert_eq!((leases(&answer), directive(&answer)), (vec![], Directive::Drain));
    assert_eq!(room.job_state(), JobState::Running);
    let drained = Effect::JobEnded { state: JobState::Drained, reason: String::new() };
    assert_eq!(room.report(1, running, done("bytes")), [drained]);
    assert_eq!(room.job_state(), JobState::Drained);
    room.give(&Event::Opened(CoordinatorOpened { epoch: 2, ..CoordinatorOpened::default() }));
    assert_eq!(room.job_state(), JobState::Running);
    assert_eq!(room.lease_one(1), unit(Stage::Lines, 1, 1));
}

#[test]
fn a_storage_that_refuses_the_job_stops_it_and_no_unit_fails() {
    let mut room = Room::listed(true, 3);
    let (first, second) = (room.lease_one(1), room.lease_one(1));
    room.report(1, first, failed(FailureClass::Storage));
    assert_eq!(room.lease(1, 1), [], "no unit starts that would fail the same way");
    let effects = room.report(1, second, failed(FailureClass::Storage));
    let reason = room.reason();
    assert!(reason.starts_with("worker 1 (host a, pid 1), `lines/0`: no luck\nhint:"), "{reason}");
    let ended = Effect::JobEnded { state: JobState::Drained, reason };
    assert!(effects.contains(&ended), "{effects:?}");
    assert!(room.is_refused());
    for epoch in 2..100 {
        room.give(&Event::Opened(CoordinatorOpened { epoch, ..CoordinatorOpened::default() }));
        assert_eq!((room.reason(), room.is_refused()), (String::new(), false));
        let again = room.lease_one(1);
        assert_eq!(again.key, first.key, "it is held against nobody");
        room.report(1, again, failed(FailureClass::Storage));
    }
    assert_eq!(room.row(Stage::Lines).failed, 0);
}

#[test]
fn cancelling_ends_the_job_at_once_and_later_results_change_nothing() {
    let mut room = Room::listed(true, 2);
    let running = room.lease_one(1);
    let cancelled = Effect::JobEnded { state: JobState::Cancelled, reason: String::new() };
    assert_eq!(room.give(&Event::Cancelled), [cancelled, Effect::WorkAvailable]);
    assert_eq!(room.report(1, running, done("bytes")), []);
    assert_eq!(room.row(Stage::Lines).done, 0);
    assert_eq!(room.give(&Event::Cancelled), []);
    room.give(&Event::Opened(CoordinatorOpened { epoch: 2, ..CoordinatorOpened::default() }));
    assert_eq!(room.job_state(), JobState::Cancelled, "for good");
}

#[test]
fn a_second_job_is_refused() {
    let mut room = Room::listed(true, 2);
    let plan = room.scheduler.plan().unwrap().clone();
    let second = Event::Submitted { plan, job_toml: "another".to_owned() };
    assert_eq!(room.give(&second), []);
    assert_eq!(room.scheduler.job_toml(), Some("job"));
}

#[test]
fn more_key_ranges_than_allowed_fail_the_job_with_a_hint() {
    let mut room = Room::listed(false, 1);
    let prepare = room.lease_one(1);
    let effects = room.report(1, prepare, done_with_keys(u64::MAX));
    let reason = effects.iter().find_map(|effect| match effect {
        Effect::JobEnded { state: JobState::Failed, reason } => Some(reason),
        _ => None,
    });
    assert!(reason.unwrap().contains("hint: give the dedup more memory"), "{reason:?}");
}
