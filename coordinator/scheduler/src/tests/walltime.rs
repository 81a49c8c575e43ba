//! The end of the allocation: what still starts, what is returned, and how a drain ends.

use super::*;

const MARGIN: u64 = 10_000;

/// With inputs listed, in an allocation that ends that many milliseconds from now. Each unit costs
/// 10 bytes.
fn room(inputs: u32, left: u64) -> Room {
    let mut room = Room::listed(true, inputs);
    room.give(&opened(2, room.now + left));
    room
}

fn opened(epoch: u64, ends_millis: u64) -> Event {
    let allocation = AllocationEnd {
        allocation: "4711".to_owned(),
        ends: Some(Timestamp::from_millis(ends_millis)),
        margin_millis: MARGIN as u32,
    };
    Event::Opened(CoordinatorOpened { epoch, allocation, ..CoordinatorOpened::default() })
}

/// A unit runs on worker 1 for that time, and the clock advances by it.
fn run_one(room: &mut Room, millis: u64) {
    let unit = room.lease_one(1);
    room.now += millis;
    let outcome = done("bytes");
    let report = Report { unit, outcome, cpu_millis: 0, wall_millis: millis };
    room.sync(SyncRequest { worker_id: 1, reports: vec![report], ..Default::default() });
}

fn ask(worker_id: u32, want: u32) -> SyncRequest {
    SyncRequest { worker_id, want, idle: true, ..SyncRequest::default() }
}

fn overdue(room: &mut Room) -> Vec<Event> {
    room.scheduler.overdue(Timestamp::from_millis(room.now))
}

fn until(room: &Room, millis: u64) -> Event {
    Event::Drained { until: Some(Timestamp::from_millis(room.now + millis)) }
}

#[test]
fn no_unit_is_leased_that_cannot_end_before_the_margin() {
    let mut room = room(9, 40_000);
    // Each took 8 s: with two known, the next is trusted to take up to 12 s.
    run_one(&mut room, 8000);
    run_one(&mut room, 8000);
    assert_eq!(room.now, 5000 + 16_000);
    let leases = room.lease(1, 1);
    assert_eq!(leases[0].start_within_millis, Some(2000), "14 s are left before the margin");
    room.now += 2001;
    assert_eq!(room.lease(1, 1), []);
    let explained =
        room.scheduler.explain(Timestamp::from_millis(room.now), UnitKey::new(Stage::Lines, 3));
    let because = explained.unwrap().because;
    assert_eq!(
        because[0],
        "waits for the next allocation: it takes up to 12 s, as others of its stage did, and this \
         one starts units for 11 s more"
    );
}

#[test]
fn without_an_end_nothing_is_held_back() {
    let mut room = Room::listed(true, 3);
    run_one(&mut room, 1 << 40);
    assert_eq!(room.lease(1, 1)[0].start_within_millis, None);
}

#[test]
fn a_job_drains_at_the_margin_and_units_that_do_not_end_are_returned() {
    let mut room = room(9, 40_000);
    let slow = room.lease_one(1);
    room.now += 29_999;
    assert_eq!(overdue(&mut room).len(), 1, "only the silent worker");
    room.sync(ask(1, 0));
    assert_eq!(overdue(&mut room), []);
    room.now += 1;
    let due = until(&room, MARGIN / 2);
    assert_eq!(overdue(&mut room), std::slice::from_ref(&due));
    assert_eq!(room.give(&due), [Effect::WorkAvailable]);
    let (answer, _) = room.sync(ask(1, 0));
    assert_eq!(directive(&answer), Directive::Drain);
    assert_eq!(given_up(&answer), [], "how long it takes is not known: it may end in time");
    room.now += MARGIN / 2;
    assert_eq!(given_up(&room.sync(ask(1, 0)).0), [slow]);
    let returned = Outcome::Returned;
    let effects = room.report(1, slow, returned);
    assert!(effects.iter().any(|e| matches!(e, Effect::JobEnded { .. })), "{effects:?}");
    assert_eq!(room.job_state(), JobState::Drained);
    assert_eq!(room.state(slow), "waiting");
}

#[test]
fn a_drain_ends_soon_after_its_time_even_if_workers_are_silent() {
    let mut room = room(2, 40_000);
    let held = room.lease_one(1);
    room.give(&until(&room, 3000));
    let heartbeats = 2 * u64::from(Limits::default().heartbeat_millis);
    room.now += 3000 + heartbeats - 1;
    room.sync(ask(1, 0));
    assert_eq!(overdue(&mut room), []);
    room.now += 1;
    assert_eq!(overdue(&mut room), [until(&room, 0)]);
    room.give(&until(&room, 0));
    assert_eq!(room.job_state(), JobState::Drained);
    assert_eq!(room.state(held), "leased", "its worker may come back to the next coordinator");
}

