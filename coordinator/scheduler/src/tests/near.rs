//! The stages of near-duplicates: which units they have, and what these get.

use thresher_domain::{GroupPayload, KeyGroups, MembersPayload};

use super::*;

/// A job of two sources with five units each, of which only the second compares near-duplicates,
/// at the end of COMBINE-DOCUMENTS. The last unit has failed permanently.
fn room(key_memory_bytes: u64) -> Room {
    let source = |name: &str, compares_near| SourcePlan {
        name: name.to_owned(),
        needs_lines: false,
        compares_near,
        is_earlier: false,
    };
    let sources = vec![source("crawl", false), source("books", true)];
    let mut room = Room::of_sources(sources, |limits| {
        limits.key_memory_bytes = Some(key_memory_bytes);
        limits.bytes_per_band_key = 10;
    });
    let worker = room.register(1);
    for list in room.lease(worker, 2) {
        room.report(worker, list.unit, listed(0, 5));
        room.report(worker, list.unit, done("list"));
    }
    for prepare in room.lease(worker, 10) {
        let is_last = prepare.unit.key.ordinal == 9;
        let outcome = if is_last { failed(FailureClass::Data) } else { done_with_keys(1) };
        room.report(worker, prepare.unit, outcome);
    }
    let documents: Vec<Stage> = std::iter::from_fn(|| {
        let next = room.lease(worker, 1);
        let unit = next.first()?.unit;
        if unit.key.stage == Stage::Sign {
            room.report(worker, unit, Outcome::Returned);
            return None;
        }
        room.report(worker, unit, done("verdicts"));
        Some(unit.key.stage)
    })
    .collect();
    assert!(documents.contains(&Stage::ResolveDocuments), "{documents:?}");
    room
}

fn next(room: &mut Room) -> Lease {
    room.lease(1, 1).pop().expect("a unit waits")
}

#[test]
fn only_prepared_units_of_sources_that_compare_are_signed() {
    let mut room = room(1000);
    for ordinal in 5..9 {
        let lease = next(&mut room);
        assert_eq!(lease.unit.key, UnitKey { stage: Stage::Sign, ordinal });
        let Payload::Sign { inputs, .. } = &lease.payload else { panic!("{lease:?}") };
        assert_eq!(*inputs, (ordinal - 5).to_le_bytes());
        room.report(1, lease.unit, done_with_keys(3));
    }
    let resolve = next(&mut room);
    assert_eq!(resolve.unit.key, UnitKey { stage: Stage::ResolveBands, ordinal: 0 });
    let Payload::Range(range) = &resolve.payload else { panic!("{resolve:?}") };
    assert_eq!((range.groups.ranges, range.units), (1, 10));
    assert_eq!(range.absent, [0, 1, 2, 3, 4, 9]);
}

#[test]
fn members_are_collected_by_groups_and_compared_by_parts() {
    let mut room = room(100);
    for _ in 0..4 {
        let sign = next(&mut room).unit;
        room.report(1, sign, done_with_keys(10));
    }
    // 40 keys of 10 bytes, 100 at a time.
    let gather = next(&mut room);
    let groups = KeyGroups { ranges: 4, group_units: 16 };
    let absent = vec![0, 1, 2, 3, 4, 9];
    let all = GroupPayload { group: 0, groups, units: 10, absent: absent.clone() };
    assert_eq!(gather.payload, Payload::Group(all));
    room.report(1, gather.unit, done("keys"));
    for ordinal in 0..4 {
        let resolve = next(&mut room).unit;
        assert_eq!(resolve.key, UnitKey { stage: Stage::ResolveBands, ordinal });
        room.report(1, resolve, done("edges"));
    }
    let connect = next(&mut room);
    assert_eq!(connect.unit.key, UnitKey { stage: Stage::Connect, ordinal: 0 });
    let Payload::Range(range) = &connect.payload else { panic!("{connect:?}") };
    assert_eq!((range.groups, range.units), (groups, 10));
    room.report(1, connect.unit, done("labels"));
    // Ten units are four groups of three, and as many parts.
    let members = |number, absent: &[u32], sources: &[u32]| {
        Payload::Members(MembersPayload {
            number,
            units: 10,
            absent: absent.to_vec(),
            band_groups: groups,
            sources: sources.to_vec(),
        })
    };
    let mut lease_all = |stage: Stage| {
        let leases = room.lease(1, 9);
        assert!(leases.iter().all(|lease| lease.unit.key.stage == stage), "{leases:?}");
        leases.iter().for_each(|lease| drop(room.report(1, lease.unit, done("members"))));
        leases.into_iter().map(|lease| lease.payload).collect::<Vec<_>>()
    };
    let collect = lease_all(Stage::Collect);
    assert_eq!(collect[0], members(0, &[0, 1, 2], &[0, 0, 0]));
    assert_eq!(collect[1], members(1, &[3, 4], &[0, 0, 1]));
    assert_eq!(collect[3], members(3, &[9], &[1]));
    let compare = lease_all(Stage::Compare);
    assert_eq!((compare.len(), &compare[2]), (4, &members(2, &absent, &[])));
    let decide = lease_all(Stage::Decide);
    assert_eq!((decide.len(), &decide[1]), (4, &members(1, &[3, 4], &[])));
    let layout = next(&mut room);
    let Payload::Layout(layout) = &layout.payload else { panic!("{layout:?}") };
    assert_eq!((layout.band_groups, layout.job_units), (groups, 10));
}

#[test]
fn a_unit_that_cannot_be_signed_blocks_the_job() {
    let mut room = room(1000);
    let sign = next(&mut room).unit;
    room.report(1, sign, failed(FailureClass::Data));
    // Documents that are not compared would be published as if nothing resembled them.
    assert!(room.reason().contains("`sign/5`"), "{}", room.reason());
    assert_ne!(room.job_state(), JobState::Complete);
}
