//! Who is to blame for a failure: the unit, the worker, or what all of them use.

use std::collections::BTreeSet;

use super::*;

/// A job of that many inputs with a sound worker on host `a`, which is worker 1.
fn with_sound_worker(inputs: u32) -> Room {
    let mut room = Room::listed(false, inputs);
    room.finish(1, 1);
    room
}

fn excluded(room: &Room, worker_id: u32) -> Option<String> {
    let status = room.scheduler.status(Timestamp::from_millis(room.now));
    let found = status.workers.into_iter().find(|worker| worker.worker_id == worker_id);
    found.and_then(|worker| worker.excluded)
}

#[test]
fn a_worker_on_which_all_units_fail_gets_no_more_and_costs_no_unit() {
    for class in [FailureClass::Node, FailureClass::Service, FailureClass::Program] {
        let mut room = with_sound_worker(40);
        let bad = room.register_on("b", 2, &[]);
        let mut failures = 0;
        for _ in 0..200 {
            room.now += 100;
            if let Some(lease) = room.lease(bad, 4).pop() {
                room.report(bad, lease.unit, failed(class));
                failures += 1;
            }
            if let Some(lease) = room.lease(1, 1).pop() {
                room.report(1, lease.unit, done("it"));
            }
        }
        assert!((3..=8).contains(&failures), "{failures} attempts on the bad worker");
        let why = excluded(&room, bad).unwrap();
        assert!(why.contains("units in a row failed on it while others succeed"), "{why}");
        assert_eq!((room.row(Stage::Prepare).failed, excluded(&room, 1)), (0, None));
        assert!(room.row(Stage::Prepare).done >= 39, "the sound worker did the rest");
    }
}

#[test]
fn a_unit_that_failed_on_one_host_is_tried_on_another_first() {
    let mut room = with_sound_worker(3);
    let other = room.register_on("b", 2, &[]);
    let first = room.lease_one(1);
    room.report(1, first, failed(FailureClass::Node));
    room.now += 600;
    assert_eq!(room.lease_one(1).key.ordinal, 2, "it is not tried where it just failed");
    assert_eq!(room.lease_one(other).key, first.key);
}

#[test]
fn a_unit_that_fails_on_sound_workers_of_two_hosts_fails_permanently_and_excludes_nobody() {
    let mut room = with_sound_worker(100);
    let other = room.register_on("b", 2, &[]);
    room.finish(other, 1);
    let bad = UnitKey::new(Stage::Prepare, 2);
    for _ in 0..60 {
        for worker in [1, other] {
            room.now += 400;
            let Some(lease) = room.lease(worker, 1).pop() else { continue };
            if lease.unit.key.stage != Stage::Prepare {
                continue;
            }
            let ends = match lease.unit.key == bad {
                true => failed(FailureClass::Program),
                false => done("it"),
            };
            room.report(worker, lease.unit, ends);
        }
    }
    assert_eq!(room.state(bad.attempt(1)), "failed permanently");
    assert_eq!(room.row(Stage::Prepare).failed, 1);
    assert_eq!((excluded(&room, 1), excluded(&room, other)), (None, None));
}

#[test]
fn a_unit_that_the_place_fails_is_given_as_long_as_an_outage() {
    let mut room = with_sound_worker(2000);
    let other = room.register_on("b", 2, &[]);
    room.finish(other, 1);
    let bad = UnitKey::new(Stage::Prepare, 2);
    let started = room.now;
    while room.row(Stage::Prepare).failed == 0 {
        room.now += 1000;
        for worker in [1, other] {
            let Some(lease) = room.lease(worker, 1).pop() else { continue };
            let ends = if lease.unit.key == bad { failed(FailureClass::Node) } else { done("it") };
            room.report(worker, lease.unit, ends);
        }
        assert!(room.now < started + 900_000, "{:?}", room.row(Stage::Prepare));
    }
    assert!(room.now >= started + 600_000, "after {} ms", room.now - started);
}

#[test]
fn programs_of_which_the_first_fail_alike_stop_the_job() {
    let mut room = Room::listed_with(false, 1100, |limits| limits.retries = 1);
    let mut attempts = 0;
    while let Some(lease) = room.lease(1, 1).pop() {
        room.report(1, lease.unit, failed(FailureClass::Program));
        attempts += 1;
    }
    assert_eq!((attempts, room.job_state()), (3, JobState::Drained));
    let reason = room.reason();
    assert!(reason.starts_with("every unit so far failed; the last: worker 1"), "{reason}");
    assert_eq!(room.row(Stage::Prepare).failed, 0);
    room.reopen();
    assert_eq!(room.lease(1, 4).len(), 4, "the program may work now");
}

#[test]
fn programs_that_begin_to_fail_everywhere_stop_the_job_too() {
    let mut room = with_sound_worker(1100);
    while let Some(lease) = room.lease(1, 1).pop() {
        room.report(1, lease.unit, failed(FailureClass::Program));
    }
    assert_eq!(room.job_state(), JobState::Drained);
    assert!(room.reason().starts_with("100 failures in a row"), "{}", room.reason());
}

