//! Which records survive torn tails, flipped bytes, failing writes and replaced coordinators.
//! Faults come from the segments in memory; one test fills a real file system.

mod full_disk;
mod recovering;

use thresher_proto::pb;

use super::frame::HEADER_BYTES;
use super::*;

const NONE: [u64; 0] = [];
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Returns a record that differs from those with other numbers.
fn record(number: u64) -> JournalRecord {
    let lost = pb::WorkerLost { worker_id: number as u32, reason: "x".repeat(number as usize % 7) };
    JournalRecord { now_millis: number, event: Some(Event::Lost(lost)) }
}

/// Returns a journal that wrote its opening, and the numbers of the records before that.
fn open(files: &MemoryFiles) -> (Journal, Vec<u64>) {
    let (mut journal, replay) = Journal::open_in(files.clone()).unwrap();
    let before = numbers(replay);
    journal.append(&opening(&journal)).unwrap();
    journal.commit().unwrap();
    (journal, before)
}

fn opening(journal: &Journal) -> JournalRecord {
    JournalRecord { now_millis: 0, event: Some(Event::Opened(journal.opening())) }
}

/// Returns the numbers of all records that are not openings.
fn numbers(replay: Replay) -> Vec<u64> {
    let records = replay.map(|record| record.unwrap());
    records.map(|record| record.now_millis).filter(|number| *number > 0).collect()
}

fn read(files: &MemoryFiles) -> Result<Vec<u64>, JournalError> {
    let records: Result<Vec<_>, _> = replay_in(files.clone())?.collect();
    Ok(records?.iter().map(|record| record.now_millis).filter(|number| *number > 0).collect())
}

/// Returns a journal of one epoch with one record in each commit, and the end of each commit.
fn written(commits: u64) -> (MemoryFiles, Vec<usize>) {
    let files = MemoryFiles::new();
    let (mut journal, _) = open(&files);
    let mut ends = vec![files.bytes(1).unwrap().len()];
    for number in 1..=commits {
        journal.append(&record(number)).unwrap();
        journal.commit().unwrap();
        ends.push(files.bytes(1).unwrap().len());
    }
    (files, ends)
}

#[test]
fn records_come_back_in_order_over_several_epochs() {
    let files = MemoryFiles::new();
    for epoch in 0..4 {
        let (mut journal, before) = open(&files);
        assert_eq!(before, (1..=epoch * 3).collect::<Vec<_>>());
        assert_eq!(journal.epoch(), epoch + 1);
        for number in epoch * 3 + 1..=epoch * 3 + 3 {
            journal.append(&record(number)).unwrap();
        }
        journal.commit().unwrap();
    }
}

#[test]
fn records_that_were_not_committed_are_not_read() {
    let files = MemoryFiles::new();
    let (mut journal, _) = open(&files);
    journal.append(&record(1)).unwrap();
    assert_eq!(read(&files).unwrap(), NONE);
    journal.commit().unwrap();
    assert_eq!(read(&files).unwrap(), [1]);
}

#[test]
fn a_tail_torn_at_any_byte_loses_only_the_commit_that_it_cuts() {
    let (files, ends) = written(4);
    let whole = files.bytes(1).unwrap();
    for length in 0..=whole.len() {
        let torn = files.copied();
        torn.replace(1, whole[..length].to_vec());
        let commits = ends.iter().filter(|end| **end <= length).count() as u64;
        let expected: Vec<u64> = (1..commits.max(1)).collect();
        assert_eq!(read(&torn).unwrap(), expected, "cut at byte {length}");
        let (mut journal, before) = open(&torn);
        assert_eq!(before, expected);
        journal.append(&record(99)).unwrap();
        journal.commit().unwrap();
        assert_eq!(read(&torn).unwrap().last(), Some(&99), "it continues after byte {length}");
    }
}

