//! Who gets which unit, and how leases end without a report.

use thresher_domain::{GroupPayload, KeyGroups};

use super::*;

fn ordinals(leases: &[Lease]) -> Vec<u32> {
    leases.iter().map(|lease| lease.unit.key.ordinal).collect()
}

#[test]
fn a_batch_goes_out_in_order_and_no_unit_twice() {
    let mut room = Room::listed(true, 5);
    let (a, b) = (room.register(2), room.register(3));
    let first = room.lease(a, 3);
    assert_eq!(ordinals(&first), [0, 1, 2]);
    assert_eq!(first[1].unit, unit(Stage::Lines, 1, 1));
    assert_eq!(first[1].payload, Payload::Planned(1_u32.to_le_bytes().to_vec()));
    assert_eq!(first[1].cost_bytes, 10);
    assert_eq!(ordinals(&room.lease(b, 9)), [3, 4]);
    assert_eq!(room.lease(b, 9), []);
}

#[test]
fn a_prepare_payload_has_the_planned_inputs_and_the_groups_of_line_keys() {
    let mut room = Room::listed(true, 2);
    for _ in 0..2 {
        let lines = room.lease_one(1);
        room.report(1, lines, done_with_keys(25));
    }
    assert_eq!(room.finish(1, 18).len(), 18, "50 keys of 32 bytes, 100 at a time, and one group");
    let leases = room.lease(1, 2);
    let inputs = 1_u32.to_le_bytes().to_vec();
    let line_groups = KeyGroups { ranges: 16, group_units: 16 };
    assert_eq!(leases[1].payload, Payload::Prepare { inputs, line_groups });
}

#[test]
fn keys_are_gathered_and_verdicts_combined_by_groups_if_there_are_several_ranges() {
    let mut room = Room::listed(false, 20);
    let failing = room.lease_one(1);
    for _ in 1..20 {
        let prepare = room.lease_one(1);
        room.report(1, prepare, done_with_keys(2));
    }
    room.report(1, failing, failed(FailureClass::Data));
    // 38 keys of 10 bytes, 100 at a time: 4 ranges, and groups of 16 units.
    let groups = KeyGroups { ranges: 4, group_units: 16 };
    let group = |group, absent| Payload::Group(GroupPayload { group, groups, units: 20, absent });
    let gather = room.lease(1, 9);
    assert_eq!(
        gather.iter().map(|lease| lease.unit.key.stage).collect::<Vec<_>>(),
        [Stage::GatherDocuments; 2]
    );
    assert_eq!([&gather[0].payload, &gather[1].payload], [&group(0, vec![0]), &group(1, vec![])]);
    gather.iter().for_each(|lease| drop(room.report(1, lease.unit, done("keys"))));
    for range in 0..4 {
        let leases = room.lease(1, 1);
        let Payload::Range(payload) = &leases[0].payload else { panic!("{leases:?}") };
        assert_eq!((payload.range, payload.groups, payload.units), (range, groups, 20));
        room.report(1, leases[0].unit, done("verdicts"));
    }
    let combine = room.lease(1, 9);
    assert_eq!(combine.len(), 2);
    assert_eq!(combine[1].unit, unit(Stage::CombineDocuments, 1, 1));
    assert_eq!(combine[1].payload, group(1, vec![]));
    combine.iter().for_each(|lease| drop(room.report(1, lease.unit, done("set"))));
    let layout = room.lease(1, 1);
    let Payload::Layout(payload) = &layout[0].payload else { panic!("{layout:?}") };
    assert_eq!(payload.groups, groups);
}

#[test]
fn a_lease_ends_to_the_millisecond_and_what_was_held_waits_again() {
    let mut room = Room::listed(true, 2);
    let a = room.register(2);
    room.lease(a, 1);
    room.now += LEASE_MILLIS - 1;
    assert_eq!(room.scheduler.overdue(Timestamp::from_millis(room.now)), []);
    room.now += 1;
    assert_eq!(
        room.scheduler.next_deadline(Timestamp::from_millis(room.now - 1)),
        Some(Timestamp::from_millis(room.now)),
        "the shell may sleep until then"
    );
    let overdue = room.scheduler.overdue(Timestamp::from_millis(room.now));
    assert_eq!(overdue.len(), 2, "worker 1, which listed, and worker {a}");
    let effects: Vec<Effect> = overdue.iter().flat_map(|event| room.give(event)).collect();
    assert_eq!(effects, [Effect::WorkAvailable]);
    assert_eq!(room.state(unit(Stage::Lines, 0, 1)), "waiting");
    let request = SyncRequest { worker_id: a, want: 1, ..SyncRequest::default() };
    assert_eq!(room.sync(request).0, SyncAnswer::UnknownWorker);
    let b = room.register(3);
    assert_eq!(room.lease_one(b), unit(Stage::Lines, 0, 2));
}

