//! What one report does to its unit.

use thresher_domain::{Accounting, Count};

use super::*;

fn accounting(records_in: u64, kept: u64, dropped: u64) -> Outcome {
    let dropped = vec![Count { name: "short".to_owned(), value: dropped }];
    let accounting = Accounting { records_in, kept, dropped, ..Accounting::default() };
    Outcome::Done(Done {
        digest: b"bytes".to_vec(),
        accounting: Some(accounting),
        ..Done::default()
    })
}

#[test]
fn a_result_counts_once_however_often_it_is_reported() {
    let mut room = Room::listed(true, 2);
    let lines = room.lease_one(1);
    assert_eq!(room.report(1, lines, accounting(5, 3, 2)), []);
    assert_eq!(room.report(1, lines, accounting(5, 3, 2)), []);
    let row = room.row(Stage::Lines);
    let counted = row.accounting;
    assert_eq!((row.done, counted.records_in, counted.kept), (1, 5, 3));
    assert_eq!(counted.dropped, [Count { name: "short".to_owned(), value: 2 }]);
}

#[test]
fn a_result_of_a_worker_that_was_lost_counts_once_it_registers_again() {
    let mut room = Room::listed(true, 1);
    let a = room.register(2);
    let lines = room.lease_one(a);
    room.lose(a);
    let second = room.lease_one(1);
    assert_eq!(second, unit(Stage::Lines, 0, 2));
    let again = room.register(2);
    room.report(again, lines, done("bytes"));
    assert_eq!(room.state(lines), "done");
    assert_eq!(room.report(1, second, done("bytes")), [], "the other attempt wrote the same");
}

#[test]
fn a_failed_attempt_is_retried_and_the_last_one_fails_the_unit() {
    let mut room = Room::listed(false, 4);
    let (first, other) = (room.lease_one(1), room.lease_one(1));
    room.report(1, other, done("it"));
    let error = "no luck".to_owned();
    assert_eq!(
        room.report(1, first, failed(FailureClass::Program)),
        [Effect::AttemptFailed { unit: first, error: error.clone() }, Effect::WorkAvailable,]
    );
    room.now += 1;
    room.finish(1, 1);
    let second = room.lease_later(1);
    assert_eq!(second, unit(Stage::Prepare, 0, 2));
    assert_eq!(room.report(1, first, failed(FailureClass::Program)), [], "a repeated report");
    assert_eq!(
        room.report(1, second, failed(FailureClass::Program)),
        [Effect::UnitFailed { unit: second, error }]
    );
    assert_eq!(room.scheduler.absent(Stage::Prepare), [0]);
    assert_eq!(room.lease_one(1), unit(Stage::Prepare, 3, 1), "the job continues");
}

/// A registration that was long on its way says that the attempt is held which has failed since.
#[test]
fn a_failure_repeated_after_a_late_registration_counts_once() {
    let mut room = Room::listed(true, 1);
    let a = room.register(2);
    let lines = room.lease_one(a);
    room.report(a, lines, failed(FailureClass::Node));
    let late = room.register_holding(2, &[lines]);
    assert_eq!(room.state(lines), "waiting", "nobody runs what has ended");
    assert_eq!(room.report(late, lines, failed(FailureClass::Node)), []);
    assert_eq!(room.row(Stage::Lines).retries, 1);
    assert_eq!(room.lease_later(1), unit(Stage::Lines, 0, 2), "the second of two attempts");
}

#[test]
fn a_fatal_failure_fails_the_unit_at_once_and_lines_also_its_prepare_unit() {
    let mut room = Room::listed(true, 2);
    let lines = room.lease_one(1);
    let effects = room.report(1, lines, failed(FailureClass::Data));
    let prepare = unit(Stage::Prepare, 0, 0);
    assert_eq!(
        effects,
        [
            Effect::UnitFailed { unit: lines, error: "no luck".to_owned() },
            Effect::UnitFailed {
                unit: prepare,
                error: "`lines/0` failed permanently: no luck".to_owned()
            },
        ]
    );
    assert_eq!(room.state(prepare), "failed permanently");
}

#[test]
fn a_returned_unit_waits_again_and_no_failure_counts() {
    let mut room = Room::listed(true, 1);
    for attempt in 1..=5 {
        let lines = room.lease_one(1);
        assert_eq!(lines, unit(Stage::Lines, 0, attempt));
        let returned = Outcome::Returned;
        assert_eq!(room.report(1, lines, returned), [Effect::WorkAvailable]);
    }
    assert_eq!(room.row(Stage::Lines).retries, 0);
}