#[test]
fn a_tail_of_zeros_or_of_another_file_counts_as_torn() {
    let (files, _) = written(2);
    let whole = files.bytes(1).unwrap();
    let (others, _) = written(5);
    let strange = others.bytes(1).unwrap()[HEADER_BYTES..].to_vec();
    for tail in [vec![0; 5000], vec![0xff; 5000], strange] {
        files.replace(1, [whole.as_slice(), &tail].concat());
        assert_eq!(read(&files).unwrap(), [1, 2]);
    }
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let (files, ends) = written(4);
    let whole = files.bytes(1).unwrap();
    let last = ends[ends.len() - 2];
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let flipped = files.copied();
        flipped.replace(1, bytes);
        match read(&flipped) {
            Ok(read) if at >= last => assert_eq!(read, [1, 2, 3], "as a torn tail, byte {at}"),
            Err(JournalError::Damaged { path, .. }) if at < last => {
                assert_eq!(path, flipped.path(1));
            }
            other => panic!("byte {at} flipped: {other:?}"),
        }
        if at < last {
            assert!(
                Journal::open_in(flipped).is_err(),
                "nothing is written after damage, byte {at}"
            );
        }
    }
}

#[test]
fn a_frame_that_a_later_epoch_relied_on_must_be_there() {
    let (files, ends) = written(3);
    let (_, before) = open(&files);
    assert_eq!(before, [1, 2, 3]);
    let bytes = files.bytes(1).unwrap();
    files.replace(1, bytes[..ends[2]].to_vec());
    let error = read(&files).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("hint: restore the file"), "{error}");
}

#[test]
fn a_failed_write_or_sync_closes_the_journal_and_the_next_one_resumes() {
    for (errno, hint) in [(ENOSPC, "hint: free some space"), (EIO, "hint: check the file system")] {
        for operation in 0..2 {
            let (files, _) = written(2);
            // `written` has dropped its journal; a coordinator resumes from it.
            let (mut journal, _) = open(&files);
            files.fail_at(files.operations() + operation, Fault::Fails(errno));
            journal.append(&record(3)).unwrap();
            let text = journal.commit().unwrap_err().to_string();
            assert!(text.contains("memory/00000002.journal") && text.contains(hint), "{text}");
            let again = journal.append(&record(4)).unwrap_err();
            assert!(matches!(again, JournalError::Poisoned { .. }), "{again}");
            assert!(matches!(journal.commit(), Err(JournalError::Poisoned { .. })));
            let (_, before) = open(&files);
            // After a failed sync the bytes may or may not be in the file: here they are.
            let durable = if operation == 1 { vec![1, 2, 3] } else { vec![1, 2] };
            assert_eq!(before, durable);
        }
    }
}

#[test]
fn a_write_that_is_cut_short_and_then_fails_leaves_a_torn_tail() {
    let (files, _) = written(2);
    for taken in 1..15 {
        let (mut journal, _) = open(&files);
        files.fail_at(files.operations(), Fault::Short(taken));
        files.fail_at(files.operations() + 1, Fault::Fails(ENOSPC));
        journal.append(&record(50)).unwrap();
        journal.commit().unwrap_err();
        assert_eq!(read(&files).unwrap(), [1, 2], "{taken} bytes were taken");
    }
}

#[test]
fn a_short_write_is_completed() {
    let files = MemoryFiles::new();
    let (mut journal, _) = open(&files);
    files.fail_at(files.operations(), Fault::Short(3));
    journal.append(&record(1)).unwrap();
    journal.commit().unwrap();
    assert_eq!(read(&files).unwrap(), [1]);
}

#[test]
fn an_epoch_that_cannot_be_created_is_an_error_with_its_path() {
    let (files, _) = written(1);
    files.fail_at(files.operations(), Fault::Fails(ENOSPC));
    let error = Journal::open_in(files.clone()).err().unwrap().to_string();
    assert!(error.contains("memory/00000002.journal") && error.contains("hint: free"), "{error}");
    assert_eq!(open(&files).1, [1]);
}

