//! Stages that are planned again, and sources of which too little is left.

use thresher_domain::{Accounting, Count};

use super::*;

fn change(room: &mut Room, from: Option<Stage>, keep_done: bool) -> Vec<Effect> {
    let plan = room.scheduler.plan().unwrap().clone();
    room.give(&Event::JobChanged { plan, job_toml: "changed".to_owned(), from, keep_done })
}

/// Runs what is left with a worker, and returns the units of each stage.
fn run_out(room: &mut Room, worker_id: u32) -> Vec<AttemptRef> {
    let mut units = Vec::new();
    for _ in 0..60 {
        let Some(lease) = room.lease(worker_id, 1).pop() else { return units };
        if matches!(lease.unit.key.stage, Stage::List | Stage::Layout) {
            room.report(worker_id, lease.unit, listed(0, 2));
        }
        room.report(worker_id, lease.unit, done_with_keys(9));
        units.push(lease.unit);
    }
    panic!("it does not end: {units:?}");
}

#[test]
fn a_complete_job_with_missing_units_runs_them_and_all_later_stages_again() {
    let mut room = Room::listed(true, 2);
    let bad = room.lease_one(1);
    room.report(1, bad, failed(FailureClass::Data));
    run_out(&mut room, 1);
    assert_eq!(room.job_state(), JobState::CompleteWithGaps);
    room.reopen();
    assert_eq!(room.scheduler.first_missing_stage(), Some(Stage::Lines));
    change(&mut room, Some(Stage::Lines), true);
    let worker = room.register(5);
    let units = run_out(&mut room, worker);
    let lines: Vec<_> = units.iter().filter(|unit| unit.key.stage == Stage::Lines).collect();
    assert_eq!(lines, [&unit(Stage::Lines, 0, 2)], "the other one stays done");
    let prepared = units.iter().filter(|unit| unit.key.stage == Stage::Prepare);
    assert_eq!(prepared.map(|unit| unit.attempt).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(room.job_state(), JobState::Complete);
    assert_eq!((room.row(Stage::Prepare).done, room.scheduler.first_missing_stage()), (2, None));
}

#[test]
fn a_stage_that_is_planned_anew_ignores_reports_of_its_earlier_attempts() {
    let mut room = Room::listed(false, 2);
    let early = room.lease_one(1);
    room.reopen();
    change(&mut room, Some(Stage::Prepare), false);
    let (answer, _) = room.sync(SyncRequest { worker_id: 1, ..SyncRequest::default() });
    assert_eq!(answer, SyncAnswer::UnknownWorker, "it registers again, and sees another job");
    let late = room.register(8);
    let effects = room.report(late, early, done("of the earlier plan"));
    assert!(matches!(effects.as_slice(), [Effect::ReportRefused { .. }]), "{effects:?}");
    let again = room.register_holding(1, &[early]);
    assert_eq!(room.state(early), "waiting", "it is not taken up again");
    assert_eq!(room.lease_one(again), unit(Stage::Prepare, 0, 2));
    assert_eq!(room.row(Stage::Prepare).units, 2, "of the same inputs");
    assert_eq!(room.scheduler.job_toml(), Some("changed"));
}

#[test]
fn a_stage_is_planned_anew_from_what_earlier_stages_left() {
    for from in Stage::ALL {
        let mut room = Room::with_every_stage(2);
        run_out(&mut room, 1);
        assert_eq!(room.job_state(), JobState::Complete);
        room.reopen();
        change(&mut room, Some(from), false);
        let worker = room.register(9);
        let stages: Vec<Stage> = run_out(&mut room, worker).iter().map(|u| u.key.stage).collect();
        assert!(stages.iter().all(|stage| *stage >= from), "{from:?}: {stages:?}");
        assert!(stages.contains(&from), "{from:?}: {stages:?}");
        assert_eq!(room.job_state(), JobState::Complete, "{from:?}");
        assert_eq!(room.row(Stage::Publish).done, 2, "{from:?}");
    }
}

fn read(records_in: u64, quarantined: u64) -> Outcome {
    let accounting = Accounting {
        records_in,
        kept: records_in - quarantined,
        quarantined: vec![Count { name: "json".to_owned(), value: quarantined }],
        ..Accounting::default()
    };
    let digest = b"read".to_vec();
    Outcome::Done(Done { accounting: Some(accounting), digest, ..Done::default() })
}

fn attention(room: &Room) -> Vec<String> {
    room.scheduler.status(Timestamp::from_millis(room.now)).attention
}

#[test]
fn a_source_that_is_mostly_quarantined_stops_the_job_until_the_limit_is_raised() {
    let mut room = Room::listed(false, 3);
    let first = room.lease_one(1);
    room.report(1, first, read(900, 900));
    assert_eq!(room.job_state(), JobState::Running, "too few records to judge");
    let second = room.lease_one(1);
    room.report(1, second, read(100, 0));
    assert_eq!((room.job_state(), room.is_refused()), (JobState::Drained, true));
    let reason = room.reason();
    assert!(reason.starts_with("source `crawl`: 900 of 1000 records (90 %)"), "{reason}");
    assert!(reason.contains("(10 %), 900 of them as `json`\nhint: "), "{reason}");

    room.reopen();
    let mut plan = room.scheduler.plan().unwrap().clone();
    plan.limits.max_quarantined_permille = 900;
    let job_toml = "with a higher limit".to_owned();
    room.give(&Event::JobChanged { plan, job_toml, from: None, keep_done: false });
    let worker = room.register(7);
    let last = room.lease_one(worker);
    assert_eq!(last, unit(Stage::Prepare, 2, 1), "what was done stays done");
    room.report(worker, last, read(10, 0));
    assert_eq!(room.job_state(), JobState::Running);
}

#[test]
fn a_job_stopped_by_quarantined_records_at_the_end_of_a_stage_stops_again_if_nothing_changed() {
    let mut room = Room::listed(false, 1);
    let only = room.lease_one(1);
    room.report(1, only, read(2000, 500));
    assert_eq!(room.job_state(), JobState::Drained);
    room.reopen();
    assert_eq!(room.job_state(), JobState::Drained);
    assert!(room.reason().contains("(25 %)"), "{}", room.reason());
}

#[test]
fn a_source_of_which_nothing_is_published_asks_for_attention() {
    let mut room = Room::listed(false, 1);
    let only = room.lease_one(1);
    room.report(1, only, read(200, 200));
    run_out(&mut room, 1);
    assert_eq!(room.job_state(), JobState::Complete);
    let expected = "nothing of source `crawl` was published: of 200 records 200 were quarantined, \
                    200 of them as `json`, 0 dropped by rules of the recipe, 0 dropped as duplicates";
    assert_eq!(attention(&room), [expected]);
}

#[test]
fn a_listing_that_was_lost_and_is_another_now_stops_the_job_until_it_is_the_same() {
    let mut room = Room::listed(false, 2);
    let list = unit(Stage::List, 0, 1).key;
    let reader = room.lease_one(1);
    room.report(1, reader, failed(FailureClass::Damaged { producer: list }));
    let again = room.lease_one(1);
    assert_eq!(again.key, list);
    room.report(1, again, listed(0, 1));
    room.report(1, again, done("other inputs"));
    assert_eq!((room.job_state(), room.is_refused()), (JobState::Drained, true));
    assert!(room.reason().contains("of source `crawl` was lost"), "{}", room.reason());

    room.reopen();
    let worker = room.register(9);
    let again = room.lease_one(worker);
    assert_eq!(again.key, list);
    room.report(worker, again, listed(0, 2));
    room.report(worker, again, done("list"));
    assert_eq!(room.job_state(), JobState::Running);
    let stages: Vec<Stage> = run_out(&mut room, worker).iter().map(|u| u.key.stage).collect();
    assert!(!stages.contains(&Stage::List), "{stages:?}");
    assert_eq!((room.job_state(), room.row(Stage::Prepare).done), (JobState::Complete, 2));
}

#[test]
fn a_few_records_that_are_all_dropped_by_name_need_no_attention() {
    for (records_in, dropped, asks) in [(50, 50, false), (50, 49, true), (100, 100, true)] {
        let mut room = Room::listed(false, 1);
        let only = room.lease_one(1);
        let accounting = Accounting {
            records_in,
            dropped: vec![Count { name: "c4/empty".to_owned(), value: dropped }],
            quarantined: vec![Count { name: "json".to_owned(), value: records_in - dropped }],
            ..Accounting::default()
        };
        let digest = b"read".to_vec();
        let done = Done { accounting: Some(accounting), digest, ..Done::default() };
        room.report(1, only, Outcome::Done(done));
        run_out(&mut room, 1);
        assert_eq!(!attention(&room).is_empty(), asks, "{dropped} of {records_in}");
    }
}