/// Nothing can show any more that the worker is sound.
#[test]
fn a_unit_that_fails_at_the_end_of_its_stage_fails_permanently_only_if_a_person_chose_that() {
    for (stops, others) in [(true, 0), (false, 0), (true, 1), (false, 1)] {
        let mut room = Room::listed_with(false, 3, |limits| limits.stop_at_failed_units = stops);
        room.finish(1, 1);
        let mut workers = vec![1];
        // One more on the same host, which has succeeded too.
        workers.extend((0..others).map(|_| room.register(1)));
        room.finish(workers[others], 1);
        let last = UnitKey::new(Stage::Prepare, 2);
        let state = |room: &Room| room.state(last.attempt(1));
        let (started, mut ran_on) = (room.now, BTreeSet::new());
        while room.job_state() == JobState::Running && state(&room) != "failed permanently" {
            room.now += 500;
            for worker in &workers {
                if let Some(lease) = room.lease(*worker, 1).pop() {
                    room.report(*worker, lease.unit, failed(FailureClass::Program));
                    ran_on.insert(*worker);
                }
            }
        }
        let stopped = room.job_state() == JobState::Drained;
        assert_eq!((stopped, room.row(Stage::Prepare).failed), (stops, u32::from(!stops)));
        assert!((30_000..90_000).contains(&(room.now - started)), "{}", room.now - started);
        assert_eq!(ran_on.len(), workers.len(), "each has tried it");
    }
}

#[test]
fn what_is_not_the_programs_fault_in_the_last_unit_waits_as_long_as_an_outage() {
    let mut room = Room::listed_with(false, 2, |_| {});
    room.finish(1, 1);
    let idle = room.register(1);
    while room.job_state() == JobState::Running {
        room.now += 10_000;
        for worker in [1, idle] {
            if let Some(lease) = room.lease(worker, 1).pop() {
                room.report(worker, lease.unit, failed(FailureClass::Node));
            }
        }
    }
    assert!((600_000..900_000).contains(&room.now), "{}", room.now);
    assert!(room.reason().contains("(`units.outage`)"), "{}", room.reason());
}

/// An input that is listed may be missing on one node, whose mount failed.
#[test]
fn what_a_job_file_names_is_looked_for_on_another_host_before_the_job_stops() {
    for everywhere in [false, true] {
        let mut room = Room::new(false);
        let (a, b) = (room.register(1), room.register_on("b", 2, &[]));
        let list = room.lease_one(a);
        room.report(a, list, failed(FailureClass::JobFile));
        assert_eq!(room.job_state(), JobState::Running);
        room.now += 600;
        assert_eq!(room.lease(a, 1), []);
        let again = room.lease_one(b);
        let ends = if everywhere { failed(FailureClass::JobFile) } else { done("list") };
        room.report(b, again, ends);
        let expected = if everywhere { JobState::Drained } else { JobState::Running };
        assert_eq!((room.job_state(), room.is_refused()), (expected, everywhere));
    }
}

#[test]
fn a_disk_that_is_full_on_one_node_stops_nothing_and_one_that_is_full_everywhere_all() {
    let mut room = with_sound_worker(10);
    let full = room.register_on("b", 2, &[]);
    let unit = room.lease_one(full);
    room.report(full, unit, failed(FailureClass::Storage));
    assert_eq!(room.job_state(), JobState::Running);
    let unit = room.lease_one(1);
    room.report(1, unit, failed(FailureClass::Storage));
    assert_eq!((room.job_state(), room.is_refused()), (JobState::Drained, true));
}

#[test]
fn when_what_failed_everywhere_works_again_all_workers_go_on_at_once() {
    let mut room = with_sound_worker(50);
    for _ in 0..20 {
        room.now += 1000;
        if let Some(lease) = room.lease(1, 1).pop() {
            room.report(1, lease.unit, failed(FailureClass::Node));
        }
    }
    let probe = room.lease_later(1);
    assert_eq!(room.lease(1, 4), [], "one at a time, until one succeeds");
    room.report(1, probe, done("it"));
    assert_eq!(room.lease(1, 4).len(), 4);
    assert_eq!(room.row(Stage::Prepare).failed, 0);
}

#[test]
fn a_host_that_kills_its_workers_gets_fewer_units_and_no_unit_fails() {
    let mut room = with_sound_worker(60);
    for pid in 10..30 {
        let worker = room.register_on("b", pid, &[]);
        room.lease(worker, 4);
        room.lose(worker);
        room.now += 500;
        room.finish(1, 1);
    }
    assert_eq!(room.row(Stage::Prepare).failed, 0);
    let retries = room.row(Stage::Prepare).retries;
    assert!(retries <= 12, "{retries} attempts were lost on one host");
}

#[test]
fn calls_without_a_number_never_make_an_earlier_number_count_again() {
    let mut room = Room::listed(false, 3);
    let sequence = |sequence| SyncRequest { worker_id: 1, sequence, ..SyncRequest::default() };
    let unit = room.lease_one(1);
    for number in [10, 0] {
        room.sync(sequence(number));
    }
    let report = Report { unit, outcome: done("it"), cpu_millis: 0, wall_millis: 0 };
    room.sync(SyncRequest { reports: vec![report], ..sequence(5) });
    assert_eq!(room.row(Stage::Prepare).done, 0, "the worker gave this call up");
}