#[test]
fn a_frozen_coordinator_loses_no_worker_and_extends_no_drain() {
    let mut room = Room::listed(true, 2);
    let worker = room.register(2);
    let held = room.lease_one(worker);
    let until = Timestamp::from_millis(room.now + 500);
    room.now += 400;
    let (frozen, at) = (Event::Frozen { millis: 60_000 }, |now| Timestamp::from_millis(now));
    room.now += 60_000;
    room.give(&frozen);
    assert_eq!(room.scheduler.overdue(at(room.now)), []);
    room.now += LEASE_MILLIS - 401;
    assert_eq!(room.scheduler.overdue(at(room.now)), []);
    assert_eq!(room.scheduler.overdue(at(room.now + 1)).len(), 2, "its time before counts");
    room.report(worker, held, done("lines"));
    assert_eq!(room.state(held), "done", "it is still the first attempt");
    room.give(&Event::Drained { until: Some(until) });
    room.give(&frozen);
    assert!(room.scheduler.status(at(room.now)).state.is_over(), "a drain ends when it should");
}

#[test]
fn a_freeze_without_workers_is_not_journaled() {
    let mut room = Room::new(true);
    let frozen = Event::Frozen { millis: 60_000 };
    let now = Timestamp::from_millis(room.now);
    assert_eq!(room.scheduler.handle(now, &frozen, &mut Vec::new()), Changed::No);
    room.register(1);
    assert_eq!(room.scheduler.handle(now, &frozen, &mut Vec::new()), Changed::Yes);
}

#[test]
fn a_call_renews_the_lease_without_a_change_to_journal() {
    let mut room = Room::listed(true, 2);
    room.lease(1, 1);
    room.now += LEASE_MILLIS - 1;
    let beat = SyncRequest { worker_id: 1, ..SyncRequest::default() };
    let now = Timestamp::from_millis(room.now);
    assert_eq!(room.scheduler.sync(now, &beat, &mut Vec::new()).changed, Changed::No);
    room.now += LEASE_MILLIS - 1;
    assert_eq!(room.scheduler.overdue(Timestamp::from_millis(room.now)), []);
}

#[test]
fn resync_takes_back_what_the_lost_answer_leased_and_keeps_what_is_held() {
    let mut room = Room::listed(true, 3);
    room.lease(1, 2);
    let held = unit(Stage::Lines, 1, 1);
    let (_, effects) = room.sync(SyncRequest {
        worker_id: 1,
        resync: true,
        held: vec![held],
        ..SyncRequest::default()
    });
    assert!(effects.contains(&Effect::WorkAvailable), "{effects:?}");
    assert_eq!(room.state(unit(Stage::Lines, 0, 1)), "waiting");
    assert_eq!(room.state(held), "leased");
    assert_eq!(room.lease_one(1), unit(Stage::Lines, 0, 2));
}

#[test]
fn a_process_that_registers_again_keeps_what_it_runs() {
    let mut room = Room::listed(true, 2);
    let a = room.register(2);
    let held = room.lease_one(a);
    let again = room.register_holding(2, &[held]);
    room.lose(a);
    assert_eq!(room.state(held), "leased");
    room.report(again, held, done("bytes"));
    assert_eq!(room.state(held), "done");
}

#[test]
fn another_process_takes_over_nothing_from_a_live_worker() {
    let mut room = Room::listed(true, 2);
    let a = room.register(2);
    let held = room.lease_one(a);
    let stranger = room.register_holding(3, &[held]);
    room.lose(stranger);
    assert_eq!(room.state(held), "leased");
}

#[test]
fn a_gang_unit_goes_to_an_idle_worker_only_and_nothing_goes_beside_it() {
    let mut room = Room::listed(false, 2);
    for _ in 0..2 {
        let prepare = room.lease_one(1);
        room.report(1, prepare, done_with_keys(11));
    }
    room.finish(1, 1);
    assert_eq!(room.row(Stage::ResolveDocuments).units, 3, "22 keys of 10 bytes, 100 at a time");
    let busy = SyncRequest { worker_id: 1, want: 4, ..SyncRequest::default() };
    assert_eq!(room.ask(busy), []);
    assert_eq!(ordinals(&room.lease(1, 4)), [0]);
    assert_eq!(room.lease(1, 4), [], "it says that it is idle, and holds a gang unit");
    let b = room.register(2);
    assert_eq!(ordinals(&room.lease(b, 4)), [1]);
}