#[test]
fn an_accounting_that_does_not_add_up_is_never_counted() {
    let mut room = Room::listed(true, 2);
    let lines = room.lease_one(1);
    let effects = room.report(1, lines, accounting(5, 3, 1));
    let [Effect::UnitFailed { unit, error }, Effect::UnitFailed { .. }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(*unit, lines);
    assert!(error.contains("does not add up"), "{error}");
    assert_eq!(room.row(Stage::Lines).accounting.records_in, 0);
}

#[test]
fn an_accounting_that_does_not_add_up_from_an_older_attempt_is_refused() {
    let mut room = Room::listed(true, 1);
    let first = room.lease_one(1);
    room.report(1, first, Outcome::Returned);
    let second = room.lease_one(1);
    let effects = room.report(1, first, accounting(5, 3, 1));
    assert!(
        matches!(
            effects.as_slice(),
            [Effect::ReportRefused { worker_id: 1, unit, .. }] if *unit == first
        ),
        "{effects:?}"
    );
    assert_eq!(room.state(second), "leased");
}

#[test]
fn a_second_result_with_other_bytes_raises_an_alarm_and_changes_nothing() {
    let mut room = Room::listed(true, 2);
    let lines = room.lease_one(1);
    room.report(1, lines, done("bytes"));
    let before = room.row(Stage::Lines);
    let effects = room.report(1, lines, done("others"));
    let [Effect::Alarm { unit, text }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(*unit, lines);
    assert!(text.contains("wrote other bytes"), "{text}");
    assert_eq!(room.row(Stage::Lines), before);
    let status = room.scheduler.status(Timestamp::from_millis(room.now));
    assert_eq!(status.alarms, std::slice::from_ref(text));
}

#[test]
fn a_damaged_output_is_made_again_before_its_readers_and_counts_once() {
    let mut room = Room::listed(false, 2);
    room.lease_one(1);
    let producer = unit(Stage::Prepare, 0, 1);
    room.report(1, producer, accounting(5, 3, 2));
    room.finish(1, 1);
    let layout = room.lease_one(1);
    assert_eq!(layout.key.stage, Stage::ResolveDocuments);
    let effects = room.report(1, layout, failed(FailureClass::Damaged { producer: producer.key }));
    assert_eq!(
        effects,
        [
            Effect::AttemptFailed { unit: layout, error: "no luck".to_owned() },
            Effect::WorkAvailable,
        ]
    );
    assert_eq!(room.state(producer), "waiting");
    let again = room.lease_one(1);
    assert_eq!(again, unit(Stage::Prepare, 0, 2), "before the unit that reads it");
    assert_eq!(room.report(1, producer, accounting(5, 3, 2)), [], "what is damaged is no result");
    assert_eq!(room.state(producer), "leased");
    room.report(1, again, accounting(5, 3, 2));
    assert_eq!(room.row(Stage::Prepare).accounting.records_in, 5);
    assert_eq!(room.lease_one(1).key.stage, Stage::ResolveDocuments);
}

#[test]
fn damage_that_names_no_earlier_unit_is_a_failure_like_others() {
    let mut room = Room::listed(false, 1);
    let producer = UnitKey::new(Stage::Seal, 0);
    for attempt in 1..=2 {
        let prepare = room.lease_later(1);
        assert_eq!(prepare.attempt, attempt);
        room.report(1, prepare, failed(FailureClass::Damaged { producer }));
    }
    room.now += 600_000;
    let prepare = room.lease_one(1);
    room.report(1, prepare, failed(FailureClass::Damaged { producer }));
    assert_eq!(room.job_state(), JobState::Drained, "storage is to blame, not the unit");
}

#[test]
fn reports_of_what_was_never_leased_are_refused() {
    let mut room = Room::listed(true, 1);
    let impossible = [
        (unit(Stage::Lines, 0, 1), done("x"), "there was no such attempt"),
        (unit(Stage::Lines, 7, 1), done("x"), "the job has no such unit"),
    ];
    for (unit, outcome, reason) in impossible {
        let refused = Effect::ReportRefused { worker_id: 1, unit, reason: reason.to_owned() };
        assert_eq!(room.report(1, unit, outcome), [refused]);
    }
    let lines = room.lease_one(1);
    let effects = room.report(1, lines, listed(0, 1));
    assert!(matches!(effects.as_slice(), [Effect::ReportRefused { .. }]), "{effects:?}");
}

#[test]
fn a_listing_with_a_missing_piece_is_retried() {
    let mut room = Room::new(true);
    let worker = room.register(1);
    let list = room.lease_one(worker);
    room.report(worker, list, listed(0, 2));
    room.report(worker, list, listed(2, 2));
    let effects = room.report(worker, list, done("list"));
    assert!(matches!(effects[0], Effect::AttemptFailed { .. }), "{effects:?}");
    let again = room.lease_later(worker);
    room.report(worker, again, listed(0, 2));
    room.report(worker, again, listed(1, 2));
    room.report(worker, again, done("list"));
    assert_eq!(room.scheduler.units(Stage::Lines), 4);
}