#[test]
fn a_replaced_coordinator_gets_an_error_and_its_later_records_never_count() {
    let files = MemoryFiles::new();
    let (mut old, _) = open(&files);
    old.append(&record(1)).unwrap();
    old.commit().unwrap();
    let (mut new, before) = open(&files);
    assert_eq!(before, [1]);
    old.append(&record(666)).unwrap();
    assert!(matches!(old.commit(), Err(JournalError::Fenced { epoch: 1, by: 2 })));
    assert!(matches!(old.append(&record(667)), Err(JournalError::Fenced { .. })));
    new.append(&record(2)).unwrap();
    new.commit().unwrap();
    assert_eq!(read(&files).unwrap(), [1, 2]);
    assert_eq!(open(&files).1, [1, 2], "nor for later coordinators");
}

#[test]
fn records_of_a_replaced_coordinator_do_not_count_once_the_next_one_opens() {
    let files = MemoryFiles::new();
    let (mut old, _) = open(&files);
    let (mut new, replay) = Journal::open_in(files.clone()).unwrap();
    assert_eq!(numbers(replay), NONE);
    old.append(&record(666)).unwrap();
    assert!(matches!(old.commit(), Err(JournalError::Fenced { .. })));
    new.append(&opening(&new)).unwrap();
    new.commit().unwrap();
    assert_eq!(read(&files).unwrap(), NONE);
}

#[test]
fn epochs_that_never_wrote_are_skipped() {
    let (files, _) = written(2);
    for _ in 0..3 {
        let (_journal, replay) = Journal::open_in(files.clone()).unwrap();
        assert_eq!(numbers(replay), [1, 2]);
    }
    let (journal, before) = open(&files);
    assert_eq!((journal.epoch(), before), (5, vec![1, 2]));
}

#[test]
fn a_record_that_could_not_be_read_back_is_refused_before_it_is_written() {
    let files = MemoryFiles::new();
    let (mut journal, _) = open(&files);
    let lost = pb::WorkerLost { worker_id: 1, reason: "x".repeat(MAX_PAYLOAD_BYTES) };
    let big = JournalRecord { now_millis: 1, event: Some(Event::Lost(lost)) };
    assert!(matches!(journal.append(&big), Err(JournalError::TooBig { .. })));
    journal.append(&record(2)).unwrap();
    journal.commit().unwrap();
    assert_eq!(read(&files).unwrap(), [2]);
}

#[test]
fn a_batch_beyond_one_frame_comes_back_whole() {
    let files = MemoryFiles::new();
    let (mut journal, _) = open(&files);
    for number in 1..=5 {
        let lost = pb::WorkerLost { worker_id: 1, reason: "x".repeat(3 << 20) };
        journal
            .append(&JournalRecord { now_millis: number, event: Some(Event::Lost(lost)) })
            .unwrap();
    }
    journal.commit().unwrap();
    assert_eq!(read(&files).unwrap(), [1, 2, 3, 4, 5]);
}

#[test]
#[should_panic(expected = "the first record of an epoch must be its opening")]
fn an_epoch_starts_with_its_opening() {
    let (mut journal, _) = Journal::open_in(MemoryFiles::new()).unwrap();
    let _ = journal.append(&record(1));
}

#[test]
fn a_state_directory_of_another_version_is_refused_with_both_versions() {
    let (files, _) = written(3);
    let mut bytes = files.bytes(1).unwrap();
    bytes[8..12].copy_from_slice(&1_u32.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    files.replace(1, bytes);
    let opened = Journal::open_in(files.clone()).map(|_| ());
    for refused in [opened, read(&files).map(|_| ())] {
        let error = refused.unwrap_err();
        assert!(matches!(error, JournalError::OtherVersion { found: 1, .. }), "{error}");
        let text = error.to_string();
        let ours = format!("reads version {STATE_VERSION}");
        assert!(text.contains("has version 1") && text.contains(&ours), "{text}");
        assert!(text.contains("hint: "), "{text}");
    }
    // Its own coordinator may still be at work, and must not be replaced.
    assert_eq!(files.bytes(2), None);
}