#[test]
fn a_unit_that_lost_two_workers_runs_alone_and_fails_permanently_after_two_more() {
    let mut room = Room::listed(true, 9);
    let suspect = |attempt| unit(Stage::Lines, 0, attempt);
    for attempt in 1..=2 {
        let worker = room.register(attempt + 1);
        let batch = room.lease(worker, 2);
        assert_eq!(batch[0].unit, suspect(attempt));
        room.lose(worker);
    }
    let busy = room.register(50);
    let beside = SyncRequest { worker_id: busy, want: 2, ..SyncRequest::default() };
    assert!(!ordinals(&room.ask(beside)).contains(&0), "it only runs alone");
    for attempt in 3..=4 {
        let worker = room.register(attempt + 1);
        let batch = room.lease(worker, 4);
        assert_eq!(batch.len(), 1);
        assert_eq!(batch[0].unit, suspect(attempt));
        assert_eq!(room.lease(worker, 4), [], "nothing runs beside it");
        let effects = room.lose(worker);
        let failed = effects.iter().any(|e| matches!(e, Effect::UnitFailed { .. }));
        assert_eq!(failed, attempt == 4, "{effects:?}");
    }
    assert_eq!(room.state(suspect(4)), "failed permanently");
}

#[test]
fn a_worker_that_never_returned_after_a_restart_counts_against_no_unit() {
    let mut room = Room::listed(true, 1);
    for attempt in 1..=4 {
        let worker = room.register(attempt + 1);
        assert_eq!(room.lease_one(worker), unit(Stage::Lines, 0, attempt));
        room.give(&Event::Opened(CoordinatorOpened {
            epoch: u64::from(attempt) + 1,
            ..CoordinatorOpened::default()
        }));
        room.lose(worker);
    }
    assert_eq!(room.state(unit(Stage::Lines, 0, 4)), "waiting");
}

#[test]
fn units_of_a_source_without_lines_are_skipped_there_and_count_nowhere() {
    let mut room = Room::listed(false, 3);
    assert_eq!(room.scheduler.units(Stage::Lines), 3);
    assert_eq!(room.scheduler.absent(Stage::Lines), [0, 1, 2]);
    let row = room.row(Stage::Lines);
    assert_eq!((row.units, row.waiting, row.bytes), (0, 0, 0));
    assert_eq!(room.state(unit(Stage::Lines, 2, 0)), "skipped");
    assert_eq!(room.lease_one(1), unit(Stage::Prepare, 0, 1));
}

#[test]
fn an_earlier_call_that_arrives_late_is_answered_without_leases() {
    let mut room = Room::listed(true, 3);
    let call = |sequence| SyncRequest { worker_id: 1, want: 1, sequence, ..SyncRequest::default() };
    assert_eq!(room.ask(call(5)).len(), 1);
    assert_eq!(room.ask(call(4)), []);
    assert_eq!(room.ask(call(6)).len(), 1);
}

#[test]
fn gang_units_that_take_all_nodes_go_one_at_a_time_to_workers_with_a_launcher() {
    let mut room = Room::listed(false, 1);
    // 200 bytes of keys within 100: two ranges.
    let plain = room.register(2);
    let prepared = room.lease_one(plain);
    room.report(plain, prepared, done_with_keys(20));
    assert_eq!(room.finish(plain, 1)[0].key.stage, Stage::GatherDocuments);
    let launching = |room: &mut Room, pid| {
        let worker_id = room.scheduler.next_worker_id();
        let request = RegisterRequest {
            host: "a".to_owned(),
            pid,
            slots: 4,
            gang_ranks: 64,
            ..RegisterRequest::default()
        };
        room.give(&Event::Registered { worker_id, request });
        worker_id
    };
    let (first, second) = (launching(&mut room, 3), launching(&mut room, 4));
    assert_eq!(room.lease(plain, 1), [], "its threads would share the ranks' cores");
    let leased = room.lease_one(first);
    assert_eq!(leased, unit(Stage::ResolveDocuments, 0, 1));
    assert_eq!(room.lease(second, 1), []);
    room.report(first, leased, done("first"));
    assert_eq!(room.lease_one(second), unit(Stage::ResolveDocuments, 1, 1));
}
