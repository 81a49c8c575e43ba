//! How many key ranges there are: as many as the ranks that are there need memory for, and then no
//! others.

use super::*;

/// Registers a worker that starts ranks with this memory for keys each.
fn register(room: &mut Room, pid: u32, gang_ranks: u32, key_memory_bytes: u64) -> u32 {
    let worker_id = room.scheduler.next_worker_id();
    let request = RegisterRequest {
        host: "a".to_owned(),
        pid,
        slots: 4,
        gang_ranks,
        key_memory_bytes,
        ..RegisterRequest::default()
    };
    room.give(&Event::Registered { worker_id, request });
    worker_id
}

/// A job whose documents have keys of 1000 bytes together, when they are counted.
fn counted(fixed: Option<u64>, gang_ranks: u32, key_memory_bytes: u64) -> (Room, u32) {
    let mut room = Room::listed_with(false, 1, |limits| limits.key_memory_bytes = fixed);
    room.lose(1);
    let worker = register(&mut room, 2, gang_ranks, key_memory_bytes);
    let prepared = room.lease_one(worker);
    room.report(worker, prepared, done_with_keys(100));
    (room, worker)
}

#[test]
fn key_ranges_follow_the_ranks_and_the_memory_that_are_there() {
    for (fixed, gang_ranks, key_memory, ranges) in [
        (None, 0, 1000, 1),
        (None, 0, 300, 4),
        (None, 4, 50, 5),
        (None, 20, 50, 1),
        (Some(100), 0, 1 << 30, 10),
        (Some(100), 4, 1 << 30, 3),
        // A worker that says nothing is taken for one with a GiB.
        (None, 0, 0, 1),
    ] {
        let (room, _) = counted(fixed, gang_ranks, key_memory);
        let case = format!("{fixed:?} {gang_ranks} {key_memory}");
        assert_eq!(room.scheduler.units(Stage::GatherDocuments), u32::from(ranges > 1), "{case}");
        let mut room = room;
        if ranges > 1 {
            room.finish(2, 1);
        }
        assert_eq!(room.scheduler.units(Stage::ResolveDocuments), ranges, "{case}");
    }
}

#[test]
fn a_later_world_resolves_the_ranges_that_were_chosen_with_its_own_memory() {
    let (mut room, small) = counted(None, 0, 300);
    room.finish(small, 1);
    room.reopen();
    let large = register(&mut room, 3, 100, 5000);
    let lease = room.lease(large, 1).remove(0);
    let Payload::Range(range) = lease.payload else { panic!("{lease:?}") };
    assert_eq!((range.groups.ranges, range.budget_bytes), (4, 5000));
    assert_eq!(room.scheduler.units(Stage::ResolveDocuments), 4);
}
