//! Speculative attempts of slow units.

use super::*;

fn ask(worker_id: u32, want: u32) -> SyncRequest {
    SyncRequest { worker_id, want, idle: true, ..SyncRequest::default() }
}

fn report(unit: AttemptRef, outcome: Outcome, wall_millis: u64) -> Report {
    Report { unit, outcome, cpu_millis: 0, wall_millis }
}

/// Inputs 0 to 7 took 100 ms each, the last is leased to worker 1; worker 2 is there and idle.
fn one_left(needs_lines: bool) -> (Room, AttemptRef, u32) {
    let mut room = Room::listed(needs_lines, 9);
    let idle = room.register(2);
    for _ in 0..8 {
        let unit = room.lease_one(1);
        let reports = vec![report(unit, done("bytes"), 100)];
        room.sync(SyncRequest { worker_id: 1, reports, ..SyncRequest::default() });
    }
    let slow = room.lease_one(1);
    (room, slow, idle)
}

/// Twice what it was hardly to exceed (100 ms and an eighth), and a heartbeat.
const SLOW: u64 = 2 * 112 + 10_000;

#[test]
fn a_slow_unit_gets_a_speculative_attempt_when_nothing_waits() {
    let (mut room, slow, idle) = one_left(true);
    room.now += SLOW - 1;
    assert_eq!(room.ask(ask(idle, 4)), []);
    room.now += 1;
    assert_eq!(room.ask(ask(1, 3)), [], "not where it runs already");
    let second = room.ask(ask(idle, 4));
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].unit, unit(Stage::Lines, 8, 2));
    let third = room.register(3);
    assert_eq!(room.ask(ask(third, 4)), [], "two attempts are enough");
    assert_eq!(room.state(slow), "leased");
    assert_eq!(room.row(Stage::Lines).leased, 1, "it is one unit");
}

#[test]
fn the_first_result_counts_and_the_late_one_is_compared() {
    for (late, alarms) in [("bytes", 0), ("others", 1)] {
        let (mut room, slow, idle) = one_left(true);
        room.now += SLOW;
        let second = room.ask(ask(idle, 4))[0].unit;
        room.report(idle, second, done("bytes"));
        assert_eq!(room.state(slow), "done");
        let effects = room.report(1, slow, done(late));
        let found = effects.iter().filter(|e| matches!(e, Effect::Alarm { .. })).count();
        assert_eq!(found, alarms, "{late}: {effects:?}");
    }
}

#[test]
fn when_one_attempt_ends_without_a_result_the_other_continues() {
    let endings: [fn(&mut Room, u32, AttemptRef); 3] = [
        |room, worker, unit| drop(room.report(worker, unit, failed(FailureClass::Node))),
        |room, worker, unit| {
            drop(room.report(worker, unit, Outcome::Returned));
        },
        |room, worker, _| drop(room.lose(worker)),
    ];
    for end in endings {
        for first_ends in [true, false] {
            let (mut room, slow, idle) = one_left(true);
            room.now += SLOW;
            let second = room.ask(ask(idle, 4))[0].unit;
            let (ends, left) = if first_ends { (1, idle) } else { (idle, 1) };
            end(&mut room, ends, if first_ends { slow } else { second });
            assert_eq!(room.state(slow), "leased", "to worker {left}");
            let left_unit = if first_ends { second } else { slow };
            // What is left is a lease like any other: it can be given back, and leased anew.
            room.report(left, left_unit, Outcome::Returned);
            assert_eq!(room.state(slow), "waiting");
            let another = room.register(9);
            assert_eq!(room.lease_later(another), unit(Stage::Lines, 8, 3));
        }
    }
}

#[test]
fn a_process_that_registers_again_keeps_either_attempt() {
    let (mut room, slow, idle) = one_left(true);
    room.now += SLOW;
    let second = room.ask(ask(idle, 4))[0].unit;
    let again = room.register_holding(2, &[second]);
    room.lose(idle);
    let first_again = room.register_holding(1, &[slow]);
    room.lose(1);
    room.report(first_again, slow, failed(FailureClass::Node));
    assert_eq!(room.state(slow), "leased");
    room.report(again, second, done("bytes"));
    assert_eq!(room.state(slow), "done");
}

#[test]
fn a_gang_unit_and_a_suspect_get_no_speculative_attempt() {
    let mut room = Room::listed(false, 2);
    for _ in 0..2 {
        let prepare = room.lease_one(1);
        room.report(1, prepare, done_with_keys(11));
    }
    // The keys are gathered, and two of three ranges resolved.
    room.finish(1, 3);
    room.lease_one(1);
    let idle = room.register(2);
    room.now += 100_000;
    assert_eq!(room.lease(idle, 4), []);

    let (mut room, slow, idle) = one_left(true);
    room.lose(1);
    let second = room.register(7);
    room.lease_one(second);
    room.lose(second);
    let third = room.register(8);
    let alone = room.lease_one(third);
    assert_eq!(alone.key, slow.key);
    room.now += SLOW;
    assert_eq!(room.ask(ask(idle, 4)), [], "it may kill this worker too");
}

#[test]
fn the_slower_attempt_is_cancelled_once() {
    for second_wins in [true, false] {
        let (mut room, slow, idle) = one_left(true);
        room.now += SLOW;
        let second = room.ask(ask(idle, 4))[0].unit;
        let (winner, loser) = if second_wins { (idle, 1) } else { (1, idle) };
        let (won, lost) = if second_wins { (second, slow) } else { (slow, second) };
        room.report(winner, won, done("bytes"));
        assert_eq!(given_up(&room.sync(ask(winner, 0)).0), []);
        assert_eq!(given_up(&room.sync(ask(loser, 0)).0), [lost]);
        assert_eq!(given_up(&room.sync(ask(loser, 0)).0), []);
        room.report(loser, lost, Outcome::Returned);
        assert_eq!(room.state(slow), "done");
    }
}
