//! What is left of a journal with a damaged middle, and that coordinators continue from there.

use super::*;
use crate::journal::recover::recover_in;

/// Three epochs of three commits each, in one directory.
fn three_epochs() -> MemoryFiles {
    let files = MemoryFiles::new();
    for epoch in 0..3 {
        let (mut journal, _) = open(&files);
        for number in epoch * 3 + 1..=epoch * 3 + 3 {
            journal.append(&record(number)).unwrap();
            journal.commit().unwrap();
        }
    }
    files
}

fn recovered(files: &MemoryFiles) -> Option<Recovery> {
    recover_in(files, CoordinatorOpened::default(), 0).unwrap()
}

#[test]
fn a_recovery_keeps_what_was_written_before_the_damage_wherever_it_is() {
    let files = three_epochs();
    for epoch in 1..=3 {
        let whole = files.bytes(epoch).unwrap();
        for at in 0..whole.len() {
            let damaged = files.copied();
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            damaged.replace(epoch, bytes.clone());
            let Err(error) = read(&damaged) else {
                // At the end of the newest segment it looks like a commit that was cut short.
                assert!(recovered(&damaged).is_none(), "epoch {epoch}, byte {at}");
                continue;
            };
            assert!(error.to_string().contains("`--recover`"), "{error}");
            let recovery = recovered(&damaged).expect("it is damaged");
            assert_eq!(recovery.damage.path, damaged.path(epoch), "byte {at}");
            let (mut journal, left) = open(&damaged);
            let expected: Vec<u64> = (1..=left.len() as u64).collect();
            assert_eq!(left, expected, "epoch {epoch}, byte {at}: a part from the start");
            let before = (epoch - 1) * 3;
            assert!(left.len() as u64 >= before, "epoch {epoch}, byte {at}: {left:?}");
            let openings_and_records = 9 - left.len() as u64 + (3 - epoch);
            assert!(recovery.lost_records <= openings_and_records + 1, "{recovery:?}");
            assert_eq!(damaged.bytes(epoch).unwrap(), bytes, "the damaged file is kept");
            assert_eq!(journal.epoch(), 5, "no epoch is taken twice");
            journal.append(&record(99)).unwrap();
            journal.commit().unwrap();
            let continued = [left, vec![99]].concat();
            assert_eq!(read(&damaged).unwrap(), continued, "epoch {epoch}, byte {at}");
            assert!(recovered(&damaged).is_none(), "nothing is damaged any more");
        }
    }
}

#[test]
fn lost_results_are_counted() {
    let (files, ends) = written(2);
    let (mut journal, _) = open(&files);
    let done = pb::report::Outcome::Done(pb::Done::default());
    let reports = vec![pb::Report { outcome: Some(done), ..pb::Report::default() }; 2];
    let sync = pb::SyncRequest { reports, ..pb::SyncRequest::default() };
    journal.append(&JournalRecord { now_millis: 3, event: Some(Event::Sync(sync)) }).unwrap();
    journal.commit().unwrap();
    let mut bytes = files.bytes(1).unwrap();
    bytes[ends[0] + 1] ^= 1;
    files.replace(1, bytes);
    let recovery = recovered(&files).unwrap();
    assert_eq!(recovery.damage.offset, ends[0] as u64);
    assert_eq!(recovery.lost_results, 2);
    assert_eq!(recovery.lost_records, 3, "the second record, an opening and the reports");
}

#[test]
fn a_sound_journal_and_an_empty_directory_are_left_alone() {
    let files = three_epochs();
    assert!(recovered(&files).is_none() && files.bytes(4).is_none());
    let empty = MemoryFiles::new();
    assert!(recovered(&empty).is_none() && empty.bytes(1).is_none());
}

#[test]
fn a_journal_of_another_version_is_not_recovered() {
    let (files, _) = written(2);
    let mut bytes = files.bytes(1).unwrap();
    bytes[8] += 1;
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    files.replace(1, bytes);
    let error = recover_in(&files, CoordinatorOpened::default(), 0).unwrap_err();
    assert!(matches!(error, JournalError::OtherVersion { .. }), "{error}");
}