#[test]
fn the_next_deadline_is_when_a_lease_ends_or_the_last_waiting_unit_no_longer_fits() {
    let mut room = room(9, 40_000);
    let deadline = |room: &Room| room.scheduler.next_deadline(Timestamp::from_millis(room.now));
    let after = |room: &Room, millis| Some(Timestamp::from_millis(room.now + millis));
    assert_eq!(deadline(&room), after(&room, LEASE_MILLIS));
    room.lose(1);
    // A unit of unknown duration needs a margin, and nothing is leased in the margin itself.
    let fits = 40_000 - 2 * MARGIN;
    assert_eq!(deadline(&room), after(&room, fits + 1));
    room.now += fits;
    assert_eq!(overdue(&mut room), []);
    room.now += 1;
    let drained = until(&room, 40_000 - MARGIN / 2 - fits - 1);
    assert_eq!(overdue(&mut room), std::slice::from_ref(&drained));
    room.give(&drained);
    assert_eq!(deadline(&room), None, "a drained job waits for nothing");
}

#[test]
fn a_drain_only_becomes_shorter() {
    let mut room = room(2, 60_000);
    room.lease_one(1);
    room.give(&until(&room, 20_000));
    for (later, changed) in [(30_000, false), (20_000, false), (10_000, true)] {
        let event = until(&room, later);
        let now = Timestamp::from_millis(room.now);
        let expected = if changed { Changed::Yes } else { Changed::No };
        assert_eq!(room.scheduler.handle(now, &event, &mut Vec::new()), expected, "{later}");
    }
}

#[test]
fn a_job_drains_when_no_waiting_unit_fits_any_more() {
    let mut room = room(9, 60_000);
    run_one(&mut room, 20_000);
    assert_eq!(room.lease(1, 1), [], "one is known: up to 40 s, and 30 s are left");
    let drained = Event::Drained { until: Some(Timestamp::from_millis(5000 + 55_000)) };
    assert_eq!(overdue(&mut room), std::slice::from_ref(&drained));
    room.give(&drained);
    assert_eq!(room.job_state(), JobState::Drained);
}

#[test]
fn a_worker_that_leaves_returns_what_takes_longer_and_no_loss_counts() {
    let mut room = Room::listed(true, 9);
    (0..20).for_each(|_| room.now += 1);
    run_one(&mut room, 8000);
    let held = room.lease_one(1);
    let leaves = |millis| SyncRequest {
        worker_id: 1,
        leaves_within_millis: millis,
        ..SyncRequest::default()
    };
    assert_eq!(given_up(&room.sync(leaves(16_000)).0), [], "one is known: up to 16 s");
    assert_eq!(given_up(&room.sync(leaves(15_999)).0), [held]);
    room.lose(1);
    let explained = room.scheduler.explain(Timestamp::from_millis(room.now), held.key).unwrap();
    assert_eq!(explained.because.len(), 1, "no loss is remembered: {explained:?}");
}

#[test]
fn workers_lost_in_a_drain_or_in_the_margin_count_against_no_unit() {
    for drains in [true, false] {
        let mut room = room(1, 40_000);
        for attempt in 1..=6 {
            let worker = room.register(attempt + 1);
            let Some(lease) = room.lease(worker, 1).pop() else { panic!("attempt {attempt}") };
            assert_eq!(lease.unit, unit(Stage::Lines, 0, attempt));
            if drains {
                room.give(&until(&room, 1));
            } else {
                room.now += 40_000;
            }
            room.lose(worker);
            room.give(&opened(u64::from(attempt) + 2, room.now + 40_000));
        }
        assert_eq!(room.state(unit(Stage::Lines, 0, 0)), "waiting");
    }
}

/// Sixty units of a second are done; one more runs on worker 1 since the margin began, beside as
/// many idle slots as `workers` have.
fn one_in_the_margin(workers: u32) -> Room {
    let mut room = room(90, 100_000);
    for pid in 2..=workers {
        room.register(pid);
    }
    for _ in 0..60 {
        run_one(&mut room, 1000);
    }
    while room.now < 5000 + 88_000 {
        run_one(&mut room, 1000);
    }
    room.lease_one(1);
    room.now = 5000 + 90_000;
    for worker_id in 1..=workers {
        room.sync(ask(worker_id, 0));
    }
    room
}

#[test]
fn many_idle_nodes_are_not_kept_for_one_slow_unit() {
    // It is late already: 2 s were put into it, and it is taken to need 2 s more.
    let mut room = one_in_the_margin(1);
    assert_eq!(overdue(&mut room), [until(&room, MARGIN / 2)]);
    let mut room = one_in_the_margin(3);
    let soon = until(&room, 1);
    assert_eq!(overdue(&mut room), std::slice::from_ref(&soon));
    room.give(&soon);
    room.now += 1;
    let (answer, _) = room.sync(ask(1, 0));
    let [unit] = given_up(&answer)[..] else { panic!("{answer:?}") };
    assert_eq!(overdue(&mut room), [], "it waits for the unit to be returned");
    room.report(1, unit, Outcome::Returned);
    assert_eq!(room.job_state(), JobState::Drained);
    assert_eq!(room.state(unit), "waiting");
}
